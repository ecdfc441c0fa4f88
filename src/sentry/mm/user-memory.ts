// What the rest of the kernel may do with a program's memory. Implemented by MemoryManager. Addresses
// are numbers (user space ends below 2^47). Nothing here throws for a bad address: counts come back short,
// or -EFAULT when not one byte could be moved. Missing pages are faulted in on the way.

import type { ByteString } from "../../base/bytes.ts";

export interface UserMemory {
  /** Copies from the program; returns bytes copied (short where memory ends), -EFAULT if none (and length > 0). */
  copyIn(addr: number, dst: Uint8Array, dstOffset: number, length: number): number;
  copyOut(addr: number, src: Uint8Array, srcOffset: number, length: number): number;
  zeroOut(addr: number, length: number): number;

  /**
   * The longest piece of [addr, addr+length) that lies in one stretch: returns its length and sets
   * spanBytes/spanOffset to where it is, so a device can read or write the program's bytes in place.
   * For file mappings a read span is a copy in a scratch buffer. -EFAULT if addr is not accessible so.
   * Valid until the next call of any method here.
   */
  span(addr: number, length: number, write: boolean): number;
  /**
   * After storing `length` bytes through a write span: makes them reach the program where the span could not
   * be in place (a shared mapping of a donated file). 0 or -EFAULT. UserIo does it in advance().
   */
  spanWritten(length: number): number;
  readonly spanBytes: Uint8Array;
  readonly spanOffset: number;

  /** NUL-terminated string of at most max-1 bytes: -EFAULT, or -ENAMETOOLONG when no NUL was found. */
  copyInString(addr: number, max: number): ByteString | number;

  /** Integers: on success faulted is false. On EFAULT faulted is true and the value 0. */
  readonly faulted: boolean;
  readU8(addr: number): number;
  readU16(addr: number): number;
  readI32(addr: number): number;
  readU32(addr: number): number;
  /** Exact below 2^53, rounded above. */
  readU64(addr: number): number;
  readI64(addr: number): number;
  /** 0 or -EFAULT. */
  writeU8(addr: number, value: number): number;
  writeU16(addr: number, value: number): number;
  writeU32(addr: number, value: number): number;
  writeU64(addr: number, value: number): number;
}
