// A cursor over the memory that a read or write moves bytes to or from: a program's iovecs (mm/user-io.ts)
// or the kernel's own bytes (BytesIo). A file implementation never knows which.

import { EFAULT } from "../../abi/errno.ts";

export abstract class Io {
  /** Bytes not yet moved. */
  remaining = 0;

  /** From the file to the caller (read). Bytes moved, or -EFAULT if none; advances. */
  abstract copyOut(src: Uint8Array, srcOffset: number, length: number): number;
  /** From the caller to the file (write). Bytes moved, or -EFAULT if none; advances. */
  abstract copyIn(dst: Uint8Array, dstOffset: number, length: number): number;
  /**
   * The next contiguous piece, at most `length` bytes, in place: its length with spanBytes/spanOffset set,
   * 0 at the end, or -EFAULT. write: the file will store into it. Does not advance.
   */
  abstract span(length: number, write: boolean): number;
  abstract spanBytes: Uint8Array;
  abstract spanOffset: number;
  abstract advance(length: number): void;
  /** Fills with zeros. */
  abstract zeroOut(length: number): number;
}

/** A loop for what is tiny: a view and a call cost as much as some 64 bytes. */
function copyBytes(dst: Uint8Array, to: number, src: Uint8Array, from: number, n: number): void {
  if (n > 64) dst.set(src.subarray(from, from + n), to);
  else for (let i = 0; i < n; i++) dst[to + i] = src[from + i];
}

export class BytesIo extends Io {
  spanBytes: Uint8Array;
  spanOffset: number;

  constructor(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset) {
    super();
    this.spanBytes = bytes;
    this.spanOffset = offset;
    this.remaining = length;
  }

  copyOut(src: Uint8Array, srcOffset: number, length: number): number {
    const n = Math.min(length, this.remaining);
    if (n < 0) return -EFAULT;
    copyBytes(this.spanBytes, this.spanOffset, src, srcOffset, n);
    this.advance(n);
    return n;
  }
  copyIn(dst: Uint8Array, dstOffset: number, length: number): number {
    const n = Math.min(length, this.remaining);
    copyBytes(dst, dstOffset, this.spanBytes, this.spanOffset, n);
    this.advance(n);
    return n;
  }
  span(length: number, _write: boolean): number {
    return Math.min(length, this.remaining);
  }
  advance(length: number): void {
    this.spanOffset += length;
    this.remaining -= length;
  }
  zeroOut(length: number): number {
    const n = Math.min(length, this.remaining);
    this.spanBytes.fill(0, this.spanOffset, this.spanOffset + n);
    this.advance(n);
    return n;
  }
}
