// Time comes in by constructor. Nanoseconds as numbers: exact to 2^53 ns, 104 days of monotonic time;
// realtime keeps microsecond precision, which is what 2^53 leaves of nanoseconds since 1970.

export interface Clock {
  /** Nanoseconds since an arbitrary start; never goes back. */
  monotonicNs(): number;
  /** Nanoseconds since the Unix epoch, rounded to what a double holds (about 256 ns). */
  realtimeNs(): number;
  /** Of a clock that stands still during a turn of its owner's loop: looks again, for whoever is long about it. */
  refresh?(): void;
}

export const US = 1_000;
export const MS = 1_000_000;
export const SECOND = 1_000_000_000;

/** A clock that moves only when told to: tests, simulation, and `--time virtual`. */
export class ManualClock implements Clock {
  #monotonicNs = 0;
  #realtimeOffsetNs: number;

  constructor(realtimeStartNs = 1_700_000_000 * SECOND) {
    this.#realtimeOffsetNs = realtimeStartNs;
  }

  monotonicNs(): number {
    return this.#monotonicNs;
  }
  realtimeNs(): number {
    return this.#monotonicNs + this.#realtimeOffsetNs;
  }
  advanceNs(deltaNs: number): void {
    this.#monotonicNs += deltaNs;
  }
  advanceToNs(timeNs: number): void {
    if (timeNs > this.#monotonicNs) this.#monotonicNs = timeNs;
  }
}
