// ICMPv6 messages (RFC 4443), Neighbour Discovery (RFC 4861) and Multicast Listener Discovery (RFC 3810).

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import type { IpAddr } from "../../netstack/index.ts";
import { bytes, honest, lies, type Mood, mostly, oneFlaw, payload, word } from "./mood.ts";
import { clientPort, type Place, port, type Station } from "./place.ts";
import { cutTransport } from "./tcp.ts";
import { ICMPV6, TCP, type Transport, UDP } from "./transport.ts";

const ND_HOP_LIMIT = 255;

interface Message {
  type: number;
  code: number;
  rest: number;
  body: readonly number[];
  isNeighborDiscovery?: boolean;
  /** From beside us on the link, as MLD and routers speak. */
  isLinkLocal?: boolean;
}

function addressBytes(addr: IpAddr): number[] {
  const b = new Uint8Array(16);
  addr.write(b, 0, 6);
  return [...b];
}

const echo: fc.Arbitrary<Message> = fc
  .tuple(fc.constantFrom(128, 129), word, payload)
  .map(([type, rest, body]) => ({ type, code: 0, rest, body: [...body] }));

function quotedIpv6(place: Place): fc.Arbitrary<number[]> {
  return fc
    .record({
      to: fc.constantFrom(...place.strangers),
      isUdp: fc.boolean(),
      local: port(place),
      remote: clientPort,
      seq: word,
    })
    .map(({ to, isUdp, local, remote, seq }) => {
      const b = new Uint8Array(48);
      b[0] = 0x60;
      setU16(b, 4, 20);
      b[6] = isUdp ? UDP : TCP;
      b[7] = 63;
      place.subject.ip6.write(b, 8, 6);
      to.ip6.write(b, 24, 6);
      setU16(b, 40, local);
      setU16(b, 42, remote);
      setU32(b, 44, isUdp ? (20 << 16) | (seq & 0xffff) : seq);
      return [...b];
    });
}

const errors = (place: Place): fc.Arbitrary<Message> =>
  fc.record({
    type: fc.constantFrom(1, 2, 3, 4),
    code: fc.nat(8),
    rest: fc.oneof(fc.nat(1500), word),
    body: quotedIpv6(place),
  });

const option = (kind: number, data: readonly number[]): number[] => {
  const units = Math.ceil((data.length + 2) / 8);
  return [kind, units, ...data, ...new Array<number>(units * 8 - 2 - data.length).fill(0)];
};

function ndOption(mood: Mood, place: Place): fc.Arbitrary<number[]> {
  const mac = fc.constantFrom(...place.strangers).map((s) => [...s.mac]);
  const good = fc.oneof(
    mac.map((m) => option(1, m)),
    mac.map((m) => option(2, m)),
    fc.tuple(fc.nat(255), fc.nat(128)).map(([flags, bits]) => {
      const seconds = [0, 0, 14, 16];
      const prefix = [0x20, 1, 0xd, 0xb8, 0, 2, ...new Array<number>(10).fill(0)];
      return option(3, [bits, flags, ...seconds, ...seconds, 0, 0, 0, 0, ...prefix]);
    }),
    fc.nat(65_535).map((mtu) => option(5, [0, 0, 0, 0, mtu >>> 8, mtu & 255])),
    bytes(6).map((nonce) => option(14, [...nonce])),
  );
  if (mood === "valid") return good;
  const strange = fc.tuple(fc.nat(255), bytes(14)).map(([kind, b]) => option(kind, [...b]));
  if (mood === "near") return fc.oneof(good, strange);
  const lying = fc
    .tuple(fc.nat(255), fc.oneof(fc.constantFrom(0, 1, 255), fc.nat(255)), bytes(14))
    .map(([kind, units, b]) => [kind, units, ...b]);
  return fc.oneof(good, strange, lying);
}

