import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asksForAccEcn, sendAce } from "./accecn.ts";
import { optionFields } from "./accecn-option.ts";
import { AccEcnState, COUNTER_CE, COUNTER_ECT0, OPTION_COUNTERS } from "./accecn-state.ts";
import { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";
import { established } from "./testing.ts";
import { Pair } from "./testing-pair.ts";

function accEcnPair(): Pair {
  const pair = new Pair({ delayMs: 5 });
  for (const side of [pair.a, pair.b]) side.settings.ecn = 3;
  return pair;
}

describe("negotiation", () => {
  // @rfc 9768 3.1.3
  it("takes every SYN with a bit that RFC 3168 does not use for a request (3.1.3)", () => {
    const seg = new Segment();
    const asks = [0, 1, 2, 3, 4, 5, 6, 7].filter((ace) => {
      seg.flags = ace << 6;
      return asksForAccEcn(seg);
    });
    expect(asks).toEqual([1, 2, 4, 5, 6, 7]);
  });

  // @rfc 9768 3.1.1
  it("is agreed between two stacks that both want it, and counts nothing on a clean path", () => {
    const pair = accEcnPair();
    const [a, b] = pair.connect();
    const data = new Uint8Array(50_000);
    a.write(data, 0, data.length, 0);
    pair.run(2_000, () => b.readableBytes === data.length);
    const [ours, theirs] = [a.tcb?.accEcn, b.tcb?.accEcn];
    expect(ours?.optionSeen).toBe(OPTION_COUNTERS);
    expect([ours?.deliveredCe, theirs?.receivedCe]).toEqual([0, 0]);
    expect(theirs?.receivedBytes[COUNTER_ECT0]).toBe(data.length);
    expect(ours?.failReceive || theirs?.failReceive).toBe(false);
  });
});

// @rfc 9768 3.2.2
it("the ACE field is the count of marks plus five, modulo eight", () => {
  const state = new AccEcnState();
  const seen = [];
  for (state.receivedCe = 0; state.receivedCe < 9; state.receivedCe++)
    seen.push(sendAce(state) >> 6);
  expect(seen).toEqual([5, 6, 7, 0, 1, 2, 3, 4, 5]);
});

// @rfc 9768 3.2.3
it("the option gives up counters for want of space, but none that has changed", () => {
  const { tcb } = established();
  const state = new AccEcnState();
  tcb.accEcn = state;
  state.optionSeen = OPTION_COUNTERS;
  const fields = (used: number): number => optionFields(tcb as Tcb, used);
  expect([0, 28, 32, 36, 40].map(fields)).toEqual([3, 3, 2, 0, -1]);
  state.optionMinFields = 2;
  expect([32, 36].map(fields)).toEqual([2, -1]);
  tcb.ctx.settings.ecnOption = 0;
  expect(fields(0)).toBe(-1);
});

// @rfc 9768 3.2.2.5
it("the sender knows exactly how many of its packets were marked, whatever is marked and lost", () => {
  const patterns = fc.array(fc.constantFrom("ok", "ok", "ok", "mark", "mark", "lose"), {
    minLength: 20,
    maxLength: 60,
  });
  fc.assert(
    fc.property(patterns, (pattern) => {
      const pair = accEcnPair();
      const [a, b] = pair.connect();
      let n = 0;
      let isData = false;
      pair.onSegment = (fromA, bytes) => {
        isData = fromA && bytes.length > 60;
      };
      pair.fate = () => {
        const what = isData && n < pattern.length ? pattern[n++] : "ok";
        return { copies: what === "lose" ? 0 : 1, extraMs: 0, isMarked: what === "mark" };
      };
      const data = new Uint8Array(pattern.length * 1_000);
      a.write(data, 0, data.length, 0);
      const isDone = pair.run(
        600_000,
        () => b.readableBytes === data.length && a.unackedBytes === 0,
      );
      expect(isDone).toBe(true);
      pair.run(1_000);
      const theirs = b.tcb?.accEcn as AccEcnState;
      const ours = a.tcb?.accEcn as AccEcnState;
      expect(ours.deliveredCe).toBe(theirs.receivedCe);
      expect(ours.deliveredBytes[COUNTER_CE]).toBe(theirs.receivedBytes[COUNTER_CE]);
    }),
    { numRuns: 40 },
  );
});

// @rfc 9768 3.3
it("a mark reduces the window once a round trip, and no CWR is said", () => {
  const pair = accEcnPair();
  const [a, b] = pair.connect((ep) => {
    ep.options.congestion = "reno";
  });
  pair.fate = () => ({ copies: 1, extraMs: 0, isMarked: true });
  const data = new Uint8Array(60_000);
  a.write(data, 0, data.length, 0);
  pair.run(5_000, () => b.readableBytes === data.length && a.unackedBytes === 0);
  expect(b.readableBytes).toBe(data.length);
  expect(a.tcb?.ssthresh).toBe(2);
  expect(pair.a.stats.RetransSegs).toBe(0);
});
