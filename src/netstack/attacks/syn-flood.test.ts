// Floods of SYNs and of connections that go no further (RFC 4987, 5961; CVE-2008-4609 Sockstress): memory,
// timers and answers are bounded, and an honest connection lives on while somebody sits at each limit.

import { describe, expect, it } from "vitest";
import { u32 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { Ready } from "../readiness.ts";
import { Arena } from "./testing.ts";
import {
  ACK,
  MAC_ATTACKER,
  PORT,
  pattern,
  RST,
  SYN,
  segment,
  stranger,
  stranger6,
  type TcpOptionsOf,
} from "./testing-frames.ts";

const isSynAck = (f: Uint8Array): boolean => f[23] === 6 && (f[47] & 0x12) === 0x12;

/** Attackers' MACs are known to the victim, so that answers leave at once. */
function known(arena: Arena, count: number): void {
  const mac = Uint8Array.from(MAC_ATTACKER);
  for (let n = 0; n < count; n++) arena.nic.neighbors.setPermanent(stranger(n), mac);
}

/** A connection of a stranger's, made by hand: what it sends next has these numbers. */
function open(arena: Arena, o: TcpOptionsOf): { seq: number; ack: number } {
  arena.take();
  arena.inject(segment({ ...o, flags: SYN, seq: 100 }));
  const answer = arena.take().find(isSynAck);
  if (answer === undefined) throw new Error("no SYN-ACK");
  const next = { seq: 101, ack: (u32(answer, 38) + 1) | 0 };
  arena.inject(segment({ ...o, ...next, flags: ACK, options: [] }));
  return next;
}

describe("SYN flood", () => {
  it("4,000 spoofed SYNs: a fixed number of half-open connections, one timer each", () => {
    const arena = new Arena({ limits: { halfOpenConnections: 256 } });
    const honest = arena.connect(arena.listen(PORT, 10_000));
    arena.isRecording = false;
    const { context } = arena.victim.tcp;
    for (let n = 0; n < 4_000; n++) {
      const src = n % 2 === 0 ? stranger(n) : stranger6(n);
      if (src.isV4) arena.inject(segment({ src, sport: 1 + (n >> 8) }));
      else arena.inject(segment({ src, sport: 7, dport: 8_080 }));
      expect(context.halfOpenCount).toBeLessThanOrEqual(256);
    }
    expect(context.demux.count).toBeLessThanOrEqual(256 + 2);
    expect(context.rings.usedBytes).toBe(0);
    expect(arena.victim.timers.size).toBeLessThan(256 + 2 * arena.limits.neighborEntries + 16);
    honest.livesOn();
  });

  it("SYN-ACKs go at most six times to one, and the flood is forgotten", () => {
    const arena = new Arena();
    arena.listen();
    known(arena, 1);
    arena.inject(segment({ src: stranger(0) }));
    arena.run(300 * SECOND);
    expect(arena.take().filter(isSynAck)).toHaveLength(6);
    expect(arena.victim.tcp.context.demux.count).toBe(0);
    expect(arena.victim.tcp.context.halfOpenCount).toBe(0);
  });

  it("SYNs with data hold none of it (CVE-2019-11477's cousin: no cookie, no buffer)", () => {
    const arena = new Arena();
    arena.listen(PORT, 2_000);
    for (let n = 0; n < 1_000; n++) {
      arena.inject(segment({ src: stranger(n), data: pattern(1_000) }));
    }
    expect(arena.victim.tcp.context.rings.usedBytes).toBe(0);
  });
});

describe("reflection and amplification", () => {
  it("a closed port answers with no more bytes than it was asked with, and with nothing to a RST", () => {
    const arena = new Arena();
    known(arena, 64);
    for (const flags of [SYN, ACK, SYN | ACK, 1, 0, 0x29]) {
      for (const size of [0, 1, 500]) {
        for (const src of [stranger(1), stranger(2)]) {
          const frame = segment({ src, dport: 9, flags, data: pattern(size) });
          arena.sentBytes = 0;
          arena.take();
          arena.inject(frame);
          expect(arena.sentBytes).toBeLessThanOrEqual(frame.length);
          expect(arena.take().length).toBeLessThanOrEqual(1);
        }
      }
    }
    arena.take();
    arena.inject(segment({ src: stranger(1), dport: 9, flags: RST }));
    arena.inject(segment({ src: stranger(1), dport: 9, flags: RST | ACK }));
    expect(arena.take()).toEqual([]);
  });

  it("middlebox reflection: a segment of no connection, with whatever payload, brings one RST at most", () => {
    const arena = new Arena();
    arena.listen();
    known(arena, 2);
    arena.take();
    const ask = Uint8Array.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n", (c) => c.charCodeAt(0));
    for (let i = 0; i < 10; i++) {
      arena.inject(segment({ src: stranger(1), flags: 0x18, data: ask, seq: i, ack: 1 }));
    }
    arena.run(60 * SECOND);
    const answers = arena.take();
    expect(answers).toHaveLength(10);
    for (const f of answers) {
      expect(f[47]).toBe(RST);
      expect(f).toHaveLength(54);
    }
  });

  it("a half-open connection is answered with 5 + 1 SYN-ACKs, a SYN's size each, and no more for more SYNs", () => {
    const arena = new Arena();
    arena.listen();
    known(arena, 1);
    arena.take();
    for (let i = 0; i < 500; i++) arena.inject(segment({ src: stranger(0) }));
    // The repetitions are answered within a limit of their own.
    expect(arena.take().length).toBeLessThanOrEqual(2);
  });
});

describe("connection exhaustion", () => {
  it("Sockstress, zero window: peers that answer probes for ever keep what they hold bounded", () => {
    const arena = new Arena({ limits: { connections: 40, socketMemoryBytes: 1 << 20 } });
    const listener = arena.listen(PORT, 64);
    const honest = arena.connect(listener);
    known(arena, 64);
    for (let n = 0; n < 64; n++) {
      try {
        open(arena, { src: stranger(n), window: 0 });
      } catch {
        // The table is full: no answer any more.
      }
    }
    const held: { write(b: Uint8Array, o: number, n: number, f: number): number; close(): void }[] =
      [];
    for (let child = listener.accept(); child !== null; child = listener.accept()) held.push(child);
    expect(held.length).toBe(39);
    const data = pattern(60_000);
    for (const child of held) child.write(data, 0, data.length, 0);
    const { context } = arena.victim.tcp;
    expect(context.rings.usedBytes).toBeLessThanOrEqual(1.25 * (1 << 20));
    honest.livesOn();
    // The program gives up on them; nobody reads what they leave.
    for (const child of held) child.close();
    expect(context.orphanCount).toBeLessThanOrEqual(20);
    honest.livesOn();
  });

  it("zero-window orphan: probes that are answered keep it some minutes, not for ever", () => {
    const arena = new Arena();
    const listener = arena.listen();
    known(arena, 1);
    const src = stranger(0);
    const at = open(arena, { src, window: 0 });
    const child = listener.accept();
    child?.write(pattern(5_000), 0, 5_000, 0);
    child?.close();
    expect(arena.victim.tcp.context.orphanCount).toBe(1);
    let minutes = 0;
    for (; minutes < 60 && arena.victim.tcp.context.demux.count > 0; minutes++) {
      for (let i = 0; i < 60; i++) {
        arena.run(SECOND);
        if (arena.take().length > 0) arena.inject(segment({ src, ...at, flags: ACK, window: 0 }));
      }
    }
    expect(minutes).toBeGreaterThan(1);
    expect(minutes).toBeLessThan(15);
    expect(arena.victim.tcp.context.orphanCount).toBe(0);
    expect(arena.victim.tcp.context.rings.usedBytes).toBe(0);
  });

  it("FIN-WAIT-2: peers that never close hold a closed connection for a minute", () => {
    const arena = new Arena();
    const listener = arena.listen(PORT, 64);
    known(arena, 50);
    for (let n = 0; n < 50; n++) {
      const o = { src: stranger(n) };
      const at = open(arena, o);
      listener.accept()?.close();
      arena.inject(segment({ ...o, seq: at.seq, ack: (at.ack + 1) | 0, flags: ACK }));
    }
    const { context } = arena.victim.tcp;
    // As little memory as TIME-WAIT takes, and in its bounds.
    expect([context.demux.count, context.orphanCount, context.timeWaits.count]).toEqual([0, 0, 50]);
    arena.run(61 * SECOND);
    expect(context.timeWaits.count).toBe(0);
  });

  it("orphans beyond half the table are reset, not kept", () => {
    const arena = new Arena({ limits: { connections: 64 } });
    const listener = arena.listen(PORT, 128);
    known(arena, 60);
    for (let n = 0; n < 60; n++) {
      open(arena, { src: stranger(n) });
      listener.accept()?.close();
    }
    const { context, stats } = arena.victim.tcp;
    expect(context.orphanCount).toBe(32);
    expect(stats.TCPAbortOnMemory).toBe(28);
    expect(context.connectionCount).toBe(32);
  });

  it("TIME-WAIT: a bounded number, the rest forgotten at once", () => {
    const arena = new Arena({ limits: { timeWaitConnections: 8 } });
    const listener = arena.listen(PORT, 64);
    known(arena, 40);
    for (let n = 0; n < 40; n++) {
      const o = { src: stranger(n) };
      const at = open(arena, o);
      listener.accept()?.close();
      arena.inject(segment({ ...o, seq: at.seq, ack: (at.ack + 1) | 0, flags: ACK | 1 }));
    }
    arena.run(10 * MS);
    const { context } = arena.victim.tcp;
    expect(context.timeWaits.count).toBe(8);
    expect(context.demux.count).toBe(0);
    arena.run(61 * SECOND);
    expect(context.timeWaits.count).toBe(0);
  });

  it("the accept queue: nobody accepts, so no more than the backlog is held", () => {
    const arena = new Arena();
    const listener = arena.listen(PORT, 10);
    known(arena, 64);
    for (let n = 0; n < 64; n++) {
      try {
        open(arena, { src: stranger(n) });
      } catch {
        // Not answered any more.
      }
    }
    expect(arena.victim.tcp.context.connectionCount).toBeLessThanOrEqual(11);
    let accepted = 0;
    while (listener.accept() !== null) accepted++;
    expect(accepted).toBeLessThanOrEqual(11);
  });

  it("Slowloris and slow read: idle and one-byte peers cost no more than their own connection", () => {
    const arena = new Arena();
    const listener = arena.listen(PORT, 256);
    const honest = arena.connect(listener);
    known(arena, 100);
    const peers = Array.from({ length: 100 }, (_, n) => {
      const o = { src: stranger(n), window: 1 };
      return { o, at: open(arena, o) };
    });
    const buffer = new Uint8Array(64);
    const children = peers.map(() => listener.accept());
    for (let round = 0; round < 20; round++) {
      for (const { o, at } of peers) {
        arena.inject(segment({ ...o, ...at, flags: 0x18, data: [65] }));
        at.seq++;
      }
      for (const child of children) child?.read(buffer, 0, 64, false);
      arena.run(10 * MS);
    }
    // All was read, so nothing is held.
    expect(arena.victim.tcp.context.rings.usedBytes).toBe(0);
    honest.livesOn();
  });

  it("one byte beyond a hole in each of many connections does not use up everybody's memory", () => {
    const arena = new Arena({ limits: { socketMemoryBytes: 2 << 20 } });
    const listener = arena.listen(PORT, 256);
    const honest = arena.connect(listener);
    known(arena, 120);
    for (let n = 0; n < 120; n++) {
      const o = { src: stranger(n) };
      const at = open(arena, o);
      arena.inject(segment({ ...o, ...at, seq: at.seq + 60_000, flags: ACK, data: [1] }));
    }
    const { context, stats } = arena.victim.tcp;
    expect(context.rings.usedBytes).toBeLessThanOrEqual(0.8 * (2 << 20));
    expect(stats.TCPOFODrop).toBeGreaterThan(60);
    honest.livesOn(100_000);
  });

  it("a limit reached in one stack is not felt in another", () => {
    const full = new Arena({ limits: { connections: 2, halfOpenConnections: 4, sockets: 4 } });
    full.listen();
    for (let n = 0; n < 100; n++) full.inject(segment({ src: stranger(n) }));
    const other = new Arena();
    other.connect(other.listen()).livesOn();
    expect(full.victim.tcp.context.halfOpenCount).toBeLessThanOrEqual(4);
  });
});

describe("what a limit tells", () => {
  it("the program: an error; the peer: nothing", () => {
    const arena = new Arena({ limits: { sockets: 3 } });
    const opened: unknown[] = [];
    for (let i = 0; i < 5; i++) opened.push(arena.victim.endpoints.udp(4));
    expect(opened.filter((e) => typeof e === "number")).toHaveLength(2);
    const listener = arena.listen();
    expect(listener.readiness() & Ready.Read).toBe(0);
  });
});
