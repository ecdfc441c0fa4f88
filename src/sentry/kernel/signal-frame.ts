// The frame that a signal handler finds on its stack, exactly as Linux builds it on x86-64
// (arch/x86/kernel/signal_64.c, struct rt_sigframe; fpu/signal.c), and the way back by rt_sigreturn.
//
//   sp ->  pretcode 8 | ucontext 304 | siginfo 128     (440 bytes; sp + 8 is 16-byte aligned)
//   above: XSAVE area, 64-byte aligned, with fx_sw_bytes at 464 and magic2 behind it
//
// What comes back is the program's: selectors are not taken from it, flags and FPU state are checked.

import {
  REG_COUNT,
  REG_CSGSFS,
  REG_EFL,
  REG_OLDMASK,
  REG_RAX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  REG_WORDS,
} from "../../abi/registers.ts";
import { SIGINFO_BYTES, type SigInfo } from "../../abi/siginfo.ts";
import {
  SA_ONSTACK,
  SA_RESTORER,
  SA_SIGINFO,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
} from "../../abi/signal.ts";
import { i32Le, setU32Le, setU64Le, u32Le, u64Le } from "../../base/bytes.ts";
import type { Context } from "../platform/platform.ts";
import type { SignalAction } from "./signal-actions.ts";
import { type SignalSet, UNBLOCKABLE_LOW } from "./signal-set.ts";
import type { Task } from "./task.ts";

const UC_AT = 8;
const UC_STACK_AT = UC_AT + 16;
const MCONTEXT_AT = UC_AT + 40;
const FPSTATE_AT = MCONTEXT_AT + 8 * REG_COUNT;
const SIGMASK_AT = UC_AT + 296;
const SIGINFO_AT = UC_AT + 304;
export const FRAME_BYTES = SIGINFO_AT + SIGINFO_BYTES;

const UC_FP_XSTATE = 1;
const UC_SIGCONTEXT_SS = 2;
const UC_STRICT_RESTORE_SS = 4;

const RED_ZONE_BYTES = 128;
const FXSAVE_BYTES = 512;
const SW_BYTES_AT = 464;
const XSTATE_BV_AT = 512;
const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
const MAGIC2_BYTES = 4;
/** AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF: what sigreturn may change. */
const FIX_EFLAGS = 0x50dd5;
const EFLAGS_DF = 0x400;
const EFLAGS_RF = 0x10000;
const EFLAGS_TF = 0x100;
const USER_CS = 0x33;
const USER_SS = 0x2b;
/** Far above any XSAVE area of today's processors (AMX is 11 KiB). */
const FPSTATE_BYTES_MAX = 64 * 1024;

export class SignalFrames {
  readonly #frame = new Uint8Array(FRAME_BYTES);
  readonly #fp = new Uint8Array(FPSTATE_BYTES_MAX);

