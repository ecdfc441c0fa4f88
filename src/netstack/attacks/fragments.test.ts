// Attacks on reassembly (RFC 1858, 3128, 5722, 6946, 7112, 8200 4.5, 8900). The rule that ends most of them:
// any overlap drops the whole datagram, and memory held is in proportion to what came, inside a quota.

import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import { newDatagramInfo } from "../endpoints.ts";
import { Arena } from "./testing.ts";
import {
  be16,
  be32,
  datagram,
  ICMP,
  ICMPV6,
  ip4,
  ip6,
  PEER,
  pattern,
  stranger,
  stranger6,
  TCP,
  UDP,
  VICTIM,
} from "./testing-frames.ts";

type Piece = readonly [offset: number, length: number, more: boolean];

const v4 = (id: number, [offset, length, more]: Piece, protocol = UDP): Uint8Array =>
  ip4(pattern(length), { id, offset, more, protocol });
const v6 = (id: number, [offset, length, more]: Piece, next = UDP): Uint8Array =>
  ip6([next, 0, ...be16(offset | (more ? 1 : 0)), ...be32(id), ...pattern(length)], { next: 44 });

const FAMILIES = [
  ["IPv4", v4],
  ["IPv6", v6],
] as const;

/** What reassembly may keep of a datagram it has given up: the identity, no data. */
const IDENTITY_BYTES = 1024;

const held = (arena: Arena): number =>
  arena.victim.fragments.bytesHeld + arena.victim.fragments6.bytesHeld;
const whole = ({ victim: { counters } }: Arena): number =>
  counters.ipReasmOKs + counters.ip6ReasmOKs;

