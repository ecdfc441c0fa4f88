// An Io over a program's memory: one buffer (read, write) or iovecs (readv, writev, sendmsg...). Made once
// and set for each call; the iovecs are read once, so the program cannot change them under way.

import { EFAULT, EINVAL } from "../../abi/errno.ts";
import { Io } from "../vfs/io.ts";
import type { UserMemory } from "./user-memory.ts";

/** UIO_MAXIOV. */
export const IOV_MAX = 1024;
/** MAX_RW_COUNT: what one read or write moves at most (read(2), NOTES). */
export const RW_BYTES_MAX = 0x7fff_f000;
const IOVEC_BYTES = 16;
/** User addresses end below this (TASK_SIZE_MAX of x86-64). */
const TASK_END = 0x7fff_ffff_f000;

export class UserIo extends Io {
  spanBytes: Uint8Array = new Uint8Array(0);
  spanOffset = 0;

  #mm!: UserMemory;
  readonly #bases = new Float64Array(IOV_MAX);
  readonly #lengths = new Float64Array(IOV_MAX);
  #segment = 0;
  /** Bytes of the current segment that were moved. */
  #moved = 0;

  /** One buffer. Longer than RW_BYTES_MAX is cut, as Linux does. */
  set(mm: UserMemory, addr: number, length: number): void {
    this.#mm = mm;
    this.#bases[0] = addr;
    this.remaining = Math.min(length, RW_BYTES_MAX);
    this.#lengths[0] = this.remaining;
    this.#segment = 0;
    this.#moved = 0;
  }

  /** struct iovec[]: 0, -EINVAL or -EFAULT (readv(2)). `max`: the most that this call accepts. */
  setIovec(mm: UserMemory, iovAddr: number, iovCount: number, max: number = IOV_MAX): number {
    if (iovCount < 0 || iovCount > Math.min(max, IOV_MAX)) return -EINVAL;
    this.#mm = mm;
    this.#segment = 0;
    this.#moved = 0;
    this.remaining = 0;
    let total = 0;
    for (let i = 0; i < iovCount; i++) {
      const base = mm.readU64(iovAddr + i * IOVEC_BYTES);
      if (mm.faulted) return -EFAULT;
      const wanted = mm.readI64(iovAddr + i * IOVEC_BYTES + 8);
      if (mm.faulted) return -EFAULT;
      if (wanted < 0) return -EINVAL;
      if (base + wanted > TASK_END) return -EFAULT;
      const length = Math.min(wanted, RW_BYTES_MAX - total);
      this.#bases[i] = base;
      this.#lengths[i] = length;
      total += length;
    }
    this.remaining = total;
    return 0;
  }

  copyOut(src: Uint8Array, srcOffset: number, length: number): number {
    const total = Math.min(length, this.remaining);
    let done = 0;
    while (done < total) {
      const want = this.#piece(total - done);
      const n = this.#mm.copyOut(this.#address(), src, srcOffset + done, want);
      if (n < 0) return done > 0 ? done : n;
      this.#step(n);
      done += n;
      if (n < want) break;
    }
    return done;
  }

  copyIn(dst: Uint8Array, dstOffset: number, length: number): number {
    const total = Math.min(length, this.remaining);
    let done = 0;
    while (done < total) {
      const want = this.#piece(total - done);
      const n = this.#mm.copyIn(this.#address(), dst, dstOffset + done, want);
      if (n < 0) return done > 0 ? done : n;
      this.#step(n);
      done += n;
      if (n < want) break;
    }
    return done;
  }

  zeroOut(length: number): number {
    const total = Math.min(length, this.remaining);
    let done = 0;
    while (done < total) {
      const want = this.#piece(total - done);
      const n = this.#mm.zeroOut(this.#address(), want);
      if (n < 0) return done > 0 ? done : n;
      this.#step(n);
      done += n;
      if (n < want) break;
    }
    return done;
  }

  span(length: number, write: boolean): number {
    const total = Math.min(length, this.remaining);
    if (total <= 0) return 0;
    const n = this.#mm.span(this.#pieceAddress(), this.#piece(total), write);
    if (n < 0) return n;
    this.spanBytes = this.#mm.spanBytes;
    this.spanOffset = this.#mm.spanOffset;
    return n;
  }

  advance(length: number): void {
    this.#mm.spanWritten(length);
    this.skip(length);
  }

  /** Passes over bytes that an earlier run of the same call has moved. */
  skip(length: number): void {
    let left = Math.min(length, this.remaining);
    while (left > 0) {
      const n = this.#piece(left);
      this.#step(n);
      left -= n;
    }
  }

  /** Up to `length` bytes of the current segment, after skipping those that are used up or empty. */
  #piece(length: number): number {
    while (this.#moved >= this.#lengths[this.#segment]) {
      this.#segment++;
      this.#moved = 0;
    }
    return Math.min(length, this.#lengths[this.#segment] - this.#moved);
  }
  #address(): number {
    return this.#bases[this.#segment] + this.#moved;
  }
  #pieceAddress(): number {
    this.#piece(1);
    return this.#address();
  }
  #step(n: number): void {
    this.#moved += n;
    this.remaining -= n;
  }
}
