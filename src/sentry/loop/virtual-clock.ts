// The clock of `--time virtual`: stands still while programs run, and the loop takes it to the next deadline
// when none does. Programs see the same through the vDSO's time page, frozen between two moves.

import { type Clock, ManualClock } from "../../base/clock.ts";
import type { VdsoImage } from "../platform/platform.ts";
import { TIME_MODE_FROZEN, TimePage } from "../platform/systrap/index.ts";

export class VirtualClock extends ManualClock {
  readonly #page = new TimePage();
  /** As HostClock's: it never moves within a turn. */
  readonly turn: Clock = this;

  constructor(realtimeStartNs?: number) {
    super(realtimeStartNs);
    this.#publish();
  }

  get vdso(): VdsoImage {
    return this.#page.image;
  }
  override advanceNs(deltaNs: number): void {
    super.advanceNs(deltaNs);
    this.#publish();
  }
  override advanceToNs(timeNs: number): void {
    super.advanceToNs(timeNs);
    this.#publish();
  }

  #publish(): void {
    const monotonicNs = BigInt(Math.round(this.monotonicNs()));
    this.#page.write({
      mode: TIME_MODE_FROZEN,
      tscBase: 0n,
      multiplier: 0n,
      monotonicNs,
      realtimeNs: BigInt(Math.round(this.realtimeNs())),
      boottimeNs: monotonicNs,
    });
  }
}
