// open, openat, openat2, creat, close, close_range, dup, dup2, dup3, pipe, pipe2.

import { E2BIG, EBADF, EFAULT, EINVAL } from "../../abi/errno.ts";
import {
  __O_TMPFILE,
  AT_FDCWD,
  CLOSE_RANGE_CLOEXEC,
  CLOSE_RANGE_UNSHARE,
  O_ACCMODE,
  O_ALL,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_LARGEFILE,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  OPEN_HOW_BYTES,
  RESOLVE_ALL,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
} from "../../abi/fcntl.ts";
import { IN_OPEN } from "../../abi/inotify.ts";
import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import {
  SYS_close,
  SYS_close_range,
  SYS_creat,
  SYS_dup,
  SYS_dup2,
  SYS_dup3,
  SYS_open,
  SYS_openat,
  SYS_openat2,
  SYS_pipe,
  SYS_pipe2,
} from "../../abi/syscall-numbers.ts";
import { makePipe, PipeFile } from "../fs/pipe/pipe.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { isWatched, noteFile } from "../vfs/notify.ts";
import { openAt } from "../vfs/open.ts";
import { copyInPath } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

/** A FIFO whose open waits for the other end, kept over re-runs of the call. */
class PendingOpen {
  readonly file: PipeFile;
  constructor(file: PipeFile) {
    this.file = file;
  }
}

function openPath(
  t: Task,
  dirfd: number,
  pathAddr: number,
  flags: number,
  mode: number,
  resolveFlags: number,
): number {
  let file: FileDescription | number;
  if (t.syscallState instanceof PendingOpen) file = t.syscallState.file;
  else {
    const path = copyInPath(t, pathAddr);
    if (typeof path === "number") return path;
    file = openAt(t, dirfd, path, flags, mode, resolveFlags);
  }
  if (typeof file === "number") return file;
  if (file instanceof PipeFile && file.isOpening) return waitForOtherEnd(t, file);
  t.syscallState = null;
  if (file.path !== null && isWatched(file.path.dentry)) noteFile(file.path.dentry, IN_OPEN);
  return newDescriptor(t, file, (flags & O_CLOEXEC) !== 0);
}

function waitForOtherEnd(t: Task, file: PipeFile): number {
  t.syscallState ??= new PendingOpen(file);
  const parked = t.blockOn(file.waiters, POLLIN | POLLOUT);
  if (parked === BLOCKED) return parked;
  t.syscallState = null;
  file.decRef();
  return parked;
}

/** What open(2) makes of flags it does not know, and of O_PATH's. */
function cleanFlags(flags: number): number {
  let clean = flags & O_ALL;
  if ((clean & O_PATH) !== 0) clean &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  return clean;
}

function checkTmpfile(flags: number): number {
  if ((flags & __O_TMPFILE) === 0) return 0;
  if ((flags & O_TMPFILE) !== O_TMPFILE) return -EINVAL;
  return (flags & O_ACCMODE) === O_RDONLY ? -EINVAL : 0;
}

function openWith(t: Task, dirfd: number, pathAddr: number, flags: number, mode: number): number {
  const clean = cleanFlags(flags);
  const bad = checkTmpfile(clean);
  if (bad < 0) return bad;
  // Linux refuses this pair since 6.4: nobody means it.
  if ((clean & (O_CREAT | O_DIRECTORY)) === (O_CREAT | O_DIRECTORY)) return -EINVAL;
  return openPath(t, dirfd, pathAddr, clean | O_LARGEFILE, mode & 0o7777, 0);
}

const open = (t: Task, a: SyscallArgs): number =>
  openWith(t, AT_FDCWD, a.addr(0), a.int(1), a.int(2));
const creat = (t: Task, a: SyscallArgs): number =>
  openWith(t, AT_FDCWD, a.addr(0), O_CREAT | O_WRONLY | O_TRUNC, a.int(1));
const openat = (t: Task, a: SyscallArgs): number =>
  openWith(t, a.int(0), a.addr(1), a.int(2), a.int(3));

