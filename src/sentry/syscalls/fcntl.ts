// fcntl, ioctl (what every descriptor understands), flock.

import {
  EAGAIN,
  EBADF,
  EDEADLK,
  EFAULT,
  EINVAL,
  EOVERFLOW,
  EPERM,
  ESRCH,
} from "../../abi/errno.ts";
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_DUPFD_QUERY,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_GETLEASE,
  F_GETLK,
  F_GETOWN,
  F_GETOWN_EX,
  F_GETPIPE_SZ,
  F_GETSIG,
  F_NOTIFY,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_OWNER_PGRP,
  F_OWNER_PID,
  F_OWNER_TID,
  F_RDLCK,
  F_SETFD,
  F_SETFL,
  F_SETLEASE,
  F_SETLK,
  F_SETLKW,
  F_SETOWN,
  F_SETOWN_EX,
  F_SETPIPE_SZ,
  F_SETSIG,
  F_UNLCK,
  F_WRLCK,
  FD_CLOEXEC,
  FLOCK_BYTES,
  FLOCK_LEN,
  FLOCK_PID,
  FLOCK_START,
  FLOCK_TYPE,
  FLOCK_WHENCE,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_ASYNC,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
  SETFL_MASK,
} from "../../abi/fcntl.ts";
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX } from "../../abi/ioctl.ts";
import { POLLIN } from "../../abi/poll.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import { SYS_fcntl, SYS_flock, SYS_ioctl } from "../../abi/syscall-numbers.ts";
import { i64Le, setU16Le, setU32Le, setU64Le, u16Le } from "../../base/bytes.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { FileLocks, LOCK_END } from "../vfs/file-locks.ts";
import type { Inode } from "../vfs/inode.ts";
import { isOwnerOrCapable } from "../vfs/permissions.ts";
import { Stat } from "../vfs/stat.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const SIGNALS_MAX = 64;

