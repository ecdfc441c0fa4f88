// Access from the kernel to a program's memory (UserMemory), over the windows of the memory file. The run
// that was used last is remembered: most accesses are a compare and a typed-array load. Pages of donated
// files are not in any window: those go through Mappable.readAt and writeAt and a scratch buffer.

import { EFAULT, ENAMETOOLONG } from "../../abi/errno.ts";
import { PROT_WRITE } from "../../abi/mman.ts";
import {
  type ByteString,
  byteString,
  setU16Le,
  setU32Le,
  setU64Le,
  u16Le,
  u32Le,
} from "../../base/bytes.ts";
import type { MemoryFile } from "./memory-file.ts";
import { PAGE_BYTES, PAGE_MASK } from "./page.ts";
import { type Pma, PmaSet } from "./pma.ts";
import type { UserMemory } from "./user-memory.ts";
import type { VmaSet } from "./vma-set.ts";

/** Any protection lets the kernel read (x86-64 has no write-only or execute-only pages). */
const READ = 7;
const WRITE = PROT_WRITE;

const NOWHERE = 0;
const IN_PLACE = 1;
const OUTSIDE = 2;

const SCRATCH_BYTES = 64 * 1024;
/** Of whichever address space made a span last: one at a time is in use. */
const scratch = new Uint8Array(SCRATCH_BYTES);
/** Below this a loop beats the making of a subarray. */
const LOOP_BYTES = 16;

function move(src: Uint8Array, from: number, dst: Uint8Array, to: number, length: number): void {
  if (length <= LOOP_BYTES) for (let i = 0; i < length; i++) dst[to + i] = src[from + i];
  else dst.set(src.subarray(from, from + length), to);
}

export abstract class UserAccess implements UserMemory {
  readonly memoryFile: MemoryFile;
  readonly pmas: PmaSet;
  abstract readonly vmas: VmaSet;

  faulted = false;
  spanBytes: Uint8Array;
  spanOffset = 0;

  // The run that was used last: [#start, #end) is at #bytes[#index...]; void when pmas.version moved on.
  #version = -1;
  #start = 0;
  #end = 0;
  #prot = 0;
  #index = 0;
  #bytes: Uint8Array;
  #words: Int32Array;

  readonly #small = new Uint8Array(8);
  /** Address that the scratch buffer of a write span stands for; -1: none. */
  #spanAddr = -1;

  constructor(memoryFile: MemoryFile) {
    this.memoryFile = memoryFile;
    this.pmas = new PmaSet(memoryFile);
    this.#bytes = this.#small;
    this.#words = new Int32Array(2);
    this.spanBytes = this.#small;
  }

  /** Faults in the page at addr as an access by the program would. Null: the access is not allowed. */
  protected abstract resolve(addr: number, write: boolean): Pma | null;

