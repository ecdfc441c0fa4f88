// The parts below the state machine, each against a simpler model of itself or a published vector.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTcpOptions, TcpOptions, writeMss, writeWindowScale } from "../wire/tcp-options.ts";
import { SeqRanges } from "./ranges.ts";
import { Ring } from "./ring.ts";
import { RingPool } from "./ring-pool.ts";
import { RttEstimator } from "./rtt.ts";
import { TcpSettings } from "./settings.ts";
import { SipKey, sipHash, sipHashHigh } from "./siphash.ts";
import { timingOf } from "./timing.ts";

describe("SipHash-2-4", () => {
  it("gives the reference implementation's value for eight bytes", () => {
    const words = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c];
    let i = 0;
    const rng = { u32: () => words[i++], below: () => 0, fill: () => {} };
    const key = new SipKey(rng);
    expect(sipHash(key, new Int32Array([0x03020100, 0x07060504]), 2) >>> 0).toBe(0x9a932462);
    expect(sipHashHigh() >>> 0).toBe(0x93f5f579);
  });
});

describe("Ring", () => {
  it("is a queue of bytes with holes, whatever its growth", () => {
    const step = fc.record({ put: fc.integer({ min: 0, max: 9_000 }), take: fc.nat(9_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = new RingPool(1 << 24);
        const ring = new Ring(pool);
        let next = 0;
        let oldest = 0;
        for (const { put, take } of steps) {
          const held = next - oldest;
          expect(ring.reserve(held + put, held)).toBe(true);
          const src = new Uint8Array(put).map((_, i) => (next + i) * 7);
          if (put > 0) ring.store(held, src, 0, put);
          next += put;
          const n = Math.min(take, next - oldest);
          const out = new Uint8Array(n);
          ring.load(0, out, 0, n);
          expect(out.every((x, i) => x === (((oldest + i) * 7) & 255))).toBe(true);
          oldest += n;
          ring.release(n, oldest === next);
        }
        ring.free();
        expect(pool.usedBytes).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it("gives a small block in need and none beyond the limit", () => {
    const pool = new RingPool(64 * 1024);
    const big = new Ring(pool);
    expect(big.reserve(64 * 1024, 0)).toBe(true);
    const small = new Ring(pool);
    expect(small.reserve(100, 0)).toBe(true);
    expect(small.reserve(10_000, 100)).toBe(false);
  });
});

describe("SeqRanges", () => {
  it("equals a set of numbers, across the wrap of sequence space", () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 30 }),
        fc.constantFrom(0, -30, 0x7ffffff0),
        (list, base) => {
          const ranges = new SeqRanges(64);
          const model = new Set<number>();
          for (const [from, length] of list) {
            ranges.add((base + from) | 0, (base + from + length) | 0);
            for (let i = from; i < from + length; i++) model.add(i);
            const k = ranges.recentRange(0);
            expect((ranges.start[k] - base) | 0).toBeLessThanOrEqual(from);
          }
          const got: number[] = [];
          for (let k = 0; k < ranges.count; k++) {
            for (let s = (ranges.start[k] - base) | 0; s < ((ranges.end[k] - base) | 0); s++)
              got.push(s);
            if (k > 0) expect((ranges.start[k] - ranges.end[k - 1]) | 0).toBeGreaterThan(0);
          }
          expect(got).toEqual([...model].sort((x, y) => x - y));
        },
      ),
    );
  });
});

describe("TCP options", () => {
  it("reads what it writes", () => {
    const b = new Uint8Array(28);
    b[12] = 7 << 4;
    writeMss(b, 20, 1400);
    writeWindowScale(b, 24, 9);
    const o = new TcpOptions();
    parseTcpOptions(o, b, 0, true);
    expect([o.mss, o.windowScale, o.sackPermitted]).toEqual([1400, 9, false]);
  });

  // @rfc 9293 MUST-7
  it("survives every kind with every length, and stops at a broken one", () => {
    const o = new TcpOptions();
    for (let kind = 0; kind < 256; kind++) {
      for (let length = 0; length <= 40; length++) {
        const b = new Uint8Array(60).fill(0xff);
        b[12] = 15 << 4;
        b[20] = kind;
        b[21] = length;
        parseTcpOptions(o, b, 0, true);
        parseTcpOptions(o, b, 0, false);
        expect(o.sackCount).toBeLessThanOrEqual(4);
        expect(o.windowScale).toBeLessThanOrEqual(14);
      }
    }
  });
});

describe("RttEstimator", () => {
  // @rfc 6298 2.2 2.3 2.5 4
  it("settles near the samples, never below SRTT + 200 ms, never above 120 s", () => {
    const rtt = new RttEstimator();
    const timing = timingOf(new TcpSettings());
    expect(rtt.rtoUs).toBe(1_000_000);
    for (let i = 0; i < 100; i++) rtt.sample(50_000, i + 2, i + 1, timing);
    expect(rtt.srttUs).toBe(50_000);
    expect(rtt.rtoUs).toBeLessThanOrEqual(251_000);
    expect(rtt.rtoUs).toBeGreaterThanOrEqual(250_000);
    for (let i = 0; i < 50; i++) rtt.sample(300_000_000, i + 2, i + 1, timing);
    expect(rtt.rtoUs).toBe(120_000_000);
  });
});
