// A token bucket for ICMP errors: so many a second, a burst of fifty. The refill is jittered, so that a
// stranger cannot count our remaining tokens and learn which ports are closed (CVE-2020-25705).

import { type Clock, SECOND } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";

const BURST = 50;

export class RateLimit {
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #perSecond: number;
  #tokens = BURST;
  #lastNs: number;

  constructor(clock: Clock, rng: Rng, perSecond: number) {
    this.#clock = clock;
    this.#rng = rng;
    this.#perSecond = perSecond;
    this.#lastNs = clock.monotonicNs();
  }

  take(): boolean {
    const nowNs = this.#clock.monotonicNs();
    this.#tokens += ((nowNs - this.#lastNs) / SECOND) * this.#perSecond;
    this.#lastNs = nowNs;
    if (this.#tokens > BURST) this.#tokens = BURST - this.#rng.below(3);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
