import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Stream } from "./stream.ts";

const CONTENT = Uint8Array.from({ length: 400 }, (_, i) => (i * 7) & 0xff);
const piece = fc.tuple(fc.nat(399), fc.integer({ min: 1, max: 90 }));

describe("a stream put together", () => {
  it("has what came, in whatever order and however often, and zeros where nothing came", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const stream = new Stream();
        const have = new Uint8Array(500);
        let end = 0;
        for (const [from, size] of pieces) {
          const length = Math.min(size, CONTENT.length - from);
          stream.add(from, CONTENT, from, length, length);
          have.fill(1, from, from + length);
          end = Math.max(end, from + length);
        }
        const contiguous = have.indexOf(0);
        const missing = have.subarray(0, end).reduce((sum, there) => sum + 1 - there, 0);
        expect(stream.length).toBe(end);
        expect(stream.contiguous).toBe(contiguous);
        expect(stream.missingBytes).toBe(missing);
        expect(stream.conflicts).toBe(0);
        stream.finish();
        const expected = CONTENT.slice(0, end).map((byte, i) => (have[i] === 1 ? byte : 0));
        expect(stream.bytes).toEqual(expected);
        for (const { from, to } of stream.holes()) {
          expect(have.subarray(from, to).every((there) => there === 0)).toBe(true);
          expect(from === 0 || have[from - 1] === 1).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("keeps what came first, and counts what said something else later", () => {
    const stream = new Stream();
    stream.add(2, Uint8Array.of(7, 7), 0, 2, 2);
    stream.add(0, Uint8Array.of(1, 2, 3, 4, 5), 0, 5, 5);
    stream.finish();
    expect([...stream.bytes]).toEqual([1, 2, 7, 7, 5]);
    expect(stream.conflicts).toBe(1);
    // Whoever takes the later ones is right too, but not with anything else.
    expect([3, 7, 5].map((byte) => stream.allows(2, byte))).toEqual([true, true, false]);
    expect([4, 2].map((byte) => stream.allows(1, byte))).toEqual([false, true]);
  });

  it("knows a hole where the capture cut a segment off, and at its end", () => {
    const stream = new Stream();
    stream.add(0, CONTENT, 0, 10, 25);
    stream.add(25, CONTENT, 25, 5, 5);
    stream.extend(40);
    expect(stream.holes()).toEqual([
      { from: 10, to: 25 },
      { from: 30, to: 40 },
    ]);
    expect(stream.length).toBe(40);
  });

  it("ends where it is cut", () => {
    const stream = new Stream();
    stream.add(0, CONTENT, 0, 10, 10);
    stream.add(12, CONTENT, 12, 10, 10);
    stream.cut(11);
    expect(stream.holes()).toEqual([{ from: 10, to: 11 }]);
    stream.finish();
    expect(stream.bytes).toHaveLength(11);
  });

  it("does not take a leap of the numbers for a stream", () => {
    const stream = new Stream();
    stream.add(0, CONTENT, 0, 10, 10);
    stream.add(100_000_000, CONTENT, 0, 10, 10);
    expect(stream.isAbsurd).toBe(true);
    expect(stream.length).toBe(10);
    expect(stream.bytes.length).toBeLessThan(100_000);
  });
});
