// A platform without stubs for unit tests: a context runs nothing. The test is the program: it sets the
// registers of a context that was resumed and reports a trap.

import { REG_RAX, REG_RDI, REG_WORDS } from "../../abi/registers.ts";
import type { HostMemory } from "../host.ts";
import {
  type AddressSpace,
  type ChangeFence,
  type Context,
  type Platform,
  TRAP_FAULT,
  TRAP_SYSCALL,
  type VdsoImage,
} from "../platform/platform.ts";

const FP_BYTES = 832;

export class FakeContext implements Context {
  readonly addressSpace: FakeAddressSpace;
  owner: unknown = null;
  readonly regs = new Int32Array(REG_WORDS);
  fsBase = 0;
  gsBase = 0;
  trap = 0;
  faultSignal = 0;
  faultCode = 0;
  faultAddress = 0;
  faultError = 0;
  isRunning = false;
  isReleased = false;
  wasInterrupted = false;
  resumeCount = 0;
  readonly fpStateBytes = FP_BYTES;
  /** Byte i of a fresh state is 0. */
  fpState = new Uint8Array(FP_BYTES);

  constructor(space: FakeAddressSpace) {
    this.addressSpace = space;
  }

  resume(): void {
    if (this.isRunning || this.isReleased) throw new Error("resumed while running or released");
    this.isRunning = true;
    this.resumeCount++;
  }
  interrupt(): void {
    if (this.isRunning) this.wasInterrupted = true;
  }
  saveFpState(dst: Uint8Array, offset: number): number {
    dst.set(this.fpState, offset);
    return FP_BYTES;
  }
  restoreFpState(src: Uint8Array, offset: number, length: number): boolean {
    this.fpState.set(src.subarray(offset, offset + length));
    return true;
  }
  resetFpState(): void {
    this.fpState.fill(0);
  }
  copyFrom(other: Context): void {
    this.regs.set(other.regs);
    this.fsBase = other.fsBase;
    this.gsBase = other.gsBase;
    if (other instanceof FakeContext) this.fpState.set(other.fpState);
  }
  release(): void {
    if (this.isRunning) throw new Error("released while running");
    this.isReleased = true;
    this.addressSpace.contexts.delete(this);
  }

  reg(index: number): number {
    return (this.regs[2 * index] >>> 0) + this.regs[2 * index + 1] * 0x1_0000_0000;
  }
  setReg(index: number, value: number): void {
    this.regs[2 * index] = value;
    this.regs[2 * index + 1] = Math.floor(value / 0x1_0000_0000);
  }
  /** Result of the last system call, as a C long. */
  get result(): number {
    return this.reg(REG_RAX);
  }
}

export class FakeAddressSpace implements AddressSpace {
  readonly platform: FakePlatform;
  readonly contexts = new Set<FakeContext>();
  isDead = false;
  isReleased = false;

  constructor(platform: FakePlatform) {
    this.platform = platform;
  }
  map(): number {
    return 0;
  }
  unmap(): number {
    return 0;
  }
  protect(): number {
    return 0;
  }
  sync(): void {}
  newContext(): FakeContext | null {
    if (this.platform.contextsLeft-- <= 0) return null;
    const context = new FakeContext(this);
    this.contexts.add(context);
    return context;
  }
  release(): void {
    if (this.contexts.size > 0) throw new Error("address space released before its contexts");
    this.isReleased = true;
  }
}

/** By itself: every change is in force at once. Tests hold one back by raising issuedStamp. */
export class FakeChanges implements ChangeFence {
  issuedStamp = 0;
  confirmedStamp = 0;
  onConfirmed: (() => void) | null = null;
  /** Times somebody waited. */
  waits = 0;
  confirm(stamp = this.issuedStamp): void {
    this.confirmedStamp = stamp;
    this.onConfirmed?.();
  }
  waitConfirmed(): void {
    this.waits++;
    this.confirm();
  }
}

export class FakePlatform implements Platform {
  readonly changes = new FakeChanges();
  onAddressSpaceDeath: ((space: AddressSpace) => void) | null = null;
  onMappingsLost: ((space: AddressSpace) => void) | null = null;
  readonly minAddress = 0x10000;
  readonly maxAddress = 0x7fff_ffff_f000;
  readonly vdso: VdsoImage | null = null;
  get runningCount(): number {
    let count = 0;
    for (const { contexts } of this.spaces) for (const c of contexts) if (c.isRunning) count++;
    return count;
  }
  /** For tests of running out. */
  contextsLeft = Number.POSITIVE_INFINITY;
  readonly spaces: FakeAddressSpace[] = [];

  newAddressSpace(): FakeAddressSpace {
    const space = new FakeAddressSpace(this);
    this.spaces.push(space);
    return space;
  }
  nextTrap(): Context | null {
    return null;
  }
}

/** Sets the registers for a call; the arguments in order. */
const ARG_REGS = [REG_RDI, 9, 12, 2, 0, 1];

export function setSyscall(context: FakeContext, nr: number, args: readonly number[]): void {
  context.trap = TRAP_SYSCALL;
  context.setReg(REG_RAX, nr);
  for (let i = 0; i < 6; i++) context.setReg(ARG_REGS[i], args[i] ?? 0);
}

export function setFault(
  context: FakeContext,
  signal: number,
  code: number,
  address: number,
  error: number,
): void {
  context.trap = TRAP_FAULT;
  context.faultSignal = signal;
  context.faultCode = code;
  context.faultAddress = address;
  context.faultError = error;
}

/** The memory file in ordinary arrays. */
export class FakeHostMemory implements HostMemory {
  readonly fd = 100;
  readonly windowBytes: number;
  readonly #windows: Uint8Array[] = [];

  constructor(windowBytes = 8 * 1024 * 1024) {
    this.windowBytes = windowBytes;
  }
  window(index: number): Uint8Array {
    this.#windows[index] ??= new Uint8Array(this.windowBytes);
    return this.#windows[index];
  }
  punch(offset: number, length: number): number {
    const at = offset % this.windowBytes;
    this.window(Math.floor(offset / this.windowBytes)).fill(0, at, at + length);
    return 0;
  }
  committedBytes(): number {
    return 0;
  }
}
