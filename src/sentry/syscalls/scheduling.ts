// Scheduling as programs ask for it: policies, priorities, affinity (sched(7), getpriority(2), ioprio_set(2)).
// All of it is kept and shown, none of it acted on: the host schedules the stubs.

import { CAP_SYS_ADMIN, CAP_SYS_NICE } from "../../abi/capability.ts";
import { EACCES, EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { RLIMIT_NICE, RLIMIT_RTPRIO } from "../../abi/resource.ts";
import {
  PRIO_PGRP,
  PRIO_PROCESS,
  PRIO_USER,
  SCHED_BATCH,
  SCHED_FIFO,
  SCHED_IDLE,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
} from "../../abi/sched.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { setU32Le, u32Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { writeTimespec } from "./timeouts.ts";

const RT_PRIORITY_MAX = 99;
const RR_INTERVAL_NS = 100_000_000;
const SCHED_ATTR_BYTES = 56;
const SCHED_ATTR_BYTES_MIN = 48;
const CPU_MASK_BYTES = 8;
const scratch = new Uint8Array(SCHED_ATTR_BYTES);

function taskOf(t: Task, pid: number): Task | null {
  return pid === 0 ? t : t.kernel.findTask(pid);
}

/** CPU masks are kept as one 64-bit word: more CPUs are not shown. */
function allCpus(t: Task): Int32Array {
  const mask = new Int32Array(2);
  const cpus = Math.min(64, t.kernel.cpus);
  for (let cpu = 0; cpu < cpus; cpu++) mask[cpu >>> 5] |= 1 << (cpu & 31);
  return mask;
}

function sysGetaffinity(t: Task, a: SyscallArgs): number {
  if (a.uint(1) < CPU_MASK_BYTES || a.uint(1) % 8 !== 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  const mask = target.affinity ?? allCpus(t);
  setU32Le(scratch, 0, mask[0]);
  setU32Le(scratch, 4, mask[1]);
  const copied = t.mm.copyOut(a.addr(2), scratch, 0, CPU_MASK_BYTES);
  return copied === CPU_MASK_BYTES ? CPU_MASK_BYTES : -EFAULT;
}

function sysSetaffinity(t: Task, a: SyscallArgs): number {
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  if (!mayReschedule(t, target)) return -EPERM;
  const bytes = Math.min(a.uint(1), CPU_MASK_BYTES);
  scratch.fill(0, 0, CPU_MASK_BYTES);
  if (t.mm.copyIn(a.addr(2), scratch, 0, bytes) !== bytes) return -EFAULT;
  const mask = allCpus(t);
  mask[0] &= u32Le(scratch, 0);
  mask[1] &= u32Le(scratch, 4);
  if ((mask[0] | mask[1]) === 0) return -EINVAL;
  target.affinity = mask;
  return 0;
}

function mayReschedule(t: Task, target: Task): boolean {
  const { euid } = t.creds;
  return (
    t.creds.hasCapability(CAP_SYS_NICE) || euid === target.creds.uid || euid === target.creds.euid
  );
}

/** The first CPU that the task may use: the host decides which one it really is. */
function sysGetcpu(t: Task, a: SyscallArgs): number {
  const mask = t.affinity ?? allCpus(t);
  const word = mask[0] !== 0 ? mask[0] : mask[1];
  const cpu = (mask[0] !== 0 ? 0 : 32) + 31 - Math.clz32(word & -word);
  if (a.addr(0) !== 0 && t.mm.writeU32(a.addr(0), cpu) < 0) return -EFAULT;
  return a.addr(1) === 0 ? 0 : t.mm.writeU32(a.addr(1), 0);
}

const isRealtimePolicy = (policy: number): boolean => policy === SCHED_FIFO || policy === SCHED_RR;
const isFairPolicy = (policy: number): boolean =>
  policy === SCHED_OTHER || policy === SCHED_BATCH || policy === SCHED_IDLE;

/** Kept and shown, not acted on: the host schedules the stubs. */
function setPolicy(t: Task, target: Task, policyAndFlag: number, priority: number): number {
  const policy = policyAndFlag & ~SCHED_RESET_ON_FORK;
  if (isRealtimePolicy(policy)) {
    if (priority < 1 || priority > RT_PRIORITY_MAX) return -EINVAL;
    const allowed =
      t.creds.hasCapability(CAP_SYS_NICE) || priority <= target.rlimit(RLIMIT_RTPRIO).soft;
    if (!allowed) return -EPERM;
  } else if (!isFairPolicy(policy) || priority !== 0) return -EINVAL;
  if (!mayReschedule(t, target)) return -EPERM;
  target.schedPolicy = policy;
  target.schedPriority = priority;
  target.schedResetOnFork = (policyAndFlag & SCHED_RESET_ON_FORK) !== 0;
  return 0;
}

function sysSetscheduler(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.int(1) < 0 || a.addr(2) === 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  const priority = t.mm.readI32(a.addr(2));
  return t.mm.faulted ? -EFAULT : setPolicy(t, target, a.int(1), priority);
}

function sysSetparam(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.addr(1) === 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  const priority = t.mm.readI32(a.addr(1));
  return t.mm.faulted ? -EFAULT : setPolicy(t, target, target.schedPolicy, priority);
}

function sysGetscheduler(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  return target.schedPolicy | (target.schedResetOnFork ? SCHED_RESET_ON_FORK : 0);
}

function sysGetparam(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.addr(1) === 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  return target === null ? -ESRCH : t.mm.writeU32(a.addr(1), target.schedPriority);
}

function sysSchedSetattr(t: Task, a: SyscallArgs): number {
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  if (a.uint(2) !== 0) return -EINVAL;
  const bytes = t.mm.readU32(a.addr(1));
  if (t.mm.faulted) return -EFAULT;
  if (bytes < SCHED_ATTR_BYTES_MIN) return -EINVAL;
  if (t.mm.copyIn(a.addr(1), scratch, 0, SCHED_ATTR_BYTES_MIN) !== SCHED_ATTR_BYTES_MIN) {
    return -EFAULT;
  }
  const resetOnFork = (u32Le(scratch, 8) & 1) !== 0 ? SCHED_RESET_ON_FORK : 0;
  const nice = u32Le(scratch, 16) | 0;
  const set = setPolicy(t, target, u32Le(scratch, 4) | resetOnFork, u32Le(scratch, 20));
  if (set === 0 && isFairPolicy(target.schedPolicy))
    target.nice = Math.max(-20, Math.min(19, nice));
  return set;
}

function sysSchedGetattr(t: Task, a: SyscallArgs): number {
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  const bytes = Math.min(a.uint(2), SCHED_ATTR_BYTES);
  if (bytes < SCHED_ATTR_BYTES_MIN || a.uint(3) !== 0) return -EINVAL;
  scratch.fill(0, 0, SCHED_ATTR_BYTES);
  setU32Le(scratch, 0, bytes);
  setU32Le(scratch, 4, target.schedPolicy);
  setU32Le(scratch, 8, target.schedResetOnFork ? 1 : 0);
  setU32Le(scratch, 16, target.nice);
  setU32Le(scratch, 20, target.schedPriority);
  return t.mm.copyOut(a.addr(1), scratch, 0, bytes) === bytes ? 0 : -EFAULT;
}

function priorityBound(policy: number, ofRealtime: number): number {
  if (isRealtimePolicy(policy)) return ofRealtime;
  return isFairPolicy(policy) || policy === 6 ? 0 : -EINVAL;
}

function sysRrInterval(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0) return -EINVAL;
  const target = taskOf(t, a.int(0));
  if (target === null) return -ESRCH;
  return writeTimespec(t.mm, a.addr(1), target.schedPolicy === SCHED_FIFO ? 0 : RR_INTERVAL_NS);
}

/** The tasks that getpriority and setpriority mean. */
function selectTasks(t: Task, which: number, who: number): Task[] | number {
  const all = [...t.kernel.pids.tasks.values()].filter((task) => task.context !== null);
  switch (which) {
    case PRIO_PROCESS: {
      const target = taskOf(t, who);
      return target === null ? [] : [target];
    }
    case PRIO_PGRP: {
      const pgid = who === 0 ? t.threadGroup.pgid : who;
      return all.filter((task) => task.threadGroup.pgid === pgid);
    }
    case PRIO_USER: {
      const uid = who === 0 ? t.creds.uid : who;
      return all.filter((task) => task.creds.uid === uid);
    }
    default:
      return -EINVAL;
  }
}

/** 20 - nice, so that the result is never negative. */
function sysGetpriority(t: Task, a: SyscallArgs): number {
  const tasks = selectTasks(t, a.int(0), a.int(1));
  if (typeof tasks === "number") return tasks;
  if (tasks.length === 0) return -ESRCH;
  return Math.max(...tasks.map((task) => 20 - task.nice));
}

function sysSetpriority(t: Task, a: SyscallArgs): number {
  const tasks = selectTasks(t, a.int(0), a.int(1));
  if (typeof tasks === "number") return tasks;
  if (tasks.length === 0) return -ESRCH;
  const nice = Math.max(-20, Math.min(19, a.int(2)));
  let outcome = 0;
  for (const task of tasks) {
    if (!mayReschedule(t, task)) outcome = -EPERM;
    else if (nice < task.nice && !mayRaise(t, task, nice)) outcome = -EACCES;
    else task.nice = nice;
  }
  return outcome;
}
function mayRaise(t: Task, task: Task, nice: number): boolean {
  return t.creds.hasCapability(CAP_SYS_NICE) || 20 - nice <= task.rlimit(RLIMIT_NICE).soft;
}

const IOPRIO_WHO_PROCESS = 1;

function sysIoprioGet(t: Task, a: SyscallArgs): number {
  if (a.int(0) < IOPRIO_WHO_PROCESS || a.int(0) > 3) return -EINVAL;
  const target = a.int(0) === IOPRIO_WHO_PROCESS ? taskOf(t, a.int(1)) : t;
  return target === null ? -ESRCH : target.ioPriority;
}
function sysIoprioSet(t: Task, a: SyscallArgs): number {
  if (a.int(0) < IOPRIO_WHO_PROCESS || a.int(0) > 3) return -EINVAL;
  const level = a.int(2) >>> 13;
  if (level > 3) return -EINVAL;
  if (level === 1 && !t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  const target = a.int(0) === IOPRIO_WHO_PROCESS ? taskOf(t, a.int(1)) : t;
  if (target === null) return -ESRCH;
  target.ioPriority = a.int(2);
  return 0;
}

export const schedulingFamily: SyscallFamily = [
  [nr.SYS_sched_yield, () => 0],
  [nr.SYS_sched_getaffinity, sysGetaffinity],
  [nr.SYS_sched_setaffinity, sysSetaffinity],
  [nr.SYS_getcpu, sysGetcpu],
  [nr.SYS_sched_setscheduler, sysSetscheduler],
  [nr.SYS_sched_getscheduler, sysGetscheduler],
  [nr.SYS_sched_setparam, sysSetparam],
  [nr.SYS_sched_getparam, sysGetparam],
  [nr.SYS_sched_setattr, sysSchedSetattr],
  [nr.SYS_sched_getattr, sysSchedGetattr],
  [nr.SYS_sched_get_priority_max, (_t, a) => priorityBound(a.int(0), RT_PRIORITY_MAX)],
  [nr.SYS_sched_get_priority_min, (_t, a) => priorityBound(a.int(0), 1)],
  [nr.SYS_sched_rr_get_interval, sysRrInterval],
  [nr.SYS_getpriority, sysGetpriority],
  [nr.SYS_setpriority, sysSetpriority],
  [nr.SYS_ioprio_get, sysIoprioGet],
  [nr.SYS_ioprio_set, sysIoprioSet],
];
