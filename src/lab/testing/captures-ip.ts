// Captures written byte by byte: lies at the IP layer, and packets that no honest host sends.

import {
  be16,
  be32,
  bytesOf,
  datagram,
  ICMP,
  ICMPV6,
  icmp,
  ip,
  ip4,
  ip6,
  MAC_VICTIM,
  PEER,
  PEER6,
  PORT,
  pattern,
  RST,
  SYN,
  segment,
  stranger,
  stranger6,
  summed,
  TCP,
  tcpBytes,
  UDP,
  VICTIM,
  VICTIM6,
} from "../../netstack/attacks/testing-frames.ts";
import type { IpAddr } from "../../netstack/index.ts";
import type { MadeCapture, Tape } from "./tape.ts";

type Piece = readonly [offset: number, length: number, more: boolean];

const ECHO = [8, 0, 0, 0, 0, 1, 0, 1];
const ECHO6 = [128, 0, 0, 0, 0, 1, 0, 1];

const v4 = (id: number, [offset, length, more]: Piece, protocol = UDP): Uint8Array =>
  ip4(pattern(length), { id, offset, more, protocol });
const v6 = (id: number, [offset, length, more]: Piece, next = UDP): Uint8Array =>
  ip6([next, 0, ...be16(offset | (more ? 1 : 0)), ...be32(id), ...pattern(length)], { next: 44 });

function pieces(...list: readonly Piece[]): (tape: Tape) => void {
  return (tape) => {
    for (const piece of list) tape.add(v4(1, piece));
    for (const piece of list) tape.add(v6(1, piece));
  };
}

/** The frame with another IPv4 source, header checksum and all; transport checksums stay what they were. */
function from(frames: readonly ((src: IpAddr) => Uint8Array)[], sources: readonly string[]) {
  return (tape: Tape): void => {
    for (const source of sources) for (const frame of frames) tape.add(frame(ip(source)));
  };
}

/** All sixteen bytes, also of a mapped address. */
function readdress6(frame: Uint8Array, at: number, address: string): Uint8Array {
  const raw = new Uint8Array(16);
  ip(address).write(raw, 0, 6);
  frame.set(raw, at);
  return frame;
}

const SPOOFED: readonly ((src: IpAddr) => Uint8Array)[] = [
  (src) => datagram([1, 2, 3], { src, dst: VICTIM, mac: MAC_VICTIM }),
  (src) => segment({ src, dst: VICTIM, flags: SYN, mac: MAC_VICTIM }),
  (src) => icmp(ECHO, { src, dst: VICTIM, mac: MAC_VICTIM }),
];

