// What a VMA can map besides anonymous memory. Defined by mm, implemented by files (a donated host
// descriptor, tmpfs pages in the memory file, a shared anonymous object).

/** A contiguous piece of a host descriptor that stands for a piece of the file. */
export interface MapRun {
  /** Host descriptor to map: the memory file's, or a donated one. */
  fd: number;
  offset: number;
  length: number;
  /** The bytes are in the memory file, at `offset`: the Sentry reads and writes them in place. */
  inMemoryFile: boolean;
}

/** An address space that has mapped some of a Mappable. */
export interface MappingObserver {
  /** The bytes behind [offset, offset+length) moved or went away (truncate, hole, copy-up): unmap, refault. */
  invalidate(mappable: Mappable, offset: number, length: number): void;
}

export interface Mappable {
  /**
   * Finds where the file's bytes from `offset` (page aligned) live, up to `length` bytes in one run (at
   * least one page). write: a shared writable mapping, so holes are filled and copy-up happens. 0 or
   * -errno; -EIO past the end of the file (SIGBUS).
   */
  mapRun(offset: number, length: number, write: boolean, out: MapRun): number;
  /** Reads for copies (private write faults, copyIn): bytes read, 0 at or past the end, or -errno. */
  readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number;
  writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number;
  /** Page-aligned ranges; `writable`: shared and may write (counts for ETXTBSY, seals, write-back). */
  addMapping(observer: MappingObserver, offset: number, length: number, writable: boolean): void;
  removeMapping(observer: MappingObserver, offset: number, length: number, writable: boolean): void;
  /** Empties a page-aligned range (madvise MADV_REMOVE); absent: the file cannot. 0 or -errno. */
  punchHole?(offset: number, length: number): number;
  /** msync: writes a range back to where it is stored; absent: nothing to do. 0 or -errno. */
  syncRange?(offset: number, length: number): number;
  /** References held by VMAs. */
  incRef(): void;
  decRef(): void;
  /** For /proc/PID/maps. */
  readonly mapName: string;
  readonly mapDevice: number;
  readonly mapInode: number;
}
