// Signals as programs use them: sigaction, masks, sending, waiting (signal(7) and the pages it names).

import { CAP_KILL } from "../../abi/capability.ts";
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINTR,
  EINVAL,
  ENOMEM,
  EPERM,
  ERESTARTNOHAND,
  ESRCH,
} from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import { REG_RSP } from "../../abi/registers.ts";
import { SI_KERNEL, SI_TKILL, SI_USER, SIGINFO_BYTES, SigInfo } from "../../abi/siginfo.ts";
import {
  MINSIGSTKSZ,
  SA_KNOWN_FLAGS,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGACTION_BYTES,
  SIGCONT,
  SIGKILL,
  SIGSEGV,
  SIGSET_BYTES,
  SIGSTOP,
} from "../../abi/signal.ts";
import {
  SYS_kill,
  SYS_pause,
  SYS_pidfd_send_signal,
  SYS_rt_sigaction,
  SYS_rt_sigpending,
  SYS_rt_sigprocmask,
  SYS_rt_sigqueueinfo,
  SYS_rt_sigreturn,
  SYS_rt_sigsuspend,
  SYS_rt_sigtimedwait,
  SYS_rt_tgsigqueueinfo,
  SYS_sigaltstack,
  SYS_tgkill,
  SYS_tkill,
} from "../../abi/syscall-numbers.ts";
import { i32Le, setU32Le, setU64Le, u64Le } from "../../base/bytes.ts";
import { PidFd } from "../kernel/pidfd.ts";
import { altStackFlags, setAltStack } from "../kernel/signal-frame.ts";
import { UNBLOCKABLE_LOW } from "../kernel/signal-set.ts";
import { NO_RESULT, type Task } from "../kernel/task.ts";
import { forceSignal, sendToGroup, sendToTask } from "../kernel/task-signals.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
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

/** kill(2), "permissions". */
export function mayKill(t: Task, group: ThreadGroup, signo: number): boolean {
  if (group === t.threadGroup || t.creds.hasCapability(CAP_KILL)) return true;
  const theirs = group.leader.creds;
  const mine = t.creds;
  if (
    mine.euid === theirs.suid ||
    mine.euid === theirs.uid ||
    mine.uid === theirs.suid ||
    mine.uid === theirs.uid
  ) {
    return true;
  }
  return signo === SIGCONT && group.sid === t.threadGroup.sid;
}

const isSignal = (signo: number): boolean => signo >= 0 && signo <= 64;

function userInfo(t: Task, signo: number, code: number): SigInfo {
  return new SigInfo(signo, code).setSender(t.threadGroup.tgid, t.creds.uid);
}

function killOne(t: Task, group: ThreadGroup, signo: number): number {
  if (!mayKill(t, group, signo)) return -EPERM;
  return signo === 0 ? 0 : sendToGroup(group, userInfo(t, signo, SI_USER));
}

function sysKill(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const signo = a.int(1);
  if (!isSignal(signo)) return -EINVAL;
  if (pid > 0) {
    const group = t.kernel.findTask(pid)?.threadGroup;
    return group === undefined ? -ESRCH : killOne(t, group, signo);
  }
  if (pid === -0x8000_0000) return -ESRCH;
  return killMany(t, pid, signo);
}

/** 0: own process group; -1: everybody but init and ourselves; else group -pid. */
function killMany(t: Task, pid: number, signo: number): number {
  const pgid = pid === 0 ? t.threadGroup.pgid : -pid;
  let outcome = -ESRCH;
  for (const group of [...t.kernel.pids.groups.values()]) {
    const isMeant = pid === -1 ? group !== t.threadGroup && group.tgid !== 1 : group.pgid === pgid;
    if (!isMeant) continue;
    const sent = killOne(t, group, signo);
    if (sent === 0) outcome = 0;
    else if (outcome !== 0) outcome = sent;
  }
  return outcome;
}

function killTask(t: Task, tgid: number, tid: number, signo: number): number {
  if (tid <= 0 || !isSignal(signo)) return -EINVAL;
  const target = t.kernel.findTask(tid);
  if (target === null || (tgid !== -1 && target.threadGroup.tgid !== tgid)) return -ESRCH;
  if (!mayKill(t, target.threadGroup, signo)) return -EPERM;
  return signo === 0 ? 0 : sendToTask(target, userInfo(t, signo, SI_TKILL));
}

function sysTgkill(t: Task, a: SyscallArgs): number {
  return a.int(0) <= 0 ? -EINVAL : killTask(t, a.int(0), a.int(1), a.int(2));
}

/** A siginfo from a program: it may not pretend to be the kernel's or kill's, but to itself. */
function copyInInfo(t: Task, addr: number, signo: number, isSelf: boolean): SigInfo | number {
  const info = new SigInfo(signo, 0);
  if (t.mm.copyIn(addr, info.bytes, 0, SIGINFO_BYTES) !== SIGINFO_BYTES) return -EFAULT;
  info.signo = signo;
  if ((info.code >= 0 || info.code === SI_TKILL) && !isSelf) return -EPERM;
  return info;
}

function sysSigqueueinfo(t: Task, a: SyscallArgs): number {
  const signo = a.int(1);
  if (!isSignal(signo)) return -EINVAL;
  const group = t.kernel.findTask(a.int(0))?.threadGroup;
  if (group === undefined) return -ESRCH;
  const info = copyInInfo(t, a.addr(2), signo, group === t.threadGroup);
  if (typeof info === "number") return info;
  if (!mayKill(t, group, signo)) return -EPERM;
  return signo === 0 ? 0 : sendToGroup(group, info);
}

function sysTgsigqueueinfo(t: Task, a: SyscallArgs): number {
  const signo = a.int(2);
  if (a.int(0) <= 0 || a.int(1) <= 0 || !isSignal(signo)) return -EINVAL;
  const target = t.kernel.findTask(a.int(1));
  if (target === null || target.threadGroup.tgid !== a.int(0)) return -ESRCH;
  const info = copyInInfo(t, a.addr(3), signo, target.threadGroup === t.threadGroup);
  if (typeof info === "number") return info;
  if (!mayKill(t, target.threadGroup, signo)) return -EPERM;
  return signo === 0 ? 0 : sendToTask(target, info);
}

function sysPidfdSendSignal(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  const signo = a.int(1);
  if (a.uint(3) !== 0 || !isSignal(signo)) return -EINVAL;
  if (!(file instanceof PidFd)) return -EBADF;
  const group = file.group;
  if (group.isReaped) return -ESRCH;
  let info: SigInfo | number = userInfo(t, signo, SI_USER);
  if (a.addr(2) !== 0) {
    info = copyInInfo(t, a.addr(2), signo, group === t.threadGroup);
    if (typeof info === "number") return info;
  }
  if (!mayKill(t, group, signo)) return -EPERM;
  return signo === 0 ? 0 : sendToGroup(group, info);
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
  [SYS_kill, sysKill],
  [SYS_tkill, (t, a) => killTask(t, -1, a.int(0), a.int(1))],
  [SYS_tgkill, sysTgkill],
  [SYS_rt_sigqueueinfo, sysSigqueueinfo],
  [SYS_rt_tgsigqueueinfo, sysTgsigqueueinfo],
  [SYS_pidfd_send_signal, sysPidfdSendSignal],
  [SYS_rt_sigtimedwait, sysSigtimedwait],
];
