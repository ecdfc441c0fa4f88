// Making and ending tasks, and their families: clone, fork, exit, process groups, sessions, pidfds
// (clone(2), _exit(2), setpgid(2), setsid(2), pidfd_open(2), kcmp(2)).

import { CAP_SYS_ADMIN, CAP_SYS_PTRACE } from "../../abi/capability.ts";
import { E2BIG, EACCES, EBADF, EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import { ROBUST_LIST_HEAD_BYTES } from "../../abi/futex.ts";
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_NAMESPACES,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  CSIGNAL,
} from "../../abi/sched.ts";
import {
  SYS_clone,
  SYS_clone3,
  SYS_exit,
  SYS_exit_group,
  SYS_fork,
  SYS_get_robust_list,
  SYS_getpgid,
  SYS_getpgrp,
  SYS_getpid,
  SYS_getppid,
  SYS_getsid,
  SYS_gettid,
  SYS_kcmp,
  SYS_pidfd_getfd,
  SYS_pidfd_open,
  SYS_set_robust_list,
  SYS_set_tid_address,
  SYS_setns,
  SYS_setpgid,
  SYS_setsid,
  SYS_unshare,
  SYS_vfork,
} from "../../abi/syscall-numbers.ts";
import { exitStatusWord } from "../../abi/wait.ts";
import { u32Le, u64Le } from "../../base/bytes.ts";
import { PidFd } from "../kernel/pidfd.ts";
import { ProcessGroup, Session } from "../kernel/process-group.ts";
import { NO_RESULT, type Task } from "../kernel/task.ts";
import { type CloneRequest, cloneTask, FORK_REQUEST } from "../kernel/task-clone.ts";
import { exitTask, groupExit, leaveProcessGroup } from "../kernel/task-exit.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

const CLONE_ARGS_BYTES_MIN = 64;
const CLONE_ARGS_BYTES = 88;
const PAGE_BYTES = 4096;
const VFORK_REQUEST: Readonly<CloneRequest> = {
  ...FORK_REQUEST,
  flags: CLONE_VM | CLONE_VFORK,
};

const sysFork = (t: Task): number => cloneTask(t, FORK_REQUEST);
const sysVfork = (t: Task): number => cloneTask(t, VFORK_REQUEST);

function sysClone(t: Task, a: SyscallArgs): number {
  const flags = a.int(0) & ~CSIGNAL;
  const both = CLONE_PIDFD | CLONE_PARENT_SETTID;
  if ((flags & both) === both) return -EINVAL;
  return cloneTask(t, {
    flags,
    flagsHigh: 0,
    exitSignal: a.int(0) & CSIGNAL,
    stack: a.addr(1),
    tls: a.addr(4),
    pidfdAddress: a.addr(2),
    parentTidAddress: a.addr(2),
    childTidAddress: a.addr(3),
  });
}

const cloneArgs = new Uint8Array(PAGE_BYTES);

function sysClone3(t: Task, a: SyscallArgs): number {
  const bytes = a.size(1);
  if (bytes > PAGE_BYTES) return -E2BIG;
  if (bytes < CLONE_ARGS_BYTES_MIN) return -EINVAL;
  cloneArgs.fill(0, 0, CLONE_ARGS_BYTES);
  if (t.mm.copyIn(a.addr(0), cloneArgs, 0, bytes) !== bytes) return -EFAULT;
  for (let i = CLONE_ARGS_BYTES; i < bytes; i++) if (cloneArgs[i] !== 0) return -E2BIG;
  const flags = u32Le(cloneArgs, 0) | 0;
  if ((flags & (CSIGNAL | 0x40_0000) & ~CLONE_NEWTIME) !== 0) return -EINVAL;
  const exitSignal = u64Le(cloneArgs, 32);
  const stack = u64Le(cloneArgs, 40);
  const stackBytes = u64Le(cloneArgs, 48);
  if (exitSignal > 64) return -EINVAL;
  if ((flags & (CLONE_THREAD | 0x8000)) !== 0 && exitSignal !== 0) return -EINVAL;
  if ((stack === 0) !== (stackBytes === 0)) return -EINVAL;
  if ((flags & CLONE_NEWTIME) !== 0) return -EINVAL;
  // set_tid: chosen pids need CAP_CHECKPOINT_RESTORE over a pid namespace, which nobody has here.
  if (u64Le(cloneArgs, 72) !== 0) return u64Le(cloneArgs, 64) === 0 ? -EINVAL : -EPERM;
  return cloneTask(t, {
    flags,
    flagsHigh: u32Le(cloneArgs, 4),
    exitSignal,
    stack: stack + stackBytes,
    tls: u64Le(cloneArgs, 56),
    pidfdAddress: u64Le(cloneArgs, 8),
    parentTidAddress: u64Le(cloneArgs, 24),
    childTidAddress: u64Le(cloneArgs, 16),
  });
}