describe.each(FAMILIES)("%s", (_family, make) => {
  // @rfc 8200 4.5d
  // @rfc 5722 4
  it.each<[string, Piece[]]>([
    [
      "Teardrop: the second inside the first",
      [
        [0, 64, true],
        [24, 8, false],
      ],
    ],
    [
      "Teardrop: the second ends before the first does",
      [
        [0, 64, true],
        [56, 8, true],
      ],
    ],
    [
      "Bonk: the last fragment overwrites the one in front",
      [
        [0, 64, true],
        [8, 64, false],
      ],
    ],
    [
      "Boink: the last comes first",
      [
        [32, 32, false],
        [0, 64, true],
      ],
    ],
    [
      "Newtear: one byte over",
      [
        [0, 64, true],
        [56, 16, false],
      ],
    ],
    [
      "Nestea: a third over both",
      [
        [0, 32, true],
        [48, 32, true],
        [24, 32, true],
      ],
    ],
    [
      "two ends that disagree",
      [
        [64, 8, false],
        [96, 8, false],
      ],
    ],
    [
      "data behind the end",
      [
        [0, 64, false],
        [64, 8, true],
      ],
    ],
  ])("%s: all of it dropped, nothing kept", (_name, pieces) => {
    const arena = new Arena();
    // A fragment that is whole by itself never meets the others; give such a start an offset.
    const shift = pieces[0][0] === 0 && !pieces[0][2] ? 8 : 0;
    for (const [offset, length, more] of pieces)
      arena.inject(make(7, [offset + shift, length, more]));
    expect(held(arena)).toBe(IDENTITY_BYTES);
    // What still comes of it is refused, also what would have completed it.
    for (const piece of [
      [0, 64, true],
      [64, 64, false],
    ] as Piece[])
      arena.inject(make(7, piece));
    expect(held(arena)).toBe(IDENTITY_BYTES);
    expect(whole(arena)).toBe(0);
    arena.run(61 * SECOND);
    expect(held(arena)).toBe(0);
    // Nobody is told: the source is whom the attacker wants to be hit.
    expect(arena.victim.counters.icmpOutMsgs + arena.victim.counters.icmp6OutErrors).toBe(0);
  });

  // @rfc 8200 4.5c
  it("Jolt, Ping of death: an end beyond 65535 is refused when it comes", () => {
    const arena = new Arena();
    const proto = make === v4 ? ICMP : ICMPV6;
    for (let at = 0; at < 65_536; at += 1_480) {
      arena.inject(make(9, [at & ~7, 1_480, at + 1_480 < 65_536], proto));
      expect(held(arena)).toBeLessThanOrEqual(IDENTITY_BYTES + 2 * 65_536);
    }
    arena.inject(make(10, [65_528, 64, false], proto));
    expect(arena.victim.counters.dropFragmentBad).toBeGreaterThanOrEqual(2);
    expect(whole(arena)).toBe(0);
    arena.run(61 * SECOND);
    expect(held(arena)).toBe(0);
  });

  it("Rose: a first and a last piece far apart hold what came, not what they span", () => {
    const arena = new Arena();
    for (let id = 0; id < 100; id++) {
      arena.inject(make(id, [0, 32, true]));
      arena.inject(make(id, [64_000, 32, false]));
    }
    expect(held(arena)).toBeLessThanOrEqual(100 * 3 * IDENTITY_BYTES);
    expect(arena.victim.counters.dropFragmentQuota).toBe(0);
  });

  it("FragmentSmack: floods of first fragments cost bounded memory; a legitimate flow survives", () => {
    const arena = new Arena({ limits: { reassemblyBytes: 256 * 1024 } });
    const server = arena.victim.endpoints.udp(4);
    const client = arena.peer.endpoints.udp(4);
    if (typeof server === "number" || typeof client === "number") throw new Error("no endpoint");
    server.bind(VICTIM, 7_000);
    const big = pattern(8_000);
    const buffer = new Uint8Array(10_000);
    const info = newDatagramInfo();
    let arrived = 0;
    for (let n = 0; n < 8_000; n++) {
      arena.inject(make(n, [0, 8, true]));
      if (n % 1_000 !== 0) continue;
      expect(held(arena)).toBeLessThanOrEqual(256 * 1024);
      client.send(big, 0, big.length, VICTIM, 7_000);
      arena.run();
      if (server.receive(buffer, 0, buffer.length, info, false) === big.length) arrived++;
    }
    expect(arrived).toBe(8);
    // The oldest went: as many as the quota has no room for.
    const { counters } = arena.victim;
    expect(counters.dropFragmentQuota).toBeGreaterThan(7_000);
    // One timer for all of them.
    expect(arena.victim.timers.size).toBeLessThan(8);
  });

  it("FragmentSmack: the smallest pieces of one datagram, in the worst order, are a bounded list", () => {
    const arena = new Arena();
    for (let at = 65_000 & ~7; at >= 8; at -= 16) arena.inject(make(3, [at, 8, true]));
    const pieces = 65_000 / 16;
    // Eight bytes of data, and six of where they belong, at most doubled by growth.
    expect(held(arena)).toBeLessThanOrEqual(IDENTITY_BYTES + 2 * pieces * (8 + 6) + 4_096);
  });

  it("duplicates are not stored twice", () => {
    const arena = new Arena();
    arena.inject(make(4, [0, 1_024, true]));
    const once = held(arena);
    for (let i = 0; i < 1_000; i++) arena.inject(make(4, [0, 1_024, true]));
    expect(held(arena)).toBe(once);
    expect(arena.victim.counters.dropFragmentDuplicate).toBe(1_000);
  });

  it("pieces without data, and middle pieces that are no multiple of eight, are refused", () => {
    const arena = new Arena();
    arena.inject(make(5, [8, 0, true]));
    arena.inject(make(5, [8, 13, true]));
    expect(held(arena)).toBe(0);
    expect(arena.victim.counters.dropFragmentBad).toBe(2);
  });

  it("the pieces of one sender never complete another's datagram", () => {
    const arena = new Arena();
    const from = (n: number, piece: Piece): Uint8Array => {
      const f = make(6, piece);
      const other = make === v4 ? ip4([], { src: stranger(n) }) : ip6([], { src: stranger6(n) });
      if (make === v4) {
        f.set(other.subarray(26, 30), 26);
        fixHeader(f);
      } else f.set(other.subarray(22, 38), 22);
      return f;
    };
    arena.inject(from(1, [0, 64, true]));
    arena.inject(from(2, [64, 64, false]));
    expect(whole(arena)).toBe(0);
  });
});

