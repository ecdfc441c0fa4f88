// sendfile, splice, tee, vmsplice, copy_file_range: bytes between descriptors without passing through the
// program. Here they pass through one buffer of the Sentry; pages are not moved.

import { EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, EPIPE, ESPIPE } from "../../abi/errno.ts";
import { O_APPEND, SEEK_CUR, SEEK_SET, SPLICE_F_ALL, SPLICE_F_NONBLOCK } from "../../abi/fcntl.ts";
import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import { SIGPIPE } from "../../abi/signal.ts";
import {
  SYS_copy_file_range,
  SYS_sendfile,
  SYS_splice,
  SYS_tee,
  SYS_vmsplice,
} from "../../abi/syscall-numbers.ts";
import { PipeFile } from "../fs/pipe/pipe.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import { UserIo } from "../mm/user-io.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { BytesIo } from "../vfs/io.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const BUFFER_BYTES = 256 * 1024;
const buffer = new Uint8Array(BUFFER_BYTES);
/** One copy_file_range or sendfile moves at most this much: no call may hold up everyone else for long. */
const CALL_BYTES_MAX = 64 * 1024 * 1024;
const userIo = new UserIo();

/** How far a parked sendfile has come. */
class Transfer {
  readonly start: number;
  done = 0;
  constructor(start: number) {
    this.start = start;
  }
}

function sendfile(t: Task, a: SyscallArgs): number {
  const out = t.fds.get(a.int(0));
  const input = t.fds.get(a.int(1));
  if (out === undefined || input === undefined) return -EBADF;
  if (!input.isReadable || !out.isWritable) return -EBADF;
  if ((out.flags & O_APPEND) !== 0 || a.high(3) < 0) return -EINVAL;
  const offsetAddr = a.addr(2);
  let state = t.syscallState as Transfer | null;
  if (state === null) {
    let start: number;
    if (offsetAddr !== 0) {
      start = t.mm.readI64(offsetAddr);
      if (t.mm.faulted) return -EFAULT;
    } else start = input.seek(t, 0, SEEK_CUR);
    if (start < 0) return start === -ESPIPE || offsetAddr !== 0 ? -EINVAL : start;
    state = new Transfer(start);
  }
  const result = pump(t, input, out, state, Math.min(a.size(3), CALL_BYTES_MAX));
  if (result === BLOCKED) {
    t.syscallState = state;
    return result;
  }
  if (state.done > 0) {
    const end = state.start + state.done;
    if (offsetAddr === 0) input.seek(t, end, SEEK_SET);
    else if (t.mm.writeU64(offsetAddr, end) < 0) return -EFAULT;
    return state.done;
  }
  return result;
}

function pump(
  t: Task,
  input: FileDescription,
  out: FileDescription,
  state: Transfer,
  count: number,
): number {
  while (state.done < count) {
    const wanted = Math.min(BUFFER_BYTES, count - state.done);
    const n = input.pread(t, new BytesIo(buffer, 0, wanted), state.start + state.done);
    if (n <= 0) return n === -ESPIPE ? -EINVAL : n;
    const written = out.write(t, new BytesIo(buffer, 0, n));
    if (written === -EAGAIN && !out.isNonBlocking) {
      return t.blockOn(out.waiters, POLLOUT, out.writeTimeoutNs);
    }
    if (written < 0) return written;
    state.done += written;
    if (written === 0) break;
    if (written < n && out.isNonBlocking) break;
  }
  return 0;
}

/** A position argument: -1 when the pointer is null. */
function readOffset(t: Task, addr: number): number {
  if (addr === 0) return -1;
  const offset = t.mm.readI64(addr);
  if (t.mm.faulted) return -EFAULT;
  return offset < 0 ? -EINVAL : offset;
}
function writeOffset(t: Task, addr: number, offset: number, moved: number): number {
  if (addr === 0 || moved <= 0) return moved;
  return t.mm.writeU64(addr, offset + moved) < 0 ? -EFAULT : moved;
}

function splice(t: Task, a: SyscallArgs): number {
  const input = t.fds.get(a.int(0));
  const out = t.fds.get(a.int(2));
  const flags = a.uint(5);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (a.size(4) === 0) return 0;
  if (input === undefined || out === undefined) return -EBADF;
  if (!input.isReadable || !out.isWritable) return -EBADF;
  const inPipe = input instanceof PipeFile ? input : null;
  const outPipe = out instanceof PipeFile ? out : null;
  if (inPipe === null && outPipe === null) return -EINVAL;
  if ((inPipe !== null && a.addr(1) !== 0) || (outPipe !== null && a.addr(3) !== 0)) return -ESPIPE;
  if (inPipe !== null && inPipe.pipe === outPipe?.pipe) return -EINVAL;
  const inOffset = readOffset(t, a.addr(1));
  const outOffset = readOffset(t, a.addr(3));
  if (inOffset < -1) return inOffset;
  if (outOffset < -1) return outOffset;
  const nonBlocking = (flags & SPLICE_F_NONBLOCK) !== 0;
  const length = Math.min(a.size(4), BUFFER_BYTES);
  if (inPipe !== null) {
    const n = fromPipe(t, inPipe, out, outOffset, length, nonBlocking, true);
    return writeOffset(t, a.addr(3), outOffset, n);
  }
  const n = intoPipe(t, input, inOffset, outPipe as PipeFile, length, nonBlocking);
  return writeOffset(t, a.addr(1), inOffset, n);
}