function fcntl(t: Task, a: SyscallArgs): number {
  const fd = a.int(0);
  const command = a.int(1);
  const file = t.fds.get(fd);
  if (file === undefined) return -EBADF;
  switch (command) {
    case F_DUPFD:
      return duplicate(t, file, a.uint(2), false);
    case F_DUPFD_CLOEXEC:
      return duplicate(t, file, a.uint(2), true);
    case F_DUPFD_QUERY:
      return t.fds.get(a.int(2)) === file ? 1 : 0;
    case F_GETFD:
      return t.fds.isCloseOnExec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      t.fds.setCloseOnExec(fd, (a.int(2) & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return file.flags;
    default:
      return (file.flags & O_PATH) !== 0 ? -EBADF : fileControl(t, file, command, a);
  }
}

function duplicate(t: Task, file: FileDescription, min: number, closeOnExec: boolean): number {
  const limit = t.rlimit(RLIMIT_NOFILE).soft;
  if (min >= limit) return -EINVAL;
  file.incRef();
  const fd = t.fds.add(file, closeOnExec, min, limit);
  if (fd < 0) file.decRef();
  return fd;
}

function fileControl(t: Task, file: FileDescription, command: number, a: SyscallArgs): number {
  switch (command) {
    case F_SETFL:
      return setStatusFlags(t, file, a.int(2));
    case F_GETLK:
    case F_OFD_GETLK:
      return getLock(t, file, a.addr(2), command === F_OFD_GETLK);
    case F_SETLK:
    case F_SETLKW:
      return setLock(t, file, a.addr(2), false, command === F_SETLKW);
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return setLock(t, file, a.addr(2), true, command === F_OFD_SETLKW);
    case F_SETOWN:
      file.owner = a.int(2);
      return 0;
    case F_GETOWN:
      return file.owner;
    case F_SETOWN_EX:
      return setOwnerEx(t, file, a.addr(2));
    case F_GETOWN_EX:
      return getOwnerEx(t, file, a.addr(2));
    case F_SETSIG:
      if (a.int(2) < 0 || a.int(2) > SIGNALS_MAX) return -EINVAL;
      file.ownerSignal = a.int(2);
      return 0;
    case F_GETSIG:
      return file.ownerSignal;
    case F_SETLEASE:
      // No leases: what Linux says of a file that others have open.
      return a.int(2) === F_UNLCK ? -EAGAIN : -EINVAL;
    case F_GETLEASE:
      return F_UNLCK;
    case F_NOTIFY:
      return -EINVAL;
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ: {
      const result = file.fcntl(t, command, a.int(2));
      return result === -EINVAL && command === F_GETPIPE_SZ ? -EBADF : result;
    }
    case F_ADD_SEALS:
      return file.isWritable ? file.fcntl(t, command, a.int(2)) : -EPERM;
    case F_GET_SEALS:
      return file.fcntl(t, command, 0);
    default:
      return file.fcntl(t, command, a.int(2));
  }
}

function setStatusFlags(t: Task, file: FileDescription, wanted: number): number {
  if ((wanted & O_NOATIME) !== 0 && (file.flags & O_NOATIME) === 0) {
    const inode = file.path?.dentry.inode;
    if (inode != null && !isOwnerOrCapable(t.creds, inode)) return -EPERM;
  }
  return file.setStatusFlags(t, (file.flags & ~SETFL_MASK) | (wanted & SETFL_MASK));
}

function setOwnerEx(t: Task, file: FileDescription, addr: number): number {
  const type = t.mm.readI32(addr);
  const id = t.mm.readI32(addr + 4);
  if (t.mm.faulted) return -EFAULT;
  if (type === F_OWNER_PGRP) file.owner = -id;
  else if (type === F_OWNER_PID || type === F_OWNER_TID) file.owner = id;
  else return -EINVAL;
  return id < 0 ? -ESRCH : 0;
}
function getOwnerEx(t: Task, file: FileDescription, addr: number): number {
  const isGroup = file.owner < 0;
  const failed =
    t.mm.writeU32(addr, isGroup ? F_OWNER_PGRP : F_OWNER_PID) < 0 ||
    t.mm.writeU32(addr + 4, Math.abs(file.owner)) < 0;
  return failed ? -EFAULT : 0;
}

// Record locks.

const lockBytes = new Uint8Array(FLOCK_BYTES);
const sizeStat = new Stat();
/** The range asked for by the struct flock just read. */
const range = { type: 0, start: 0, end: 0 };

function readRange(t: Task, file: FileDescription, addr: number): number {
  if (t.mm.copyIn(addr, lockBytes, 0, FLOCK_BYTES) !== FLOCK_BYTES) return -EFAULT;
  range.type = u16Le(lockBytes, FLOCK_TYPE);
  const whence = u16Le(lockBytes, FLOCK_WHENCE);
  let start = i64Le(lockBytes, FLOCK_START);
  const length = i64Le(lockBytes, FLOCK_LEN);
  if (whence === SEEK_CUR) start += Math.max(0, file.seek(t, 0, SEEK_CUR));
  else if (whence === SEEK_END) {
    if (file.stat(sizeStat) < 0) return -EINVAL;
    start += sizeStat.size;
  } else if (whence !== SEEK_SET) return -EINVAL;
  let end = length === 0 ? LOCK_END : start + length;
  if (length < 0) {
    end = start;
    start += length;
  }
  if (start < 0) return -EINVAL;
  if (start > LOCK_END || (length > 0 && end > LOCK_END)) {
    if (start > LOCK_END) return -EOVERFLOW;
    end = LOCK_END;
  }
  range.start = start;
  range.end = end;
  return 0;
}

function lockableInode(file: FileDescription): Inode | null {
  return file.lockable() ? (file.path?.dentry.inode ?? null) : null;
}

function getLock(t: Task, file: FileDescription, addr: number, isOfd: boolean): number {
  const bad = readRange(t, file, addr);
  if (bad < 0) return bad;
  if (range.type !== F_RDLCK && range.type !== F_WRLCK) return -EINVAL;
  const inode = lockableInode(file);
  const owner = isOfd ? file : t.fds;
  const found = inode?.locks?.records.conflict(owner, range.type, range.start, range.end) ?? null;
  if (found === null) setU16Le(lockBytes, FLOCK_TYPE, F_UNLCK);
  else {
    setU16Le(lockBytes, FLOCK_TYPE, found.type);
    setU16Le(lockBytes, FLOCK_WHENCE, SEEK_SET);
    setU64Le(lockBytes, FLOCK_START, found.start);
    setU64Le(lockBytes, FLOCK_LEN, found.end === LOCK_END ? 0 : found.end - found.start);
    setU32Le(lockBytes, FLOCK_PID, found.pid);
  }
  return t.mm.copyOut(addr, lockBytes, 0, FLOCK_BYTES) === FLOCK_BYTES ? 0 : -EFAULT;
}

function setLock(
  t: Task,
  file: FileDescription,
  addr: number,
  isOfd: boolean,
  mayWait: boolean,
): number {
  const bad = readRange(t, file, addr);
  if (bad < 0) return bad;
  const { type, start, end } = range;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  if (type === F_RDLCK && !file.isReadable) return -EBADF;
  if (type === F_WRLCK && !file.isWritable) return -EBADF;
  const inode = lockableInode(file);
  if (inode === null) return -EBADF;
  inode.locks ??= new FileLocks();
  const locks = inode.locks;
  const owner: object = isOfd ? file : t.fds;
  if (type !== F_UNLCK) {
    const conflict = locks.records.conflict(owner, type, start, end);
    if (conflict !== null) {
      if (!mayWait) return -EAGAIN;
      if (!isOfd && locks.wouldDeadlock(owner, conflict.owner)) return -EDEADLK;
      locks.noteWaiting(owner, conflict.owner);
      const parked = t.blockOn(locks.waiters, POLLIN);
      if (parked !== BLOCKED) locks.noteWaiting(owner, null);
      return parked;
    }
  }
  locks.noteWaiting(owner, null);
  locks.setRecord(owner, isOfd ? -1 : t.threadGroup.tgid, type, start, end);
  return 0;
}

function flock(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  const operation = a.int(1) & ~LOCK_NB;
  if (operation !== LOCK_SH && operation !== LOCK_EX && operation !== LOCK_UN) return -EINVAL;
  const inode = lockableInode(file);
  if (inode === null) return -EBADF;
  inode.locks ??= new FileLocks();
  const locks = inode.locks;
  if (operation === LOCK_UN) {
    locks.setFlock(file, F_UNLCK);
    return 0;
  }
  const type = operation === LOCK_EX ? F_WRLCK : F_RDLCK;
  if (locks.flocks.conflict(file, type, 0, LOCK_END) !== null) {
    // A conversion gives up the old lock first (flock(2)).
    if (locks.flocks.holds(file)) locks.setFlock(file, F_UNLCK);
    return (a.int(1) & LOCK_NB) !== 0 ? -EAGAIN : t.blockOn(locks.waiters, POLLIN);
  }
  locks.setFlock(file, type);
  return 0;
}

function ioctl(t: Task, a: SyscallArgs): number {
  const fd = a.int(0);
  const request = a.uint(1);
  const file = t.fds.get(fd);
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  if (request === FIOCLEX || request === FIONCLEX) {
    t.fds.setCloseOnExec(fd, request === FIOCLEX);
    return 0;
  }
  if (request === FIONBIO || request === FIOASYNC) {
    const on = t.mm.readI32(a.addr(2));
    if (t.mm.faulted) return -EFAULT;
    const flag = request === FIONBIO ? O_NONBLOCK : O_ASYNC;
    return file.setStatusFlags(t, on !== 0 ? file.flags | flag : file.flags & ~flag);
  }
  return file.ioctl(t, request, a.addr(2));
}

export const fcntlSyscalls: SyscallFamily = [
  [SYS_fcntl, fcntl],
  [SYS_flock, flock],
  [SYS_ioctl, ioctl],
];
