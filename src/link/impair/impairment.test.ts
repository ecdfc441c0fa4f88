import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock, MS, SECOND } from "../../base/clock.ts";
import { SeededRng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import { PacketBuffer } from "../../netstack/index.ts";
import { type Conditions, gsoBytesOf, PERFECT, parseConditions } from "./conditions.ts";
import { Impairment } from "./impairment.ts";

class Line {
  readonly clock = new ManualClock();
  readonly timers = new TimerQueue();
  readonly arrived: { number: number; atMs: number; bytes: Uint8Array }[] = [];
  readonly way: Impairment;
  readonly #frame = new PacketBuffer();
  #next = 0;

  constructor(conditions: Partial<Conditions>, seed = 1) {
    this.way = new Impairment({
      clock: this.clock,
      timers: this.timers,
      rng: new SeededRng(seed),
      conditions: { ...PERFECT, ...conditions },
      deliver: (pkt) => {
        const bytes = pkt.bytes.slice(pkt.start, pkt.end);
        const number = (bytes[0] << 8) | bytes[1];
        this.arrived.push({ number, atMs: this.clock.monotonicNs() / MS, bytes });
      },
    });
  }
  /** Frames numbered in their first two bytes. */
  send(count = 1, bytes = 100): void {
    for (let i = 0; i < count; i++) {
      const pkt = this.#frame;
      pkt.end = pkt.start + bytes;
      pkt.bytes[pkt.start] = this.#next >>> 8;
      pkt.bytes[pkt.start + 1] = this.#next++ & 255;
      this.way.send(pkt);
    }
  }
  run(forNs: number): void {
    const end = this.clock.monotonicNs() + forNs;
    while (this.timers.nextDeadlineNs() <= end) {
      this.clock.advanceToNs(this.timers.nextDeadlineNs());
      this.timers.runDue(this.clock.monotonicNs());
    }
    this.clock.advanceToNs(end);
  }
  get numbers(): number[] {
    return this.arrived.map((frame) => frame.number);
  }
}

const upTo = (n: number): number[] => [...Array(n).keys()];

describe("a line", () => {
  it("delays every frame alike and keeps their order", () => {
    const line = new Line({ delayNs: 50 * MS });
    line.send(3);
    line.run(49 * MS);
    expect(line.arrived).toEqual([]);
    line.run(MS);
    expect(line.arrived.map(({ number, atMs }) => [number, atMs])).toEqual([
      [0, 50],
      [1, 50],
      [2, 50],
    ]);
  });

  it("jitters within its bounds and keeps the order all the same", () => {
    const line = new Line({ delayNs: 10 * MS, jitterNs: 5 * MS });
    for (let i = 0; i < 50; i++) {
      line.send();
      line.run(MS);
    }
    line.run(SECOND);
    expect(line.numbers).toEqual(upTo(50));
    line.arrived.forEach(({ atMs }, i) => {
      expect(atMs - i).toBeGreaterThanOrEqual(10);
      expect(atMs - i).toBeLessThan(15);
    });
  });

  it("loses by its pattern exactly, and by chance about its share", () => {
    const cycle = new Line({ pattern: "..x" });
    cycle.send(9);
    cycle.run(SECOND);
    expect(cycle.numbers).toEqual([0, 1, 3, 4, 6, 7]);
    const chance = new Line({ loss: 0.1 });
    chance.send(10_000);
    chance.run(SECOND);
    expect(chance.arrived.length).toBeGreaterThan(8800);
    expect(chance.arrived.length).toBeLessThan(9200);
    expect(chance.way.counters.lost).toBe(10_000 - chance.arrived.length);
  });

  it("sends at its rate, and loses what does not fit its queue", () => {
    // 1000 bytes at 1 Mbit/s: 8 ms each.
    const line = new Line({ rateBitsPerSecond: 1e6, queueFrames: 3 });
    line.send(10, 1000);
    line.run(SECOND);
    expect(line.arrived.map(({ number, atMs }) => [number, atMs])).toEqual([
      [0, 8],
      [1, 16],
      [2, 24],
      [3, 32],
    ]);
    expect(line.way.counters.droppedQueueFull).toBe(6);
    line.send();
    line.run(SECOND);
    expect(line.numbers).toContain(10);
  });

  it("lets some frames overtake", () => {
    const line = new Line({ delayNs: 10 * MS, reorder: 0.2 });
    for (let i = 0; i < 100; i++) {
      line.send();
      line.run(MS);
    }
    line.run(SECOND);
    expect([...line.numbers].sort((a, b) => a - b)).toEqual(upTo(100));
    expect(line.numbers).not.toEqual(upTo(100));
    expect(line.way.counters.reordered).toBeGreaterThan(5);
  });

  it("duplicates, and flips one bit where it corrupts", () => {
    const line = new Line({ duplicate: 1 });
    line.send(3);
    line.run(SECOND);
    expect(line.numbers).toEqual([0, 0, 1, 1, 2, 2]);
    const bad = new Line({ corrupt: 1 });
    bad.send(20);
    bad.run(SECOND);
    for (const { bytes } of bad.arrived) {
      const ones = bytes.subarray(14).reduce((n, v) => n + v.toString(2).split("1").length - 1, 0);
      expect(ones).toBe(1);
    }
  });

  it("carries nothing new while it is down", () => {
    const line = new Line({ delayNs: MS });
    line.send();
    line.way.isDown = true;
    line.send();
    line.run(SECOND);
    line.way.isDown = false;
    line.send(3);
    line.run(SECOND);
    expect(line.numbers).toEqual([0, 2, 3, 4]);
  });

  it("keeps a standing queue short by CoDel", () => {
    const delays = (discipline: "tail" | "codel"): number => {
      const line = new Line({ rateBitsPerSecond: 8e6, queueFrames: 1000, discipline });
      // A tenth more than the line carries, for ten seconds.
      for (let i = 0; i < 11_000; i++) {
        line.send(1, 1000);
        line.run(SECOND / 1100);
      }
      const last = line.arrived[line.arrived.length - 1];
      return last.atMs - last.number / 1.1;
    };
    expect(delays("tail")).toBeGreaterThan(800);
    expect(delays("codel")).toBeLessThan(300);
  });

  it("does the same with the same seed, and loses track of no frame", () => {
    const wild = fc.record({
      loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
      delayNs: fc.nat(20 * MS),
      jitterNs: fc.nat(20 * MS),
      reorder: fc.double({ min: 0, max: 0.5, noNaN: true }),
      duplicate: fc.double({ min: 0, max: 0.5, noNaN: true }),
      corrupt: fc.double({ min: 0, max: 0.5, noNaN: true }),
      rateBitsPerSecond: fc.constantFrom(0, 1e5, 1e7),
      queueFrames: fc.integer({ min: 1, max: 20 }),
      discipline: fc.constantFrom("tail" as const, "codel" as const),
    });
    fc.assert(
      fc.property(wild, fc.nat(), (conditions, seed) => {
        const [a, b] = [new Line(conditions, seed), new Line(conditions, seed)];
        for (const line of [a, b]) {
          for (let i = 0; i < 40; i++) {
            line.send();
            line.run(MS);
          }
          line.run(60 * SECOND);
        }
        expect(a.arrived).toEqual(b.arrived);
        const n = a.way.counters;
        const gone = n.lost + n.droppedQueueFull + n.droppedCoDel + n.droppedInFlight;
        expect(n.sent + n.duplicated).toBe(n.delivered + gone);
        expect(a.way.inFlight).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe("conditions as text", () => {
  it("are read with their units", () => {
    expect(
      parseConditions("loss=1%,delay=50ms,jitter=10ms,reorder=2%,duplicate=1%,corrupt=0.1%"),
    ).toEqual({
      ...PERFECT,
      loss: 0.01,
      delayNs: 50 * MS,
      jitterNs: 10 * MS,
      reorder: 0.02,
      duplicate: 0.01,
      corrupt: 0.001,
    });
    expect(parseConditions("rate=10mbit,queue=100,discipline=codel,pattern=..x")).toEqual({
      ...PERFECT,
      rateBitsPerSecond: 1e7,
      queueFrames: 100,
      discipline: "codel",
      pattern: "..x",
    });
  });

  it.each([
    ["", /"" is no impairment; there are loss, /],
    ["los=1%", /"los" is no impairment/],
    ["loss", /"loss" cannot be read; write for example loss=1%/],
    ["loss=101%", /loss=101%/],
    ["delay=5", /delay=50ms/],
    ["delay=5parsec", /delay=50ms/],
    ["rate=0.5", /rate=10mbit/],
    ["queue=0", /queue=100/],
    ["pattern=..y", /every third/],
    ["constructor=1", /is no impairment/],
  ])("%j is refused with what to write instead", (text, message) => {
    expect(parseConditions(text)).toMatch(message);
  });
});

describe("a line that is only slow", () => {
  it("keeps its rate when it is seen to late, within a bucket of ten milliseconds", () => {
    const line = new Line({ rateBitsPerSecond: 8e6 });
    line.send(200, 1000);
    const visit = (afterNs: number): number => {
      line.clock.advanceNs(afterNs);
      const now = line.clock.monotonicNs();
      while (line.timers.nextDeadlineNs() <= now) line.timers.runDue(now);
      return line.numbers.length;
    };
    // A millisecond for each.
    for (let n = 1; n <= 20; n++) expect(Math.abs(visit(5 * MS) - 5 * n)).toBeLessThanOrEqual(1);
    // Half a second late: ten of them are made up for.
    expect(visit(500 * MS)).toBeLessThanOrEqual(112);
    expect(line.numbers).toEqual(upTo(line.numbers.length));
  });

  it("takes segments in one piece, as many as take a millisecond", () => {
    const rate = (bits: number): number => gsoBytesOf({ ...PERFECT, rateBitsPerSecond: bits });
    expect([rate(10e6), rate(100e6), rate(10e9)]).toEqual([0, 12_500, 65_535]);
    expect(gsoBytesOf({ ...PERFECT, rateBitsPerSecond: 100e6, loss: 0.01 })).toBe(0);
    expect(gsoBytesOf({ ...PERFECT, discipline: "codel" })).toBe(0);
  });
});