/** consume: splice; otherwise tee. */
function fromPipe(
  t: Task,
  input: PipeFile,
  out: FileDescription,
  outOffset: number,
  length: number,
  nonBlocking: boolean,
  consume: boolean,
): number {
  const { pipe } = input;
  if (pipe.used === 0) {
    if (pipe.writers === 0) return 0;
    if (nonBlocking || input.isNonBlocking) return -EAGAIN;
    return t.blockOn(input.waiters, POLLIN);
  }
  if (outOffset < 0 && (out.flags & O_APPEND) !== 0) return -EINVAL;
  const room = out instanceof PipeFile ? out.pipe.free : length;
  const n = pipe.peek(new BytesIo(buffer, 0, Math.min(length, Math.max(room, 1))), 0);
  const io = new BytesIo(buffer, 0, n);
  const written = outOffset < 0 ? out.write(t, io) : out.pwrite(t, io, outOffset);
  if (written === -EAGAIN && !nonBlocking && !out.isNonBlocking) {
    return t.blockOn(out.waiters, POLLOUT);
  }
  if (written > 0 && consume) pipe.consume(written, pipe.isWritable);
  return written;
}

function intoPipe(
  t: Task,
  input: FileDescription,
  inOffset: number,
  out: PipeFile,
  length: number,
  nonBlocking: boolean,
): number {
  const { pipe } = out;
  if (pipe.readers === 0) {
    t.raise(SIGPIPE);
    return -EPIPE;
  }
  if (pipe.free === 0) {
    if (nonBlocking || out.isNonBlocking) return -EAGAIN;
    return t.blockOn(out.waiters, POLLOUT);
  }
  const io = new BytesIo(buffer, 0, Math.min(length, pipe.free));
  const n = inOffset < 0 ? input.read(t, io) : input.pread(t, io, inOffset);
  if (n === -EAGAIN && !nonBlocking && !input.isNonBlocking) {
    return t.blockOn(input.waiters, POLLIN, input.readTimeoutNs);
  }
  return n <= 0 ? n : pipe.fill(new BytesIo(buffer, 0, n));
}

function tee(t: Task, a: SyscallArgs): number {
  const input = t.fds.get(a.int(0));
  const out = t.fds.get(a.int(1));
  const flags = a.uint(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (a.size(2) === 0) return 0;
  if (input === undefined || out === undefined) return -EBADF;
  if (!input.isReadable || !out.isWritable) return -EBADF;
  if (!(input instanceof PipeFile) || !(out instanceof PipeFile)) return -EINVAL;
  if (input.pipe === out.pipe) return -EINVAL;
  const nonBlocking = (flags & SPLICE_F_NONBLOCK) !== 0;
  const length = Math.min(a.size(2), BUFFER_BYTES);
  return fromPipe(t, input, out, -1, length, nonBlocking, false);
}

function vmsplice(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  const flags = a.uint(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (file === undefined || !(file instanceof PipeFile)) return -EBADF;
  const set = userIo.setIovec(t.mm, a.addr(1), a.int(2));
  if (set < 0) return set;
  if (userIo.remaining === 0) return 0;
  const nonBlocking = (flags & SPLICE_F_NONBLOCK) !== 0 || file.isNonBlocking;
  const writes = file.isWritable;
  const n = writes ? file.write(t, userIo) : file.read(t, userIo);
  if (n !== -EAGAIN || nonBlocking) return n;
  return t.blockOn(file.waiters, writes ? POLLOUT : POLLIN);
}

function copyFileRange(t: Task, a: SyscallArgs): number {
  const input = t.fds.get(a.int(0));
  const out = t.fds.get(a.int(2));
  if (a.uint(5) !== 0) return -EINVAL;
  if (input === undefined || out === undefined) return -EBADF;
  const inInode = input.path?.dentry.inode;
  const outInode = out.path?.dentry.inode;
  if (inInode?.isDirectory || outInode?.isDirectory) return -EISDIR;
  if (!inInode?.isRegular || !outInode?.isRegular) return -EINVAL;
  if (!input.isReadable || !out.isWritable || (out.flags & O_APPEND) !== 0) return -EBADF;
  const inGiven = readOffset(t, a.addr(1));
  const outGiven = readOffset(t, a.addr(3));
  if (inGiven < -1) return inGiven;
  if (outGiven < -1) return outGiven;
  const from = inGiven >= 0 ? inGiven : input.seek(t, 0, SEEK_CUR);
  const to = outGiven >= 0 ? outGiven : out.seek(t, 0, SEEK_CUR);
  if (from < 0 || to < 0) return -EINVAL;
  const count = Math.min(a.size(4), CALL_BYTES_MAX);
  if (inInode === outInode && from < to + count && to < from + count) return -EINVAL;
  let done = 0;
  let failure = 0;
  while (done < count) {
    const wanted = Math.min(BUFFER_BYTES, count - done);
    const n = input.pread(t, new BytesIo(buffer, 0, wanted), from + done);
    failure = n;
    if (n <= 0) break;
    const written = out.pwrite(t, new BytesIo(buffer, 0, n), to + done);
    failure = written;
    if (written <= 0) break;
    done += written;
  }
  if (done === 0) return Math.min(0, failure);
  if (inGiven < 0) input.seek(t, from + done, SEEK_SET);
  if (outGiven < 0) out.seek(t, to + done, SEEK_SET);
  const stored = writeOffset(t, a.addr(1), from, done);
  return stored < 0 ? stored : writeOffset(t, a.addr(3), to, done);
}

export const spliceSyscalls: SyscallFamily = [
  [SYS_sendfile, sendfile],
  [SYS_splice, splice],
  [SYS_tee, tee],
  [SYS_vmsplice, vmsplice],
  [SYS_copy_file_range, copyFileRange],
];
