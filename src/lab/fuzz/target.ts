// What a campaign needs of its target: cases drawn, run, changed and made simpler. A case is a seed and a list of
// steps; the same case gives the same run, frame by frame.

import type fc from "fast-check";
import type { SeededRng } from "../../base/rng.ts";

export interface Failure {
  /** The name of the law that was broken; shrinking keeps to it. */
  law: string;
  message: string;
  /** During which step, counted from 0; the number of steps: after the last. */
  step: number;
}

export interface Verdict {
  failure: Failure | null;
  /** What was reached: numbers below FEATURES. */
  features: readonly number[];
  frames: number;
  virtualNs: number;
}

/** Sees every frame of a run, for the capture of a failure. */
export type Watch = (nowNs: number, bytes: Uint8Array, length: number, isOut: boolean) => void;

export interface Target<Step> {
  readonly name: string;
  /** Steps to draw cases from, in the sense of fast-check. */
  readonly steps: fc.Arbitrary<Step>;
  run(seed: number, steps: readonly Step[], watch?: Watch): Verdict;
  /** Another step, near this one. */
  mutate(step: Step, rng: SeededRng): Step;
  /** Simpler ones to try in its place, the simplest first. */
  simpler(step: Step): Iterable<Step>;
  /** The script for `netcell drill` that shows the failure, where packets of one connection can say it. */
  script?(seed: number, steps: readonly Step[], law: string): string | null;
}

export const FEATURES = 1 << 16;

/** A broken law, on its way out of a run. */
export class BrokenLaw extends Error {
  readonly law: string;

  constructor(law: string, message: string) {
    super(message);
    this.law = law;
  }
}

/** Every count of features seen, as a campaign keeps it. */
export class Coverage {
  readonly #seen = new Uint8Array(FEATURES);
  count = 0;

  /** How many of these are new; they no longer are then. */
  add(features: readonly number[]): number {
    let fresh = 0;
    for (let i = 0; i < features.length; i++) {
      const id = features[i] & (FEATURES - 1);
      if (this.#seen[id] !== 0) continue;
      this.#seen[id] = 1;
      fresh++;
    }
    this.count += fresh;
    return fresh;
  }
}
