// epoll_create(2), epoll_ctl(2), epoll_wait(2) and their variants. The sets themselves: readiness/epoll.ts.

import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT_BYTES,
} from "../../abi/epoll.ts";
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import {
  SYS_epoll_create,
  SYS_epoll_create1,
  SYS_epoll_ctl,
  SYS_epoll_pwait,
  SYS_epoll_pwait2,
  SYS_epoll_wait,
} from "../../abi/syscall-numbers.ts";
import { i32Le } from "../../base/bytes.ts";
import { MS } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import { EpollFile } from "../readiness/epoll.ts";
import { O_PATH } from "../vfs/file-description.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";
import { readTimespecNs, useTemporaryMask } from "./timeouts.ts";

/** EP_MAX_EVENTS. */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_BYTES);
/** Most events of one wait: a program that asks for more gets the rest with its next call. */
const EVENTS_PER_WAIT = 1024;
const events = new Uint8Array(EVENTS_PER_WAIT * EPOLL_EVENT_BYTES);
const INFINITE = Number.POSITIVE_INFINITY;

function create(t: Task, closeOnExec: boolean): number {
  return newDescriptor(t, new EpollFile(t.kernel.limits.files), closeOnExec);
}

function epollCreate(t: Task, a: SyscallArgs): number {
  return a.int(0) <= 0 ? -EINVAL : create(t, false);
}

function epollCreate1(t: Task, a: SyscallArgs): number {
  const flags = a.int(0);
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  return create(t, flags !== 0);
}

function epollCtl(t: Task, a: SyscallArgs): number {
  const op = a.int(1);
  const fd = a.int(2);
  let mask = 0;
  let low = 0;
  let high = 0;
  if (op !== EPOLL_CTL_DEL) {
    if (t.mm.copyIn(a.addr(3), events, 0, EPOLL_EVENT_BYTES) !== EPOLL_EVENT_BYTES) return -EFAULT;
    mask = i32Le(events, 0);
    low = i32Le(events, 4);
    high = i32Le(events, 8);
  }
  const epoll = t.fds.get(a.int(0));
  const file = t.fds.get(fd);
  if (epoll === undefined || file === undefined) return -EBADF;
  if ((file.flags & O_PATH) !== 0) return -EBADF;
  if (!(epoll instanceof EpollFile)) return -EINVAL;
  if (epoll === file) return -EINVAL;
  switch (op) {
    case EPOLL_CTL_ADD:
      return epoll.add(fd, file, mask, low, high);
    case EPOLL_CTL_MOD:
      return epoll.modify(fd, file, mask, low, high);
    case EPOLL_CTL_DEL:
      return epoll.delete(fd, file);
    default:
      return -EINVAL;
  }
}

function wait(t: Task, fd: number, addr: number, max: number, timeoutNs: number): number {
  if (max <= 0 || max > MAX_EVENTS) return -EINVAL;
  const epoll = t.fds.get(fd);
  if (epoll === undefined) return -EBADF;
  if (!(epoll instanceof EpollFile)) return -EINVAL;
  // Looked at first, so that a bad address does not cost an edge.
  t.mm.readU8(addr);
  if (t.mm.faulted) return -EFAULT;
  const count = epoll.collect(events, Math.min(max, EVENTS_PER_WAIT));
  if (count > 0) {
    const bytes = count * EPOLL_EVENT_BYTES;
    return t.mm.copyOut(addr, events, 0, bytes) === bytes ? count : -EFAULT;
  }
  if (timeoutNs === 0) return 0;
  const parked = t.blockOn(epoll.waiters, POLLIN, timeoutNs, EINTR);
  return parked === -EAGAIN ? 0 : parked;
}

const millisecondsNs = (ms: number): number => (ms < 0 ? INFINITE : ms * MS);

function epollWait(t: Task, a: SyscallArgs): number {
  return wait(t, a.int(0), a.addr(1), a.int(2), millisecondsNs(a.int(3)));
}

function epollPwait(t: Task, a: SyscallArgs): number {
  const masked = useTemporaryMask(t, a.addr(4), a.size(5));
  if (masked < 0) return masked;
  return epollWait(t, a);
}

function epollPwait2(t: Task, a: SyscallArgs): number {
  const timeout = a.addr(3) === 0 ? INFINITE : readTimespecNs(t.mm, a.addr(3));
  if (timeout < 0) return timeout;
  const masked = useTemporaryMask(t, a.addr(4), a.size(5));
  if (masked < 0) return masked;
  return wait(t, a.int(0), a.addr(1), a.int(2), timeout);
}

export const epollFamily: SyscallFamily = [
  [SYS_epoll_create, epollCreate],
  [SYS_epoll_create1, epollCreate1],
  [SYS_epoll_ctl, epollCtl],
  [SYS_epoll_wait, epollWait],
  [SYS_epoll_pwait, epollPwait],
  [SYS_epoll_pwait2, epollPwait2],
];
