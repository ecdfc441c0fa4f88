// Memory that several address spaces share and that belongs to no file: MAP_SHARED|MAP_ANONYMOUS (shown as
// /dev/zero, as on Linux) and System V segments. Its pages live in the memory file and go with it.

import { EINVAL, EIO, ENOMEM } from "../../abi/errno.ts";
import type { Mappable, MappingObserver, MapRun } from "./mappable.ts";
import type { MemoryFile } from "./memory-file.ts";
import { alignDown, HUGE_BYTES, PAGE_BYTES, PAGE_MASK, pageDown } from "./page.ts";
import { type Range, RangeList } from "./range-list.ts";

interface Chunk extends Range {
  /** Offset of `start` in the memory file. */
  offset: number;
}

const TIGHT_BYTES = 16 * 1024;

export class SharedMemory implements Mappable {
  readonly length: number;
  readonly mapName: string;
  readonly mapDevice: number;
  readonly mapInode: number;

  readonly #memoryFile: MemoryFile;
  readonly #chunks = new RangeList<Chunk>();
  /** Address spaces that map it, and how many VMAs each. */
  readonly #observers = new Map<MappingObserver, number>();
  #refs = 1;

  /** length: page multiple. One reference for the caller. */
  constructor(memoryFile: MemoryFile, length: number, name: string, device: number, inode: number) {
    this.#memoryFile = memoryFile;
    this.length = length;
    this.mapName = name;
    this.mapDevice = device;
    this.mapInode = inode;
  }

  incRef(): void {
    this.#refs++;
  }
  decRef(): void {
    if (--this.#refs > 0) return;
    for (const chunk of this.#chunks.items) {
      this.#memoryFile.decRef(chunk.offset, chunk.end - chunk.start);
    }
    this.#chunks.items.length = 0;
  }
  /** VMAs that map it (shm_nattch). */
  get attachCount(): number {
    let sum = 0;
    for (const count of this.#observers.values()) sum += count;
    return sum;
  }

  get residentBytes(): number {
    let sum = 0;
    for (const chunk of this.#chunks.items) sum += chunk.end - chunk.start;
    return sum;
  }

  addMapping(observer: MappingObserver): void {
    this.#observers.set(observer, (this.#observers.get(observer) ?? 0) + 1);
  }
  removeMapping(observer: MappingObserver): void {
    const count = this.#observers.get(observer) ?? 0;
    if (count <= 1) this.#observers.delete(observer);
    else this.#observers.set(observer, count - 1);
  }

  mapRun(offset: number, length: number, _write: boolean, out: MapRun): number {
    if (offset < 0 || offset >= this.length) return -EIO;
    const chunk = this.#chunks.find(offset) ?? this.#fill(offset);
    if (chunk === null) return -ENOMEM;
    out.fd = this.#memoryFile.fd;
    out.offset = chunk.offset + (offset - chunk.start);
    out.length = Math.min(length, chunk.end - offset);
    out.inMemoryFile = true;
    return 0;
  }

  readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    const total = Math.min(length, this.length - offset);
    for (let done = 0; done < total; ) {
      const at = offset + done;
      const i = this.#chunks.indexAbove(at);
      const chunk = i < this.#chunks.items.length ? this.#chunks.items[i] : null;
      const to = dstOffset + done;
      if (chunk === null || chunk.start > at) {
        const n = Math.min(total - done, (chunk?.start ?? this.length) - at);
        dst.fill(0, to, to + n);
        done += n;
        continue;
      }
      const n = Math.min(total - done, chunk.end - at);
      const from = chunk.offset + (at - chunk.start);
      const index = this.#memoryFile.indexOf(from);
      dst.set(this.#memoryFile.bytesAt(from).subarray(index, index + n), to);
      done += n;
    }
    return Math.max(0, total);
  }

  writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    const total = Math.min(length, this.length - offset);
    let done = 0;
    while (done < total) {
      const at = offset + done;
      const chunk = this.#chunks.find(at) ?? this.#fill(pageDown(at));
      if (chunk === null) return done > 0 ? done : -ENOMEM;
      const n = Math.min(total - done, chunk.end - at);
      const to = chunk.offset + (at - chunk.start);
      this.#memoryFile
        .bytesAt(to)
        .set(src.subarray(srcOffset + done, srcOffset + done + n), this.#memoryFile.indexOf(to));
      done += n;
    }
    return Math.max(0, done);
  }

  /** madvise MADV_REMOVE. Mappings stay, so the pages are emptied where they are. */
  punchHole(offset: number, length: number): number {
    if (((offset | length) & PAGE_MASK) !== 0) return -EINVAL;
    const end = Math.min(this.length, offset + length);
    for (let i = this.#chunks.indexAbove(offset); i < this.#chunks.items.length; i++) {
      const chunk = this.#chunks.items[i];
      if (chunk.start >= end) break;
      const from = Math.max(offset, chunk.start);
      const to = Math.min(end, chunk.end);
      this.#memoryFile.discard(chunk.offset + (from - chunk.start), to - from);
    }
    return 0;
  }

  /** Allocates the pages around offset, where none are. */
  #fill(offset: number): Chunk | null {
    const unit = this.#memoryFile.isTight ? TIGHT_BYTES : HUGE_BYTES;
    const i = this.#chunks.indexAbove(offset);
    const items = this.#chunks.items;
    const unitStart = alignDown(offset, unit);
    const start = Math.max(unitStart, i > 0 ? items[i - 1].end : 0);
    const end = Math.min(
      unitStart + unit,
      this.length,
      i < items.length ? items[i].start : this.length,
    );
    const page = pageDown(offset);
    return this.#add(i, start, end) ?? this.#add(i, page, page + PAGE_BYTES);
  }

  #add(index: number, start: number, end: number): Chunk | null {
    const bytes = end - start;
    const offset = this.#memoryFile.allocate(bytes, bytes === HUGE_BYTES ? HUGE_BYTES : PAGE_BYTES);
    if (offset < 0) return null;
    const chunk = { start, end, offset };
    this.#chunks.insertAt(index, chunk);
    return chunk;
  }
}