function sysUnshare(t: Task, a: SyscallArgs): number {
  const flags = a.int(0);
  const known = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
  if ((flags & ~(known | CLONE_NAMESPACES | CLONE_NEWTIME)) !== 0) return -EINVAL;
  if ((flags & (CLONE_NAMESPACES | CLONE_NEWTIME)) !== 0) {
    const needsAdmin = (flags & CLONE_NEWUSER) === 0;
    return needsAdmin && !t.creds.hasCapability(CAP_SYS_ADMIN) ? -EPERM : -EINVAL;
  }
  // A single thread shares its memory and handlers with nobody; several cannot be parted.
  const isAlone = t.threadGroup.tasks.size === 1 && t.mm.refCount === 1;
  if ((flags & (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)) !== 0 && !isAlone) return -EINVAL;
  if ((flags & CLONE_FILES) !== 0 && t.fds.refs > 1) {
    const own = t.fds.fork();
    t.fds.decRef(t);
    t.fds = own;
  }
  if ((flags & CLONE_FS) !== 0 && t.fs.refs > 1) {
    t.fs.refs--;
    t.fs = t.fs.fork();
  }
  return 0;
}

function sysSetns(t: Task, a: SyscallArgs): number {
  // There are no namespace descriptors to enter.
  return t.fds.get(a.int(0)) === undefined ? -EBADF : -EINVAL;
}

function sysExit(t: Task, a: SyscallArgs): number {
  exitTask(t, exitStatusWord(a.int(0)));
  return NO_RESULT;
}

function sysExitGroup(t: Task, a: SyscallArgs): number {
  const group = t.threadGroup;
  groupExit(group, exitStatusWord(a.int(0)));
  exitTask(t, group.exitStatus);
  return NO_RESULT;
}

function sysSetTidAddress(t: Task, a: SyscallArgs): number {
  t.clearChildTid = a.addr(0);
  return t.tid;
}

function sysSetRobustList(t: Task, a: SyscallArgs): number {
  if (a.size(1) !== ROBUST_LIST_HEAD_BYTES) return -EINVAL;
  t.robustListHead = a.addr(0);
  return 0;
}

function sysGetRobustList(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const target = pid === 0 ? t : t.kernel.findTask(pid);
  if (target === null) return -ESRCH;
  if (target.threadGroup !== t.threadGroup && !t.creds.hasCapability(CAP_SYS_PTRACE)) return -EPERM;
  if (t.mm.writeU64(a.addr(2), ROBUST_LIST_HEAD_BYTES) < 0) return -EFAULT;
  return t.mm.writeU64(a.addr(1), target.robustListHead);
}

/** pid 0 is the caller; otherwise the process of that id, or null. */
function processOf(t: Task, pid: number): ThreadGroup | null {
  return pid === 0 ? t.threadGroup : (t.kernel.findTask(pid)?.threadGroup ?? null);
}

function sysGetpgid(t: Task, a: SyscallArgs): number {
  return processOf(t, a.int(0))?.pgid ?? -ESRCH;
}
function sysGetsid(t: Task, a: SyscallArgs): number {
  return processOf(t, a.int(0))?.sid ?? -ESRCH;
}

function sysSetpgid(t: Task, a: SyscallArgs): number {
  const self = t.threadGroup;
  const pid = a.int(0);
  const pgid = a.int(1) === 0 ? (pid === 0 ? self.tgid : pid) : a.int(1);
  if (pgid < 0) return -EINVAL;
  const group = pid === 0 ? self : t.kernel.findGroup(pid);
  if (group === null || group.processGroup === null) return -ESRCH;
  const session = group.processGroup.session;
  if (group !== self) {
    if (group.parent !== self) return -ESRCH;
    if (session !== self.processGroup?.session) return -EPERM;
    if (group.hasExecd) return -EACCES;
  }
  if (session.leader === group) return -EPERM;
  const pids = t.kernel.pids;
  let target = pids.processGroups.get(pgid);
  if (pgid !== group.tgid) {
    if (target === undefined || target.session !== session) return -EPERM;
  }
  if (target === group.processGroup) return 0;
  // Made before the old group is left, which may be the session's last.
  if (target === undefined) {
    target = new ProcessGroup(pgid, session);
    pids.processGroups.set(pgid, target);
  }
  leaveProcessGroup(group);
  group.processGroup = target;
  target.members.add(group);
  return 0;
}

function sysSetsid(t: Task): number {
  const group = t.threadGroup;
  const pids = t.kernel.pids;
  if (pids.processGroups.has(group.tgid)) return -EPERM;
  leaveProcessGroup(group);
  const session = new Session(group.tgid, group);
  const processGroup = new ProcessGroup(group.tgid, session);
  pids.sessions.set(session.sid, session);
  pids.processGroups.set(processGroup.pgid, processGroup);
  processGroup.members.add(group);
  group.processGroup = processGroup;
  return session.sid;
}

