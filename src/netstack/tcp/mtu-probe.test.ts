import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Endpoint } from "./endpoint.ts";
import { Pair } from "./testing-pair.ts";

/** A path that swallows packets above `holeMtu` bytes without a word; ends believe in 1500. */
function holedPair(mtuProbing: number, holeMtu: number): Pair {
  const pair = new Pair({ delayMs: 5 });
  pair.a.settings.mtuProbing = mtuProbing;
  let size = 0;
  pair.onSegment = (_fromA, bytes) => {
    size = 20 + bytes.length;
  };
  pair.fate = () => ({ copies: size > holeMtu ? 0 : 1, extraMs: 0 });
  return pair;
}

/** Writes all of it, reading at the other end; true when it arrived in the time. */
function send(pair: Pair, a: Endpoint, b: Endpoint, bytes: number, maxMs: number): boolean {
  const data = new Uint8Array(bytes);
  const sink = new Uint8Array(64 * 1024);
  let written = 0;
  let read = 0;
  return pair.run(maxMs, () => {
    const n = written < bytes ? a.write(data, written, bytes - written, 0) : 0;
    if (n > 0) written += n;
    const got = b.read(sink, 0, sink.length, false);
    if (got > 0) read += got;
    return read === bytes;
  });
}

describe("a black hole", () => {
  it("stalls a connection that does not look for it, and not one that does", () => {
    const blind = holedPair(0, 1_200);
    expect(send(blind, ...blind.connect(), 20_000, 30_000)).toBe(false);
    const pair = holedPair(1, 1_200);
    const [a, b] = pair.connect();
    expect(send(pair, a, b, 20_000, 30_000)).toBe(true);
    expect(a.tcb?.snd.mss).toBeLessThanOrEqual(1_200 - 52);
  });

  it("below the base size is found by halving, down to the floor", () => {
    const pair = holedPair(1, 400);
    const [a, b] = pair.connect();
    expect(send(pair, a, b, 3_000, 300_000)).toBe(true);
    expect(a.tcb?.snd.mss).toBeLessThanOrEqual(400 - 52);
    expect(a.tcb?.snd.mss).toBeGreaterThanOrEqual(48);
  });
});

it("the search ends within eight bytes below the path's MTU, and loses nothing else by it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_100, max: 1_500 }), (hole) => {
      const pair = holedPair(2, hole);
      const [a, b] = pair.connect();
      for (let i = 0; i < 12; i++) expect(send(pair, a, b, 60_000, 20_000)).toBe(true);
      const packet = (a.tcb?.snd.mss ?? 0) + 52;
      expect(packet).toBeLessThanOrEqual(hole);
      expect(hole - packet).toBeLessThanOrEqual(8);
      const { TCPTimeouts, TCPMTUPSuccess, TCPMTUPFail } = pair.a.stats;
      expect(TCPTimeouts).toBe(0);
      expect(TCPMTUPSuccess + TCPMTUPFail).toBeGreaterThan(3);
    }),
    { numRuns: 12 },
  );
});

it("begins anew after tcp_probe_interval", () => {
  let hole = 1_200;
  const pair = holedPair(2, 0);
  const fate = { size: 0 };
  pair.onSegment = (_fromA, bytes) => {
    fate.size = 20 + bytes.length;
  };
  pair.fate = () => ({ copies: fate.size > hole ? 0 : 1, extraMs: 0 });
  const [a, b] = pair.connect();
  for (let i = 0; i < 10; i++) send(pair, a, b, 60_000, 20_000);
  const before = a.tcb?.snd.mss ?? 0;
  expect(before).toBeGreaterThan(1_200 - 61);
  hole = 1_500;
  send(pair, a, b, 60_000, 20_000);
  expect(a.tcb?.snd.mss).toBe(before);
  pair.run(601_000);
  for (let i = 0; i < 10; i++) send(pair, a, b, 60_000, 20_000);
  expect(a.tcb?.snd.mss).toBeGreaterThan(1_440);
});
