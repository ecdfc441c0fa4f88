// Looking at other processes: pidfd_open(2), pidfd_getfd(2), kcmp(2), and who may.

import { CAP_SYS_PTRACE } from "../../abi/capability.ts";
import { EBADF, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import { SYS_kcmp, SYS_pidfd_getfd, SYS_pidfd_open } from "../../abi/syscall-numbers.ts";
import { PidFd } from "../kernel/pidfd.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

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

export const pidfdFamily: SyscallFamily = [
  [SYS_pidfd_open, sysPidfdOpen],
  [SYS_pidfd_getfd, sysPidfdGetfd],
  [SYS_kcmp, sysKcmp],
];
