// Addresses that no honest packet has (RFC 1122 3.2.1.3, 4213, 6890), and answers that would go to everyone.
// Dropped without an answer, each with its reason.

import { describe, expect, it } from "vitest";
import type { IpAddr } from "../ip-addr.ts";
import { Arena } from "./testing.ts";
import {
  ACK,
  be32,
  datagram,
  icmp,
  ip,
  ip6,
  MAC_VICTIM,
  PEER,
  PEER6,
  PORT,
  pattern,
  SYN,
  segment,
  VICTIM,
  VICTIM6,
} from "./testing-frames.ts";

const kinds: [string, (src: IpAddr, dst: IpAddr) => Uint8Array][] = [
  ["UDP", (src, dst) => datagram([1, 2, 3], { src, dst, mac: MAC_VICTIM })],
  ["SYN", (src, dst) => segment({ src, dst, flags: SYN, mac: MAC_VICTIM })],
  ["stray ACK", (src, dst) => segment({ src, dst, flags: ACK, dport: 9, mac: MAC_VICTIM })],
  [
    "echo",
    (src, dst) => icmp([src.isV4 ? 8 : 128, 0, 0, 0, 0, 1, 0, 1], { src, dst, mac: MAC_VICTIM }),
  ],
];

describe.each(kinds)("%s", (_kind, make) => {
  // @rfc 9293 MUST-63
  // @rfc 1122 3.2.1.3b 4.1.3.6
  it.each([
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.0.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "10.255.255.255",
    "10.0.0.1",
  ])("from %s is dropped at the door", (src) => {
    const arena = new Arena();
    arena.listen();
    arena.inject(make(ip(src), VICTIM));
    arena.run();
    expect(arena.take()).toEqual([]);
    expect(arena.drops()).toEqual({ dropIpMartianSource: 1 });
  });

  it.each(["127.0.0.1", "0.0.0.0", "0.9.9.9", "240.0.0.1"])(
    "to %s on the wire is dropped",
    (dst) => {
      const arena = new Arena();
      arena.inject(make(PEER, ip(dst)));
      arena.run();
      expect(arena.take()).toEqual([]);
      expect(arena.drops()).toEqual({ dropIpMartianDestination: 1 });
    },
  );

  it.each(["::", "::1", "ff02::1", "ff0e::1", "::ffff:10.0.0.2", "2001:db8::a"])(
    "from %s is dropped at the door",
    (src) => {
      const arena = new Arena();
      arena.listen();
      const frame = make(PEER6, VICTIM6);
      const at = new Uint8Array(16);
      ip(src).write(at, 0, 6);
      frame.set(at, 22);
      arena.inject(frame);
      arena.run();
      expect(arena.take()).toEqual([]);
      expect(arena.drops()).toEqual({ dropIpMartianSource: 1 });
    },
  );

  it.each(["::1", "::", "::ffff:10.0.0.1"])("to %s on the wire is dropped", (dst) => {
    const arena = new Arena();
    const frame = make(PEER6, VICTIM6);
    const at = new Uint8Array(16);
    ip(dst).write(at, 0, 6);
    frame.set(at, 38);
    arena.inject(frame);
    arena.run();
    expect(arena.take()).toEqual([]);
    expect(arena.drops()).toEqual({ dropIpMartianDestination: 1 });
  });
});

describe("LAND", () => {
  it.each([
    ["IPv4", VICTIM],
    ["IPv6", VICTIM6],
  ])("%s: a SYN from where it goes is one drop: no answer, no connection, no timer", (_f, addr) => {
    const arena = new Arena();
    arena.listen();
    const timers = arena.victim.timers.size;
    for (let i = 0; i < 100; i++) arena.inject(segment({ src: addr, dst: addr, sport: PORT }));
    arena.run();
    expect(arena.take()).toEqual([]);
    expect(arena.drops()).toEqual({ dropIpMartianSource: 100 });
    expect(arena.victim.tcp.context.demux.count).toBe(0);
    expect(arena.victim.timers.size).toBe(timers);
    expect(arena.victim.hasPending).toBe(false);
  });
});

describe("scopes (RFC 4007)", () => {
  it("a link-local address of another interface, and groups of interface scope, are not for us", () => {
    const arena = new Arena();
    arena.inject(ip6(pattern(8), { dst: ip("fe80::dead"), src: PEER6, mac: MAC_VICTIM }));
    arena.inject(ip6(pattern(8), { dst: ip("ff01::1"), src: PEER6 }));
    arena.inject(ip6(pattern(8), { dst: ip("ff00::1"), src: PEER6 }));
    expect(arena.drops()).toEqual({ dropIpNotLocal: 3 });
    arena.run();
    expect(arena.take()).toEqual([]);
  });
});

describe("we are no router", () => {
  // @rfc 1122 3.2.1.3a 3.2.2.2a
  it("source routes are refused without a word (RFC 7126), and nothing is forwarded", () => {
    const arena = new Arena();
    for (const option of [131, 137]) {
      const routed = segment({ src: PEER });
      const withOption = new Uint8Array(routed.length + 8);
      withOption.set(routed.subarray(0, 34));
      withOption.set([option, 7, 4, 10, 0, 0, 9, 0], 34);
      withOption.set(routed.subarray(34), 42);
      withOption[14] = 0x47;
      withOption[17] += 8;
      withOption[24] = withOption[25] = 0;
      let sum = 0;
      for (let i = 14; i < 42; i += 2) sum += (withOption[i] << 8) | withOption[i + 1];
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
      withOption[24] = ~sum >> 8;
      withOption[25] = ~sum;
      arena.inject(withOption);
    }
    expect(arena.drops()).toEqual({ dropIpOptions: 2 });
    arena.inject(datagram([1], { src: PEER, dst: ip("192.0.2.1"), mac: MAC_VICTIM }));
    arena.inject(ip6(pattern(8), { src: PEER6, dst: ip("2001:db8:9::1"), mac: MAC_VICTIM }));
    arena.run();
    expect(arena.take()).toEqual([]);
    expect(arena.drops()).toMatchObject({ dropIpNotLocal: 2 });
  });

  // @rfc 5095 3
  // @rfc 8200 4.4
  it("routing header type 0 with segments left is answered as an error, used up it is passed (RFC 5095)", () => {
    const arena = new Arena();
    const routed = (left: number): Uint8Array =>
      ip6([59, 2, 0, left, ...be32(0), ...new Array(16).fill(1)], { src: PEER6, next: 43 });
    arena.inject(routed(1));
    expect(arena.victim.counters.icmp6OutParmProblems).toBe(1);
    arena.inject(routed(0));
    expect(arena.victim.counters.icmp6OutParmProblems).toBe(1);
    expect(arena.drops()).toEqual({ dropIpOptions: 2 });
  });
});
