// Captures written byte by byte: ARP, Neighbour Discovery, and ICMP messages that lie.

import {
  be16,
  be32,
  bytesOf,
  datagram,
  ICMPV6,
  icmp,
  ip,
  ip4,
  ip6,
  MAC_ATTACKER,
  MAC_PEER,
  PEER,
  PEER6,
  PORT,
  pattern,
  stranger,
  stranger6,
  summed,
  TCP,
  tcpBytes,
  UDP,
  VICTIM,
  VICTIM6,
} from "../../netstack/attacks/testing-frames.ts";
import { arpOf, Client, type MadeCapture, PORT_ECHO, VICTIM_ISN } from "./tape.ts";

const ROUTER = ip("fe80::1");
const EVIL = ip("fe80::66");
const ALL_NODES = ip("ff02::1");

const solicit = (target = VICTIM6, ...options: number[]): number[] => [
  ...[135, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(target), ...options],
];
const advert = (target = PEER6, flags = 0x60, mac: readonly number[] = MAC_ATTACKER): number[] => [
  ...[136, 0, 0, 0, flags, 0, 0, 0, ...bytesOf(target), 2, 1, ...mac],
];
const routerAdvert = (lifetimeS: number, ...options: number[]): number[] => [
  ...[134, 0, 0, 0, 64, 0, ...be16(lifetimeS), ...be32(0), ...be32(0), ...options],
];
const prefix = (net: string): number[] => [
  ...[3, 4, 64, 0xc0, ...be32(86_400), ...be32(86_400), 0, 0, 0, 0, ...bytesOf(ip(net))],
];
const SOURCE = [1, 1, ...MAC_ATTACKER];

/** An IPv4 packet of the victim's as an error would quote it. */
const quotedTcp = (sport: number, dport: number, seq: number): number[] => {
  const p = tcpBytes({ sport, dport, seq, flags: 16 });
  return [...ip4(p, { src: VICTIM, dst: stranger(1), protocol: TCP }).subarray(14)];
};
const quotedTcp6 = (sport: number, dport: number, seq: number): number[] => {
  const p = tcpBytes({ sport, dport, seq, flags: 16 });
  return [...ip6(p, { src: VICTIM6, dst: stranger6(1), next: TCP }).subarray(14)];
};

