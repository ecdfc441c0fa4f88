// Descriptors of a process: small ints to file descriptions, with close-on-exec. Shared with CLONE_FILES.

import type { FileDescription } from "./file-description.ts";

/** PENDING: the full class is being written. */
export interface FdTable {
  /** undefined: EBADF. O_PATH descriptions are returned too: the caller checks. */
  get(fd: number): FileDescription | undefined;
  /** Lowest free descriptor >= min; takes over one reference. -EMFILE at `limit`. */
  add(file: FileDescription, closeOnExec: boolean, min: number, limit: number): number;
  incRef(): void;
  decRef(): void;
}
