// The bytes of one in-memory file: runs of pages in the memory file, sparse, growing in larger runs as the
// file grows. Reads and writes copy straight between the caller's memory and the pages, which shared
// mappings see too. Not here: positions, permissions, time stamps.

import { EFAULT, EIO, ENOMEM, ENOSPC } from "../../../abi/errno.ts";
import type { Mappable, MapRun } from "../../mm/mappable.ts";
import { type MemoryFile, PAGE_BYTES } from "../../mm/memory-file.ts";
import { BytesIo, type Io } from "../../vfs/io.ts";
import type { Quota } from "../../vfs/quota.ts";
import type { Mappings } from "./mappings.ts";

/** Most that one allocation of the memory file gives. */
const RUN_PAGES_MAX = 512;

/** Pages [page, page + count) of the file are at `offset` in the memory file, in one window. */
interface PageRun {
  page: number;
  count: number;
  offset: number;
}

export const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);

export class FilePages {
  size = 0;
  pageCount = 0;
  readonly #memory: MemoryFile;
  readonly #quota: Quota;
  readonly #mappings: Mappings;
  /** What the mappings know this file as. */
  readonly #mappable: Mappable;
  #runs: PageRun[] = [];
  /** Where the last search ended: sequential access finds its run at once. */
  #hint = 0;

  constructor(memory: MemoryFile, quota: Quota, mappings: Mappings, mappable: Mappable) {
    this.#memory = memory;
    this.#quota = quota;
    this.#mappings = mappings;
    this.#mappable = mappable;
  }

