// Who is there: the addresses that packets are drawn from. What a failure shrinks to is a packet from the first
// stranger to the subject.

import fc from "fast-check";
import { type IpAddr, parseIp } from "../../netstack/index.ts";

export interface Station {
  mac: readonly number[];
  ip4: IpAddr;
  ip6: IpAddr;
}

export interface Place {
  /** Whom the packets are for. */
  subject: Station;
  /** Who may seem to have sent them; the first one is what failures shrink to. */
  strangers: readonly Station[];
  /** Ports where somebody listens, the most ordinary first. */
  ports: readonly number[];
}

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;

/** As the stacks of fuzz campaigns stand; write your own for others. */
export const DEFAULT_PLACE: Place = {
  subject: { mac: [2, 0, 0, 0, 0, 1], ip4: ip("10.0.0.1"), ip6: ip("2001:db8::a") },
  strangers: [
    { mac: [2, 0, 0, 0, 0, 2], ip4: ip("10.0.0.2"), ip6: ip("2001:db8::b") },
    { mac: [2, 0, 0, 0, 0, 3], ip4: ip("10.0.0.3"), ip6: ip("2001:db8::c") },
    { mac: [2, 0, 0, 0, 0, 4], ip4: ip("10.7.0.4"), ip6: ip("2001:db8:1::d") },
  ],
  ports: [80, 7, 5001],
};

const ODD4 = [
  "255.255.255.255",
  "10.255.255.255",
  "224.0.0.1",
  "239.1.2.3",
  "0.0.0.0",
  "127.0.0.1",
  "240.0.0.1",
  "10.0.0.1",
].map(ip);
const ODD6 = [
  "ff02::1",
  "ff02::2",
  "ff02::1:ff00:a",
  "ff0e::1",
  "::",
  "::1",
  "fe80::1",
  "2001:db8::a",
].map(ip);
const ODD_MACS = [
  [255, 255, 255, 255, 255, 255],
  [1, 0, 0x5e, 0, 0, 1],
  [0x33, 0x33, 0, 0, 0, 1],
  [0, 0, 0, 0, 0, 0],
  [2, 0, 0, 0, 0, 0x99],
];

/** The four addresses of an IP packet in its frame. */
export interface Way {
  srcMac: readonly number[];
  dstMac: readonly number[];
  src: IpAddr;
  dst: IpAddr;
}

function groupMac(dst: IpAddr): readonly number[] {
  const w = dst.w3;
  if (dst.isV4) return [1, 0, 0x5e, (w >>> 16) & 0x7f, (w >>> 8) & 255, w & 255];
  return [0x33, 0x33, w >>> 24, (w >>> 16) & 255, (w >>> 8) & 255, w & 255];
}

/** Many neighbours: those of whom there may be too many. */
export function crowd(family: 4 | 6): fc.Arbitrary<IpAddr> {
  return fc.nat(63).map((n) => {
    const addr = ip(family === 4 ? "10.9.0.0" : "2001:db8::9:0");
    addr.w3 |= n;
    return addr;
  });
}

/** odd: groups, broadcasts, the subject's own and forbidden addresses too. */
export function way(place: Place, family: 4 | 6, odd: boolean): fc.Arbitrary<Way> {
  const { subject, strangers } = place;
  const of = (s: Station): IpAddr => (family === 4 ? s.ip4 : s.ip6);
  const honest: fc.Arbitrary<Way> = fc.constantFrom(...strangers).map((from) => ({
    srcMac: from.mac,
    dstMac: subject.mac,
    src: of(from),
    dst: of(subject),
  }));
  if (!odd) return honest;
  const odds = family === 4 ? ODD4 : ODD6;
  const strange: fc.Arbitrary<Way> = fc
    .record({
      way: honest,
      src: fc.option(fc.oneof(fc.constantFrom(...odds), crowd(family)), { freq: 2 }),
      dst: fc.option(fc.constantFrom(...odds), { freq: 2 }),
      srcMac: fc.option(fc.constantFrom(...ODD_MACS), { freq: 2 }),
      dstMac: fc.option(fc.constantFrom(...ODD_MACS), { freq: 2 }),
    })
    .map(({ way: w, src, dst, srcMac, dstMac }) => {
      const to = dst ?? w.dst;
      const mac = to.isMulticast ? groupMac(to) : w.dstMac;
      return { src: src ?? w.src, dst: to, srcMac: srcMac ?? w.srcMac, dstMac: dstMac ?? mac };
    });
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: honest },
    { weight: 2, arbitrary: strange },
  );
}

/** To a multicast group, in its Ethernet frame; Neighbour Discovery's packets are. */
export function toGroup(w: Way, group: IpAddr): Way {
  return { ...w, dst: group, dstMac: groupMac(group) };
}

export function port(place: Place): fc.Arbitrary<number> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 4, arbitrary: fc.constantFrom(...place.ports) },
    { weight: 1, arbitrary: fc.nat(65_535) },
  );
}

/** Of clients: few, so that segments meet connections. */
export const clientPort: fc.Arbitrary<number> = fc.nat(3).map((n) => 1024 + n);
