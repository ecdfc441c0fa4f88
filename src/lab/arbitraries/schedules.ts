// Bad lines and faults at a moment: what a world of stacks is tried under. Shrinks to a perfect line and no faults.

import fc from "fast-check";
import { MS } from "../../base/clock.ts";
import { type Conditions, PERFECT } from "../../link/index.ts";
import { mostly } from "./mood.ts";

const percent = (max: number): fc.Arbitrary<number> =>
  mostly(
    0,
    fc.integer({ min: 1, max }).map((n) => n / 100),
  );

export interface ConditionsBounds {
  /** Hundredths; 20. */
  lossMax?: number;
  corruptMax?: number;
}

/** Of one direction. */
export function conditions(bounds: ConditionsBounds = {}): fc.Arbitrary<Conditions> {
  return fc.record({
    loss: percent(bounds.lossMax ?? 20),
    pattern: mostly("", fc.stringMatching(/^\.{1,6}x\.{1,3}$/)),
    delayNs: fc.constantFrom(0, 1, 10, 50, 200).map((ms) => ms * MS),
    jitterNs: mostly(
      0,
      fc.constantFrom(1, 10, 60).map((ms) => ms * MS),
    ),
    reorder: percent(20),
    duplicate: percent(20),
    corrupt: percent(bounds.corruptMax ?? 5),
    rateBitsPerSecond: mostly(0, fc.constantFrom(100e6, 10e6, 1e6, 64e3)),
    queueFrames: mostly(PERFECT.queueFrames, fc.constantFrom(100, 20, 4)),
    discipline: fc.constantFrom<("tail" | "codel")[]>("tail", "codel"),
  });
}

/** What happens to the n-th frame that one end sends. */
export type Fate = "drop" | "duplicate" | "delay" | "corrupt" | "hold";

export interface Fault {
  /** Which end sends the frame. */
  from: "a" | "b";
  /** The frame, counted from 0 at that end. */
  frame: number;
  fate: Fate;
  /** delay: for how long; hold: until this many later frames have gone by; corrupt: which byte from the end. */
  amount: number;
}

/** At most `faultsMax` faults, early frames more often than late ones. Shrinks to none, and to single drops. */
export function faultSchedule(faultsMax = 12): fc.Arbitrary<Fault[]> {
  const fault: fc.Arbitrary<Fault> = fc.record({
    from: fc.constantFrom<("a" | "b")[]>("a", "b"),
    frame: fc.oneof({ withCrossShrink: true }, fc.nat(12), fc.nat(200)),
    fate: fc.constantFrom<Fate[]>("drop", "duplicate", "delay", "hold", "corrupt"),
    amount: fc.integer({ min: 1, max: 300 }),
  });
  return fc.array(fault, { maxLength: faultsMax });
}

export interface Outage {
  /** From the beginning, and for how long. */
  atNs: number;
  forNs: number;
}

/** When the line is down altogether. */
export function outages(max = 3): fc.Arbitrary<Outage[]> {
  const outage = fc.record({
    atNs: fc.nat(5_000).map((ms) => ms * MS),
    forNs: fc.integer({ min: 1, max: 10_000 }).map((ms) => ms * MS),
  });
  return fc.array(outage, { maxLength: max });
}
