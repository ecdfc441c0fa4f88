// Bytes that no honest peer sends, at every parser (AMNESIA:33, Ripple20, NAME:WRECK's kind): each is handled
// or dropped with a reason, nothing throws, nothing reads past its packet, nothing loops, memory stays.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import { Arena } from "./testing.ts";
import {
  ACK,
  be32,
  datagram,
  icmp,
  ip,
  ip4,
  ip6,
  MAC_VICTIM,
  PEER,
  PEER6,
  PORT,
  pattern,
  segment,
  stranger,
  TCP,
  UDP,
} from "./testing-frames.ts";

describe("TCP options", () => {
  // @rfc 9293 MUST-5 MUST-6 MUST-64
  it("every kind with every length, in a SYN and in an established connection, alone and behind another", () => {
    const arena = new Arena();
    const listener = arena.listen();
    const honest = arena.connect(listener);
    const sport = honest.client.localPort;
    arena.isRecording = false;
    for (let kind = 0; kind < 256; kind++) {
      for (let length = 0; length <= 40; length++) {
        const options = new Uint8Array(40).fill(kind);
        options[1] = length;
        arena.inject(segment({ src: stranger(kind), sport: length + 1, options: [...options] }));
        arena.inject(
          segment({ src: PEER, sport, flags: ACK, options: [1, ...options.subarray(0, 39)] }),
        );
      }
    }
    arena.run(SECOND);
    honest.livesOn();
    expect(arena.victim.tcp.context.halfOpenCount).toBeLessThanOrEqual(
      arena.limits.halfOpenConnections,
    );
  });

  it("a data offset below five, or beyond the segment, is dropped and counted", () => {
    const arena = new Arena();
    arena.listen();
    for (let doff = 0; doff < 16; doff++) arena.inject(segment({ dataOffset: doff }));
    expect(arena.victim.tcp.stats.InErrs).toBe(15);
    expect(arena.victim.tcp.context.halfOpenCount).toBe(1);
  });

  it("every truncation of a segment is dropped", () => {
    const arena = new Arena();
    arena.listen();
    for (let n = 0; n < 20; n++) arena.inject(ip4(pattern(n), { protocol: TCP, src: PEER }));
    expect(arena.victim.tcp.stats.InErrs).toBe(20);
  });

  // @rfc 9293 MUST-3
  it("checksum before use: a wrong one changes nothing, whatever the flags", () => {
    const arena = new Arena();
    const honest = arena.connect(arena.listen());
    for (let flags = 0; flags < 256; flags++) {
      for (const sport of [honest.client.localPort, 7]) {
        const frame = segment({ src: PEER, sport, flags });
        frame[50] ^= 0x40;
        arena.inject(frame);
      }
    }
    expect(arena.victim.tcp.stats.InCsumErrors).toBe(512);
    honest.livesOn();
  });

  it("every combination of flags to a closed port, a listener and a connection", () => {
    const arena = new Arena();
    const honest = arena.connect(arena.listen());
    for (let flags = 0; flags < 256; flags++) {
      for (const [sport, dport] of [
        [honest.client.localPort, PORT],
        [5, PORT],
        [5, 9],
      ]) {
        // Out of the connection's window: nobody on the path knows its numbers.
        arena.inject(segment({ src: PEER, sport, dport, flags, seq: 0x7000_0000, data: [1, 2] }));
      }
    }
    honest.livesOn();
  });
});

describe("IPv4 options", () => {
  // @rfc 1122 3.2.1.8a
  // @rfc 9293 MUST-50
  it("every kind with every length: taken, or answered once with where the error is", () => {
    const arena = new Arena({ limits: { icmpErrorsPerSecond: 100_000 } });
    for (let kind = 0; kind < 256; kind++) {
      for (const length of [0, 1, 2, 3, 4, 7, 8, 9, 39, 40, 41, 255]) {
        const options = new Array(40).fill(1);
        options[0] = kind;
        options[1] = length;
        arena.inject(ip4(datagram([1]).subarray(34), { src: PEER, options }));
      }
    }
    expect(arena.victim.counters.ipInReceives).toBeGreaterThanOrEqual(256 * 12);
  });
});