function neighborDiscovery(mood: Mood, place: Place): fc.Arbitrary<Message> {
  const options = fc.array(ndOption(mood, place), { maxLength: 4 }).map((list) => list.flat());
  const any: fc.Arbitrary<Station> = fc.constantFrom(place.subject, ...place.strangers);
  const target = any.map((s) => addressBytes(s.ip6));
  const at = { code: 0, isNeighborDiscovery: true };
  return fc.oneof(
    { withCrossShrink: true },
    fc.tuple(target, options).map(([t, o]) => ({ ...at, type: 135, rest: 0, body: [...t, ...o] })),
    fc
      .tuple(fc.nat(7), target, options)
      .map(([flags, t, o]) => ({ ...at, type: 136, rest: flags << 29, body: [...t, ...o] })),
    fc.tuple(fc.nat(9000), word, word, options).map(([lifetime, reachable, retransmit, o]) => {
      const timers = new Uint8Array(8);
      setU32(timers, 0, reachable);
      setU32(timers, 4, retransmit);
      return { ...at, type: 134, rest: (64 << 24) | lifetime, body: [...timers, ...o] };
    }),
    options.map((o) => ({ ...at, type: 133, rest: 0, body: o })),
    fc
      .tuple(target, target, options)
      .map(([t, d, o]) => ({ ...at, type: 137, rest: 0, body: [...t, ...d, ...o] })),
  );
}

const group = fc
  .constantFrom(
    "00".repeat(16),
    "ff020000000000000000000000000001",
    "ff0e0000000000000000000000000001",
  )
  .map((text) =>
    Array.from({ length: 16 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)),
  );

/** Queries of both versions, with delays of the plain and of the exponential form; reports; the end. */
function listenerMessage(mood: Mood): fc.Arbitrary<Message> {
  const at = { code: 0, isLinkLocal: true };
  const delay = fc.oneof(fc.constantFrom(0, 1, 1_000, 0x7fff, 0x8000, 0xffff), fc.nat(65_535));
  const claim = mood === "hostile" ? lies(16) : honest;
  const sources = fc.array(
    bytes(16).filter((b) => b.length === 16),
    { maxLength: 2 },
  );
  return fc.oneof(
    { withCrossShrink: true },
    fc.tuple(delay, group).map(([d, g]) => ({ ...at, type: 130, rest: d << 16, body: g })),
    fc
      .tuple(delay, group, fc.nat(15), fc.nat(255), sources, claim)
      .map(([d, g, flags, qqic, list, lie]) => {
        const n = lie(list.length);
        const body = [...g, flags, qqic, n >>> 8, n & 255, ...list.flatMap((b) => [...b])];
        return { ...at, type: 130, rest: d << 16, body };
      }),
    fc
      .tuple(fc.constantFrom(131, 132), group)
      .map(([type, g]) => ({ ...at, type, rest: 0, body: g })),
    fc
      .tuple(fc.nat(7), group)
      .map(([kind, g]) => ({ ...at, type: 143, rest: 1, body: [kind, 0, 0, 0, ...g] })),
  );
}

const noise: fc.Arbitrary<Message> = fc
  .record({ type: fc.nat(255), code: fc.nat(255), rest: word, body: bytes(80) })
  .map((m) => ({ ...m, body: [...m.body] }));

export function icmp6Message(mood: Mood, place: Place): fc.Arbitrary<Transport> {
  const discovery = neighborDiscovery(mood, place);
  const ordinary = [echo, errors(place), discovery, discovery, listenerMessage(mood)];
  const others = mood === "valid" ? [] : [noise];
  const built = fc
    .record({
      message: fc.oneof({ withCrossShrink: true }, ...ordinary, ...others),
      checksumOff: mood === "hostile" ? mostly(0, fc.nat(65_535)) : fc.constant(0),
      flaw: oneFlaw(mood, "checksum", "code", "hop limit"),
    })
    .map(({ message: m, checksumOff, flaw }): Transport => {
      const b = new Uint8Array(8 + m.body.length);
      b.set([m.type, flaw === "code" ? m.code ^ 0x80 : m.code]);
      setU32(b, 4, m.rest);
      b.set(m.body, 8);
      const isDiscovery = m.isNeighborDiscovery === true && flaw !== "hop limit";
      return {
        protocol: ICMPV6,
        bytes: b,
        checksumAt: 2,
        checksumOff: flaw === "checksum" ? 1 : checksumOff,
        ...(isDiscovery ? { hopLimit: ND_HOP_LIMIT } : {}),
        ...(m.isLinkLocal === true && flaw !== "hop limit"
          ? { hopLimit: 1, isLinkLocal: true }
          : {}),
      };
    });
  return cutTransport(mood, built);
}
