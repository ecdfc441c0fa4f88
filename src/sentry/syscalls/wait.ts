// wait4(2), waitid(2), getrusage(2), times(2).

import { EAGAIN, EBADF, EFAULT, EINVAL, ESRCH } from "../../abi/errno.ts";
import { RUSAGE_BYTES, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD } from "../../abi/resource.ts";
import { SIGINFO_BYTES, SigInfo } from "../../abi/siginfo.ts";
import { SIGCHLD } from "../../abi/signal.ts";
import { SYS_getrusage, SYS_times, SYS_wait4, SYS_waitid } from "../../abi/syscall-numbers.ts";
import { TICK_NS } from "../../abi/time.ts";
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  WUNTRACED,
} from "../../abi/wait.ts";
import { setU64Le } from "../../base/bytes.ts";
import { SECOND, US } from "../../base/clock.ts";
import { PidFd } from "../kernel/pidfd.ts";
import type { Task } from "../kernel/task.ts";
import { WaitResult, type WaitTarget, waitForChild } from "../kernel/task-wait.ts";
import { Usage } from "../kernel/thread-group.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const result = new WaitResult();
const target: WaitTarget = { type: P_ALL, id: 0, group: null };
const rusageBytes = new Uint8Array(RUSAGE_BYTES);
const tmsBytes = new Uint8Array(32);

function setTarget(type: number, id: number): void {
  target.type = type;
  target.id = id;
  target.group = null;
}

function sysWait4(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const options = a.int(2);
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !== 0) {
    return -EINVAL;
  }
  if (pid === -0x8000_0000) return -ESRCH;
  if (pid === -1) setTarget(P_ALL, 0);
  else if (pid < 0) setTarget(P_PGID, -pid);
  else if (pid === 0) setTarget(P_PGID, 0);
  else setTarget(P_PID, pid);
  const found = waitForChild(t, target, options | WEXITED, result);
  if (found <= 0) return found;
  const child = result.group;
  result.group = null;
  if (a.addr(1) !== 0 && t.mm.writeU32(a.addr(1), result.status) < 0) return -EFAULT;
  if (a.addr(3) !== 0 && child !== null && writeRusage(t, a.addr(3), usageOf(child)) < 0) {
    return -EFAULT;
  }
  return result.pid;
}

function sysWaitid(t: Task, a: SyscallArgs): number {
  const options = a.int(3);
  const known =
    WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
  if ((options & ~known) !== 0) return -EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return -EINVAL;
  const id = a.int(1);
  let nonBlocking = 0;
  switch (a.int(0)) {
    case P_ALL:
      setTarget(P_ALL, 0);
      break;
    case P_PID:
      if (id <= 0) return -EINVAL;
      setTarget(P_PID, id);
      break;
    case P_PGID:
      if (id < 0) return -EINVAL;
      setTarget(P_PGID, id);
      break;
    case P_PIDFD: {
      const file = t.fds.get(id);
      if (!(file instanceof PidFd)) return id < 0 ? -EINVAL : -EBADF;
      setTarget(P_PIDFD, 0);
      target.group = file.group;
      if (file.isNonBlocking) nonBlocking = WNOHANG;
      break;
    }
    default:
      return -EINVAL;
  }
  const found = waitForChild(t, target, options | nonBlocking, result);
  if (found < 0) return found;
  if (found === 0 && nonBlocking !== 0 && (options & WNOHANG) === 0) return -EAGAIN;
  return finishWaitid(t, a, found === 1);
}

function finishWaitid(t: Task, a: SyscallArgs, found: boolean): number {
  const child = found ? result.group : null;
  result.group = null;
  if (child !== null && a.addr(4) !== 0 && writeRusage(t, a.addr(4), usageOf(child)) < 0) {
    return -EFAULT;
  }
  if (a.addr(2) === 0) return 0;
  const info = new SigInfo(found ? SIGCHLD : 0, found ? result.code : 0);
  if (child !== null)
    info.setSender(result.pid, child.leader.creds.uid).setChild(result.value, 0, 0);
  // Only the fields of struct siginfo that waitid defines are written.
  return t.mm.copyOut(a.addr(2), info.bytes, 0, SIGINFO_BYTES) === SIGINFO_BYTES ? 0 : -EFAULT;
}

function usageOf(group: {
  usage: Usage;
  childUsage: Usage;
  utimeNs: number;
  stimeNs: number;
}): Usage {
  const sum = new Usage();
  sum.add(group.usage);
  sum.utimeNs = group.utimeNs;
  sum.stimeNs = group.stimeNs;
  sum.add(group.childUsage);
  return sum;
}

export function writeRusage(t: Task, addr: number, usage: Usage): number {
  const b = rusageBytes;
  b.fill(0);
  putTimeval(b, 0, usage.utimeNs);
  putTimeval(b, 16, usage.stimeNs);
  setU64Le(b, 32, usage.maxRssKiB);
  setU64Le(b, 64, usage.minorFaults);
  setU64Le(b, 72, usage.majorFaults);
  setU64Le(b, 128, usage.voluntarySwitches);
  setU64Le(b, 136, usage.involuntarySwitches);
  return t.mm.copyOut(addr, b, 0, RUSAGE_BYTES) === RUSAGE_BYTES ? 0 : -EFAULT;
}

function putTimeval(b: Uint8Array, offset: number, ns: number): void {
  const seconds = Math.floor(ns / SECOND);
  setU64Le(b, offset, seconds);
  setU64Le(b, offset + 8, Math.floor((ns - seconds * SECOND) / US));
}

function addTask(usage: Usage, t: Task): void {
  usage.utimeNs += t.utimeNs;
  usage.stimeNs += t.stimeNs;
  usage.minorFaults += t.minorFaults;
  usage.majorFaults += t.majorFaults;
  usage.voluntarySwitches += t.voluntarySwitches;
  usage.involuntarySwitches += t.involuntarySwitches;
}

function sysGetrusage(t: Task, a: SyscallArgs): number {
  const group = t.threadGroup;
  const usage = new Usage();
  switch (a.int(0)) {
    case RUSAGE_SELF:
      usage.add(group.usage);
      for (const task of group.tasks) addTask(usage, task);
      break;
    case RUSAGE_CHILDREN:
      usage.add(group.childUsage);
      break;
    case RUSAGE_THREAD:
      addTask(usage, t);
      break;
    default:
      return -EINVAL;
  }
  if (a.int(0) !== RUSAGE_CHILDREN) {
    t.mm.notePeak();
    usage.maxRssKiB = Math.max(usage.maxRssKiB, t.mm.peakResidentBytes / 1024);
  }
  return writeRusage(t, a.addr(1), usage);
}

function sysTimes(t: Task, a: SyscallArgs): number {
  const group = t.threadGroup;
  if (a.addr(0) !== 0) {
    setU64Le(tmsBytes, 0, Math.floor(group.utimeNs / TICK_NS));
    setU64Le(tmsBytes, 8, Math.floor(group.stimeNs / TICK_NS));
    setU64Le(tmsBytes, 16, Math.floor(group.childUsage.utimeNs / TICK_NS));
    setU64Le(tmsBytes, 24, Math.floor(group.childUsage.stimeNs / TICK_NS));
    if (t.mm.copyOut(a.addr(0), tmsBytes, 0, 32) !== 32) return -EFAULT;
  }
  return Math.floor(t.kernel.clock.monotonicNs() / TICK_NS);
}

export const waitFamily: SyscallFamily = [
  [SYS_wait4, sysWait4],
  [SYS_waitid, sysWaitid],
  [SYS_getrusage, sysGetrusage],
  [SYS_times, sysTimes],
];