export const IP_CAPTURES: readonly MadeCapture[] = [
  {
    file: "land.pcap",
    about:
      "LAND: SYNs from the victim's own address and port, IPv4 and IPv6, are dropped at the door.",
    make(tape) {
      for (const addr of [VICTIM, VICTIM6]) {
        tape.add(segment({ src: addr, dst: addr, sport: PORT, flags: SYN }));
        tape.add(segment({ src: addr, dst: addr, sport: 9, flags: SYN }));
      }
    },
  },
  {
    file: "martian-sources.pcap",
    about: "Sources that no packet on a wire may have (RFC 1122 3.2.1.3): dropped, no answer.",
    make: from(SPOOFED, [
      ...["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"],
      ...["255.255.255.255", "10.255.255.255"],
    ]),
  },
  {
    file: "martian-sources6.pcap",
    about: "IPv6 from ::, ::1, groups and mapped IPv4 (RFC 4291 2.5): dropped, no answer.",
    make(tape) {
      for (const src of ["::", "::1", "ff02::1", "ff0e::1", "::ffff:10.0.0.2"]) {
        tape.add(readdress6(datagram([1], { src: PEER6, dst: VICTIM6 }), 22, src));
        tape.add(readdress6(icmp(ECHO6, { src: PEER6, dst: VICTIM6 }), 22, src));
      }
    },
  },
  {
    file: "martian-destinations.pcap",
    about:
      "Packets to 127/8, 0/8, class E, ::1 and mapped IPv4 that came by wire: dropped, no answer.",
    make(tape) {
      for (const dst of ["127.0.0.1", "0.9.9.9", "240.0.0.1"]) {
        tape.add(datagram([1], { src: PEER, dst: ip(dst), mac: MAC_VICTIM }));
      }
      for (const dst of ["::1", "::ffff:10.0.0.1"]) {
        tape.add(readdress6(ip6(pattern(8), { src: PEER6, mac: MAC_VICTIM }), 38, dst));
      }
    },
  },
  {
    file: "not-for-us.pcap",
    about: "Packets to other hosts at our MAC address: a host that is no router drops them.",
    make(tape) {
      tape.add(datagram([1], { src: PEER, dst: ip("192.0.2.1"), mac: MAC_VICTIM }));
      tape.add(ip6(pattern(8), { src: PEER6, dst: ip("2001:db8:9::1"), mac: MAC_VICTIM }));
      tape.add(ip6(pattern(8), { src: PEER6, dst: ip("fe80::dead"), mac: MAC_VICTIM }));
      tape.add(ip6(pattern(8), { src: PEER6, dst: ip("ff01::1") }));
    },
  },
  {
    file: "teardrop.pcap",
    about: "Teardrop: a fragment inside another; the whole datagram is given up (RFC 5722).",
    make: pieces([0, 64, true], [24, 8, false]),
  },
  {
    file: "bonk.pcap",
    about: "Bonk: the last fragment overwrites the one in front; the whole datagram is given up.",
    make: pieces([0, 64, true], [8, 64, false]),
  },
  {
    file: "nestea.pcap",
    about: "Nestea: a third fragment over both ends of a hole; the whole datagram is given up.",
    make: pieces([0, 32, true], [48, 32, true], [24, 32, true]),
  },
  {
    file: "rose.pcap",
    about:
      "Rose: first and last fragment and never what is between; held for its time, then given up.",
    make(tape) {
      for (let id = 1; id <= 8; id++) {
        tape.add(v4(id, [0, 64, true]), v4(id, [32_000, 64, false]));
        tape.add(v6(id, [0, 64, true]), v6(id, [32_000, 64, false]));
      }
    },
  },
  {
    file: "jolt.pcap",
    about: "Jolt: a large ICMP datagram in pieces whose last one never ends it.",
    make(tape) {
      for (let at = 0; at < 7_200; at += 720) tape.add(v4(1109, [at, 720, true], ICMP));
    },
  },
  {
    file: "ping-of-death.pcap",
    about: "Ping of death: fragments that end behind 65535 bytes are dropped as they come.",
    make(tape) {
      tape.add(v4(5, [0, 800, true], ICMP), v4(5, [65_528, 800, false], ICMP));
      tape.add(v6(5, [0, 800, true], ICMPV6), v6(5, [65_528, 800, false], ICMPV6));
      tape.add(v4(6, [65_120, 416, false], ICMP));
    },
  },
  {
    file: "tiny-fragments.pcap",
    about:
      "Tiny fragments (RFC 1858): a TCP header in two pieces, the second over the first, gives nothing.",
    make(tape) {
      const whole = summed(tcpBytes({ flags: SYN }), 16, TCP, stranger(1), VICTIM);
      tape.add(ip4(whole.subarray(0, 8), { id: 9, more: true, protocol: TCP }));
      tape.add(ip4(whole.subarray(8), { id: 9, offset: 8, protocol: TCP }));
      tape.add(ip4(whole.subarray(0, 16), { id: 10, more: true, protocol: TCP }));
      tape.add(ip4(whole.subarray(8), { id: 10, offset: 8, protocol: TCP }));
    },
  },
  {
    file: "atomic-fragments.pcap",
    about:
      "Atomic fragments (RFC 6946) under the identification of a datagram that is being put together.",
    make(tape) {
      tape.hello(stranger6(1));
      const echo = summed([...ECHO6, ...pattern(56)], 2, ICMPV6, stranger6(1), VICTIM6);
      const header = (offset: number, more: number): number[] => [
        ...[ICMPV6, 0, ...be16(offset | more), ...be32(77)],
      ];
      tape.add(ip6([...header(0, 1), ...echo.subarray(0, 32)], { next: 44 }));
      tape.add(ip6([...header(0, 0), ...echo], { next: 44 }));
      tape.add(ip6([...header(32, 0), ...echo.subarray(32)], { next: 44 }));
    },
  },
  {
    file: "fragment-flood.pcap",
    about:
      "FragmentSmack (CVE-2018-5391) in small: first fragments that nobody will ever complete.",
    make(tape) {
      for (let id = 1; id <= 100; id++) tape.add(v4(id, [0, 8, true]), v6(id, [0, 8, true]));
    },
  },
  {
    file: "source-routes.pcap",
    about:
      "Loose and strict source routes are refused without a word (RFC 7126); a record route is not, and answered.",
    make(tape) {
      for (const type of [131, 137]) {
        const options = [type, 7, 4, ...bytesOf(stranger(9)), 0];
        tape.add(ip4(summed(ECHO, 2, ICMP, PEER, VICTIM), { src: PEER, protocol: ICMP, options }));
      }
      const options = [7, 39, 4, ...new Array(37).fill(0)];
      tape.add(ip4(summed(ECHO, 2, ICMP, PEER, VICTIM), { src: PEER, protocol: ICMP, options }));
    },
  },
  {
    file: "ip-options.pcap",
    about:
      "IPv4 options with lengths 0, 1 and past the header: dropped before anything reads them.",
    make(tape) {
      for (const options of [
        [68, 0, 5, 0],
        [7, 1, 4, 0],
        [7, 40, 4, 0],
        [148, 3, 0, 0],
        [1, 1, 1, 68],
      ]) {
        tape.add(ip4(summed(ECHO, 2, ICMP, PEER, VICTIM), { src: PEER, protocol: ICMP, options }));
      }
    },
  },
  {
    file: "ip-lengths.pcap",
    about:
      "Ripple20's kind: headers of 4 and 60 bytes that are not there, totals below the header and above the frame.",
    make(tape) {
      const body = summed(ECHO, 2, ICMP, PEER, VICTIM);
      const o = { src: PEER, protocol: ICMP };
      tape.add(ip4(body, { ...o, headerBytes: 4 }), ip4(body, { ...o, headerBytes: 60 }));
      for (const totalLength of [0, 19, 2000]) tape.add(ip4(body, { ...o, totalLength }));
      for (const payloadLength of [9, 2000]) {
        const body6 = summed(ECHO6, 2, ICMPV6, PEER6, VICTIM6);
        tape.add(ip6(body6, { src: PEER6, next: ICMPV6, payloadLength }));
      }
    },
  },
  {
    file: "ip-in-ip.pcap",
    about:
      "CVE-2020-11896: IP in IP in fragments, inner and outer lengths that disagree; we have no tunnel.",
    make(tape) {
      const inner = ip4(pattern(64), { src: PEER, totalLength: 1200 }).subarray(14);
      tape.add(ip4(inner, { src: PEER, protocol: 4 }), ip6(inner, { src: PEER6, next: 4 }));
      tape.add(ip4(inner.subarray(0, 32), { src: PEER, protocol: 4, more: true, id: 3 }));
      tape.add(ip4(inner.subarray(32), { src: PEER, protocol: 4, offset: 32, id: 3 }));
    },
  },
  {
    file: "trailing-bytes.pcap",
    about: "Echo requests with padding behind the packet: answered without it.",
    make(tape) {
      tape.hello(stranger(1)).hello(stranger6(1));
      const pad = (frame: Uint8Array): Uint8Array => Uint8Array.from([...frame, ...pattern(20)]);
      tape.add(pad(icmp(ECHO)), pad(icmp(ECHO6, { src: stranger6(1) })));
    },
  },
  {
    file: "bad-checksums.pcap",
    about:
      "One bit wrong in IP, TCP, UDP, ICMP and ICMPv6: each is dropped and counted where it belongs.",
    make(tape) {
      const flip = (frame: Uint8Array, at: number): Uint8Array => {
        frame[at] ^= 1;
        return frame;
      };
      tape.add(flip(icmp(ECHO), 24), flip(segment({ flags: SYN }), 47));
      tape.add(flip(datagram([1, 2, 3]), 44), flip(icmp(ECHO), 41));
      tape.add(flip(icmp(ECHO6, { src: stranger6(1) }), 61));
      tape.add(flip(datagram([1, 2, 3], { src: stranger6(1) }), 64));
      tape.add(flip(segment({ src: stranger6(1), flags: SYN }), 67));
    },
  },
  {
    file: "extension-headers.pcap",
    about:
      "IPv6 headers in loops and out of order, 0 to 255 bytes that are not there, forty of them in a row.",
    make(tape) {
      const src = PEER6;
      tape.add(ip6([0, 0, 1, 4, 0, 0, 0, 0, ...pattern(8)], { src, next: 0 }));
      tape.add(ip6([59, 255, 1, 4, 0, 0, 0, 0], { src, next: 60 }));
      const chain: number[] = [];
      for (let i = 0; i < 40; i++) chain.push(60, 0, 1, 4, 0, 0, 0, 0);
      tape.add(ip6(chain, { src, next: 60 }));
      tape.add(ip6([17, 0, 0, 0, 0, 0, 0], { src, next: 44 }));
      // Hop-by-hop behind another header is an unknown next header (RFC 8200 4.1).
      tape.add(ip6([0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0], { src, next: 60 }));
    },
  },
  {
    file: "routing-header-0.pcap",
    about:
      "Routing header type 0 with segments left is answered by a parameter problem (RFC 5095).",
    make(tape) {
      tape.hello(stranger6(1));
      for (const left of [1, 0]) {
        tape.add(ip6([59, 2, 0, left, ...be32(0), ...bytesOf(PEER6)], { next: 43 }));
      }
    },
  },
  {
    file: "jumbograms.pcap",
    about:
      "Jumbo payload options: a length below 65536, beside a payload length, and without the bytes.",
    make(tape) {
      const jumbo = (bytes: number): number[] => [UDP, 0, 0xc2, 4, ...be32(bytes), ...pattern(16)];
      tape.add(ip6(jumbo(24), { src: PEER6, next: 0, payloadLength: 0 }));
      tape.add(ip6(jumbo(70_000), { src: PEER6, next: 0, payloadLength: 0 }));
      tape.add(ip6(jumbo(70_000), { src: PEER6, next: 0 }));
    },
  },
  {
    file: "unknown-options6.pcap",
    about:
      "Unknown IPv6 options of all four actions (RFC 8200 4.2): skipped, dropped, answered, answered but to groups.",
    make(tape) {
      tape.hello(stranger6(1));
      for (const action of [0x1e, 0x5e, 0x9e, 0xde]) {
        const options = [ICMPV6, 0, action, 4, 0, 0, 0, 0];
        const echo = summed(ECHO6, 2, ICMPV6, stranger6(1), VICTIM6);
        tape.add(ip6([...options, ...echo], { next: 60 }));
        tape.add(ip6([...options, ...echo], { next: 60, dst: ip("ff02::1") }));
      }
    },
  },
  {
    file: "router-alert-flood.pcap",
    about: "Router alerts of IPv4 and IPv6 by the dozen: as cheap as any other packet.",
    make(tape) {
      tape.hello(stranger(1)).hello(stranger6(1));
      for (let i = 0; i < 12; i++) {
        const echo = summed(ECHO, 2, ICMP, stranger(1), VICTIM);
        tape.add(ip4(echo, { protocol: ICMP, options: [148, 4, 0, 0] }));
        const echo6 = summed(ECHO6, 2, ICMPV6, stranger6(1), VICTIM6);
        tape.add(ip6([ICMPV6, 0, 5, 2, 0, 0, 1, 0, ...echo6], { next: 0 }));
      }
    },
  },
  {
    file: "unknown-protocols.pcap",
    about:
      "IP protocols that nobody here speaks are answered by protocol unreachable or parameter problem.",
    make(tape) {
      tape.hello(stranger(1)).hello(stranger6(1));
      for (const protocol of [3, 47, 132, 253]) {
        tape.add(ip4(pattern(16), { protocol }), ip6(pattern(16), { next: protocol }));
      }
    },
  },
  {
    file: "smurf.pcap",
    about:
      "Smurf: echo requests to broadcast and multicast addresses in a victim's name are not answered.",
    make(tape) {
      const mac = [255, 255, 255, 255, 255, 255];
      for (const dst of ["255.255.255.255", "10.255.255.255"]) {
        tape.add(icmp(ECHO, { src: PEER, dst: ip(dst), mac }));
      }
      tape.add(icmp(ECHO, { src: PEER, dst: ip("224.0.0.1"), mac: [1, 0, 0x5e, 0, 0, 1] }));
    },
  },
  {
    file: "broadcast-errors.pcap",
    about: "UDP and TCP that came as broadcast: no error and no RST may answer (RFC 1122 3.2.2).",
    make(tape) {
      const mac = [255, 255, 255, 255, 255, 255];
      tape.add(datagram([1, 2], { src: PEER, dst: ip("10.255.255.255"), mac }));
      tape.add(datagram([1, 2], { src: PEER, dst: VICTIM, mac }));
      tape.add(segment({ src: PEER, dst: ip("10.255.255.255"), mac, flags: SYN }));
      tape.add(segment({ src: PEER, dst: VICTIM, mac, flags: SYN, dport: 9 }));
      tape.add(
        segment({ src: PEER, dst: ip("224.0.0.1"), mac: [1, 0, 0x5e, 0, 0, 1], flags: RST }),
      );
    },
  },
  {
    file: "truncated-frames.pcap",
    about:
      "One good SYN and one good echo cut off after every few bytes: never read past their ends.",
    make(tape) {
      const frames = [segment({ flags: SYN }), icmp(ECHO6, { src: stranger6(1) })];
      for (const frame of frames) {
        for (let n = 1; n < frame.length; n += 3) tape.add(frame.subarray(0, n));
      }
    },
  },
  {
    file: "ethertypes.pcap",
    about:
      "Frames of other protocols, to other stations, and with VLAN tags: dropped, each for its reason.",
    make(tape) {
      const frame = (type: number, mac: readonly number[] = MAC_VICTIM): Uint8Array =>
        Uint8Array.from([...mac, 2, 0, 0, 0, 0, 0x66, ...be16(type), ...pattern(46)]);
      for (const type of [0x0000, 0x0600, 0x88cc, 0x8100, 0x86dd, 0xffff]) tape.add(frame(type));
      tape.add(frame(0x0800, [2, 0, 0, 0, 0, 0x42]));
    },
  },
];
