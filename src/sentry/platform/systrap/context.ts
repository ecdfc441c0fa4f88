// A context: registers that can run in an address space. While it is stopped its frame lies in its slot; the
// general registers are taken into a private copy at the trap and written back by resume. All else in the
// slot belongs to the program as much as to us: each word is read once and checked.

import { REG_COUNT, REG_CSGSFS, REG_ERR, REG_WORDS } from "../../../abi/registers.ts";
import { assert } from "../../../base/assert.ts";
import type { AddressSpace, Context } from "../platform.ts";
import { type TRAP_DEAD, TRAP_FAULT, TRAP_INTERRUPT, TRAP_SYSCALL } from "../platform.ts";
import type { SystrapAddressSpace } from "./address-space.ts";
import * as L from "./layout.ts";
import { INTERRUPT_SIGNAL } from "./stub-filters.ts";

const SIGILL = 4;
const SIGTRAP = 5;
const SIGBUS = 7;
const SIGFPE = 8;
const SIGSEGV = 11;
const SIGSYS = 31;
const AUDIT_ARCH_X86_64 = 0xc000_003e | 0;
const SI_KERNEL = 0x80;
/** 64-bit user code and stack segments. */
const USER_CS = 0x33;
const USER_SS = 0x2b;
/** Segments, error code and the words behind them are the host's; the program's are those before. */
const WRITTEN_WORDS = 2 * REG_CSGSFS;

export class SystrapContext implements Context {
  readonly space: SystrapAddressSpace;
  owner: unknown = null;
  readonly regs = new Int32Array(REG_WORDS);
  trap = 0;
  faultSignal = 0;
  faultCode = 0;
  faultAddress = 0;
  faultError = 0;
  isRunning = false;

  readonly slot: number;
  /** Index of the header's state word. */
  readonly stateWord: number;
  readonly #frame: number;
  readonly #fp: number;
  readonly #words: Int32Array;
  /** False: the next frame has none, so the host starts with a fresh state. */
  #hasFp = false;
  #fsLow = 0;
  #fsHigh = 0;
  #gsLow = 0;
  #gsHigh = 0;
  /** Runner it is on or was last on. */
  runner = -1;
  isInterruptSent = false;
  /** The CPU it says it stopped on. */
  cpu = -1;
  /** Position in the platform's list of running contexts, or -1. */
  runIndex = -1;

  /** slotOffset: of the slot in the shared file. */
  constructor(space: SystrapAddressSpace, slot: number, slotOffset: number) {
    const { area, probe } = space.platform;
    this.space = space;
    this.slot = slot;
    this.#words = area.words;
    this.stateWord = (slotOffset + L.H_OFFSET + L.H_STATE) >> 2;
    this.#frame = slotOffset + probe.frameOffset;
    this.#fp = slotOffset + probe.fpOffset;
    area.words[this.stateWord] = L.STATE_FREE;
  }

