// What a stranger could learn from numbers and limits that connections share: IP IDs, the ICMP limiter,
// ephemeral ports, sequence numbers, timestamps, challenge ACKs, hash tables.

import { describe, expect, it } from "vitest";
import { i32, u16, u32 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import { EphemeralPorts } from "../stack/ports.ts";
import { Secrets } from "../tcp/secrets.ts";
import { Arena } from "./testing.ts";
import {
  ACK,
  datagram,
  PEER,
  PORT,
  RST,
  segment,
  stranger,
  stranger6,
  VICTIM,
} from "./testing-frames.ts";

const LOCAL = IpAddr.v4(10, 0, 0, 1);

/** Chi-square of counts that should be equal; its mean is buckets - 1, its deviation sqrt(2 (buckets - 1)). */
function chiSquare(counts: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i];
  const expected = total / counts.length;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += (counts[i] - expected) ** 2 / expected;
  return sum;
}
const looksUniform = (counts: ArrayLike<number>): boolean =>
  chiSquare(counts) < counts.length - 1 + 6 * Math.sqrt(2 * (counts.length - 1));

describe("IP identification (CVE-2020-36516, Alexander-Crandall, idle scan)", () => {
  const idOf = (frame: Uint8Array): number => u16(frame, 18);

  // @rfc 6864 4.1
  it("a RST's ID says nothing about how much was sent to others", () => {
    const arena = new Arena();
    const probe = (): number => {
      arena.take();
      arena.inject(segment({ src: PEER, dport: 9, flags: ACK }));
      arena.run();
      return idOf(arena.take().at(-1) as Uint8Array);
    };
    const ids = [probe()];
    for (let round = 0; round < 30; round++) {
      // A victim of the measurement gets `round` segments in between.
      for (let i = 0; i < round; i++)
        arena.inject(segment({ src: stranger(5), dport: 9, flags: ACK }));
      ids.push(probe());
    }
    const steps = ids.slice(1).map((id, i) => (id - ids[i]) & 0xffff);
    // Always the same step, whatever was sent to the other.
    expect(new Set(steps).size).toBe(1);
  });

  it("starts differ by destination and by stack", () => {
    const starts = new Set<number>();
    for (let seed = 1; seed <= 8; seed++) {
      const arena = new Arena({ seed });
      for (const n of [1, 2]) starts.add(arena.victim.ipv4.nextId(VICTIM, stranger(n)));
    }
    expect(starts.size).toBeGreaterThan(14);
  });

  it("packets that may be cut share buckets, so the bucket moves by a random step after a pause", () => {
    const steps = new Set<number>();
    const arena = new Arena();
    let last = arena.victim.ipv4.nextId(VICTIM, PEER);
    for (let i = 0; i < 50; i++) {
      arena.clock.advanceNs(100 * MS);
      const id = arena.victim.ipv4.nextId(VICTIM, PEER);
      const step = (id - last) & 0xffff;
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThanOrEqual(101);
      steps.add(step);
      last = id;
    }
    expect(steps.size).toBeGreaterThan(20);
  });

  // @rfc 6864 4.3
  it("without a pause no ID comes twice for one pair", () => {
    const arena = new Arena();
    const seen = new Set<number>();
    for (let i = 0; i < 60_000; i++) seen.add(arena.victim.ipv4.nextId(VICTIM, PEER));
    expect(seen.size).toBe(60_000);
  });
});

