// Making, naming and connecting sockets: socket, socketpair, bind, connect, listen, accept, shutdown,
// getsockname, getpeername. Moving data: socket-io.ts; options: socket-options.ts.

import { EAGAIN, EALREADY, EFAULT, EINPROGRESS, EINVAL, EMFILE } from "../../abi/errno.ts";
import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../abi/socket.ts";
import {
  SYS_accept,
  SYS_accept4,
  SYS_bind,
  SYS_connect,
  SYS_getpeername,
  SYS_getsockname,
  SYS_listen,
  SYS_shutdown,
  SYS_socket,
  SYS_socketpair,
} from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { createPair, createSocket } from "../socket/create.ts";
import { SocketAddress } from "../socket/socket-address.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";
import { interruptErrno, readAddress, socketOf, writeAddress } from "./socket-access.ts";

const TYPE_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK;
const TYPE_MASK = 0xf;
const address = new SocketAddress();

function socket(t: Task, a: SyscallArgs): number {
  const typeAndFlags = a.int(1);
  if ((typeAndFlags & ~(TYPE_FLAGS | TYPE_MASK)) !== 0) return -EINVAL;
  const made = createSocket(
    t,
    a.int(0),
    typeAndFlags & TYPE_MASK,
    a.int(2),
    typeAndFlags & SOCK_NONBLOCK,
  );
  if (typeof made === "number") return made;
  return newDescriptor(t, made, (typeAndFlags & SOCK_CLOEXEC) !== 0);
}

function socketpair(t: Task, a: SyscallArgs): number {
  const typeAndFlags = a.int(1);
  if ((typeAndFlags & ~(TYPE_FLAGS | TYPE_MASK)) !== 0) return -EINVAL;
  const closeOnExec = (typeAndFlags & SOCK_CLOEXEC) !== 0;
  const pair = createPair(
    t,
    a.int(0),
    typeAndFlags & TYPE_MASK,
    a.int(2),
    typeAndFlags & SOCK_NONBLOCK,
  );
  if (typeof pair === "number") return pair;
  const first = newDescriptor(t, pair[0], closeOnExec);
  if (first < 0) {
    pair[1].decRef();
    return first;
  }
  const second = newDescriptor(t, pair[1], closeOnExec);
  if (second < 0) {
    t.fds.close(t, first);
    return second;
  }
  const to = a.addr(3);
  if (t.mm.writeU32(to, first) < 0 || t.mm.writeU32(to + 4, second) < 0) {
    t.fds.close(t, first);
    t.fds.close(t, second);
    return -EFAULT;
  }
  return 0;
}

function bind(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const read = readAddress(t, a.addr(1), a.int(2), address);
  return read < 0 ? read : s.bind(t, address);
}

function connect(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const read = readAddress(t, a.addr(1), a.int(2), address);
  if (read < 0) return read;
  let result = s.connect(t, address);
  if (s.isNonBlocking) return result;
  // The answer may have come within the call: ask before sleeping.
  if (result === -EINPROGRESS) result = s.connect(t, address);
  if (result === -EAGAIN) {
    // A unix listener's queue is full: it says so on our own queue when there is room.
    return t.blockOn(s.waiters, POLLOUT, s.sendTimeoutNs, interruptErrno(s.sendTimeoutNs));
  }
  if (result !== -EALREADY) return result;
  const parked = t.blockOn(s.waiters, POLLOUT, s.sendTimeoutNs, interruptErrno(s.sendTimeoutNs));
  return parked === -EAGAIN ? -EINPROGRESS : parked;
}

function listen(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  return typeof s === "number" ? s : s.listen(t, a.int(1));
}

function acceptWith(t: Task, a: SyscallArgs, flags: number): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  if ((flags & ~TYPE_FLAGS) !== 0) return -EINVAL;
  // A connection that finds no descriptor must stay in the listener's queue.
  if (t.fds.openCount >= t.threadGroup.rlimit(RLIMIT_NOFILE).soft) return -EMFILE;
  const made = s.accept(t, flags & SOCK_NONBLOCK);
  if (made === -EAGAIN && !s.isNonBlocking) {
    return t.blockOn(s.waiters, POLLIN, s.receiveTimeoutNs, interruptErrno(s.receiveTimeoutNs));
  }
  if (typeof made === "number") return made;
  if (a.addr(1) !== 0) {
    address.length = 0;
    made.peerName(address);
    const written = writeAddress(t, address, a.addr(1), a.addr(2));
    if (written < 0) {
      made.decRef();
      return written;
    }
  }
  return newDescriptor(t, made, (flags & SOCK_CLOEXEC) !== 0);
}

function getsockname(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const result = s.localName(address);
  return result < 0 ? result : writeAddress(t, address, a.addr(1), a.addr(2));
}

function getpeername(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const result = s.peerName(address);
  return result < 0 ? result : writeAddress(t, address, a.addr(1), a.addr(2));
}

function shutdown(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const how = a.int(1);
  return how < 0 || how > 2 ? -EINVAL : s.shutdown(t, how);
}

export const socketFamily: SyscallFamily = [
  [SYS_socket, socket],
  [SYS_socketpair, socketpair],
  [SYS_bind, bind],
  [SYS_connect, connect],
  [SYS_listen, listen],
  [SYS_accept, (t: Task, a: SyscallArgs) => acceptWith(t, a, 0)],
  [SYS_accept4, (t: Task, a: SyscallArgs) => acceptWith(t, a, a.int(3))],
  [SYS_getsockname, getsockname],
  [SYS_getpeername, getpeername],
  [SYS_shutdown, shutdown],
];
