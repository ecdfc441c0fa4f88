// Moving data through sockets: send, sendto, sendmsg, sendmmsg, recv, recvfrom, recvmsg, recvmmsg.
// A stream call that sleeps after it has moved something keeps how much in the task: the re-run starts
// behind it, and a signal or timeout then ends the call with that count.

import { EAGAIN, EFAULT, EINVAL, EMSGSIZE, ENOBUFS } from "../../abi/errno.ts";
import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import {
  IOV_MAX,
  MMSG_LEN,
  MMSGHDR_BYTES,
  MSG_CMSG_CLOEXEC,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_FLAGS,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_NAME,
  MSG_NAMELEN,
  MSG_OOB,
  MSG_PEEK,
  MSG_WAITALL,
  MSG_WAITFORONE,
  MSGHDR_BYTES,
  SOCKADDR_STORAGE_BYTES,
} from "../../abi/socket.ts";
import {
  SYS_recvfrom,
  SYS_recvmmsg,
  SYS_recvmsg,
  SYS_sendmmsg,
  SYS_sendmsg,
  SYS_sendto,
} from "../../abi/syscall-numbers.ts";
import { i32Le, u64Le } from "../../base/bytes.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import { UserIo } from "../mm/user-io.ts";
import { CONTROL_BYTES_MAX } from "../socket/control.ts";
import { ReceiveMessage, SendMessage } from "../socket/message.ts";
import type { Socket } from "../socket/socket.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { interruptErrno, readAddress, socketOf, writeAddress } from "./socket-access.ts";
import { readTimespecNs, writeTimespec } from "./timeouts.ts";

const io = new UserIo();
const outgoing = new SendMessage();
const incoming = new ReceiveMessage();
const header = new Uint8Array(MSGHDR_BYTES);

/** What a parked call has done so far: whole messages (of a *mmsg call) and bytes of the next. */
class Progress {
  messages = 0;
  bytes = 0;
}
const NO_PROGRESS: Readonly<Progress> = new Progress();

const progressOf = (t: Task): Readonly<Progress> =>
  t.syscallState instanceof Progress ? t.syscallState : NO_PROGRESS;

function saveProgress(t: Task, messages: number, bytes: number): void {
  if (!(t.syscallState instanceof Progress)) t.syscallState = new Progress();
  const progress = t.syscallState as Progress;
  progress.messages = messages;
  progress.bytes = bytes;
}

/** Parks for room or data. `done`: what to answer instead of a failure. */
function wait(
  t: Task,
  s: Socket,
  mask: number,
  timeoutNs: number,
  done: number,
  index: number,
): number {
  const parked = t.blockOn(s.waiters, mask, timeoutNs, interruptErrno(timeoutNs));
  if (parked === BLOCKED) {
    if (done > 0 || index > 0) saveProgress(t, index, done);
    return BLOCKED;
  }
  return done > 0 ? done : parked;
}

/** Sends what is in io (with `outgoing` filled); `done` bytes went before, in earlier runs. */
function sendNow(t: Task, s: Socket, done: number, index: number): number {
  const mayBlock = !s.isNonBlocking && (outgoing.flags & MSG_DONTWAIT) === 0;
  const n = s.send(t, io, outgoing);
  if (n < 0 && n !== -EAGAIN) return done > 0 ? done : n;
  const total = n < 0 ? done : done + n;
  if (n >= 0 && (io.remaining === 0 || s.keepsBoundaries)) return total;
  if (!mayBlock) return total > 0 ? total : -EAGAIN;
  return wait(t, s, POLLOUT, s.sendTimeoutNs, total, index);
}

/** Receives into io (with `incoming` prepared). */
function receiveNow(t: Task, s: Socket, done: number, index: number): number {
  const flags = incoming.flags;
  const mayBlock = !s.isNonBlocking && (flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)) === 0;
  const room = io.remaining;
  const n = s.receive(t, io, incoming);
  if (n < 0 && n !== -EAGAIN) return done > 0 ? done : n;
  const total = n < 0 ? done : done + n;
  if (n >= 0) {
    const target = (flags & MSG_WAITALL) !== 0 ? room : Math.min(s.receiveLowat, room);
    const isEnough = s.keepsBoundaries || n === 0 || n >= target || incoming.control.length > 0;
    if (isEnough || (flags & MSG_PEEK) !== 0) return total;
  }
  if (!mayBlock) return total > 0 ? total : -EAGAIN;
  return wait(t, s, POLLIN, s.receiveTimeoutNs, total, index);
}

function sendto(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  outgoing.reset(a.int(3));
  if (a.addr(4) !== 0) {
    const read = readAddress(t, a.addr(4), a.int(5), outgoing.address);
    if (read < 0) return read;
  }
  const done = progressOf(t).bytes;
  io.set(t.mm, a.addr(1) + done, a.size(2) - done);
  return sendNow(t, s, done, 0);
}

function recvfrom(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const done = progressOf(t).bytes;
  incoming.reset(a.int(3), 0);
  io.set(t.mm, a.addr(1) + done, a.size(2) - done);
  const n = receiveNow(t, s, done, 0);
  if (n < 0 || a.addr(4) === 0) return n;
  const written = writeAddress(t, incoming.address, a.addr(4), a.addr(5));
  return written < 0 ? written : n;
}

/** Reads a struct msghdr into `header` and its iovecs into io, `done` bytes in. 0 or -errno. */
function readHeader(t: Task, addr: number, done: number): number {
  if (t.mm.copyIn(addr, header, 0, MSGHDR_BYTES) !== MSGHDR_BYTES) return -EFAULT;
  const count = u64Le(header, MSG_IOVLEN);
  if (count > IOV_MAX) return -EMSGSIZE;
  const set = io.setIovec(t.mm, u64Le(header, MSG_IOV), count);
  if (set < 0) return set;
  if (done > 0) io.skip(done);
  return 0;
}

