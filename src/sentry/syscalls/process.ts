// Making and ending tasks: clone, fork, exit, and what a thread registers about itself
// (clone(2), unshare(2), _exit(2), set_tid_address(2), set_robust_list(2)).

import { CAP_SYS_ADMIN, CAP_SYS_PTRACE } from "../../abi/capability.ts";
import { E2BIG, EBADF, EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
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
  SYS_set_robust_list,
  SYS_set_tid_address,
  SYS_setns,
  SYS_unshare,
  SYS_vfork,
} from "../../abi/syscall-numbers.ts";
import { exitStatusWord } from "../../abi/wait.ts";
import { u32Le, u64Le } from "../../base/bytes.ts";
import { NO_RESULT, type Task } from "../kernel/task.ts";
import { type CloneRequest, cloneTask, FORK_REQUEST } from "../kernel/task-clone.ts";
import { exitTask, groupExit } from "../kernel/task-exit.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

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
];
