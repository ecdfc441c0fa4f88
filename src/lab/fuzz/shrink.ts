// From a failing case to the smallest that breaks the same law: first fewer steps (Zeller's ddmin, 2002), then each
// step simpler, as long as anything gets better and the budget lasts.

import type { Case } from "./campaign.ts";
import type { Failure, Target } from "./target.ts";

const RUNS_MAX = 2_000;

export interface Shrunk<Step> {
  case: Case<Step>;
  failure: Failure;
  runs: number;
}

export function shrink<Step>(
  target: Target<Step>,
  found: Case<Step>,
  failure: Failure,
  runsMax = RUNS_MAX,
): Shrunk<Step> {
  const state = new Shrinker(target, found, failure, runsMax);
  state.fewer();
  for (let before = -1; before !== state.improved && state.runs < runsMax; ) {
    before = state.improved;
    state.simpler();
    state.fewer();
  }
  return {
    case: { seed: found.seed, steps: state.steps },
    failure: state.failure,
    runs: state.runs,
  };
}

class Shrinker<Step> {
  steps: Step[];
  failure: Failure;
  runs = 0;
  improved = 0;
  readonly #target: Target<Step>;
  readonly #seed: number;
  readonly #runsMax: number;

  constructor(target: Target<Step>, found: Case<Step>, failure: Failure, runsMax: number) {
    this.#target = target;
    this.#seed = found.seed;
    this.#runsMax = runsMax;
    this.failure = failure;
    this.steps = found.steps.slice(0, failure.step + 1);
    // What comes after the failing step can matter only to what is left at the end.
    if (!this.#fails(this.steps)) this.steps = [...found.steps];
  }

  #fails(steps: Step[]): boolean {
    if (this.runs >= this.#runsMax) return false;
    this.runs++;
    const { failure } = this.#target.run(this.#seed, steps);
    if (failure === null || failure.law !== this.failure.law) return false;
    this.failure = failure;
    return true;
  }

  #try(steps: Step[]): boolean {
    if (!this.#fails(steps)) return false;
    this.steps = steps;
    this.improved++;
    return true;
  }

  fewer(): void {
    let size = Math.ceil(this.steps.length / 2);
    while (size >= 1) {
      for (let at = 0; at < this.steps.length; ) {
        const rest = [...this.steps.slice(0, at), ...this.steps.slice(at + size)];
        if (!this.#try(rest)) at += size;
      }
      if (size === 1) break;
      size = Math.ceil(size / 2);
    }
  }

  simpler(): void {
    for (let at = 0; at < this.steps.length; at++) {
      for (let isBetter = true; isBetter; ) {
        isBetter = false;
        for (const simple of this.#target.simpler(this.steps[at])) {
          if (this.runs >= this.#runsMax) return;
          const changed = [...this.steps];
          changed[at] = simple;
          if (!this.#try(changed)) continue;
          isBetter = true;
          break;
        }
      }
    }
  }
}