describe("IPv6 extension headers", () => {
  it("chains of any length end: at a cap, or where the packet does (RFC 8504 5.3)", () => {
    const arena = new Arena();
    for (const kind of [60, 43]) {
      for (let n = 1; n <= 180; n++) {
        const chain: number[] = [];
        for (let i = 0; i < n; i++) chain.push(i === n - 1 ? 59 : kind, 0, 1, 4, 0, 0, 0, 0);
        if (kind === 43) for (let i = 0; i < n; i++) chain[8 * i + 3] = 0;
        arena.inject(ip6(chain, { src: PEER6, next: kind }));
      }
    }
    expect(arena.drops()).toEqual({ dropIpOptions: 360 });
  });

  it("hop-by-hop flood: more than eight options, or a second header of them, are dropped", () => {
    const arena = new Arena();
    const options = new Array(16).fill([0x1e, 0]).flat();
    arena.inject(ip6([59, 4, ...options, 1, 4, 0, 0, 0, 0], { src: PEER6, next: 0 }));
    arena.inject(ip6([0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0], { src: PEER6, next: 0 }));
    expect(arena.drops()).toEqual({ dropIpOptions: 2 });
  });

  it("Router Alert flood: passed like any packet, to no queue and no process of its own (RFC 6398)", () => {
    const arena = new Arena();
    const alert = [59, 0, 5, 2, 0, 0, 1, 0];
    const timers = arena.victim.timers.size;
    for (let i = 0; i < 2_000; i++) arena.inject(ip6(alert, { src: PEER6, next: 0 }));
    expect(arena.drops()).toEqual({ dropIpOptions: 2_000 });
    expect(arena.victim.timers.size).toBe(timers);
  });

  it("a header length beyond the packet, or an option beyond its header, is dropped (CVE-2020-24336's kind)", () => {
    const arena = new Arena();
    for (const length of [1, 5, 31, 255]) {
      arena.inject(ip6([59, length, 1, 4, 0, 0, 0, 0], { src: PEER6, next: 60 }));
    }
    for (const length of [5, 6, 200, 255]) {
      arena.inject(ip6([59, 0, 1, length, 0, 0, 0, 0], { src: PEER6, next: 60 }));
    }
    expect(arena.drops()).toEqual({ dropIpOptions: 8 });
  });

  it("jumbograms are not understood: a length of zero with more behind it is a packet of nothing", () => {
    const arena = new Arena();
    const jumbo = [UDP, 0, 0xc2, 4, ...be32(100_000), ...pattern(64)];
    arena.inject(ip6(jumbo, { src: PEER6, next: 0, payloadLength: 0 }));
    arena.inject(ip6(jumbo, { src: PEER6, next: 0 }));
    expect(arena.victim.counters.ip6InDelivers).toBe(0);
    expect(arena.drops()).toEqual({ dropIpOptions: 2 });
  });

  it("a payload length beyond the frame is dropped, a shorter one cuts the packet", () => {
    const arena = new Arena();
    arena.inject(ip6(pattern(40), { src: PEER6, payloadLength: 41 }));
    arena.inject(ip6(pattern(40), { src: PEER6, payloadLength: 65_535 }));
    expect(arena.drops()).toEqual({ dropIpHeader: 2 });
    arena.inject(
      ip6([...datagram([1], { src: PEER6 }).subarray(54), 9, 9, 9], {
        src: PEER6,
        payloadLength: 9,
      }),
    );
    expect(arena.victim.counters.udpNoPorts).toBe(1);
  });
});

