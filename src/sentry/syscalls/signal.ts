// Signals as a program receives them: actions, masks, the alternate stack, waiting (signal(7) and the
// pages it names).

import { EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTNOHAND } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import { REG_RSP } from "../../abi/registers.ts";
import { SI_KERNEL, SIGINFO_BYTES, SigInfo } from "../../abi/siginfo.ts";
import {
  MINSIGSTKSZ,
  SA_KNOWN_FLAGS,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGACTION_BYTES,
  SIGKILL,
  SIGSEGV,
  SIGSET_BYTES,
  SIGSTOP,
} from "../../abi/signal.ts";
import {
  SYS_pause,
  SYS_rt_sigaction,
  SYS_rt_sigpending,
  SYS_rt_sigprocmask,
  SYS_rt_sigreturn,
  SYS_rt_sigsuspend,
  SYS_rt_sigtimedwait,
  SYS_sigaltstack,
} from "../../abi/syscall-numbers.ts";
import { i32Le, setU32Le, setU64Le, u64Le } from "../../base/bytes.ts";
import { altStackFlags, setAltStack } from "../kernel/signal-frame.ts";
import { UNBLOCKABLE_LOW } from "../kernel/signal-set.ts";
import { NO_RESULT, type Task } from "../kernel/task.ts";
import { forceSignal } from "../kernel/task-signals.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { readTimespecNs } from "./timeouts.ts";

const scratch = new Uint8Array(SIGACTION_BYTES);
const STACK_T_BYTES = 24;

function sysSigaction(t: Task, a: SyscallArgs): number {
  const signo = a.int(0);
  if (a.size(3) !== SIGSET_BYTES) return -EINVAL;
  if (signo < 1 || signo > 64) return -EINVAL;
  const group = t.threadGroup;
  const old = group.actions.get(signo);
  if (a.addr(1) !== 0) {
    if (t.mm.copyIn(a.addr(1), scratch, 0, SIGACTION_BYTES) !== SIGACTION_BYTES) return -EFAULT;
    if (signo === SIGKILL || signo === SIGSTOP) return -EINVAL;
    group.actions.set(signo, {
      handler: u64Le(scratch, 0),
      flags: i32Le(scratch, 8) & SA_KNOWN_FLAGS,
      restorer: u64Le(scratch, 16),
      maskLow: i32Le(scratch, 24) & ~UNBLOCKABLE_LOW,
      maskHigh: i32Le(scratch, 28),
    });
    // POSIX: what is ignored now stops being pending, blocked or not.
    if (group.actions.isIgnored(signo)) {
      group.pending.discard(signo);
      for (const task of group.tasks) task.pending.discard(signo);
    }
  }
  if (a.addr(2) === 0) return 0;
  setU64Le(scratch, 0, old.handler);
  setU64Le(scratch, 8, 0);
  setU32Le(scratch, 8, old.flags);
  setU64Le(scratch, 16, old.restorer);
  setU32Le(scratch, 24, old.maskLow);
  setU32Le(scratch, 28, old.maskHigh);
  return t.mm.copyOut(a.addr(2), scratch, 0, SIGACTION_BYTES) === SIGACTION_BYTES ? 0 : -EFAULT;
}

function sysSigprocmask(t: Task, a: SyscallArgs): number {
  if (a.size(3) !== SIGSET_BYTES) return -EINVAL;
  const mask = t.signalMask;
  const oldLow = mask.low;
  const oldHigh = mask.high;
  if (a.addr(1) !== 0) {
    const low = t.mm.readU32(a.addr(1)) | 0;
    if (t.mm.faulted) return -EFAULT;
    const high = t.mm.readU32(a.addr(1) + 4) | 0;
    if (t.mm.faulted) return -EFAULT;
    switch (a.int(0)) {
      case SIG_BLOCK:
        t.kernel.setSignalMask(t, oldLow | low, oldHigh | high);
        break;
      case SIG_UNBLOCK:
        t.kernel.setSignalMask(t, oldLow & ~low, oldHigh & ~high);
        break;
      case SIG_SETMASK:
        t.kernel.setSignalMask(t, low, high);
        break;
      default:
        return -EINVAL;
    }
  }
  if (a.addr(2) === 0) return 0;
  if (t.mm.writeU32(a.addr(2), oldLow >>> 0) < 0) return -EFAULT;
  return t.mm.writeU32(a.addr(2) + 4, oldHigh >>> 0);
}

function sysSigpending(t: Task, a: SyscallArgs): number {
  if (a.size(1) > SIGSET_BYTES) return -EINVAL;
  const own = t.pending.set;
  const shared = t.threadGroup.pending.set;
  setU32Le(scratch, 0, (own.low | shared.low) & t.signalMask.low);
  setU32Le(scratch, 4, (own.high | shared.high) & t.signalMask.high);
  const bytes = a.size(1);
  return t.mm.copyOut(a.addr(0), scratch, 0, bytes) === bytes ? 0 : -EFAULT;
}

