// read, write and their vector and positioned forms, lseek (read(2), readv(2), lseek(2)). A blocking call on
// a file that would block parks the task on the file; what a parked write has already handed over is kept
// in syscallState, because the call is run again from its start.

import { EAGAIN, EBADF, EFBIG, EINTR, EINVAL, EOPNOTSUPP, ERESTARTSYS } from "../../abi/errno.ts";
import {
  O_APPEND,
  RWF_ALL,
  RWF_APPEND,
  RWF_DSYNC,
  RWF_NOWAIT,
  RWF_SYNC,
  SEEK_CUR,
} from "../../abi/fcntl.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../../abi/poll.ts";
import { RLIMIT_FSIZE } from "../../abi/resource.ts";
import { SIGXFSZ } from "../../abi/signal.ts";
import {
  SYS_lseek,
  SYS_pread64,
  SYS_preadv,
  SYS_preadv2,
  SYS_pwrite64,
  SYS_pwritev,
  SYS_pwritev2,
  SYS_read,
  SYS_readv,
  SYS_write,
  SYS_writev,
} from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { UserIo } from "../mm/user-io.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { Stat } from "../vfs/stat.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** Handlers run to completion one after the other: one cursor serves them all. */
const io = new UserIo();
const sizeStat = new Stat();
const INFINITE = Number.POSITIVE_INFINITY;
const READ_EVENTS = POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP;
const WRITE_EVENTS = POLLOUT | POLLWRNORM | POLLHUP;
const POSITION_MAX = Number.MAX_SAFE_INTEGER;

function readInto(t: Task, file: FileDescription): number {
  if (!file.isReadable) return -EBADF;
  const n = file.read(t, io);
  if (n !== -EAGAIN || file.isNonBlocking) return n;
  const timeoutNs = file.readTimeoutNs;
  return t.blockOn(file.waiters, READ_EVENTS, timeoutNs, interruptErrno(timeoutNs));
}

/** A call with a timeout of its own (SO_RCVTIMEO) is not restarted after a signal (signal(7)). */
const interruptErrno = (timeoutNs: number): number =>
  timeoutNs === INFINITE ? ERESTARTSYS : EINTR;

/** io stands at the start of the whole buffer. */
function writeFrom(t: Task, file: FileDescription): number {
  if (!file.isWritable) return -EBADF;
  const total = io.remaining;
  let done = 0;
  if (t.syscallState !== null) {
    done = t.syscallState as number;
    io.skip(done);
  }
  const limited = limitFileSize(t, file, -1);
  if (limited < 0) return limited;
  let n = file.write(t, io);
  const whole = file.blocksUntilWritten;
  while (whole && n > 0 && done + n < total) {
    done += n;
    n = file.write(t, io);
  }
  if (n >= 0) return done + n;
  if (n !== -EAGAIN || file.isNonBlocking) return done > 0 ? done : n;
  const timeoutNs = file.writeTimeoutNs;
  t.syscallState = done > 0 ? done : null;
  const parked = t.blockOn(file.waiters, WRITE_EVENTS, timeoutNs, interruptErrno(timeoutNs));
  // Timed out or interrupted with some of it written: that much is the result.
  return done > 0 && parked > -4096 ? done : parked;
}

/** RLIMIT_FSIZE: shortens io's write, or -EFBIG with SIGXFSZ when nothing fits. offset -1: unknown. */
function limitFileSize(t: Task, file: FileDescription, offset: number): number {
  const limit = t.rlimit(RLIMIT_FSIZE).soft;
  if (limit === INFINITE || file.path?.dentry.inode?.isRegular !== true) return 0;
  let at = offset >= 0 ? offset : file.seek(t, 0, SEEK_CUR);
  if ((file.flags & O_APPEND) !== 0) {
    if (file.stat(sizeStat) < 0) return 0;
    at = sizeStat.size;
  }
  if (at < 0) return 0;
  if (at >= limit && io.remaining > 0) {
    t.raise(SIGXFSZ);
    return -EFBIG;
  }
  io.remaining = Math.min(io.remaining, limit - at);
  return 0;
}

function read(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (a.high(2) < 0) return -EINVAL;
  io.set(t.mm, a.addr(1), a.size(2));
  return readInto(t, file);
}

function write(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (a.high(2) < 0) return -EINVAL;
  io.set(t.mm, a.addr(1), a.size(2));
  return writeFrom(t, file);
}

function readv(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  return set < 0 ? set : readInto(t, file);
}

function writev(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  return set < 0 ? set : writeFrom(t, file);
}

function preadAt(t: Task, file: FileDescription, offset: number): number {
  if (!file.isReadable) return -EBADF;
  if (offset < 0 || offset + io.remaining > POSITION_MAX) return -EINVAL;
  return file.pread(t, io, offset);
}

function pwriteAt(t: Task, file: FileDescription, offset: number): number {
  if (!file.isWritable) return -EBADF;
  if (offset < 0 || offset + io.remaining > POSITION_MAX) return -EINVAL;
  const limited = limitFileSize(t, file, offset);
  return limited < 0 ? limited : file.pwrite(t, io, offset);
}

function pread64(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (a.long(3) < 0 || a.high(2) < 0) return -EINVAL;
  if (file === undefined) return -EBADF;
  io.set(t.mm, a.addr(1), a.size(2));
  return preadAt(t, file, a.long(3));
}

function pwrite64(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (a.long(3) < 0 || a.high(2) < 0) return -EINVAL;
  if (file === undefined) return -EBADF;
  io.set(t.mm, a.addr(1), a.size(2));
  return pwriteAt(t, file, a.long(3));
}

function preadv(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  return set < 0 ? set : preadAt(t, file, a.long(3));
}

function pwritev(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  return set < 0 ? set : pwriteAt(t, file, a.long(3));
}

function preadv2(t: Task, a: SyscallArgs): number {
  const flags = a.int(5);
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if ((flags & ~RWF_ALL) !== 0 || (flags & RWF_APPEND) !== 0) return -EOPNOTSUPP;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  if (set < 0) return set;
  if (a.long(3) !== -1) return preadAt(t, file, a.long(3));
  if ((flags & RWF_NOWAIT) === 0) return readInto(t, file);
  return file.isReadable ? file.read(t, io) : -EBADF;
}

function pwritev2(t: Task, a: SyscallArgs): number {
  const flags = a.int(5);
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if ((flags & ~RWF_ALL) !== 0 || (flags & RWF_NOWAIT) !== 0) return -EOPNOTSUPP;
  const set = io.setIovec(t.mm, a.addr(1), a.int(2));
  if (set < 0) return set;
  const appended = (flags & RWF_APPEND) !== 0 && (file.flags & O_APPEND) === 0;
  if (appended) file.flags |= O_APPEND;
  const n = a.long(3) === -1 ? writeFrom(t, file) : pwriteAt(t, file, a.long(3));
  if (appended) file.flags &= ~O_APPEND;
  if (n > 0 && (flags & (RWF_SYNC | RWF_DSYNC)) !== 0) file.sync(t);
  return n;
}

function lseek(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  return file.seek(t, a.long(1), a.int(2));
}

export const readWriteSyscalls: SyscallFamily = [
  [SYS_read, read],
  [SYS_write, write],
  [SYS_readv, readv],
  [SYS_writev, writev],
  [SYS_pread64, pread64],
  [SYS_pwrite64, pwrite64],
  [SYS_preadv, preadv],
  [SYS_pwritev, pwritev],
  [SYS_preadv2, preadv2],
  [SYS_pwritev2, pwritev2],
  [SYS_lseek, lseek],
];