function openat2(t: Task, a: SyscallArgs): number {
  const size = a.size(3);
  const how = a.addr(2);
  if (size < OPEN_HOW_BYTES) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const flags = t.mm.readU64(how);
  const mode = t.mm.readU64(how + 8);
  const resolve = t.mm.readU64(how + 16);
  if (t.mm.faulted) return -EFAULT;
  for (let at = OPEN_HOW_BYTES; at < size; at++) {
    const byte = t.mm.readU8(how + at);
    if (t.mm.faulted) return -EFAULT;
    if (byte !== 0) return -E2BIG;
  }
  if (flags > 0x7fff_ffff || (flags & ~O_ALL) !== 0) return -EINVAL;
  if (resolve > 0xff || (resolve & ~RESOLVE_ALL) !== 0) return -EINVAL;
  const both = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((resolve & both) === both) return -EINVAL;
  const makes = (flags & (O_CREAT | __O_TMPFILE)) !== 0;
  if (mode > 0o7777 || (!makes && mode !== 0)) return -EINVAL;
  if ((flags & O_PATH) !== 0) {
    if ((flags & ~(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) !== 0) return -EINVAL;
  }
  const bad = checkTmpfile(flags);
  if (bad < 0) return bad;
  if ((flags & (O_CREAT | O_DIRECTORY)) === (O_CREAT | O_DIRECTORY)) return -EINVAL;
  return openPath(t, a.int(0), a.addr(1), flags | O_LARGEFILE, mode, resolve);
}

function close(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (file.refs === 1) {
    const wait = file.closeWait(t);
    if (wait === BLOCKED) return wait;
  }
  return t.fds.close(t, a.int(0));
}

function closeRange(t: Task, a: SyscallArgs): number {
  const first = a.uint(0);
  const last = a.uint(1);
  const flags = a.uint(2);
  if ((flags & ~(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) !== 0 || first > last) return -EINVAL;
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && t.fds.refs > 1) {
    const own = t.fds.fork();
    t.fds.decRef(t);
    t.fds = own;
  }
  t.fds.closeRange(t, first, last, (flags & CLOSE_RANGE_CLOEXEC) !== 0);
  return 0;
}

function dup(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  file.incRef();
  return newDescriptor(t, file, false);
}

function dupTo(t: Task, from: number, to: number, closeOnExec: boolean): number {
  const file = t.fds.get(from);
  if (file === undefined) return -EBADF;
  if (to < 0 || to >= t.rlimit(RLIMIT_NOFILE).soft) return -EBADF;
  file.incRef();
  const fd = t.fds.replace(t, to, file, closeOnExec);
  if (fd < 0) file.decRef();
  return fd;
}

function dup2(t: Task, a: SyscallArgs): number {
  const from = a.int(0);
  if (from === a.int(1)) return t.fds.get(from) === undefined ? -EBADF : from;
  return dupTo(t, from, a.int(1), false);
}

function dup3(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  if ((flags & ~O_CLOEXEC) !== 0 || a.int(0) === a.int(1)) return -EINVAL;
  return dupTo(t, a.int(0), a.int(1), (flags & O_CLOEXEC) !== 0);
}

function pipeWith(t: Task, addr: number, flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL;
  // Packet mode is not offered: a program that asks for it must not get a byte stream instead.
  if ((flags & O_DIRECT) !== 0) return -EINVAL;
  const [reading, writing] = makePipe(t, flags & O_NONBLOCK);
  const closeOnExec = (flags & O_CLOEXEC) !== 0;
  const readFd = newDescriptor(t, reading, closeOnExec);
  if (readFd < 0) {
    writing.decRef();
    return readFd;
  }
  const writeFd = newDescriptor(t, writing, closeOnExec);
  if (writeFd < 0) {
    t.fds.close(t, readFd);
    return writeFd;
  }
  if (t.mm.writeU32(addr, readFd) < 0 || t.mm.writeU32(addr + 4, writeFd) < 0) {
    t.fds.close(t, readFd);
    t.fds.close(t, writeFd);
    return -EFAULT;
  }
  return 0;
}

const pipe = (t: Task, a: SyscallArgs): number => pipeWith(t, a.addr(0), 0);
const pipe2 = (t: Task, a: SyscallArgs): number => pipeWith(t, a.addr(0), a.int(1));

export const openSyscalls: SyscallFamily = [
  [SYS_open, open],
  [SYS_creat, creat],
  [SYS_openat, openat],
  [SYS_openat2, openat2],
  [SYS_close, close],
  [SYS_close_range, closeRange],
  [SYS_dup, dup],
  [SYS_dup2, dup2],
  [SYS_dup3, dup3],
  [SYS_pipe, pipe],
  [SYS_pipe2, pipe2],
];
