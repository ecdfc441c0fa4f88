// A served file as something to map: the donated descriptor itself. A mapping holds one use of it.

import { EACCES, EIO } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Mappable, MappingObserver, MapRun } from "../../mm/mappable.ts";
import type { GoferInode } from "./gofer-inode.ts";

const PAGE_BYTES = 4096;

interface Mapping {
  observer: MappingObserver;
  offset: number;
  length: number;
  writable: boolean;
}

export class GoferMappable implements Mappable {
  readonly #inode: GoferInode;
  #mappings: Mapping[] = [];

  constructor(inode: GoferInode) {
    this.#inode = inode;
  }

  mapRun(offset: number, length: number, write: boolean, out: MapRun): number {
    const inode = this.#inode;
    const fd = write ? inode.donated.writeFd : inode.donated.fd;
    if (fd < 0) return -EACCES;
    const end = Math.ceil(inode.donated.currentSize() / PAGE_BYTES) * PAGE_BYTES;
    if (offset >= end) return -EIO;
    out.fd = fd;
    out.offset = offset;
    out.length = Math.min(length, end - offset);
    out.inMemoryFile = false;
    return 0;
  }

  readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    return this.#inode.fs.files.pread(this.#inode.donated.fd, dst, dstOffset, length, offset);
  }
  writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    const fd = this.#inode.donated.writeFd;
    if (fd < 0) return -EACCES;
    return this.#inode.fs.files.pwrite(fd, src, srcOffset, length, offset);
  }

  addMapping(observer: MappingObserver, offset: number, length: number, writable: boolean): void {
    this.#mappings.push({ observer, offset, length, writable });
  }
  removeMapping(
    observer: MappingObserver,
    offset: number,
    length: number,
    writable: boolean,
  ): void {
    const i = this.#mappings.findIndex(
      (m) =>
        m.observer === observer &&
        m.offset === offset &&
        m.length === length &&
        m.writable === writable,
    );
    if (i >= 0) this.#mappings.splice(i, 1);
  }

  /** The file ends at `size` now: pages past it are taken from who maps them. */
  invalidateFrom(size: number): void {
    const from = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
    for (const m of [...this.#mappings]) {
      if (m.offset + m.length <= from) continue;
      const start = Math.max(from, m.offset);
      m.observer.invalidate(this, start, m.offset + m.length - start);
    }
  }

  incRef(): void {
    // The descriptor is open: whoever maps holds an open file or another reference.
    this.#inode.donated.acquire(false);
  }
  decRef(): void {
    this.#inode.donated.unuse();
  }

  get mapName(): ByteString {
    return this.#inode.displayPath;
  }
  get mapDevice(): number {
    return this.#inode.fileSystem.dev;
  }
  get mapInode(): number {
    return this.#inode.ino;
  }
}