  copyIn(addr: number, dst: Uint8Array, dstOffset: number, length: number): number {
    let done = 0;
    while (done < length) {
      const at = addr + done;
      const where = this.#locate(at, READ);
      let n: number;
      if (where === IN_PLACE) {
        n = Math.min(length - done, this.#end - at);
        move(this.#bytes, this.#index + (at - this.#start), dst, dstOffset + done, n);
      } else {
        if (where === NOWHERE) break;
        n = this.#readOutside(at, dst, dstOffset + done, length - done);
        if (n <= 0) break;
      }
      done += n;
    }
    return done === 0 && length > 0 ? -EFAULT : done;
  }

  copyOut(addr: number, src: Uint8Array, srcOffset: number, length: number): number {
    let done = 0;
    while (done < length) {
      const at = addr + done;
      const where = this.#locate(at, WRITE);
      let n: number;
      if (where === IN_PLACE) {
        n = Math.min(length - done, this.#end - at);
        move(src, srcOffset + done, this.#bytes, this.#index + (at - this.#start), n);
      } else {
        if (where === NOWHERE) break;
        n = this.#writeOutside(at, src, srcOffset + done, length - done);
        if (n <= 0) break;
      }
      done += n;
    }
    return done === 0 && length > 0 ? -EFAULT : done;
  }

  zeroOut(addr: number, length: number): number {
    let done = 0;
    while (done < length) {
      const at = addr + done;
      const where = this.#locate(at, WRITE);
      let n: number;
      if (where === IN_PLACE) {
        n = Math.min(length - done, this.#end - at);
        const from = this.#index + (at - this.#start);
        this.#bytes.fill(0, from, from + n);
      } else {
        if (where === NOWHERE) break;
        n = Math.min(length - done, PAGE_BYTES);
        n = this.#writeOutside(at, new Uint8Array(n), 0, n);
        if (n <= 0) break;
      }
      done += n;
    }
    return done === 0 && length > 0 ? -EFAULT : done;
  }

  span(addr: number, length: number, write: boolean): number {
    this.#spanAddr = -1;
    if (length <= 0) return 0;
    const where = this.#locate(addr, write ? WRITE : READ);
    if (where === IN_PLACE) {
      this.spanBytes = this.#bytes;
      this.spanOffset = this.#index + (addr - this.#start);
      return Math.min(length, this.#end - addr);
    }
    if (where === NOWHERE) return -EFAULT;
    this.spanBytes = scratch;
    this.spanOffset = 0;
    const max = write ? PAGE_BYTES - (addr & PAGE_MASK) : SCRATCH_BYTES;
    const n = this.#readOutside(addr, scratch, 0, Math.min(length, max));
    if (n <= 0) return -EFAULT;
    if (write) this.#spanAddr = addr;
    return n;
  }

  spanWritten(length: number): number {
    const addr = this.#spanAddr;
    if (addr < 0) return 0;
    this.#spanAddr = -1;
    return this.#writeOutside(addr, scratch, 0, length) < 0 ? -EFAULT : 0;
  }

  copyInString(addr: number, max: number): ByteString | number {
    let text = "";
    let done = 0;
    while (done < max) {
      const n = this.span(addr + done, max - done, false);
      if (n <= 0) return -EFAULT;
      const bytes = this.spanBytes;
      const from = this.spanOffset;
      let i = 0;
      while (i < n && bytes[from + i] !== 0) i++;
      text += byteString(bytes, from, i);
      if (i < n) return text;
      done += n;
    }
    return -ENAMETOOLONG;
  }

  readU8(addr: number): number {
    if (!this.#at(addr, 1, READ)) return this.#readSlow(addr, 1);
    return this.#bytes[this.#index + (addr - this.#start)];
  }
  readU16(addr: number): number {
    if (!this.#at(addr, 2, READ)) return this.#readSlow(addr, 2);
    return u16Le(this.#bytes, this.#index + (addr - this.#start));
  }
  readI32(addr: number): number {
    return this.readU32(addr) | 0;
  }
  readU32(addr: number): number {
    if (!this.#at(addr, 4, READ)) return this.#readSlow(addr, 4);
    const i = this.#index + (addr - this.#start);
    // One load, not four: another thread of the program may be storing it right now (futex words).
    if ((i & 3) === 0) return this.#words[i >>> 2] >>> 0;
    return u32Le(this.#bytes, i);
  }
  readU64(addr: number): number {
    const low = this.readU32(addr);
    if (this.faulted) return 0;
    const high = this.readU32(addr + 4);
    return this.faulted ? 0 : low + high * 0x1_0000_0000;
  }
  readI64(addr: number): number {
    const low = this.readU32(addr);
    if (this.faulted) return 0;
    const high = this.readU32(addr + 4);
    return this.faulted ? 0 : low + (high | 0) * 0x1_0000_0000;
  }

  writeU8(addr: number, value: number): number {
    if (!this.#at(addr, 1, WRITE)) {
      this.#small[0] = value;
      return this.#writeSlow(addr, 1);
    }
    this.#bytes[this.#index + (addr - this.#start)] = value;
    return 0;
  }
  writeU16(addr: number, value: number): number {
    if (!this.#at(addr, 2, WRITE)) {
      setU16Le(this.#small, 0, value);
      return this.#writeSlow(addr, 2);
    }
    setU16Le(this.#bytes, this.#index + (addr - this.#start), value);
    return 0;
  }
  writeU32(addr: number, value: number): number {
    if (!this.#at(addr, 4, WRITE)) {
      setU32Le(this.#small, 0, value);
      return this.#writeSlow(addr, 4);
    }
    const i = this.#index + (addr - this.#start);
    if ((i & 3) === 0) this.#words[i >>> 2] = value;
    else setU32Le(this.#bytes, i, value);
    return 0;
  }
  writeU64(addr: number, value: number): number {
    if (!this.#at(addr, 8, WRITE)) {
      setU64Le(this.#small, 0, value);
      return this.#writeSlow(addr, 8);
    }
    setU64Le(this.#bytes, this.#index + (addr - this.#start), value);
    return 0;
  }

  compareExchangeU32(addr: number, expected: number, value: number): number {
    this.faulted = (addr & 3) !== 0;
    if (this.faulted) return 0;
    const where = this.#locate(addr, WRITE);
    if (where === IN_PLACE) {
      const i = (this.#index + (addr - this.#start)) >>> 2;
      return Atomics.compareExchange(this.#words, i, expected | 0, value | 0) >>> 0;
    }
    // A page of a donated file: no atomic access from here; the program's own threads may race with this.
    const held = this.readU32(addr);
    if (!this.faulted && held === expected >>> 0) this.faulted = this.writeU32(addr, value) < 0;
    return this.faulted ? 0 : held;
  }

  /** The remembered run holds [addr, addr+length) with one of the `need` protections, or is made to. */
  #at(addr: number, length: number, need: number): boolean {
    this.faulted = false;
    if (
      this.#version === this.pmas.version &&
      addr >= this.#start &&
      addr + length <= this.#end &&
      (this.#prot & need) !== 0
    ) {
      return true;
    }
    return this.#locate(addr, need) === IN_PLACE && addr + length <= this.#end;
  }

  /** Finds where addr is, faulting it in. IN_PLACE: the remembered run holds it. */
  #locate(addr: number, need: number): number {
    if (
      this.#version === this.pmas.version &&
      addr >= this.#start &&
      addr < this.#end &&
      (this.#prot & need) !== 0
    ) {
      return IN_PLACE;
    }
    let pma = this.pmas.find(addr);
    if (pma === null || (pma.prot & need) === 0) {
      pma = this.resolve(addr, need === WRITE);
      if (pma === null) return NOWHERE;
    }
    if (!pma.inMemoryFile) return OUTSIDE;
    this.#version = this.pmas.version;
    this.#start = pma.start;
    this.#end = pma.end;
    this.#prot = pma.prot;
    this.#bytes = this.memoryFile.bytesAt(pma.offset);
    this.#words = this.memoryFile.wordsAt(pma.offset);
    this.#index = this.memoryFile.indexOf(pma.offset);
    return IN_PLACE;
  }

  #readSlow(addr: number, length: number): number {
    const small = this.#small;
    small.fill(0);
    if (this.copyIn(addr, small, 0, length) !== length) {
      this.faulted = true;
      return 0;
    }
    return u32Le(small, 0);
  }

  #writeSlow(addr: number, length: number): number {
    return this.copyOut(addr, this.#small, 0, length) === length ? 0 : -EFAULT;
  }

  /** Reads mapped bytes of a donated file: at least one, at most `length`, or -EFAULT. */
  #readOutside(addr: number, dst: Uint8Array, dstOffset: number, length: number): number {
    const vma = this.vmas.find(addr);
    const pma = this.pmas.find(addr);
    if (vma === null || pma === null || vma.mappable === null) return -EFAULT;
    const max = Math.min(length, Math.min(vma.end, pma.end) - addr);
    const n = vma.mappable.readAt(vma.offset + (addr - vma.start), dst, dstOffset, max);
    if (n !== 0) return n < 0 ? -EFAULT : n;
    // The rest of the file's last page reads as zeros; whole pages past the end are not there.
    const rest = Math.min(max, PAGE_BYTES - (addr & PAGE_MASK));
    if ((addr & PAGE_MASK) === 0) return -EFAULT;
    dst.fill(0, dstOffset, dstOffset + rest);
    return rest;
  }

  /** Writes to a shared mapping of a donated file, without making the file longer. */
  #writeOutside(addr: number, src: Uint8Array, srcOffset: number, length: number): number {
    const vma = this.vmas.find(addr);
    const pma = this.pmas.find(addr);
    if (vma === null || pma === null || vma.mappable === null) return -EFAULT;
    const max = Math.min(length, Math.min(vma.end, pma.end) - addr, PAGE_BYTES);
    const probe = new Uint8Array(max);
    const offset = vma.offset + (addr - vma.start);
    const inFile = vma.mappable.readAt(offset, probe, 0, max);
    if (inFile < 0) return -EFAULT;
    if (inFile > 0)
      return vma.mappable.writeAt(offset, src, srcOffset, inFile) < 0 ? -EFAULT : inFile;
    // Stores to the rest of the last page are not part of the file.
    return (addr & PAGE_MASK) === 0 ? -EFAULT : Math.min(max, PAGE_BYTES - (addr & PAGE_MASK));
  }
}