function sysSigsuspend(t: Task, a: SyscallArgs): number {
  if (a.size(1) !== SIGSET_BYTES) return -EINVAL;
  const low = t.mm.readU32(a.addr(0)) | 0;
  if (t.mm.faulted) return -EFAULT;
  const high = t.mm.readU32(a.addr(0) + 4) | 0;
  if (t.mm.faulted) return -EFAULT;
  t.setTemporaryMask(low, high);
  return t.park(Number.POSITIVE_INFINITY, ERESTARTNOHAND);
}

const sysPause = (t: Task): number => t.park(Number.POSITIVE_INFINITY, ERESTARTNOHAND);

function sysSigreturn(t: Task): number {
  const context = t.context;
  if (context === null) return NO_RESULT;
  // A mask that a call left to be restored is the frame's business now.
  t.hasSavedMask = false;
  if (!t.kernel.signalFrames.pop(t, context)) forceSignal(t, new SigInfo(SIGSEGV, SI_KERNEL));
  return NO_RESULT;
}

function sysSigaltstack(t: Task, a: SyscallArgs): number {
  const context = t.context;
  if (context === null) return -EFAULT;
  const regs = context.regs;
  const sp = (regs[2 * REG_RSP] >>> 0) + (regs[2 * REG_RSP + 1] >>> 0) * 0x1_0000_0000;
  const alt = t.altStack;
  const oldAddress = alt.address;
  const oldBytes = alt.bytes;
  const oldFlags = altStackFlags(t, sp);
  if (a.addr(0) !== 0) {
    if (t.mm.copyIn(a.addr(0), scratch, 0, STACK_T_BYTES) !== STACK_T_BYTES) return -EFAULT;
    const flags = i32Le(scratch, 8);
    const set = setAltStack(t, u64Le(scratch, 0), flags, u64Le(scratch, 16), sp, MINSIGSTKSZ);
    if (set !== 0) return set === 1 ? -EPERM : set === 2 ? -EINVAL : -ENOMEM;
  }
  if (a.addr(1) === 0) return 0;
  setU64Le(scratch, 0, oldAddress);
  setU64Le(scratch, 8, 0);
  setU32Le(scratch, 8, oldFlags);
  setU64Le(scratch, 16, oldBytes);
  return t.mm.copyOut(a.addr(1), scratch, 0, STACK_T_BYTES) === STACK_T_BYTES ? 0 : -EFAULT;
}

/** A task in sigtimedwait; the set is read once. The signals are blocked: signalWaiters tells of them. */
class SigWait {
  readonly low: number;
  readonly high: number;
  constructor(low: number, high: number) {
    this.low = low;
    this.high = high;
  }
}

function sysSigtimedwait(t: Task, a: SyscallArgs): number {
  if (a.size(3) !== SIGSET_BYTES) return -EINVAL;
  let wait = t.syscallState instanceof SigWait ? t.syscallState : null;
  if (wait === null) {
    const low = t.mm.readU32(a.addr(0)) & ~UNBLOCKABLE_LOW;
    if (t.mm.faulted) return -EFAULT;
    const high = t.mm.readU32(a.addr(0) + 4) | 0;
    if (t.mm.faulted) return -EFAULT;
    wait = new SigWait(low, high);
  }
  let timeoutNs = Number.POSITIVE_INFINITY;
  if (a.addr(2) !== 0 && t.syscallState === null) {
    timeoutNs = readTimespecNs(t.mm, a.addr(2));
    if (timeoutNs < 0) return timeoutNs;
  }
  const info = t.dequeueSignal(wait.low, wait.high);
  if (info !== null) return giveInfo(t, a, info);
  if (timeoutNs === 0) return -EAGAIN;
  t.syscallState = wait;
  return t.blockOn(t.threadGroup.signalWaiters, POLLIN, timeoutNs, EINTR);
}

function giveInfo(t: Task, a: SyscallArgs, info: SigInfo): number {
  if (a.addr(1) !== 0) {
    const written = t.mm.copyOut(a.addr(1), info.bytes, 0, SIGINFO_BYTES);
    if (written !== SIGINFO_BYTES) return -EFAULT;
  }
  return info.signo;
}

export const signalFamily: SyscallFamily = [
  [SYS_rt_sigaction, sysSigaction],
  [SYS_rt_sigprocmask, sysSigprocmask],
  [SYS_rt_sigpending, sysSigpending],
  [SYS_rt_sigsuspend, sysSigsuspend],
  [SYS_pause, sysPause],
  [SYS_rt_sigreturn, sysSigreturn],
  [SYS_sigaltstack, sysSigaltstack],
  [SYS_rt_sigtimedwait, sysSigtimedwait],
];