function sysPidfdOpen(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  if ((a.uint(1) & ~O_NONBLOCK) !== 0 || pid <= 0) return -EINVAL;
  const target = t.kernel.findTask(pid);
  if (target === null) return -ESRCH;
  // PIDFD_THREAD is not offered: a thread's id names no process.
  if (target.threadGroup.tgid !== pid) return -EINVAL;
  return newDescriptor(t, new PidFd(target.threadGroup, a.int(1)), true);
}

/** May t look into the other task (ptrace(2), PTRACE_MODE_ATTACH)? */
export function mayPtrace(t: Task, target: Task): boolean {
  if (target.threadGroup === t.threadGroup || t.creds.hasCapability(CAP_SYS_PTRACE)) return true;
  const mine = t.creds;
  const theirs = target.creds;
  return (
    mine.fsuid === theirs.uid &&
    mine.fsuid === theirs.euid &&
    mine.fsuid === theirs.suid &&
    mine.fsgid === theirs.gid &&
    mine.fsgid === theirs.egid &&
    mine.fsgid === theirs.sgid &&
    target.threadGroup.dumpable === 1
  );
}

function sysPidfdGetfd(t: Task, a: SyscallArgs): number {
  if (a.uint(2) !== 0) return -EINVAL;
  const pidfd = t.fds.get(a.int(0));
  if (!(pidfd instanceof PidFd)) return -EBADF;
  const target = pidfd.group.anyTask;
  if (target === null) return -ESRCH;
  if (!mayPtrace(t, target)) return -EPERM;
  const file = target.fds.get(a.int(1));
  if (file === undefined) return -EBADF;
  file.incRef();
  return newDescriptor(t, file, true);
}

const KCMP_FILE = 0;
const KCMP_VM = 1;
const KCMP_FILES = 2;
const KCMP_FS = 3;
const KCMP_SIGHAND = 4;
const KCMP_IO = 5;
const KCMP_SYSVSEM = 6;

/** Order of objects: any order that stays the same will do. */
const order = new WeakMap<object, number>();
let nextOrder = 0;
function orderOf(object: object): number {
  let n = order.get(object);
  if (n === undefined) {
    n = nextOrder++;
    order.set(object, n);
  }
  return n;
}
function compare(a: object, b: object): number {
  if (a === b) return 0;
  return orderOf(a) < orderOf(b) ? 1 : 2;
}

function sysKcmp(t: Task, a: SyscallArgs): number {
  const first = t.kernel.findTask(a.int(0));
  const second = t.kernel.findTask(a.int(1));
  if (first === null || second === null) return -ESRCH;
  if (!mayPtrace(t, first) || !mayPtrace(t, second)) return -EPERM;
  switch (a.int(2)) {
    case KCMP_FILE: {
      const x = first.fds.get(a.uint(3));
      const y = second.fds.get(a.uint(4));
      return x === undefined || y === undefined ? -EBADF : compare(x, y);
    }
    case KCMP_VM:
      return compare(first.mm, second.mm);
    case KCMP_FILES:
      return compare(first.fds, second.fds);
    case KCMP_FS:
      return compare(first.fs, second.fs);
    case KCMP_SIGHAND:
      return compare(first.threadGroup.actions, second.threadGroup.actions);
    case KCMP_IO:
    case KCMP_SYSVSEM:
      return compare(first, second);
    default:
      return -EINVAL;
  }
}

export const processFamily: SyscallFamily = [
  [SYS_fork, sysFork],
  [SYS_vfork, sysVfork],
  [SYS_clone, sysClone],
  [SYS_clone3, sysClone3],
  [SYS_unshare, sysUnshare],
  [SYS_setns, sysSetns],
  [SYS_exit, sysExit],
  [SYS_exit_group, sysExitGroup],
  [SYS_set_tid_address, sysSetTidAddress],
  [SYS_set_robust_list, sysSetRobustList],
  [SYS_get_robust_list, sysGetRobustList],
  [SYS_getpid, (t) => t.threadGroup.tgid],
  [SYS_gettid, (t) => t.tid],
  [SYS_getppid, (t) => t.threadGroup.ppid],
  [SYS_getpgrp, (t) => t.threadGroup.pgid],
  [SYS_getpgid, sysGetpgid],
  [SYS_getsid, sysGetsid],
  [SYS_setpgid, sysSetpgid],
  [SYS_setsid, sysSetsid],
  [SYS_pidfd_open, sysPidfdOpen],
  [SYS_pidfd_getfd, sysPidfdGetfd],
  [SYS_kcmp, sysKcmp],
];
