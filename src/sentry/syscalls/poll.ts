// poll(2) and ppoll(2).

import { EAGAIN, EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND } from "../../abi/errno.ts";
import { POLLERR, POLLHUP, POLLNVAL } from "../../abi/poll.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import { SYS_poll, SYS_ppoll } from "../../abi/syscall-numbers.ts";
import { i32Le, setU16Le, u16Le } from "../../base/bytes.ts";
import { MS } from "../../base/clock.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import { O_PATH } from "../vfs/file-description.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { readTimespecNs, useTemporaryMask, writeTimespec } from "./timeouts.ts";

/** struct pollfd: fd (4), events (2), revents (2). */
const POLLFD_BYTES = 8;
const INFINITE = Number.POSITIVE_INFINITY;
let fds = new Uint8Array(64 * POLLFD_BYTES);

/** Reads the array; 0 or -errno. */
function load(t: Task, addr: number, count: number): number {
  if (count > t.threadGroup.rlimit(RLIMIT_NOFILE).soft) return -EINVAL;
  const bytes = count * POLLFD_BYTES;
  if (bytes > fds.length) fds = new Uint8Array(bytes);
  if (bytes > 0 && t.mm.copyIn(addr, fds, 0, bytes) !== bytes) return -EFAULT;
  return 0;
}

/** What holds for entry i now. */
function readyBits(t: Task, i: number): number {
  const fd = i32Le(fds, i * POLLFD_BYTES);
  if (fd < 0) return 0;
  const file = t.fds.get(fd);
  if (file === undefined || (file.flags & O_PATH) !== 0) return POLLNVAL;
  return file.poll() & (u16Le(fds, i * POLLFD_BYTES + 4) | POLLERR | POLLHUP);
}

/** Stores revents where they differ from what stands there. */
function store(t: Task, addr: number, i: number, revents: number): boolean {
  const at = i * POLLFD_BYTES + 6;
  if (u16Le(fds, at) === revents) return true;
  setU16Le(fds, at, revents);
  return t.mm.writeU16(addr + at, revents) === 0;
}

function doPoll(
  t: Task,
  addr: number,
  count: number,
  timeoutNs: number,
  interruptErrno: number,
): number {
  const loaded = load(t, addr, count);
  if (loaded < 0) return loaded;
  let ready = 0;
  for (let i = 0; i < count; i++) if (readyBits(t, i) !== 0) ready++;
  if (ready === 0 && timeoutNs !== 0) {
    for (let i = 0; i < count; i++) {
      const file = t.fds.get(i32Le(fds, i * POLLFD_BYTES));
      if (file !== undefined) t.waitFor(file.waiters, u16Le(fds, i * POLLFD_BYTES + 4));
    }
    const parked = t.park(timeoutNs, interruptErrno);
    if (parked === BLOCKED || parked !== -EAGAIN) return parked;
  }
  for (let i = 0; i < count; i++) {
    if (!store(t, addr, i, ready > 0 ? readyBits(t, i) : 0)) return -EFAULT;
  }
  return ready;
}

function poll(t: Task, a: SyscallArgs): number {
  const addr = a.addr(0);
  const count = a.uint(1);
  const ms = a.int(2);
  const result = doPoll(t, addr, count, ms < 0 ? INFINITE : ms * MS, ERESTART_RESTARTBLOCK);
  if (result === -ERESTART_RESTARTBLOCK) {
    const deadlineNs = t.deadlineNs;
    const again = (task: Task): number => {
      task.setDeadline(deadlineNs);
      const n = doPoll(task, addr, count, INFINITE, ERESTART_RESTARTBLOCK);
      if (n === -ERESTART_RESTARTBLOCK) task.restartCall = again;
      return n;
    };
    t.restartCall = again;
  }
  return result;
}

function ppoll(t: Task, a: SyscallArgs): number {
  const timeoutAddr = a.addr(2);
  // On a re-run the deadline stands already and the time in memory is still the whole one.
  const timeout = timeoutAddr === 0 ? INFINITE : readTimespecNs(t.mm, timeoutAddr);
  if (timeout < 0) return timeout;
  const masked = useTemporaryMask(t, a.addr(3), a.size(4));
  if (masked < 0) return masked;
  const startNs = t.kernel.clock.monotonicNs();
  const result = doPoll(t, a.addr(0), a.uint(1), timeout, ERESTARTNOHAND);
  if (result !== BLOCKED && timeoutAddr !== 0) {
    writeRemaining(t, timeoutAddr, timeout, startNs, writeTimespec);
  }
  return result;
}

/**
 * What Linux leaves in the caller's timeout: the time not used. A timeout that cannot be written is not
 * an error there (it may be in read-only memory).
 */
export function writeRemaining(
  t: Task,
  addr: number,
  timeoutNs: number,
  startNs: number,
  write: typeof writeTimespec,
): void {
  const parkedUntil = t.deadlineNs;
  const endNs = parkedUntil === INFINITE ? startNs + timeoutNs : parkedUntil;
  write(t.mm, addr, Math.max(0, endNs - t.kernel.clock.monotonicNs()));
}

export const pollFamily: SyscallFamily = [
  [SYS_poll, poll],
  [SYS_ppoll, ppoll],
];