describe("evasion", () => {
  it("Tiny fragment: no piece of an IPv4 packet may rewrite the TCP header (RFC 1858, 3128)", () => {
    const arena = new Arena();
    for (const offset of [8, 16]) {
      arena.inject(v4(8, [0, offset, true], TCP));
      arena.inject(v4(8, [offset, 32, false], TCP));
    }
    expect(arena.victim.counters.dropFragmentBad).toBe(2);
    expect(whole(arena)).toBe(0);
  });

  // @rfc 8200 4.5e
  // @rfc 7112 5
  it("Tiny fragment: a first IPv6 fragment carries the whole header chain (RFC 7112)", () => {
    const arena = new Arena();
    arena.inject(v6(8, [0, 16, true], TCP));
    // Destination options that say they are longer than this piece.
    arena.inject(ip6([60, 0, 0, 1, ...be32(9), 6, 3, 1, 4, 0, 0, 0, 0], { next: 44 }));
    expect(arena.victim.counters.dropFragmentBad).toBe(2);
    expect(held(arena)).toBe(0);
    expect(arena.victim.counters.icmp6OutParmProblems).toBe(2);
  });

  // @rfc 6946 4
  it("forged atomic fragment: handled by itself, never with the queue of its identification (RFC 6946)", () => {
    const arena = new Arena();
    arena.inject(v6(11, [0, 64, true]));
    const kept = held(arena);
    arena.inject(v6(11, [0, 64, false]));
    expect(held(arena)).toBe(kept);
    expect(arena.victim.counters.ip6ReasmOverlaps).toBe(0);
    arena.inject(v6(11, [64, 64, false]));
    expect(whole(arena)).toBe(1);
  });

  it("a fragment within a fragment is dropped", () => {
    const arena = new Arena();
    const inner = [UDP, 0, 0, 0, ...be32(1), ...pattern(48)];
    arena.inject(ip6([44, 0, 0, 1, ...be32(2), ...inner], { next: 44 }));
    arena.inject(ip6([44, 0, ...be16(inner.length), ...be32(2), ...pattern(8)], { next: 44 }));
    expect(whole(arena)).toBeLessThanOrEqual(1);
    expect(arena.victim.counters.ip6InDelivers).toBe(0);
  });
});

describe("Ripple20 (CVE-2020-11896): lengths that disagree", () => {
  const payload = datagram(pattern(32)).subarray(34);
  it.each([
    ["a total length below the header's", { totalLength: 16 }],
    ["a total length beyond the frame", { totalLength: 2_000 }],
    ["a header length below 20", { headerBytes: 16 }],
    ["a header length beyond the total", { headerBytes: 60, totalLength: 40 }],
  ])("%s: dropped before anything else is read", (_name, lie) => {
    const arena = new Arena();
    arena.inject(ip4(payload, lie));
    expect(arena.drops()).toEqual({ dropIpHeader: 1 });
  });

  it("what lies behind the total length is padding: neither counted nor delivered", () => {
    const arena = new Arena();
    const server = arena.victim.endpoints.udp(4);
    if (typeof server === "number") throw new Error("no endpoint");
    server.bind(VICTIM, 9);
    const frame = datagram(pattern(10));
    const padded = new Uint8Array(frame.length + 40).fill(0x55);
    padded.set(frame);
    arena.inject(padded);
    expect(server.nextBytes).toBe(10);
  });

  it("IP in IP is an unknown protocol here: the inner packet is never parsed", () => {
    const arena = new Arena();
    const inner = ip4(payload, { src: PEER }).subarray(14);
    arena.inject(ip4(inner, { protocol: 4 }));
    arena.inject(ip4(inner, { protocol: 4, id: 2, more: true }));
    arena.inject(ip4(inner, { protocol: 4, id: 2, offset: inner.length & ~7 }));
    expect(arena.victim.counters.ipInUnknownProtos).toBe(1);
    expect(arena.victim.counters.udpNoPorts).toBe(0);
  });

  // @rfc 768 1
  it("a UDP length longer than its packet, or shorter than its header, is dropped", () => {
    for (const length of [0, 7, 60, 65_535]) {
      const arena = new Arena();
      const lie = Uint8Array.from(payload);
      lie.set(be16(length), 4);
      arena.inject(ip4(lie));
      expect(arena.drops()).toEqual({ dropUdpBad: 1 });
    }
  });
});

function fixHeader(f: Uint8Array): void {
  f[24] = f[25] = 0;
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += (f[i] << 8) | f[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  f[24] = ~sum >> 8;
  f[25] = ~sum;
}