describe("any byte string as a frame", () => {
  const head = fc.constantFrom<readonly number[]>(
    [],
    [...MAC_VICTIM, 2, 0, 0, 0, 0, 2, 8, 0],
    [...MAC_VICTIM, 2, 0, 0, 0, 0, 2, 0x86, 0xdd],
    [...MAC_VICTIM, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 1, 8, 0],
    [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6],
    [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0],
    [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd],
  );

  it("is dropped with one reason, delivered, or answered: never an exception", () => {
    const arena = new Arena({ ipv6: { mode: "auto" }, limits: { reassemblyBytes: 64 * 1024 } });
    arena.listen();
    arena.isRecording = false;
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 160 }), (prefix, bytes) => {
        arena.inject(Uint8Array.from([...prefix, ...bytes]));
        check(arena);
      }),
      { numRuns: 800, seed: 1 },
    );
  });

  it("with right checksums, so that what lies behind them is reached", () => {
    const arena = new Arena({ ipv6: { mode: "auto" }, limits: { reassemblyBytes: 64 * 1024 } });
    const honest = arena.connect(arena.listen());
    arena.isRecording = false;
    const src = fc.constantFrom(PEER, stranger(3));
    const src6 = fc.constantFrom(PEER6, ip("fe80::1"));
    const body = fc.uint8Array({ maxLength: 120 });
    const tcp = fc
      .record({
        src: fc.oneof(src, src6),
        sport: fc.constantFrom(1, 2, honest.client.localPort),
        dport: fc.constantFrom(PORT, 9),
        flags: fc.nat(255),
        seq: fc.integer(),
        ack: fc.integer(),
        urgent: fc.nat(65_535),
        window: fc.nat(65_535),
        options: fc
          .array(fc.nat(255), { minLength: 0, maxLength: 40 })
          .map((o) => o.slice(0, o.length & ~3)),
        data: body,
      })
      // The one who knows the connection's numbers may end it; that is tested elsewhere.
      .map((o) => segment({ ...o, seq: o.seq | 0x4000_0000 }));
    const messages = fc.record({
      src: fc.oneof(src, src6),
      type: fc.nat(255),
      code: fc.nat(20),
      body,
    });
    const icmps = messages.map((m) => icmp([m.type, m.code, 0, 0, ...m.body], { src: m.src }));
    const pieces = fc
      .record({
        id: fc.nat(3),
        offset: fc.nat(40),
        more: fc.boolean(),
        protocol: fc.constantFrom(1, 6, 17),
        body,
      })
      .map((p) => ip4(p.body, { ...p, offset: p.offset * 8, src: PEER }));
    const chains = fc
      .record({ next: fc.constantFrom(0, 43, 44, 60, 58, 6, 17), body })
      .map((c) => ip6(c.body, { src: PEER6, next: c.next, hopLimit: 255 }));
    fc.assert(
      fc.property(fc.oneof(tcp, icmps, pieces, chains), (frame) => {
        arena.inject(frame);
        check(arena);
      }),
      { numRuns: 1_000, seed: 2 },
    );
    arena.run(70 * SECOND);
    expect(arena.victim.fragments.bytesHeld + arena.victim.fragments6.bytesHeld).toBe(0);
  });
});

/** What must hold at every moment. */
function check(arena: Arena): void {
  const { victim, limits, nic } = arena;
  expect(victim.fragments.bytesHeld).toBeLessThanOrEqual(limits.reassemblyBytes);
  expect(victim.fragments6.bytesHeld).toBeLessThanOrEqual(limits.reassemblyBytes);
  expect(nic.neighbors.size).toBeLessThanOrEqual(limits.neighborEntries);
  expect(nic.neighbors6.size).toBeLessThanOrEqual(limits.neighborEntries);
  expect(victim.tcp.context.halfOpenCount).toBeLessThanOrEqual(limits.halfOpenConnections);
  expect(victim.tcp.context.rings.usedBytes).toBeLessThanOrEqual(1.25 * limits.socketMemoryBytes);
}
