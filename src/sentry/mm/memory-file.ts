// The one memfd that holds all application memory: page runs with a reference count per page, taken from
// windows of up to 1 GiB by a buddy allocator. What is freed goes back to the host at once by punching a hole; but
// for short runs zeroing in place costs less than a hole and the host's next page fault, so a few MiB of
// them are kept (dirty) for reuse. Every page that allocate() hands out reads as zeros.

import { ENOMEM } from "../../abi/errno.ts";
import { assert } from "../../base/assert.ts";
import type { HostMemory } from "../host.ts";
import type { ChangeFence } from "../platform/platform.ts";
import { Limbo } from "./limbo.ts";
import { HUGE_BYTES, PAGE_BYTES } from "./page.ts";
import { MAX_ORDER, PageWindow } from "./page-window.ts";

export { PAGE_BYTES } from "./page.ts";

/** Runs up to this long are kept dirty instead of punched, while fewer than DIRTY_BYTES_MAX are. */
const DIRTY_RUN_BYTES_MAX = 64 * 1024;
const DIRTY_BYTES_MAX = 8 * 1024 * 1024;
/** The file may be sparser than the limit on what is committed by this factor. */
const SPARSENESS_MAX = 64;
/** After the host was asked how much is committed, this many bytes are handed out before asking again. */
const COMMIT_CHECK_BYTES = 4 * 1024 * 1024;

export class MemoryFile {
  readonly host: HostMemory;
  readonly fd: number;
  readonly limitBytes: number;
  allocatedBytes = 0;
  dirtyBytes = 0;

  readonly #windowBytes: number;
  readonly #windowMask: number;
  readonly #windows: PageWindow[] = [];
  readonly #bytes: Uint8Array[] = [];
  readonly #words: Int32Array[] = [];
  readonly #limbo: Limbo;
  #commitBudget = 0;