  /** Writes the frame and points the registers at the handler. False: no stack to write it to. */
  push(
    t: Task,
    context: Context,
    info: SigInfo,
    action: Readonly<SignalAction>,
    resumeMask: SignalSet,
  ): boolean {
    if ((action.flags & SA_RESTORER) === 0) return false;
    const regs = context.regs;
    const alt = t.altStack;
    let sp = addressOf(regs, REG_RSP) - RED_ZONE_BYTES;
    const isNested = isOnAltStack(t, sp);
    let isEntering = false;
    if ((action.flags & SA_ONSTACK) !== 0 && alt.bytes > 0 && !isNested) {
      sp = alt.address + alt.bytes;
      isEntering = true;
    }
    const fpBytes = context.fpStateBytes;
    const fpAt = fpBytes > 0 ? roundDown(sp - fpBytes - MAGIC2_BYTES, 64) : 0;
    if (fpBytes > 0) sp = fpAt;
    sp = roundDown(sp - FRAME_BYTES, 16) - 8;
    if (sp <= 0) return false;
    if ((isNested || isEntering) && !(sp > alt.address && sp - alt.address <= alt.bytes)) {
      return false;
    }
    if (fpBytes > 0 && !this.#writeFpState(t, context, fpAt)) return false;
    this.#fill(t, context, info, action, resumeMask, fpAt);
    if (t.mm.copyOut(sp, this.#frame, 0, FRAME_BYTES) !== FRAME_BYTES) return false;

    if ((alt.flags & SS_AUTODISARM) !== 0) disarm(t);
    const signo = info.signo;
    setReg(regs, REG_RDI, signo);
    setReg(regs, REG_RAX, 0);
    setReg(regs, REG_RSI, sp + SIGINFO_AT);
    setReg(regs, REG_RDX, sp + UC_AT);
    setReg(regs, REG_RSP, sp);
    setReg(regs, REG_RIP, action.handler);
    regs[2 * REG_EFL] &= ~(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF);
    setSelectors(regs);
    return true;
  }

  /** rt_sigreturn: false when the frame is not one, and SIGSEGV is due. */
  pop(t: Task, context: Context): boolean {
    const frame = this.#frame;
    const at = addressOf(context.regs, REG_RSP) - 8;
    if (t.mm.copyIn(at, frame, 0, FRAME_BYTES) !== FRAME_BYTES) return false;
    const fpAt = u64Le(frame, FPSTATE_AT);
    if (fpAt === 0) context.resetFpState();
    else if (!this.#readFpState(t, context, fpAt)) return false;

    const regs = context.regs;
    const flags = regs[2 * REG_EFL];
    for (let i = 0; i < REG_WORDS; i++) regs[i] = i32Le(frame, MCONTEXT_AT + 4 * i);
    regs[2 * REG_EFL] = (flags & ~FIX_EFLAGS) | (regs[2 * REG_EFL] & FIX_EFLAGS);
    regs[2 * REG_EFL + 1] = 0;
    setSelectors(regs);
    t.kernel.setSignalMask(
      t,
      i32Le(frame, SIGMASK_AT) & ~UNBLOCKABLE_LOW,
      i32Le(frame, SIGMASK_AT + 4),
    );
    t.restartErrno = 0;
    // As Linux: a stack that cannot be set is left as it is.
    setAltStack(
      t,
      u64Le(frame, UC_STACK_AT),
      i32Le(frame, UC_STACK_AT + 8),
      u64Le(frame, UC_STACK_AT + 16),
      addressOf(regs, REG_RSP),
      0,
    );
    return true;
  }

  #fill(
    t: Task,
    context: Context,
    info: SigInfo,
    action: Readonly<SignalAction>,
    resumeMask: SignalSet,
    fpAt: number,
  ): void {
    const frame = this.#frame;
    frame.fill(0);
    const flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (fpAt !== 0 ? UC_FP_XSTATE : 0);
    setU64Le(frame, 0, action.restorer);
    setU32Le(frame, UC_AT, flags);
    setU64Le(frame, UC_STACK_AT, t.altStack.address);
    setU32Le(frame, UC_STACK_AT + 8, t.altStack.flags);
    setU64Le(frame, UC_STACK_AT + 16, t.altStack.bytes);
    const regs = context.regs;
    for (let i = 0; i < REG_WORDS; i++) setU32Le(frame, MCONTEXT_AT + 4 * i, regs[i]);
    setU32Le(frame, MCONTEXT_AT + 8 * REG_CSGSFS, USER_CS);
    setU32Le(frame, MCONTEXT_AT + 8 * REG_CSGSFS + 4, USER_SS << 16);
    setU32Le(frame, MCONTEXT_AT + 8 * REG_OLDMASK, resumeMask.low);
    setU32Le(frame, MCONTEXT_AT + 8 * REG_OLDMASK + 4, resumeMask.high);
    setU64Le(frame, FPSTATE_AT, fpAt);
    setU32Le(frame, SIGMASK_AT, resumeMask.low);
    setU32Le(frame, SIGMASK_AT + 4, resumeMask.high);
    if ((action.flags & SA_SIGINFO) !== 0) frame.set(info.bytes, SIGINFO_AT);
  }

  #writeFpState(t: Task, context: Context, fpAt: number): boolean {
    const fp = this.#fp;
    const bytes = context.saveFpState(fp, 0);
    if (bytes < FXSAVE_BYTES) return false;
    const hasXsave = bytes > FXSAVE_BYTES;
    // What the host put there names the features that were saved; else the state's own header does.
    const isFromHost = u32Le(fp, SW_BYTES_AT) === FP_XSTATE_MAGIC1;
    const featuresLow = isFromHost ? u32Le(fp, SW_BYTES_AT + 8) : u32Le(fp, XSTATE_BV_AT) | 3;
    const featuresHigh = isFromHost ? u32Le(fp, SW_BYTES_AT + 12) : u32Le(fp, XSTATE_BV_AT + 4);
    fp.fill(0, SW_BYTES_AT, FXSAVE_BYTES);
    if (hasXsave) {
      setU32Le(fp, SW_BYTES_AT, FP_XSTATE_MAGIC1);
      setU32Le(fp, SW_BYTES_AT + 4, bytes + MAGIC2_BYTES);
      setU32Le(fp, SW_BYTES_AT + 8, featuresLow);
      setU32Le(fp, SW_BYTES_AT + 12, featuresHigh);
      setU32Le(fp, SW_BYTES_AT + 16, bytes);
      setU32Le(fp, bytes, FP_XSTATE_MAGIC2);
    }
    const total = hasXsave ? bytes + MAGIC2_BYTES : bytes;
    return t.mm.copyOut(fpAt, fp, 0, total) === total;
  }

  /** Without the magic words only the legacy 512 bytes are taken (check_xstate_in_sigframe). */
  #readFpState(t: Task, context: Context, fpAt: number): boolean {
    const fp = this.#fp;
    if (t.mm.copyIn(fpAt, fp, 0, FXSAVE_BYTES) !== FXSAVE_BYTES) return false;
    const bytes = u32Le(fp, SW_BYTES_AT + 16);
    let length = FXSAVE_BYTES;
    const isExtended =
      u32Le(fp, SW_BYTES_AT) === FP_XSTATE_MAGIC1 &&
      bytes > FXSAVE_BYTES &&
      bytes <= context.fpStateBytes &&
      u32Le(fp, SW_BYTES_AT + 4) === bytes + MAGIC2_BYTES;
    if (isExtended) {
      const rest = bytes + MAGIC2_BYTES - FXSAVE_BYTES;
      if (t.mm.copyIn(fpAt + FXSAVE_BYTES, fp, FXSAVE_BYTES, rest) !== rest) return false;
      if (u32Le(fp, bytes) === FP_XSTATE_MAGIC2) length = bytes;
    }
    return context.restoreFpState(fp, 0, length);
  }
}

export function isOnAltStack(t: Task, sp: number): boolean {
  const alt = t.altStack;
  // An autodisarmed stack is never "in use": leaving it re-arms.
  if ((alt.flags & SS_AUTODISARM) !== 0) return false;
  return sp > alt.address && sp - alt.address <= alt.bytes;
}

/** What sigaltstack(2) shows as ss_flags. */
export function altStackFlags(t: Task, sp: number): number {
  const alt = t.altStack;
  if (alt.bytes === 0) return SS_DISABLE;
  return (alt.flags & SS_AUTODISARM) | (isOnAltStack(t, sp) ? SS_ONSTACK : 0);
}

function disarm(t: Task): void {
  t.altStack.address = 0;
  t.altStack.bytes = 0;
  t.altStack.flags = SS_DISABLE;
}

/** do_sigaltstack: 0, 1 (EPERM: in use), 2 (EINVAL: flags), or 3 (ENOMEM: too small). */
export function setAltStack(
  t: Task,
  address: number,
  flags: number,
  bytes: number,
  sp: number,
  minBytes: number,
): number {
  if (isOnAltStack(t, sp)) return 1;
  const mode = flags & ~SS_AUTODISARM;
  if (mode !== 0 && mode !== SS_ONSTACK && mode !== SS_DISABLE) return 2;
  if (mode === SS_DISABLE) {
    t.altStack.address = 0;
    t.altStack.bytes = 0;
    t.altStack.flags = flags;
    return 0;
  }
  if (bytes < minBytes) return 3;
  t.altStack.address = address;
  t.altStack.bytes = bytes;
  t.altStack.flags = flags;
  return 0;
}

const roundDown = (n: number, unit: number): number => n - (n % unit);

function addressOf(regs: Int32Array, reg: number): number {
  return (regs[2 * reg] >>> 0) + (regs[2 * reg + 1] >>> 0) * 0x1_0000_0000;
}
function setReg(regs: Int32Array, reg: number, value: number): void {
  regs[2 * reg] = value;
  regs[2 * reg + 1] = Math.floor(value / 0x1_0000_0000);
}
/** 64-bit user code, whatever the frame says. */
function setSelectors(regs: Int32Array): void {
  regs[2 * REG_CSGSFS] = USER_CS;
  regs[2 * REG_CSGSFS + 1] = USER_SS << 16;
}
