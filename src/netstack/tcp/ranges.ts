// Which sequence ranges have arrived beyond rcv.nxt: sorted, disjoint, bounded, in two int arrays. The
// bytes themselves already lie at their place in the receive ring. Also remembers which range changed
// last, because RFC 2018 4 wants that one first in the SACK option, then the earlier ones.

import { seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../base/seqnum.ts";

const FIRST_CAPACITY = 8;
/** Shared by all that hold nothing: most connections never see disorder, and an array costs 150 bytes. */
const EMPTY = new Int32Array(0);
/** Blocks reported recently, newest first (by their start when reported). */
const RECENT = 4;

export class SeqRanges {
  count = 0;
  start = EMPTY;
  end = EMPTY;
  readonly #countMax: number;
  /** A sequence number inside each of the last changed ranges, newest first. */
  recent = EMPTY;
  recentCount = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Adds [start, end), merging. False: it would need one range too many. */
  add(start: number, end: number): boolean {
    let lo = 0;
    // First range that ends at or after start: in-order growth of the last range is the common case.
    if (this.count > 0 && seqGt(start, this.end[this.count - 1])) lo = this.count;
    else while (lo < this.count && seqLt(this.end[lo], start)) lo++;
    let hi = lo;
    while (hi < this.count && seqLe(this.start[hi], end)) hi++;
    if (hi === lo) {
      if (!this.#insertAt(lo)) return false;
      this.start[lo] = start;
      this.end[lo] = end;
    } else {
      if (seqLt(start, this.start[lo])) this.start[lo] = start;
      const last = this.end[hi - 1];
      this.end[lo] = seqGt(last, end) ? last : end;
      this.#removeAt(lo + 1, hi - lo - 1);
    }
    this.#remember(this.start[lo], this.end[lo]);
    return true;
  }

  /** Index of the range that covers all of [start, end), or -1. */
  covering(start: number, end: number): number {
    for (let i = 0; i < this.count; i++) {
      if (seqLe(this.start[i], start) && seqGe(this.end[i], end)) return i;
    }
    return -1;
  }

  /** Everything below `seq` has become ordinary data. */
  dropBelow(seq: number): void {
    let n = 0;
    while (n < this.count && seqLe(this.end[n], seq)) n++;
    this.#removeAt(0, n);
    if (this.count > 0 && seqLt(this.start[0], seq)) this.start[0] = seq;
    if (this.count === 0) this.recentCount = 0;
  }

  // @rfc 2018 4b
  /** Index of the range holding recent[i], or -1 when it is gone. */
  recentRange(i: number): number {
    const seq = this.recent[i];
    for (let k = 0; k < this.count; k++) {
      if (seqDiff(seq, this.start[k]) >= 0 && seqLt(seq, this.end[k])) return k;
    }
    return -1;
  }

  get last(): number {
    return this.end[this.count - 1];
  }

  // @rfc 2018 4a
  #remember(start: number, end: number): void {
    if (this.recent.length === 0) this.recent = new Int32Array(RECENT);
    let n = 0;
    let carried = start;
    // Move-to-front; what lay inside the new range is covered by it.
    for (let i = 0; i < this.recentCount && n < RECENT; i++) {
      const seq = this.recent[i];
      if (seqGe(seq, start) && seqLt(seq, end)) continue;
      this.recent[n++] = carried;
      carried = seq;
    }
    if (n < RECENT) this.recent[n++] = carried;
    this.recentCount = n;
  }

  #insertAt(at: number): boolean {
    if (this.count === this.#countMax) return false;
    if (this.count === this.start.length) {
      const capacity = Math.max(FIRST_CAPACITY, this.count * 2);
      const start = new Int32Array(capacity);
      const end = new Int32Array(capacity);
      start.set(this.start);
      end.set(this.end);
      this.start = start;
      this.end = end;
    }
    this.start.copyWithin(at + 1, at, this.count);
    this.end.copyWithin(at + 1, at, this.count);
    this.count++;
    return true;
  }

  #removeAt(at: number, n: number): void {
    if (n === 0) return;
    this.start.copyWithin(at, at + n, this.count);
    this.end.copyWithin(at, at + n, this.count);
    this.count -= n;
  }
}

/** To be looked at, or taken from. */
export type HeldRanges = Omit<SeqRanges, "add">;

/** What every connection without disorder has; it takes no range. */
export const NO_RANGES: HeldRanges = new SeqRanges(0);
