// Finds unmapped addresses for mmap: top-down below the mmap base as Linux does, bottom-up for MAP_32BIT
// and when the top is full. Remembers how far down everything is taken, so that mapping many pieces does not
// look at all earlier ones each time.

import type { Layout } from "./layout.ts";
import { VMA_GROWSDOWN, type Vma } from "./vma.ts";
import { STACK_GUARD_BYTES, type VmaSet } from "./vma-set.ts";

const LOW_START = 0x4000_0000;
const LOW_END = 0x8000_0000;

export class FreeFinder {
  readonly #vmas: VmaSet;
  readonly #layout: Layout;
  /** Between here and the mmap base no gap holds #fullFor bytes or more. */
  #from: number;
  #fullFor = Number.POSITIVE_INFINITY;

  constructor(vmas: VmaSet, layout: Layout) {
    this.#vmas = vmas;
    this.#layout = layout;
    this.#from = layout.mmapBase;
  }

  /** A start for `length` bytes (page multiple), or -1. */
  find(length: number): number {
    const { mmapBase, minAddress, maxAddress } = this.#layout;
    const skips = length >= this.#fullFor && this.#from < mmapBase;
    let found = this.#topDown(length, skips ? this.#from : mmapBase, minAddress);
    // What was found earlier need not have been taken.
    if (found < 0 && skips) found = this.#topDown(length, mmapBase, minAddress);
    if (found >= 0) {
      this.#from = found;
      this.#fullFor = length;
      return found;
    }
    return this.#bottomUp(length, mmapBase, maxAddress);
  }

  /** MAP_32BIT: the second GiB. */
  findLow(length: number): number {
    return this.#bottomUp(length, LOW_START, LOW_END);
  }

  /** Addresses below `end` have become free. */
  noteFree(end: number): void {
    if (end > this.#from) {
      this.#from = this.#layout.mmapBase;
      this.#fullFor = Number.POSITIVE_INFINITY;
    }
  }

  /** [start, start+length) is free, and not in a stack's guard gap. */
  isFree(start: number, length: number): boolean {
    const items = this.#vmas.items;
    const i = this.#vmas.indexAbove(start);
    return i === items.length || guardedStart(items[i]) >= start + length;
  }

  #topDown(length: number, from: number, low: number): number {
    const items = this.#vmas.items;
    let end = from;
    for (let i = this.#vmas.indexAbove(from - 1); ; i--) {
      // items[i] is the first VMA that reaches above the gap; what is below it begins at items[i-1].end.
      if (i < items.length) end = Math.min(end, guardedStart(items[i]));
      const gapStart = i === 0 ? low : Math.max(low, items[i - 1].end);
      if (end - gapStart >= length) return end - length;
      if (i === 0 || gapStart === low) return -1;
    }
  }

  #bottomUp(length: number, low: number, high: number): number {
    const items = this.#vmas.items;
    let start = low;
    for (let i = this.#vmas.indexAbove(low); ; i++) {
      const end = i === items.length ? high : Math.min(high, guardedStart(items[i]));
      if (end - start >= length) return start;
      if (i === items.length || items[i].end >= high) return -1;
      start = Math.max(start, items[i].end);
    }
  }
}

function guardedStart(vma: Vma): number {
  return (vma.flags & VMA_GROWSDOWN) !== 0 ? vma.start - STACK_GUARD_BYTES : vma.start;
}