  /** Index of the run holding `page`, or of the first run after it. */
  #find(page: number): number {
    const runs = this.#runs;
    let i = this.#hint;
    if (i < runs.length && runs[i].page <= page) {
      if (page < runs[i].page + runs[i].count) return i;
      i++;
      if (i >= runs.length || page < runs[i].page) return i;
      if (page < runs[i].page + runs[i].count) return (this.#hint = i);
    }
    let low = 0;
    let high = runs.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (runs[mid].page + runs[mid].count <= page) low = mid + 1;
      else high = mid;
    }
    if (low < runs.length) this.#hint = low;
    return low;
  }

  /** Moves up to io.remaining bytes; 0 at the end of the file. */
  read(io: Io, offset: number): number {
    let done = 0;
    let left = Math.min(io.remaining, this.size - offset);
    while (left > 0) {
      const at = offset + done;
      const page = Math.floor(at / PAGE_BYTES);
      const i = this.#find(page);
      const run = i < this.#runs.length ? this.#runs[i] : null;
      let moved: number;
      let wanted: number;
      if (run !== null && run.page <= page) {
        const inRun = at - run.page * PAGE_BYTES;
        wanted = Math.min(left, run.count * PAGE_BYTES - inRun);
        const place = run.offset + inRun;
        moved = io.copyOut(this.#memory.bytesAt(place), this.#memory.indexOf(place), wanted);
      } else {
        const holeEnd = run === null ? this.size : run.page * PAGE_BYTES;
        wanted = Math.min(left, holeEnd - at);
        moved = io.zeroOut(wanted);
      }
      if (moved < 0) return done > 0 ? done : moved;
      done += moved;
      left -= moved;
      if (moved < wanted) break;
    }
    return done;
  }

  /** Moves io.remaining bytes in, growing the file: the count, or -ENOSPC or -EFAULT when none. */
  write(io: Io, offset: number): number {
    let done = 0;
    let failure = 0;
    while (io.remaining > 0) {
      const at = offset + done;
      const page = Math.floor(at / PAGE_BYTES);
      const end = at + io.remaining;
      let i = this.#find(page);
      if (i >= this.#runs.length || this.#runs[i].page > page) {
        i = this.#fill(page, pagesOf(end) - page, end > this.size);
        if (i < 0) {
          failure = i;
          break;
        }
      }
      const run = this.#runs[i];
      const inRun = at - run.page * PAGE_BYTES;
      const wanted = Math.min(io.remaining, run.count * PAGE_BYTES - inRun);
      const place = run.offset + inRun;
      const moved = io.copyIn(this.#memory.bytesAt(place), this.#memory.indexOf(place), wanted);
      if (moved < 0) {
        failure = -EFAULT;
        break;
      }
      done += moved;
      if (moved < wanted) break;
    }
    if (done > 0 && offset + done > this.size) this.size = offset + done;
    return done > 0 ? done : failure;
  }

  /** Fills the hole at `page` with up to `wanted` pages. Index of the run that now holds it, or -errno. */
  #fill(page: number, wanted: number, appending: boolean): number {
    const next = this.#find(page);
    const room = next < this.#runs.length ? this.#runs[next].page - page : RUN_PAGES_MAX;
    const needed = Math.min(wanted, room, RUN_PAGES_MAX);
    let count = needed;
    // A growing file takes about as much again as it has, so that a log of small writes has few runs.
    if (appending && next === this.#runs.length) {
      count = Math.min(Math.max(needed, this.pageCount), RUN_PAGES_MAX);
    }
    if (!this.#quota.takeBytes(count * PAGE_BYTES)) {
      count = needed;
      if (!this.#quota.takeBytes(count * PAGE_BYTES)) {
        count = 1;
        if (!this.#quota.takeBytes(PAGE_BYTES)) return -ENOSPC;
      }
    }
    const align = count === RUN_PAGES_MAX ? count * PAGE_BYTES : PAGE_BYTES;
    const offset = this.#memory.allocate(count * PAGE_BYTES, align);
    if (offset < 0) {
      this.#quota.giveBytes(count * PAGE_BYTES);
      return -ENOMEM;
    }
    this.pageCount += count;
    return this.#insert(next, { page, count, offset });
  }

  #insert(index: number, run: PageRun): number {
    const before = index > 0 ? this.#runs[index - 1] : null;
    if (
      before !== null &&
      before.page + before.count === run.page &&
      before.offset + before.count * PAGE_BYTES === run.offset &&
      this.#memory.indexOf(run.offset) !== 0
    ) {
      before.count += run.count;
      return index - 1;
    }
    this.#runs.splice(index, 0, run);
    return index;
  }

  truncate(length: number): void {
    const old = this.size;
    this.size = length;
    if (length >= old) return;
    this.#release(pagesOf(length), Number.POSITIVE_INFINITY);
    this.#zeroInPage(length, pagesOf(length) * PAGE_BYTES);
  }

  /** Gives back every page. */
  clear(): void {
    this.truncate(0);
    this.#release(0, Number.POSITIVE_INFINITY);
  }

  /** [offset, end) reads as zeros afterwards; whole pages go back. */
  punch(offset: number, end: number): void {
    const first = pagesOf(offset);
    const last = Math.floor(end / PAGE_BYTES);
    if (first > last) {
      this.#zeroInPage(offset, end);
      return;
    }
    this.#zeroInPage(offset, first * PAGE_BYTES);
    this.#release(first, last);
    this.#zeroInPage(last * PAGE_BYTES, end);
  }

  /** fallocate: pages for [offset, end) exist afterwards. 0 or -errno. */
  reserve(offset: number, end: number): number {
    let page = Math.floor(offset / PAGE_BYTES);
    const last = pagesOf(end);
    while (page < last) {
      let i = this.#find(page);
      if (i >= this.#runs.length || this.#runs[i].page > page) {
        i = this.#fill(page, last - page, false);
        if (i < 0) return i === -ENOMEM ? -ENOSPC : i;
      }
      page = this.#runs[i].page + this.#runs[i].count;
    }
    return 0;
  }

  #zeroInPage(from: number, to: number): void {
    if (from >= to) return;
    const page = Math.floor(from / PAGE_BYTES);
    const i = this.#find(page);
    if (i >= this.#runs.length || this.#runs[i].page > page) return;
    const place = this.#runs[i].offset + (from - this.#runs[i].page * PAGE_BYTES);
    const at = this.#memory.indexOf(place);
    this.#memory.bytesAt(place).fill(0, at, at + to - from);
  }

  /** Drops pages [first, last): mappings first, so that nobody sees them given to someone else. */
  #release(first: number, last: number): void {
    if (first >= last) return;
    if (!this.#mappings.isEmpty) {
      const end = last === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : last * PAGE_BYTES;
      this.#mappings.invalidate(this.#mappable, first * PAGE_BYTES, end - first * PAGE_BYTES);
    }
    const start = this.#find(first);
    const kept: PageRun[] = [];
    let i = start;
    for (; i < this.#runs.length && this.#runs[i].page < last; i++) {
      const run = this.#runs[i];
      const runEnd = run.page + run.count;
      const from = Math.max(first, run.page);
      const to = Math.min(last, runEnd);
      const cut = run.offset + (from - run.page) * PAGE_BYTES;
      this.#memory.decRef(cut, (to - from) * PAGE_BYTES);
      this.#quota.giveBytes((to - from) * PAGE_BYTES);
      this.pageCount -= to - from;
      if (from > run.page)
        kept.push({ page: run.page, count: from - run.page, offset: run.offset });
      if (to < runEnd) {
        kept.push({
          page: to,
          count: runEnd - to,
          offset: run.offset + (to - run.page) * PAGE_BYTES,
        });
      }
    }
    this.#runs.splice(start, i - start, ...kept);
    this.#hint = 0;
  }

  /** SEEK_DATA and SEEK_HOLE: the position, or -1 when there is no data after offset. */
  seekData(offset: number): number {
    const page = Math.floor(offset / PAGE_BYTES);
    const i = this.#find(page);
    if (i >= this.#runs.length) return -1;
    const at = Math.max(offset, this.#runs[i].page * PAGE_BYTES);
    return at < this.size ? at : -1;
  }
  seekHole(offset: number): number {
    let page = Math.floor(offset / PAGE_BYTES);
    for (let i = this.#find(page); i < this.#runs.length && this.#runs[i].page <= page; i++) {
      page = this.#runs[i].page + this.#runs[i].count;
    }
    return Math.min(this.size, Math.max(offset, page * PAGE_BYTES));
  }

  mapRun(offset: number, length: number, out: MapRun): number {
    const end = pagesOf(this.size) * PAGE_BYTES;
    if (offset >= end) return -EIO;
    const page = offset / PAGE_BYTES;
    const wanted = Math.min(length, end - offset);
    let i = this.#find(page);
    if (i >= this.#runs.length || this.#runs[i].page > page) {
      i = this.#fill(page, pagesOf(wanted), false);
      if (i < 0) return i;
    }
    const run = this.#runs[i];
    const inRun = offset - run.page * PAGE_BYTES;
    out.fd = this.#memory.fd;
    out.offset = run.offset + inRun;
    out.length = Math.min(wanted, run.count * PAGE_BYTES - inRun);
    out.inMemoryFile = true;
    return 0;
  }

  readBytes(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    return this.read(new BytesIo(dst, dstOffset, length), offset);
  }
  writeBytes(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    return this.write(new BytesIo(src, srcOffset, length), offset);
  }
}