  /** changes: of the platform that maps this file into programs. */
  constructor(host: HostMemory, limitBytes: number, changes: ChangeFence) {
    assert(
      (host.windowBytes & (host.windowBytes - 1)) === 0 && host.windowBytes >= HUGE_BYTES,
      "window size is a power of two of at least 2 MiB",
    );
    this.host = host;
    this.fd = host.fd;
    this.limitBytes = limitBytes;
    this.#windowBytes = host.windowBytes;
    this.#windowMask = host.windowBytes - 1;
    this.#limbo = new Limbo(changes, (offset, bytes) => this.#drop(offset, bytes));
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** More is allocated than may be committed: take small runs from now on. */
  get isTight(): boolean {
    return this.allocatedBytes + HUGE_BYTES > this.limitBytes;
  }

  /**
   * Allocates `bytes` (page multiple, at most 2 MiB) contiguous in one window, zeroed, with one reference
   * each page; alignBytes a power of two up to 2 MiB. Offset in the file, or -ENOMEM. zeroed false: the
   * caller overwrites all of it at once.
   */
  allocate(bytes: number, alignBytes: number, zeroed = true): number {
    const offset = this.#allocate(bytes, alignBytes, zeroed);
    if (offset >= 0 || !this.#limbo.empty()) return offset;
    return this.#allocate(bytes, alignBytes, zeroed);
  }
  #allocate(bytes: number, alignBytes: number, zeroed: boolean): number {
    if (bytes <= 0 || bytes > HUGE_BYTES || !this.#mayGrow(bytes)) return -ENOMEM;
    const count = bytes / PAGE_BYTES;
    const minOrder = alignBytes <= PAGE_BYTES ? 0 : 31 - Math.clz32(alignBytes / PAGE_BYTES);
    for (let i = 0; i <= this.#windows.length; i++) {
      if (i === this.#windows.length && !this.#addWindow()) return -ENOMEM;
      const window = this.#windows[i];
      if (window.freePages < count) continue;
      const page = window.take(count, Math.min(minOrder, MAX_ORDER));
      if (page < 0) continue;
      this.allocatedBytes += bytes;
      if (this.dirtyBytes > 0) this.#clean(i, page, count, zeroed);
      return i * this.#windowBytes + page * PAGE_BYTES;
    }
    return -ENOMEM;
  }

  /**
   * As allocate, but exactly at `offset`, so that a growing heap stays one run. -ENOMEM when that is
   * taken, or is the start of another window.
   */
  allocateAt(offset: number, bytes: number): number {
    const index = Math.floor(offset / this.#windowBytes);
    if (index >= this.#windows.length || (offset & this.#windowMask) === 0) return -ENOMEM;
    if (!this.#mayGrow(bytes)) return -ENOMEM;
    const page = this.#pageIn(offset);
    const count = bytes / PAGE_BYTES;
    if (!this.#windows[index].takeAt(page, count)) return -ENOMEM;
    this.allocatedBytes += bytes;
    if (this.dirtyBytes > 0) this.#clean(index, page, count, true);
    return offset;
  }

  incRef(offset: number, bytes: number): void {
    const refs = this.#windowAt(offset).refs;
    const first = this.#pageIn(offset);
    const end = first + bytes / PAGE_BYTES;
    for (let page = first; page < end; page++) {
      assert(refs[page] > 0, "a reference is added to a page in use");
      refs[page]++;
    }
  }

  /**
   * Pages whose count reaches 0 are given back, once no program can reach them any more. The range lies in
   * one window.
   */
  decRef(offset: number, bytes: number): void {
    if (this.#limbo.mustWait) this.#limbo.add(offset, bytes);
    else this.#drop(offset, bytes);
  }
  #drop(offset: number, bytes: number): void {
    const window = this.#windowAt(offset);
    const refs = window.refs;
    const first = this.#pageIn(offset);
    const end = first + bytes / PAGE_BYTES;
    let runStart = -1;
    for (let page = first; page < end; page++) {
      assert(refs[page] > 0, "a reference is dropped from a page in use");
      const isFree = --refs[page] === 0;
      if (isFree && runStart < 0) runStart = page;
      if (!isFree && runStart >= 0) {
        this.#free(window, offset, first, runStart, page);
        runStart = -1;
      }
    }
    if (runStart >= 0) this.#free(window, offset, first, runStart, end);
  }

  refCount(offset: number): number {
    return this.#windowAt(offset).refs[this.#pageIn(offset)];
  }

  /**
   * From the page at offset, how many bytes (at most `bytes`) belong to pages that are all referred to
   * once (sole: true), or all more than once.
   */
  sameSharing(offset: number, bytes: number, sole: boolean): number {
    const refs = this.#windowAt(offset).refs;
    const first = this.#pageIn(offset);
    const end = first + bytes / PAGE_BYTES;
    let page = first;
    while (page < end && (refs[page] === 1) === sole) page++;
    return (page - first) * PAGE_BYTES;
  }

  /** As sameSharing, for the pages before offset. */
  sameSharingBefore(offset: number, bytes: number, sole: boolean): number {
    const refs = this.#windowAt(offset).refs;
    const first = this.#pageIn(offset);
    const end = first - bytes / PAGE_BYTES;
    let page = first;
    while (page > end && (refs[page - 1] === 1) === sole) page--;
    return (first - page) * PAGE_BYTES;
  }

  /** Copies pages; source and target do not overlap, each lies in one window. */
  copy(from: number, to: number, bytes: number): void {
    const source = this.indexOf(from);
    this.bytesAt(to).set(this.bytesAt(from).subarray(source, source + bytes), this.indexOf(to));
  }

  /** Empties pages that stay allocated: they read as zeros, and the host has its memory back. */
  discard(offset: number, bytes: number): void {
    const result = this.host.punch(offset, bytes);
    if (result < 0) {
      const at = offset & this.#windowMask;
      this.bytesAt(offset).fill(0, at, at + bytes);
    }
  }

  /** Window bytes for in-place access: array for `offset`, index = offset % windowBytes. */
  bytesAt(offset: number): Uint8Array {
    return this.#bytes[Math.floor(offset / this.#windowBytes)];
  }
  /** The same window as 32-bit words, for single (and atomic) loads and stores. */
  wordsAt(offset: number): Int32Array {
    return this.#words[Math.floor(offset / this.#windowBytes)];
  }
  /** Index of offset in bytesAt(offset). */
  indexOf(offset: number): number {
    return offset & this.#windowMask;
  }
  /** Bytes from offset to the end of its window: no run goes past it. */
  windowRest(offset: number): number {
    return this.bytesAt(offset).length - (offset & this.#windowMask);
  }

  #windowAt(offset: number): PageWindow {
    return this.#windows[Math.floor(offset / this.#windowBytes)];
  }
  #pageIn(offset: number): number {
    return (offset & this.#windowMask) / PAGE_BYTES;
  }

  /** The limit is on committed memory; allocated runs are the cheap upper bound that is looked at first. */
  #mayGrow(bytes: number): boolean {
    if (this.allocatedBytes + bytes <= this.limitBytes) return true;
    if (this.#commitBudget < bytes) {
      const committed = this.host.committedBytes();
      const rest = this.limitBytes - committed - bytes;
      if (committed < 0 || rest < 0) return false;
      this.#commitBudget = Math.min(COMMIT_CHECK_BYTES, rest) + bytes;
    }
    this.#commitBudget -= bytes;
    return true;
  }

  #addWindow(): boolean {
    const index = this.#windows.length;
    if (index * this.#windowBytes >= this.limitBytes * SPARSENESS_MAX) return false;
    const bytes = this.host.window(index);
    if (bytes.length === 0) return false;
    this.#bytes.push(bytes);
    this.#words.push(new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2));
    this.#windows.push(new PageWindow(bytes.length / PAGE_BYTES));
    return true;
  }

  #clean(index: number, page: number, count: number, zero: boolean): void {
    const dirty = this.#windows[index].dirty;
    const end = page + count;
    for (let p = page; p < end; p++) {
      if (dirty[p] === 0) continue;
      dirty[p] = 0;
      this.dirtyBytes -= PAGE_BYTES;
      if (zero) this.#bytes[index].fill(0, p * PAGE_BYTES, (p + 1) * PAGE_BYTES);
    }
  }

  #free(window: PageWindow, offset: number, first: number, from: number, to: number): void {
    const bytes = (to - from) * PAGE_BYTES;
    const start = offset + (from - first) * PAGE_BYTES;
    this.allocatedBytes -= bytes;
    const keep = bytes <= DIRTY_RUN_BYTES_MAX && this.dirtyBytes + bytes <= DIRTY_BYTES_MAX;
    // A punch that the host refuses leaves the old bytes: they must be zeroed before reuse.
    if (keep || this.host.punch(start, bytes) < 0) {
      window.dirty.fill(1, from, to);
      this.dirtyBytes += bytes;
    }
    window.giveBack(from, to - from);
  }
}
