// The few things of the host that the Sentry's core may ask for, as interfaces: implemented over
// src/host in src/sentry/loop, faked in unit tests. All calls are synchronous and return >= 0 or the
// host's -errno. None can open, connect or execute anything.

/** The one memory file: a memfd that the Sentry maps in windows. */
export interface HostMemory {
  readonly fd: number;
  /** Window i starts at i * windowBytes. */
  readonly windowBytes: number;
  /**
   * Grows the file as needed and maps window i: at most windowBytes, a multiple of 2 MiB; the same array every
   * time. Empty: the host has no more.
   */
  window(index: number): Uint8Array;
  /** Gives the pages back to the host (FALLOC_FL_PUNCH_HOLE); they read as zeros afterwards. */
  punch(offset: number, length: number): number;
  /** Bytes that the host has really committed (st_blocks). */
  committedBytes(): number;
}

/** Operations on descriptors that the Sentry already holds (donated files, stdio, the link). */
export interface HostFiles {
  read(fd: number, dst: Uint8Array, offset: number, length: number): number;
  write(fd: number, src: Uint8Array, offset: number, length: number): number;
  pread(fd: number, dst: Uint8Array, offset: number, length: number, position: number): number;
  pwrite(fd: number, src: Uint8Array, offset: number, length: number, position: number): number;
  /** POLL* bits ready now, without waiting. */
  poll(fd: number, mask: number): number;
  ftruncate(fd: number, length: number): number;
  fsync(fd: number): number;
  /** Size in bytes, or -errno. */
  size(fd: number): number;
  /** st_mode: what kind of file it is; or -errno. */
  mode(fd: number): number;
  /** whence: SEEK_*. The new position, or -errno (-ESPIPE). */
  seek(fd: number, offset: number, whence: number): number;
  close(fd: number): void;
}

/** Descriptors whose readiness wakes the loop. */
export interface HostPoller {
  /** mask: POLLIN | POLLOUT; level-triggered. The handler runs from the loop with the ready bits. */
  watch(fd: number, mask: number, handler: (ready: number) => void): void;
  modify(fd: number, mask: number): void;
  unwatch(fd: number): void;
}