describe("SAD DNS (CVE-2020-25705): the ICMP limiter", () => {
  it("how many errors a full bucket gives is not always the same", () => {
    const counts = new Set<number>();
    for (let seed = 1; seed <= 12; seed++) {
      const arena = new Arena({ seed });
      for (let round = 0; round < 2; round++) {
        arena.run(10 * SECOND);
        const before = arena.victim.counters.icmpOutDestUnreachs;
        for (let n = 0; n < 60; n++) arena.inject(datagram([1], { src: stranger(n) }));
        counts.add(arena.victim.counters.icmpOutDestUnreachs - before);
      }
    }
    expect(counts.size).toBeGreaterThan(1);
    for (const n of counts) expect(n).toBeLessThanOrEqual(50);
  });

  it("a query's port is random, so that fifty closed ports a round find nothing", () => {
    const arena = new Arena();
    const ports: number[] = [];
    for (let i = 0; i < 400; i++) {
      const endpoint = arena.victim.endpoints.udp(4);
      if (typeof endpoint === "number") throw new Error("no endpoint");
      endpoint.connect(PEER, 53);
      ports.push(endpoint.localPort);
      endpoint.close();
    }
    const counts = new Uint32Array(16);
    for (const port of ports) counts[Math.floor(((port - 32_768) * 16) / 28_232)]++;
    expect(looksUniform(counts)).toBe(true);
  });
});

describe("ephemeral ports (CVE-2020-16166, CVE-2022-32296; RFC 6056 algorithm 4)", () => {
  const free = { isPortFree: () => true };

  // @rfc 6056 3.3.5
  it("a server that sees every port of its own cannot count connections to others", () => {
    const deltas = new Map<number, Set<number>>();
    for (const busy of [0, 40]) {
      const seen = new Set<number>();
      for (let seed = 1; seed <= 60; seed++) {
        const ports = new EphemeralPorts(new SeededRng(seed));
        const first = ports.pick(LOCAL, stranger(1), 443, free);
        for (let i = 0; i < busy; i++) ports.pick(LOCAL, stranger(2), 443, free);
        seen.add((ports.pick(LOCAL, stranger(1), 443, free) - first + 28_232) % 28_232);
      }
      deltas.set(busy, seen);
    }
    // The random step (1 to 8) is all that shows, with forty connections to another server as without.
    for (const seen of deltas.values()) for (const d of seen) expect(d).toBeLessThanOrEqual(8);
    expect(deltas.get(40)?.size).toBe(deltas.get(0)?.size);
  });

  // @rfc 6056 3.3.5
  it("two destinations' sequences of ports are unrelated", () => {
    const gaps = new Set<number>();
    for (let seed = 1; seed <= 30; seed++) {
      const ports = new EphemeralPorts(new SeededRng(seed));
      const a = ports.pick(LOCAL, stranger(1), 443, free);
      const b = ports.pick(LOCAL, stranger(2), 443, free);
      gaps.add((b - a + 28_232) % 28_232);
    }
    expect(gaps.size).toBeGreaterThan(25);
  });
});

describe("NUMBER:JACK: initial sequence numbers (RFC 6528)", () => {
  // @rfc 6528 3
  // @rfc 9293 MUST-9
  it("of 100,000 tuples: uniform in every byte, and no difference tells the next", () => {
    const secrets = new Secrets(new SeededRng(7));
    const bytes = [0, 1, 2, 3].map(() => new Uint32Array(256));
    const differences = new Uint32Array(256);
    let last = 0;
    for (let n = 0; n < 100_000; n++) {
      const isn = secrets.isn(LOCAL, stranger(n & 0xffff), (80 << 16) | (1_024 + (n >> 4)), 0);
      for (let k = 0; k < 4; k++) bytes[k][(isn >>> (8 * k)) & 255]++;
      differences[((isn - last) >>> 24) & 255]++;
      last = isn;
    }
    for (const counts of [...bytes, differences]) expect(looksUniform(counts)).toBe(true);
  });

  // @rfc 9293 MUST-8
  it("for one tuple it grows with time only: a tick each four microseconds", () => {
    const secrets = new Secrets(new SeededRng(7));
    const at = (us: number): number => secrets.isn(LOCAL, PEER, 5, us);
    expect((at(4_000_000) - at(0)) | 0).toBe(1_000_000);
  });
});

