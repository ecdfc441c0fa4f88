// The one memfd that holds all application memory, allocated by page runs with a reference count per page.

import type { HostMemory } from "../host.ts";

export const PAGE_BYTES = 4096;

/** PENDING: the full class is being written. */
export interface MemoryFile {
  readonly host: HostMemory;
  readonly fd: number;
  /**
   * Allocates `bytes` (page multiple) contiguous in one window, zeroed, with one reference each page;
   * `alignBytes` a power of two up to 2 MiB. Offset in the file, or -ENOMEM.
   */
  allocate(bytes: number, alignBytes: number): number;
  incRef(offset: number, bytes: number): void;
  /** Pages whose count reaches 0 are given back to the host. */
  decRef(offset: number, bytes: number): void;
  /** Greatest reference count of the page at offset. */
  refCount(offset: number): number;
  /** Window bytes for in-place access: array for `offset`, index = offset % host.windowBytes. */
  bytesAt(offset: number): Uint8Array;
  readonly allocatedBytes: number;
}
