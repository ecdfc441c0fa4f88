// When things of a capture happen again: at the captured time, moved by what had to be waited for until now; or
// at once.

export type PaceKind = "captured" | "fast";

export class Pace {
  readonly kind: PaceKind;
  /** By how much everything to come is later than it was captured. */
  shiftNs: number;

  /** startNs: when what was captured at `firstNs` happens. */
  constructor(kind: PaceKind, startNs: number, firstNs: number) {
    this.kind = kind;
    this.shiftNs = startNs - firstNs;
  }

  dueNs(capturedNs: number): number {
    return this.kind === "fast" ? 0 : capturedNs + this.shiftNs;
  }

  /** What was due then happens now: everything after it keeps its distance. */
  happened(capturedNs: number, nowNs: number): void {
    const late = nowNs - capturedNs - this.shiftNs;
    if (late > 0) this.shiftNs += late;
  }
}
