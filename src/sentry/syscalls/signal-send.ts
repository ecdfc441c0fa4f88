// Sending signals: kill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2), and who may.

import { CAP_KILL } from "../../abi/capability.ts";
import { EBADF, EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { SI_TKILL, SI_USER, SIGINFO_BYTES, SigInfo } from "../../abi/siginfo.ts";
import { SIGCONT } from "../../abi/signal.ts";
import {
  SYS_kill,
  SYS_pidfd_send_signal,
  SYS_rt_sigqueueinfo,
  SYS_rt_tgsigqueueinfo,
  SYS_tgkill,
  SYS_tkill,
} from "../../abi/syscall-numbers.ts";
import { PidFd } from "../kernel/pidfd.ts";
import type { Task } from "../kernel/task.ts";
import { sendToGroup, sendToTask } from "../kernel/task-signals.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

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

export const signalSendFamily: SyscallFamily = [
  [SYS_kill, sysKill],
  [SYS_tkill, (t, a) => killTask(t, -1, a.int(0), a.int(1))],
  [SYS_tgkill, sysTgkill],
  [SYS_rt_sigqueueinfo, sysSigqueueinfo],
  [SYS_rt_tgsigqueueinfo, sysTgsigqueueinfo],
  [SYS_pidfd_send_signal, sysPidfdSendSignal],
];
