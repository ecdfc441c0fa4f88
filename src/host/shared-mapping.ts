// A file mapped where the bytes of a SharedArrayBuffer are. measured: what viewAt() shows counts, for V8, as
// memory of its own heap, and 1 GiB of it sets off a whole garbage collection (15 to 30 ms of a sandbox's
// start); a SharedArrayBuffer does not count. Copying out of one with TypedArray.set() is several times slower,
// though: for memory that is read and written word by word.

import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  munmap,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "./libc.ts";
import { addressOf, viewAt } from "./raw-syscall.ts";

const PAGE_BYTES = 4096;

export interface SharedMapping {
  address: number;
  words: Int32Array;
  bytes: Uint8Array;
  unmap: () => void;
}

/** length: a multiple of 4 KiB. -errno when the host gives no address space. */
export function mapShared(fd: number, length: number): SharedMapping | number {
  const prot = PROT_READ | PROT_WRITE;
  const flags = MAP_SHARED | MAP_NORESERVE;
  const under = reserve(length + PAGE_BYTES);
  if (under === null) {
    const address = mmap(0, length, prot, flags, fd, 0);
    if (address < 0) return address;
    const buffer = viewAt(address, length);
    const unmap = (): void => void munmap(address, length);
    return { address, words: new Int32Array(buffer), bytes: new Uint8Array(buffer), unmap };
  }
  const start = addressOf(new Uint8Array(under as unknown as ArrayBuffer));
  const offset = (PAGE_BYTES - (start % PAGE_BYTES)) % PAGE_BYTES;
  const address = mmap(start + offset, length, prot, flags | MAP_FIXED, fd, 0);
  if (address < 0) return address;
  return {
    address,
    words: new Int32Array(under, offset, length >>> 2),
    bytes: new Uint8Array(under, offset, length),
    // The addresses stay the buffer's own until it is collected.
    unmap: () => {
      const empty = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
      mmap(address, length, PROT_NONE, empty, -1, 0);
    },
  };
}

/** Null where the host commits memory when it is asked for (vm.overcommit_memory=2), and has no more. */
function reserve(length: number): SharedArrayBuffer | null {
  try {
    return new SharedArrayBuffer(length);
  } catch {
    return null;
  }
}