  get addressSpace(): AddressSpace {
    return this.space;
  }
  get fsBase(): number {
    return (this.#fsLow >>> 0) + (this.#fsHigh >>> 0) * 0x1_0000_0000;
  }
  set fsBase(value: number) {
    this.#fsLow = (value % 0x1_0000_0000) | 0;
    this.#fsHigh = Math.floor(value / 0x1_0000_0000) | 0;
  }
  get gsBase(): number {
    return (this.#gsLow >>> 0) + (this.#gsHigh >>> 0) * 0x1_0000_0000;
  }
  set gsBase(value: number) {
    this.#gsLow = (value % 0x1_0000_0000) | 0;
    this.#gsHigh = Math.floor(value / 0x1_0000_0000) | 0;
  }

  resume(): void {
    assert(!this.isRunning, "a running context is not resumed");
    this.isRunning = true;
    this.space.start(this);
  }
  interrupt(): void {
    if (this.isRunning && !this.isInterruptSent) this.space.interrupt(this);
  }

  /** Writes the frame that the runner will load. */
  storeFrame(): void {
    const words = this.#words;
    const uc = this.#frame >> 2;
    const regs = this.regs;
    const first = uc + (L.UC_REGS >> 2);
    for (let i = 0; i < WRITTEN_WORDS; i++) words[first + i] = regs[i];
    words[first + WRITTEN_WORDS] = USER_CS;
    words[first + WRITTEN_WORDS + 1] = USER_SS << 16;
    words[uc] = L.UC_FLAGS_VALUE;
    words[uc + (L.UC_LINK >> 2)] = 0;
    words[uc + (L.UC_LINK >> 2) + 1] = 0;
    this.#setAddress(uc + (L.UC_STACK_POINTER >> 2), L.SLOTS_BASE + this.slot * L.SLOT_BYTES);
    words[uc + (L.UC_STACK_FLAGS >> 2)] = 0;
    words[uc + (L.UC_STACK_SIZE >> 2)] = L.H_OFFSET;
    words[uc + (L.UC_STACK_SIZE >> 2) + 1] = 0;
    const fpOffset = this.space.platform.probe.fpOffset;
    const fp = this.#hasFp ? L.SLOTS_BASE + this.slot * L.SLOT_BYTES + fpOffset : 0;
    this.#setAddress(uc + (L.UC_FPSTATE >> 2), fp);
    words[uc + (L.UC_SIGMASK >> 2)] = 0;
    words[uc + (L.UC_SIGMASK >> 2) + 1] = 0;
    const header = this.stateWord;
    words[header + (L.H_FS_BASE >> 2)] = this.#fsLow;
    words[header + (L.H_FS_BASE >> 2) + 1] = canonicalHigh(this.#fsHigh);
    words[header + (L.H_GS_BASE >> 2)] = this.#gsLow;
    words[header + (L.H_GS_BASE >> 2) + 1] = canonicalHigh(this.#gsHigh);
    Atomics.store(words, header, L.STATE_RUNNING);
  }
  #setAddress(word: number, value: number): void {
    this.#words[word] = (value % 0x1_0000_0000) | 0;
    this.#words[word + 1] = Math.floor(value / 0x1_0000_0000);
  }

  /** Takes why and where it stopped out of the slot. False: a lie. */
  takeTrap(): boolean {
    const words = this.#words;
    const header = this.stateWord;
    const first = (this.#frame + L.UC_REGS) >> 2;
    const regs = this.regs;
    for (let i = 0; i < 2 * REG_COUNT; i++) regs[i] = words[first + i];
    this.#fsLow = words[header + (L.H_FS_BASE >> 2)];
    this.#fsHigh = words[header + (L.H_FS_BASE >> 2) + 1];
    this.#gsLow = words[header + (L.H_GS_BASE >> 2)];
    this.#gsHigh = words[header + (L.H_GS_BASE >> 2) + 1];
    this.#hasFp = true;
    this.cpu = words[header + (L.H_CPU >> 2)];
    const signal = words[header + (L.H_SIGNAL >> 2)];
    if (signal === SIGSYS) {
      if (words[header + (L.H_ARCH >> 2)] === AUDIT_ARCH_X86_64) this.trap = TRAP_SYSCALL;
      else this.#setFault(SIGSEGV, SI_KERNEL, 0, 0); // int $0x80: a kernel without the i386 ABI
      return true;
    }
    if (signal === INTERRUPT_SIGNAL) {
      this.trap = TRAP_INTERRUPT;
      return true;
    }
    const isFault =
      signal === SIGSEGV ||
      signal === SIGBUS ||
      signal === SIGILL ||
      signal === SIGFPE ||
      signal === SIGTRAP;
    if (!isFault) return false;
    const low = words[header + (L.H_ADDRESS >> 2)] >>> 0;
    const high = words[header + (L.H_ADDRESS >> 2) + 1] >>> 0;
    const code = words[header + (L.H_CODE >> 2)];
    this.#setFault(signal, code, low + high * 0x1_0000_0000, regs[2 * REG_ERR]);
    return true;
  }
  #setFault(signal: number, code: number, address: number, error: number): void {
    this.trap = TRAP_FAULT;
    this.faultSignal = signal;
    this.faultCode = code;
    this.faultAddress = address;
    this.faultError = error;
  }
  setTrap(trap: typeof TRAP_DEAD | typeof TRAP_INTERRUPT): void {
    this.trap = trap;
  }

  get fpStateBytes(): number {
    return this.space.platform.fpFormat.xstateBytes;
  }
  saveFpState(dst: Uint8Array, offset: number): number {
    const format = this.space.platform.fpFormat;
    const src = this.#hasFp ? this.space.platform.area.bytes : format.initial;
    const from = this.#hasFp ? this.#fp : 0;
    for (let i = 0; i < format.xstateBytes; i++) dst[offset + i] = src[from + i];
    return format.xstateBytes;
  }
  restoreFpState(src: Uint8Array, offset: number, length: number): boolean {
    const { area, fpFormat } = this.space.platform;
    if (!fpFormat.accept(src, offset, length, area.bytes, this.#fp)) return false;
    this.#hasFp = true;
    return true;
  }
  resetFpState(): void {
    this.#hasFp = false;
  }
  copyFrom(other: Context): void {
    assert(other instanceof SystrapContext && !other.isRunning, "copied from a stopped context");
    this.regs.set(other.regs);
    this.#fsLow = other.#fsLow;
    this.#fsHigh = other.#fsHigh;
    this.#gsLow = other.#gsLow;
    this.#gsHigh = other.#gsHigh;
    this.#hasFp = other.#hasFp;
    if (this.#hasFp) {
      const bytes = this.space.platform.area.bytes;
      const { bytes: length } = this.space.platform.fpFormat;
      bytes.copyWithin(this.#fp, other.#fp, other.#fp + length);
    }
  }

  release(): void {
    this.space.releaseContext(this);
  }
}

/** High word of an address the CPU takes as a segment base: user half only, else the null base's. */
function canonicalHigh(high: number): number {
  return high >>> 15 === 0 ? high : 0;
}