describe("timestamps tell no uptime and join no connections (RFC 7323 7.1)", () => {
  it("each tuple has an offset of its own", () => {
    const arena = new Arena();
    arena.listen();
    const values: number[] = [];
    const TS = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
    for (let sport = 1; sport <= 64; sport++) {
      arena.take();
      arena.inject(segment({ src: PEER, sport, options: TS }));
      arena.run();
      const synAck = arena.take().find((f) => f[47] === 0x12) as Uint8Array;
      let at = 54;
      while (synAck[at] !== 8) at += synAck[at] <= 1 ? 1 : synAck[at + 1];
      values.push(u32(synAck, at + 2));
    }
    const counts = new Uint32Array(4);
    for (const v of values) counts[v >>> 30]++;
    expect(new Set(values).size).toBe(values.length);
    expect(looksUniform(counts)).toBe(true);
  });
});

describe("CVE-2016-5696: the challenge-ACK limiter is each connection's own", () => {
  // @rfc 5961 7
  it("what one connection used up is not missing at another", () => {
    const arena = new Arena();
    const listener = arena.listen();
    const a = arena.connect(listener);
    const b = arena.connect(listener);
    const blind = (sport: number, seq: number): Uint8Array =>
      segment({ src: PEER, sport, seq, flags: RST });
    const answers = (sport: number): number => {
      const { tcb } = (sport === a.client.localPort ? a : b).server as unknown as {
        tcb: { rcv: { nxt: number } };
      };
      arena.take();
      for (let i = 1; i <= 500; i++) arena.inject(blind(sport, tcb.rcv.nxt + i));
      arena.run();
      return arena.take().length;
    };
    expect(answers(a.client.localPort)).toBe(1);
    expect(answers(b.client.localPort)).toBe(1);
    a.livesOn();
    b.livesOn();
  });
});

describe("hash-table flooding", () => {
  it("the keyed hash spreads what differs in one word, by another key otherwise", () => {
    for (let seed = 1; seed <= 3; seed++) {
      const hash = new KeyedHash(new SeededRng(seed));
      const counts = new Uint32Array(64);
      for (let n = 0; n < 20_000; n++) counts[hash.begin().add(0x0a000001).add(n).end() & 63]++;
      expect(looksUniform(counts)).toBe(true);
    }
    const under = (seed: number): number => new KeyedHash(new SeededRng(seed)).begin().add(1).end();
    expect(under(1)).not.toBe(under(2));
  });

  it("neighbours that differ where a plain sum of the address would not are found without a search", () => {
    const arena = new Arena();
    const table = arena.nic.neighbors6;
    for (let n = 0; n < 800; n++) {
      const addr = stranger6(0);
      addr.w2 = n;
      addr.w1 ^= n;
      addr.w3 ^= n;
      table.obtain(addr);
    }
    expect(table.size).toBe(800);
    let longest = 0;
    for (const entry of table.entries()) {
      let chain = 0;
      for (let e: typeof entry | null = entry; e !== null; e = e.next) chain++;
      longest = Math.max(longest, chain);
    }
    expect(longest).toBeLessThan(5);
  });

  it("connections that share all but the port are spread evenly", () => {
    const arena = new Arena();
    arena.listen(PORT, 4_000);
    for (let sport = 1; sport <= 3_000; sport++) arena.inject(segment({ src: PEER, sport }));
    const { demux } = arena.victim.tcp.context;
    expect(demux.count).toBe(3_000);
    expect(demux.longestSearch).toBeLessThan(24);
  });
});

it("a closed port answers as a filtered neighbour's would: nothing of the stack's state is in a RST", () => {
  const arena = new Arena();
  const reset = (): Uint8Array => {
    arena.take();
    arena.inject(segment({ src: PEER, dport: 9, seq: 77 }));
    arena.run();
    return arena.take().at(-1) as Uint8Array;
  };
  const first = reset();
  arena.listen();
  arena.run(100 * SECOND);
  const second = reset();
  // Behind the IP header byte for byte the same, whatever happened in between.
  expect([...second.subarray(34)]).toEqual([...first.subarray(34)]);
  expect(i32(second, 42)).toBe(78);
});
