// A campaign: cases are drawn, or made from those that reached something new, and run until one breaks a law. What
// it draws comes from fast-check, what it changes from its own random numbers; the same seed and corpus give the
// same campaign. Knows no clock: whoever calls it says how long.

import fc from "fast-check";
import { SeededRng } from "../../base/rng.ts";
import { Coverage, type Failure, type Target, type Verdict } from "./target.ts";

export interface Case<Step> {
  seed: number;
  steps: Step[];
}

export interface Found<Step> {
  case: Case<Step>;
  failure: Failure;
}

export interface CampaignOptions {
  seed: number;
  /** Steps of a case. */
  stepsMax?: number;
}

/** Drawn at once, each used about so often: drawing a step costs more than running it. */
const POOL = 300;
const POOL_USES = 8;
const CORPUS_MAX = 2_000;
const STEPS_MAX = 100;
/** Of the cases, those made from nothing. */
const FRESH_OF_TEN = 3;

export class Campaign<Step> {
  readonly coverage = new Coverage();
  readonly corpus: Case<Step>[] = [];
  /** Cases that reached something new and were not in the corpus that it was given. */
  onKept: (kept: Case<Step>) => void = () => {};
  /** A case is about to be run: for whoever must name one that never ends. */
  onCase: (about: Case<Step>) => void = () => {};
  cases = 0;
  frames = 0;
  virtualNs = 0;
  readonly #target: Target<Step>;
  readonly #rng: SeededRng;
  readonly #stepsMax: number;
  #pool: Step[] = [];
  #poolUses = 0;
  #poolSeed: number;

  constructor(target: Target<Step>, options: CampaignOptions) {
    this.#target = target;
    this.#rng = new SeededRng(options.seed);
    this.#poolSeed = options.seed;
    this.#stepsMax = options.stepsMax ?? STEPS_MAX;
  }

  /** Runs a case that somebody else kept. */
  load(known: Case<Step>): Found<Step> | null {
    const verdict = this.#run(known);
    if (verdict.failure !== null) return { case: known, failure: verdict.failure };
    if (this.coverage.add(verdict.features) > 0) this.corpus.push(known);
    return null;
  }

  /** One case more. */
  next(): Found<Step> | null {
    const made = this.#make();
    const verdict = this.#run(made);
    if (verdict.failure !== null) return { case: made, failure: verdict.failure };
    if (this.coverage.add(verdict.features) > 0) this.#keep(made);
    return null;
  }

  #run(about: Case<Step>): Verdict {
    this.onCase(about);
    const verdict = this.#target.run(about.seed, about.steps);
    this.cases++;
    this.frames += verdict.frames;
    this.virtualNs += verdict.virtualNs;
    return verdict;
  }

  #keep(made: Case<Step>): void {
    if (this.corpus.length < CORPUS_MAX) this.corpus.push(made);
    else this.corpus[this.#rng.below(CORPUS_MAX)] = made;
    this.onKept(made);
  }

  #make(): Case<Step> {
    const rng = this.#rng;
    const isFresh = this.corpus.length === 0 || rng.below(10) < FRESH_OF_TEN;
    const steps = isFresh ? this.#fresh() : this.#changed();
    return { seed: rng.u32(), steps: steps.slice(0, this.#stepsMax) };
  }

  #fresh(): Step[] {
    const length = 1 + this.#rng.below(this.#stepsMax);
    return Array.from({ length }, () => this.#drawn());
  }

  #drawn(): Step {
    if (this.#poolUses-- <= 0) {
      this.#poolSeed = (this.#poolSeed + 1) | 0;
      this.#pool = fc.sample(this.#target.steps, { seed: this.#poolSeed, numRuns: POOL });
      this.#poolUses = POOL * POOL_USES;
    }
    return this.#pool[this.#rng.below(POOL)];
  }

  #changed(): Step[] {
    const rng = this.#rng;
    const base = this.corpus[rng.below(this.corpus.length)];
    const steps = [...base.steps];
    for (let n = 1 + rng.below(5); n > 0; n--) this.#change(steps);
    return steps;
  }

  #change(steps: Step[]): void {
    const rng = this.#rng;
    const at = rng.below(steps.length + 1);
    switch (rng.below(6)) {
      case 0:
        steps.splice(at, 0, this.#drawn());
        break;
      case 1:
        steps.splice(at, 1);
        break;
      case 2: {
        const other = this.corpus[rng.below(this.corpus.length)].steps;
        const from = rng.below(other.length + 1);
        steps.splice(at, rng.below(4), ...other.slice(from, from + 1 + rng.below(12)));
        break;
      }
      case 3:
        if (at < steps.length) steps.splice(rng.below(steps.length), 0, steps[at]);
        break;
      default:
        if (at < steps.length) steps[at] = this.#target.mutate(steps[at], rng);
    }
  }
}