export const NEIGHBOR_CAPTURES: readonly MadeCapture[] = [
  {
    file: "arp-flood.pcap",
    about: "ARP requests from two hundred addresses: the table stays bounded.",
    make(tape) {
      for (let n = 0; n < 200; n++) tape.add(arpOf(stranger(n), VICTIM));
    },
  },
  {
    file: "arp-conflict.pcap",
    about:
      "Somebody claims the victim's own address (RFC 5227 2.4): seen, counted, defended at most once in ten seconds.",
    make(tape) {
      tape.add(arpOf(VICTIM, VICTIM), arpOf(VICTIM, VICTIM, 2), arpOf(VICTIM, PEER));
    },
  },
  {
    file: "arp-unasked.pcap",
    about:
      "ARP replies that nobody asked for do not make entries, and a spoofed one for the peer is not kept over its truth.",
    make(tape) {
      tape.add(arpOf(stranger(5), VICTIM, 2), arpOf(stranger(6), VICTIM, 2));
      tape.add(arpOf(PEER, VICTIM, 2, MAC_PEER));
    },
  },
  {
    file: "arp-malformed.pcap",
    about:
      "ARP of every shorter length, other hardware, other protocol and other address sizes: dropped.",
    make(tape) {
      const good = arpOf(PEER, VICTIM);
      for (let n = 14; n < good.length; n += 3) tape.add(good.subarray(0, n));
      for (const [at, value] of [
        [15, 6],
        [16, 0x86],
        [18, 8],
        [19, 16],
      ]) {
        const bad = good.slice();
        bad[at] = value;
        tape.add(bad);
      }
    },
  },
  {
    file: "nd-flood.pcap",
    about: "Neighbour solicitations from a hundred addresses (RFC 6583): the table stays bounded.",
    make(tape) {
      for (let n = 0; n < 100; n++)
        tape.add(icmp(solicit(VICTIM6, ...SOURCE), { src: stranger6(n) }));
    },
  },
  {
    file: "nd-hop-limit.pcap",
    about: "Neighbour Discovery from beyond a router (hop limit not 255): void, every kind of it.",
    make(tape) {
      const far = { src: PEER6, hopLimit: 254 };
      tape.add(icmp(solicit(), far), icmp(advert(), far));
      tape.add(icmp(routerAdvert(1800), { ...far, src: EVIL, dst: ALL_NODES }));
      tape.add(icmp([137, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(EVIL), ...bytesOf(PEER6)], far));
    },
  },
  {
    file: "nd-options.pcap",
    about:
      "Neighbour Discovery options of length 0 and past the end, codes other than 0, targets that are groups: void.",
    make(tape) {
      tape.add(icmp(solicit(VICTIM6, 1, 0, 0, 0, 0, 0, 0, 0), { src: PEER6 }));
      tape.add(icmp(solicit(VICTIM6, 1, 9, 0, 0, 0, 0, 0, 0), { src: PEER6 }));
      tape.add(icmp(solicit(ALL_NODES), { src: PEER6 }));
      const code = solicit();
      code[1] = 1;
      tape.add(icmp(code, { src: PEER6 }), icmp(solicit().slice(0, 20), { src: PEER6 }));
    },
  },
  {
    file: "nd-option-list.pcap",
    about: "Solicitations with two hundred options each: walked once, answered as any other.",
    make(tape) {
      const many: number[] = [...SOURCE];
      for (let i = 0; i < 160; i++) many.push(200, 1, 0, 0, 0, 0, 0, 0);
      for (let i = 0; i < 4; i++) tape.add(icmp(solicit(VICTIM6, ...many), { src: stranger6(1) }));
    },
  },
  {
    file: "nd-fragments.pcap",
    about: "Neighbour Discovery in fragments (RFC 6980) is not looked at.",
    make(tape) {
      const message = summed(solicit(VICTIM6, ...SOURCE), 2, ICMPV6, PEER6, VICTIM6);
      const o = { src: PEER6, next: 44, hopLimit: 255 };
      tape.add(ip6([ICMPV6, 0, 0, 0, ...be32(5), ...message], o));
      tape.add(ip6([ICMPV6, 0, 0, 1, ...be32(6), ...message.subarray(0, 16)], o));
      tape.add(ip6([ICMPV6, 0, ...be16(16), ...be32(6), ...message.subarray(16)], o));
    },
  },
  {
    file: "dad-denial.pcap",
    about:
      "Somebody answers for and asks about the victim's own address: it is in use and stays so.",
    make(tape) {
      tape.add(icmp(solicit(), { src: ip("::"), dst: ip("ff02::1:ff00:a") }));
      tape.add(icmp(advert(VICTIM6, 0x20), { src: PEER6, dst: ALL_NODES }));
    },
  },
  {
    file: "rogue-routers.pcap",
    about:
      "A flood of router advertisements (CVE-2010-4669): a host with static addresses takes none of their prefixes.",
    make(tape) {
      for (let n = 1; n <= 40; n++) {
        const src = ip(`fe80::${n.toString(16)}`);
        const message = routerAdvert(1800, ...prefix(`2001:db8:${n.toString(16)}::`), ...SOURCE);
        tape.add(icmp(message, { src, dst: ALL_NODES }));
      }
    },
  },
  {
    file: "redirects.pcap",
    about: "Redirects, of IPv4 and from routers that are none: no route changes.",
    make(tape) {
      tape.add(icmp([5, 1, 0, 0, ...bytesOf(stranger(9)), ...quotedTcp(PORT, 4000, 1)]));
      const redirect = [137, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(EVIL), ...bytesOf(stranger6(2))];
      tape.add(icmp(redirect, { src: ROUTER }));
    },
  },
  {
    file: "forged-too-big.pcap",
    about:
      "Packet too big with MTUs of 68, 576 and 1279 about data that was never sent (RFC 5927): nothing shrinks.",
    make(tape) {
      tape.hello(stranger(1));
      new Client(tape, stranger(1), { dport: PORT_ECHO }).open();
      for (const mtu of [0, 68, 576]) {
        tape.add(
          icmp([3, 4, 0, 0, 0, 0, ...be16(mtu), ...quotedTcp(PORT_ECHO, 4000, 0x7777_0000)]),
        );
      }
      for (const mtu of [0, 68, 1279]) {
        const message = [2, 0, 0, 0, ...be32(mtu), ...quotedTcp6(PORT_ECHO, 4000, 0x7777_0000)];
        tape.add(icmp(message, { src: stranger6(1) }));
      }
    },
  },
  {
    file: "hard-errors.pcap",
    about:
      "Port and protocol unreachable about an open connection, with numbers right and wrong: it lives on (RFC 5461).",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1), { dport: PORT_ECHO }).open();
      for (const seq of [VICTIM_ISN + 1, 0x7777_0000]) {
        for (const code of [2, 3, 10, 13]) {
          tape.add(icmp([3, code, 0, 0, ...be32(0), ...quotedTcp(PORT_ECHO, 4000, seq)]));
        }
      }
      c.send([0x68, 0x69]);
    },
  },
  {
    file: "source-quench.pcap",
    about: "Source quench (RFC 6633): counted, ignored.",
    make(tape) {
      for (let i = 0; i < 3; i++) {
        tape.add(icmp([4, 0, 0, 0, ...be32(0), ...quotedTcp(PORT, 4000, VICTIM_ISN)]));
      }
    },
  },
  {
    file: "errors-about-errors.pcap",
    about:
      "Errors that quote errors, nothing, and packets that are cut off: dropped, never answered.",
    make(tape) {
      const error = [...icmp([3, 3, 0, 0, ...be32(0), ...quotedTcp(80, 1, 1)]).subarray(14)];
      tape.add(icmp([3, 3, 0, 0, ...be32(0), ...error]), icmp([3, 3, 0, 0, ...be32(0)]));
      for (const n of [1, 19, 20, 27]) {
        tape.add(icmp([11, 0, 0, 0, ...be32(0), ...quotedTcp(80, 1, 1).slice(0, n)]));
        tape.add(
          icmp([1, 4, 0, 0, ...be32(0), ...quotedTcp6(80, 1, 1).slice(0, n)], {
            src: stranger6(1),
          }),
        );
      }
    },
  },
  {
    file: "icmp-types.pcap",
    about:
      "ICMP and ICMPv6 of every type, eight bytes each: what is unknown is dropped, never answered.",
    make(tape) {
      tape.hello(stranger(1)).hello(stranger6(1));
      for (let type = 0; type < 256; type += 3) {
        tape.add(icmp([type, 0, 0, 0, 0, 1, 0, 1]));
        tape.add(icmp([type, 0, 0, 0, 0, 1, 0, 1], { src: stranger6(1) }));
      }
    },
  },
  {
    file: "chargen-loop.pcap",
    about:
      "Chargen and echo set upon each other: UDP from port 19 to a closed port 7 is answered once each by an error, not by echo.",
    make(tape) {
      tape.hello(stranger(1));
      for (let i = 0; i < 3; i++) tape.add(datagram(pattern(72), { sport: 19, dport: 7 }));
      tape.add(datagram(pattern(72), { sport: 7, dport: 7, src: VICTIM, dst: VICTIM }));
    },
  },
  {
    file: "port-unreachables.pcap",
    about:
      "SAD DNS (CVE-2020-25705): a scan of a hundred closed UDP ports gets the few errors that one destination may have.",
    make(tape) {
      tape.hello(stranger(1));
      const scan = Array.from({ length: 100 }, (_, i) => datagram([1], { dport: 1000 + i }));
      tape.burst(...scan);
    },
  },
  {
    file: "udp-lengths.pcap",
    about:
      "UDP lengths below the header, above the packet and below it; a zero checksum, which IPv6 forbids.",
    make(tape) {
      const udp = (length: number, sum = 0): number[] => [
        ...[...be16(9), ...be16(9), ...be16(length), ...be16(sum), ...pattern(16)],
      ];
      for (const length of [0, 7, 12, 25, 65_535]) {
        tape.add(ip4(summed(udp(length), 6, UDP, stranger(1), VICTIM)));
      }
      tape.add(ip6(udp(24), { src: stranger6(1) }));
    },
  },
];
