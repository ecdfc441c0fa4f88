// Arguments of the system call being handled, read from the task's private register copy in whatever
// width the call needs. One object per kernel, pointed at a task before its handler runs.

import { REG_R8, REG_R9, REG_R10, REG_RDI, REG_RDX, REG_RSI } from "../../abi/registers.ts";

const ARG_REG = [REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9];

export class SyscallArgs {
  regs: Int32Array = new Int32Array(64);

  /** C int. */
  int(i: number): number {
    return this.regs[2 * ARG_REG[i]];
  }
  /** C unsigned int. */
  uint(i: number): number {
    return this.regs[2 * ARG_REG[i]] >>> 0;
  }
  /** Pointer or size_t: unsigned 64-bit; exact below 2^53 (no valid address or size is above). */
  addr(i: number): number {
    const r = 2 * ARG_REG[i];
    return (this.regs[r] >>> 0) + (this.regs[r + 1] >>> 0) * 0x1_0000_0000;
  }
  size(i: number): number {
    return this.addr(i);
  }
  /** C long, off_t: signed 64-bit; exact within +-2^53. */
  long(i: number): number {
    const r = 2 * ARG_REG[i];
    return (this.regs[r] >>> 0) + this.regs[r + 1] * 0x1_0000_0000;
  }
  /** High 32 bits. */
  high(i: number): number {
    return this.regs[2 * ARG_REG[i] + 1];
  }
}