function nameLength(): number {
  const name = u64Le(header, MSG_NAME);
  const length = i32Le(header, MSG_NAMELEN);
  if (name === 0) return 0;
  return length < 0 ? -EINVAL : Math.min(length, SOCKADDR_STORAGE_BYTES);
}

/** One message; bytes, -errno or BLOCKED. */
function sendOne(
  t: Task,
  s: Socket,
  addr: number,
  flags: number,
  done: number,
  index: number,
): number {
  const read = readHeader(t, addr, done);
  if (read < 0) return read;
  outgoing.reset(flags);
  const length = nameLength();
  if (length < 0) return length;
  if (length > 0) {
    const named = readAddress(t, u64Le(header, MSG_NAME), length, outgoing.address);
    if (named < 0) return named;
  }
  const controlLength = u64Le(header, MSG_CONTROLLEN);
  // What rode on the first part of a message does not ride on the rest again.
  if (controlLength > 0 && u64Le(header, MSG_CONTROL) !== 0 && done === 0) {
    if (controlLength > CONTROL_BYTES_MAX) return -ENOBUFS;
    const c = outgoing.control;
    if (t.mm.copyIn(u64Le(header, MSG_CONTROL), c.bytes, 0, controlLength) !== controlLength) {
      return -EFAULT;
    }
    c.length = controlLength;
  }
  return sendNow(t, s, done, index);
}

function receiveOne(
  t: Task,
  s: Socket,
  addr: number,
  flags: number,
  done: number,
  index: number,
): number {
  const read = readHeader(t, addr, done);
  if (read < 0) return read;
  if (nameLength() < 0) return -EINVAL;
  const name = u64Le(header, MSG_NAME);
  const control = u64Le(header, MSG_CONTROL);
  incoming.reset(flags, control === 0 ? 0 : u64Le(header, MSG_CONTROLLEN));
  const n = receiveNow(t, s, done, index);
  if (n < 0) return n;
  if (name !== 0) {
    const written = writeAddress(t, incoming.address, name, addr + MSG_NAMELEN);
    if (written < 0) return written;
  }
  const c = incoming.control;
  if (c.length > 0 && t.mm.copyOut(control, c.bytes, 0, c.length) !== c.length) return -EFAULT;
  let result = incoming.resultFlags | (flags & MSG_CMSG_CLOEXEC);
  if (c.isTruncated) result |= MSG_CTRUNC;
  if (t.mm.writeU64(addr + MSG_CONTROLLEN, c.length) < 0) return -EFAULT;
  return t.mm.writeU32(addr + MSG_FLAGS, result) < 0 ? -EFAULT : n;
}

function sendmsg(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  return sendOne(t, s, a.addr(1), a.int(2), progressOf(t).bytes, 0);
}

function recvmsg(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  return receiveOne(t, s, a.addr(1), a.int(2), progressOf(t).bytes, 0);
}

function sendmmsg(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const addr = a.addr(1);
  const count = Math.min(a.uint(2), IOV_MAX);
  const progress = progressOf(t);
  let bytes = progress.bytes;
  let i = progress.messages;
  for (; i < count; i++) {
    const at = addr + i * MMSGHDR_BYTES;
    const n = sendOne(t, s, at, a.int(3), bytes, i);
    if (n === BLOCKED) return BLOCKED;
    if (n < 0) return i > 0 ? i : n;
    bytes = 0;
    if (t.mm.writeU32(at + MMSG_LEN, n) < 0) return i > 0 ? i : -EFAULT;
  }
  return i;
}

function recvmmsg(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const timeoutAddr = a.addr(4);
  if (timeoutAddr !== 0) {
    const timeout = readTimespecNs(t.mm, timeoutAddr);
    if (timeout < 0) return timeout;
    t.setDeadline(t.kernel.clock.monotonicNs() + timeout);
  }
  const n = receiveMany(t, s, a.addr(1), Math.min(a.uint(2), IOV_MAX), a.int(3));
  if (n === BLOCKED || timeoutAddr === 0) return n;
  const left = t.remainingNs(t.kernel.clock.monotonicNs());
  return writeTimespec(t.mm, timeoutAddr, left) < 0 ? -EFAULT : n;
}

function receiveMany(t: Task, s: Socket, addr: number, count: number, flags: number): number {
  const progress = progressOf(t);
  let bytes = progress.bytes;
  let i = progress.messages;
  for (; i < count; i++) {
    const at = addr + i * MMSGHDR_BYTES;
    // MSG_WAITFORONE: after the first, only what is there already.
    const oneFlags =
      (flags & MSG_WAITFORONE) !== 0 && i > 0 ? flags | MSG_DONTWAIT : flags & ~MSG_WAITFORONE;
    const n = receiveOne(t, s, at, oneFlags & ~MSG_WAITFORONE, bytes, i);
    if (n === BLOCKED) return BLOCKED;
    if (n < 0) return i > 0 ? i : n;
    bytes = 0;
    if (t.mm.writeU32(at + MMSG_LEN, n) < 0) return i > 0 ? i : -EFAULT;
    if (t.deadlineNs <= t.kernel.clock.monotonicNs()) return i + 1;
  }
  return i;
}

export const socketIoFamily: SyscallFamily = [
  [SYS_sendto, sendto],
  [SYS_recvfrom, recvfrom],
  [SYS_sendmsg, sendmsg],
  [SYS_recvmsg, recvmsg],
  [SYS_sendmmsg, sendmmsg],
  [SYS_recvmmsg, recvmmsg],
];
