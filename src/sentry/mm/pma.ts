// PMAs: what really backs a stretch of addresses now. A PMA is a run of bytes of a host descriptor (the
// memory file, or a donated file); it exists once the memory has been touched or mapped eagerly. The
// platform's mappings are a cache of the PMAs: a PMA that is `mapped` has exactly `prot` there.

import { assert } from "../../base/assert.ts";
import type { MemoryFile } from "./memory-file.ts";
import { RangeList } from "./range-list.ts";

export class Pma {
  start: number;
  end: number;
  fd: number;
  /** Offset of `start` in fd. */
  offset: number;
  /** The bytes are in the memory file: the kernel reads and writes them in place. */
  inMemoryFile: boolean;
  /** Private memory: one reference of each page is ours. Otherwise a translation of the VMA's Mappable. */
  owned: boolean;
  /** Owned, but pages may be shared with a forked address space: copy before writing. */
  cow: boolean;
  /** Not owned: obtained from Mappable.mapRun for writing. */
  writable: boolean;
  /** What may be done with it now: the VMA's protection, without writing where a write needs work first. */
  prot = 0;
  mapped = false;

  constructor(
    start: number,
    end: number,
    fd: number,
    offset: number,
    inMemoryFile: boolean,
    owned: boolean,
    cow: boolean,
    writable: boolean,
  ) {
    this.start = start;
    this.end = end;
    this.fd = fd;
    this.offset = offset;
    this.inMemoryFile = inMemoryFile;
    this.owned = owned;
    this.cow = cow;
    this.writable = writable;
  }

  get length(): number {
    return this.end - this.start;
  }

  /** Protection that a VMA with `vmaProt` allows on this PMA. */
  protFor(vmaProt: number): number {
    const mayWrite = this.owned ? !this.cow : this.writable;
    return mayWrite ? vmaProt : vmaProt & ~2;
  }

  slice(start: number, end: number): Pma {
    const copy = new Pma(
      start,
      end,
      this.fd,
      this.offset + (start - this.start),
      this.inMemoryFile,
      this.owned,
      this.cow,
      this.writable,
    );
    copy.prot = this.prot;
    copy.mapped = this.mapped;
    return copy;
  }

  canMerge(next: Pma): boolean {
    return (
      this.end === next.start &&
      this.fd === next.fd &&
      this.offset + this.length === next.offset &&
      this.owned === next.owned &&
      this.cow === next.cow &&
      this.writable === next.writable &&
      this.inMemoryFile === next.inMemoryFile &&
      this.prot === next.prot &&
      this.mapped === next.mapped
    );
  }
}

export class PmaSet extends RangeList<Pma> {
  /** Counts changes: whoever remembers a PMA must look again when it moves. */
  version = 0;
  residentBytes = 0;
  ownedBytes = 0;

  readonly #memoryFile: MemoryFile;

  constructor(memoryFile: MemoryFile) {
    super();
    this.#memoryFile = memoryFile;
  }

  add(pma: Pma): Pma {
    this.version++;
    this.#count(pma, 1);
    const i = this.indexAbove(pma.start);
    assert(
      i === this.items.length || this.items[i].start >= pma.end,
      "a PMA is added where none is",
    );
    this.insertAt(i, pma);
    return this.mergeAt(i);
  }

  mergeAt(i: number): Pma {
    let index = i;
    if (index > 0 && this.#join(index - 1)) index--;
    this.#join(index);
    return this.items[index];
  }

  /** Makes addr a border between PMAs. */
  splitAt(addr: number): void {
    const i = this.indexAbove(addr);
    if (i === this.items.length) return;
    const pma = this.items[i];
    if (pma.start >= addr) return;
    this.version++;
    this.insertAt(i + 1, pma.slice(addr, pma.end));
    pma.end = addr;
  }

  /** Splits at both ends; index of the first PMA at or above start. */
  isolate(start: number, end: number): number {
    this.splitAt(start);
    this.splitAt(end);
    return this.indexAbove(start);
  }

  /** Some of [start, end) is mapped in the platform. */
  anyMapped(start: number, end: number): boolean {
    for (let i = this.indexAbove(start); i < this.items.length; i++) {
      const pma = this.items[i];
      if (pma.start >= end) return false;
      if (pma.mapped) return true;
    }
    return false;
  }

  /** Some of [start, end) is private memory. */
  anyOwned(start: number, end: number): boolean {
    for (let i = this.indexAbove(start); i < this.items.length; i++) {
      const pma = this.items[i];
      if (pma.start >= end) return false;
      if (pma.owned) return true;
    }
    return false;
  }

  /**
   * Forgets the PMAs of [start, end) and gives their pages back. Precondition: the platform maps nothing
   * there any more.
   */
  removeRange(start: number, end: number): void {
    const first = this.isolate(start, end);
    this.version++;
    let last = first;
    while (last < this.items.length && this.items[last].start < end) {
      const pma = this.items[last++];
      this.#count(pma, -1);
      if (pma.owned) this.#memoryFile.decRef(pma.offset, pma.length);
    }
    this.removeAt(first, last - first);
  }

  /** Takes the PMAs of [start, end) out, references and all. */
  extract(start: number, end: number): Pma[] {
    const first = this.isolate(start, end);
    this.version++;
    let last = first;
    while (last < this.items.length && this.items[last].start < end) {
      this.#count(this.items[last++], -1);
    }
    return this.items.splice(first, last - first);
  }

  /** Start of the first PMA at or above addr (Infinity: none). */
  nextStart(addr: number): number {
    const i = this.indexAbove(addr);
    return i === this.items.length ? Number.POSITIVE_INFINITY : this.items[i].start;
  }
  /** End of the last PMA that ends at or below addr (0: none). */
  previousEnd(addr: number): number {
    const i = this.indexAbove(addr);
    return i === 0 ? 0 : this.items[i - 1].end;
  }

  #count(pma: Pma, sign: number): void {
    const bytes = pma.length * sign;
    this.residentBytes += bytes;
    if (pma.owned) this.ownedBytes += bytes;
  }

  #join(i: number): boolean {
    if (i + 1 >= this.items.length) return false;
    const low = this.items[i];
    const high = this.items[i + 1];
    if (!low.canMerge(high)) return false;
    // A run never leaves its window of the memory file: the kernel reads it in place through one array.
    if (low.inMemoryFile && this.#memoryFile.windowRest(low.offset) < high.end - low.start)
      return false;
    this.version++;
    low.end = high.end;
    this.removeAt(i + 1, 1);
    return true;
  }
}
