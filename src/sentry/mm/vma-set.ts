// The VMAs of one address space, sorted: split, merge, and the sums that limits and /proc ask for.

import { PROT_EXEC, PROT_WRITE } from "../../abi/mman.ts";
import type { MappingObserver } from "./mappable.ts";
import { RangeList } from "./range-list.ts";
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_SHARED, type Vma } from "./vma.ts";

/** Between a stack that grows down and what is below it (Linux: stack_guard_gap, 256 pages). */
export const STACK_GUARD_BYTES = 256 * 4096;

export class VmaSet extends RangeList<Vma> {
  totalBytes = 0;
  /** Private and writable, stacks not counted: what RLIMIT_DATA limits. */
  dataBytes = 0;
  stackBytes = 0;
  textBytes = 0;
  sharedBytes = 0;
  lockedBytes = 0;

  readonly #observer: MappingObserver;

  constructor(observer: MappingObserver) {
    super();
    this.#observer = observer;
  }

  /** Adds and attaches; joins it with its neighbours where they fit. Returns the VMA it became part of. */
  add(vma: Vma): Vma {
    vma.attach(this.#observer);
    this.count(vma, 1);
    const i = this.indexAbove(vma.start);
    this.insertAt(i, vma);
    return this.mergeAt(i);
  }

  /** Joins items[i] with its neighbours where they fit. */
  mergeAt(i: number): Vma {
    let index = i;
    if (index > 0 && this.#join(index - 1)) index--;
    this.#join(index);
    return this.items[index];
  }

  /** Joins every pair that fits among the VMAs touching [start, end]. */
  mergeRange(start: number, end: number): void {
    let i = Math.max(0, this.indexAbove(start) - 1);
    while (i + 1 < this.items.length && this.items[i].end <= end) {
      if (!this.#join(i)) i++;
    }
  }

  /** Makes addr a border between VMAs. */
  splitAt(addr: number): void {
    const i = this.indexAbove(addr);
    if (i === this.items.length) return;
    const vma = this.items[i];
    if (vma.start >= addr) return;
    const low = vma.slice(vma.start, addr);
    const high = vma.slice(addr, vma.end);
    low.attach(this.#observer);
    high.attach(this.#observer);
    vma.detach(this.#observer);
    this.items[i] = low;
    this.insertAt(i + 1, high);
  }

  /** How many more VMAs there are after cutting [start, end) out of the middle of some. */
  extraForSplit(start: number, end: number): number {
    const first = this.find(start);
    const last = this.find(end);
    let extra = 0;
    if (first !== null && first.start < start) extra++;
    if (last !== null && last.start < end) extra++;
    return extra;
  }

  /** Precondition: start and end are borders (splitAt). */
  removeRange(start: number, end: number): void {
    const first = this.indexAbove(start);
    let last = first;
    while (last < this.items.length && this.items[last].start < end) {
      const vma = this.items[last++];
      this.count(vma, -1);
      vma.detach(this.#observer);
    }
    this.removeAt(first, last - first);
  }

  /** Moves a border of items[i]; the caller has seen that there is room. */
  resize(i: number, start: number, end: number): void {
    const old = this.items[i];
    const vma = old.slice(start, end);
    vma.attach(this.#observer);
    this.count(vma, 1);
    this.count(old, -1);
    old.detach(this.#observer);
    this.items[i] = vma;
  }

  /** Every byte of [start, end) is mapped. */
  covers(start: number, end: number): boolean {
    let at = start;
    for (let i = this.indexAbove(start); at < end; i++) {
      if (i === this.items.length || this.items[i].start > at) return false;
      at = this.items[i].end;
    }
    return true;
  }

  overlaps(start: number, end: number): boolean {
    const i = this.indexAbove(start);
    return i < this.items.length && this.items[i].start < end;
  }

  /** Bytes of [start, end) that are mapped. */
  mappedIn(start: number, end: number): number {
    let sum = 0;
    for (let i = this.indexAbove(start); i < this.items.length; i++) {
      const vma = this.items[i];
      if (vma.start >= end) break;
      sum += Math.min(end, vma.end) - Math.max(start, vma.start);
    }
    return sum;
  }

  /** Adds (sign 1) or takes away a VMA's part in the sums: around every change of its flags or prot. */
  count(vma: Vma, sign: number): void {
    const bytes = vma.length * sign;
    this.totalBytes += bytes;
    if ((vma.flags & VMA_LOCKED) !== 0) this.lockedBytes += bytes;
    if ((vma.flags & VMA_SHARED) !== 0) {
      this.sharedBytes += bytes;
    } else if ((vma.flags & VMA_GROWSDOWN) !== 0) {
      this.stackBytes += bytes;
    } else if ((vma.prot & PROT_WRITE) !== 0) {
      this.dataBytes += bytes;
    } else if ((vma.prot & PROT_EXEC) !== 0) {
      this.textBytes += bytes;
    }
  }

  #join(i: number): boolean {
    if (i + 1 >= this.items.length) return false;
    const low = this.items[i];
    const high = this.items[i + 1];
    if (!low.canMerge(high)) return false;
    const joined = low.slice(low.start, high.end);
    joined.attach(this.#observer);
    low.detach(this.#observer);
    high.detach(this.#observer);
    this.items[i] = joined;
    this.removeAt(i + 1, 1);
    return true;
  }
}
