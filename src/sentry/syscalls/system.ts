// The machine as programs see it: uname, sysinfo, random bytes, scheduling, priorities, host name,
// and the administrator's calls that nobody may make here.

import { CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYSLOG } from "../../abi/capability.ts";
import { EACCES, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from "../../abi/errno.ts";
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
import {
  byteString,
  putByteString,
  setU16Le,
  setU32Le,
  setU64Le,
  u32Le,
} from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import { UTS_MACHINE, UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../kernel/version.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { writeTimespec } from "./timeouts.ts";

const UTS_FIELD_BYTES = 65;
const UTS_BYTES = 6 * UTS_FIELD_BYTES;
const HOSTNAME_BYTES_MAX = 64;
const SYSINFO_BYTES = 112;
const RANDOM_CHUNK_BYTES = 4096;
const GRND_NONBLOCK = 1;
const GRND_RANDOM = 2;
const GRND_INSECURE = 4;
const RT_PRIORITY_MAX = 99;
const RR_INTERVAL_NS = 100_000_000;
const SCHED_ATTR_BYTES = 56;
const SCHED_ATTR_BYTES_MIN = 48;
const CPU_MASK_BYTES = 8;
const scratch = new Uint8Array(RANDOM_CHUNK_BYTES);

function sysUname(t: Task, a: SyscallArgs): number {
  scratch.fill(0, 0, UTS_BYTES);
  const kernel = t.kernel;
  const fields = [
    UTS_SYSNAME,
    kernel.hostname,
    UTS_RELEASE,
    UTS_VERSION,
    UTS_MACHINE,
    kernel.domainname,
  ];
  for (let i = 0; i < fields.length; i++) {
    putByteString(scratch, i * UTS_FIELD_BYTES, fields[i].slice(0, UTS_FIELD_BYTES - 1));
  }
  return t.mm.copyOut(a.addr(0), scratch, 0, UTS_BYTES) === UTS_BYTES ? 0 : -EFAULT;
}

/** A new host or domain name; -errno. */
function readName(t: Task, a: SyscallArgs): string | number {
  if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  const length = a.size(1);
  if (a.int(1) < 0 || length > HOSTNAME_BYTES_MAX) return -EINVAL;
  if (t.mm.copyIn(a.addr(0), scratch, 0, length) !== length) return -EFAULT;
  return byteString(scratch, 0, length).split("\0")[0];
}

function sysSethostname(t: Task, a: SyscallArgs): number {
  const name = readName(t, a);
  if (typeof name === "number") return name;
  t.kernel.hostname = name;
  return 0;
}
function sysSetdomainname(t: Task, a: SyscallArgs): number {
  const name = readName(t, a);
  if (typeof name === "number") return name;
  t.kernel.domainname = name;
  return 0;
}

function sysSysinfo(t: Task, a: SyscallArgs): number {
  const kernel = t.kernel;
  const total = kernel.limits.memoryBytes;
  scratch.fill(0, 0, SYSINFO_BYTES);
  setU64Le(scratch, 0, Math.floor(kernel.time.uptimeNs() / SECOND));
  setU64Le(scratch, 32, total);
  setU64Le(scratch, 40, Math.max(0, total - kernel.memoryFile.allocatedBytes));
  setU16Le(scratch, 80, kernel.pids.tasks.size);
  setU32Le(scratch, 104, 1);
  return t.mm.copyOut(a.addr(0), scratch, 0, SYSINFO_BYTES) === SYSINFO_BYTES ? 0 : -EFAULT;
}

function sysGetrandom(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  const both = GRND_RANDOM | GRND_INSECURE;
  if ((flags & ~(GRND_NONBLOCK | both)) !== 0 || (flags & both) === both) return -EINVAL;
  const length = Math.min(a.size(1), 0x7fff_ffff);
  let done = 0;
  while (done < length) {
    const chunk = Math.min(RANDOM_CHUNK_BYTES, length - done);
    t.kernel.rng.fill(scratch, 0, chunk);
    const moved = t.mm.copyOut(a.addr(0) + done, scratch, 0, chunk);
    if (moved > 0) done += moved;
    if (moved !== chunk) return done > 0 ? done : -EFAULT;
  }
  return done;
}

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

function sysPersonality(t: Task, a: SyscallArgs): number {
  const old = t.personality;
  if (a.uint(0) === 0xffff_ffff) return old;
  // Only the execution domain Linux; of its flags those that change nothing here may be kept.
  if ((a.uint(0) & 0xff) !== 0) return -EINVAL;
  t.personality = a.uint(0);
  return old;
}

const SYSLOG_READ_ALL = 3;
const SYSLOG_SIZE_BUFFER = 10;

/** An empty kernel log. */
function sysSyslog(t: Task, a: SyscallArgs): number {
  const type = a.int(0);
  if (type < 0 || type > SYSLOG_SIZE_BUFFER) return -EINVAL;
  const isOpen = type === SYSLOG_READ_ALL || type === SYSLOG_SIZE_BUFFER;
  const may = t.creds.hasCapability(CAP_SYSLOG) || t.creds.hasCapability(CAP_SYS_ADMIN);
  if (!isOpen && !may) return -EPERM;
  return 0;
}

const forbidden = (): number => -EPERM;
const absent = (): number => -ENOSYS;

export const systemFamily: SyscallFamily = [
  [nr.SYS_uname, sysUname],
  [nr.SYS_sethostname, sysSethostname],
  [nr.SYS_setdomainname, sysSetdomainname],
  [nr.SYS_sysinfo, sysSysinfo],
  [nr.SYS_getrandom, sysGetrandom],
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
  [nr.SYS_personality, sysPersonality],
  [nr.SYS_syslog, sysSyslog],
  // glibc and others take ENOSYS for "no restartable sequences" and go on without.
  [nr.SYS_rseq, absent],
  [nr.SYS_acct, forbidden],
  [nr.SYS_bpf, forbidden],
  [nr.SYS_delete_module, forbidden],
  [nr.SYS_finit_module, forbidden],
  [nr.SYS_init_module, forbidden],
  [nr.SYS_ioperm, forbidden],
  [nr.SYS_iopl, forbidden],
  [nr.SYS_kexec_load, forbidden],
  [nr.SYS_perf_event_open, forbidden],
  [nr.SYS_ptrace, forbidden],
  [nr.SYS_reboot, forbidden],
  [nr.SYS_swapoff, forbidden],
  [nr.SYS_swapon, forbidden],
  [nr.SYS_userfaultfd, forbidden],
  [nr.SYS_vhangup, forbidden],
];
