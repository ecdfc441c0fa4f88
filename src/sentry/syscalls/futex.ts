// futex(2): the operations on the words. The queues are in kernel/futex.ts.
// FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI answer ENOSYS: glibc has not used them since 2.25.

import {
  EAGAIN,
  EFAULT,
  EINVAL,
  ENOSYS,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOINTR,
  ERESTARTSYS,
  ETIMEDOUT,
} from "../../abi/errno.ts";
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_CLOCK_REALTIME,
  FUTEX_CMD_MASK,
  FUTEX_CMP_REQUEUE,
  FUTEX_LOCK_PI,
  FUTEX_LOCK_PI2,
  FUTEX_OP_ADD,
  FUTEX_OP_ANDN,
  FUTEX_OP_CMP_EQ,
  FUTEX_OP_CMP_GE,
  FUTEX_OP_CMP_GT,
  FUTEX_OP_CMP_LE,
  FUTEX_OP_CMP_LT,
  FUTEX_OP_CMP_NE,
  FUTEX_OP_OPARG_SHIFT,
  FUTEX_OP_OR,
  FUTEX_OP_SET,
  FUTEX_OP_XOR,
  FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE,
  FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP,
} from "../../abi/futex.ts";
import { SYS_futex } from "../../abi/syscall-numbers.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "../../abi/time.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { readTimespecNs } from "./timeouts.ts";

/** In syscallState: the call has queued its waiter. */
const QUEUED = { queued: true };

function sysFutex(t: Task, a: SyscallArgs): number {
  const command = a.int(1) & FUTEX_CMD_MASK;
  const isPrivate = (a.int(1) & FUTEX_PRIVATE_FLAG) !== 0;
  const addr = a.addr(0);
  if (addr % 4 !== 0) return -EINVAL;
  if (addr >= t.mm.maxAddress) return -EFAULT;
  switch (command) {
    case FUTEX_WAIT:
      return wait(t, a, isPrivate, FUTEX_BITSET_MATCH_ANY, true);
    case FUTEX_WAIT_BITSET:
      return wait(t, a, isPrivate, a.int(5), false);
    case FUTEX_WAKE:
      return wake(t, a, isPrivate, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return wake(t, a, isPrivate, a.int(5));
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      return requeue(t, a, isPrivate, command === FUTEX_CMP_REQUEUE);
    case FUTEX_WAKE_OP:
      return wakeOp(t, a, isPrivate);
    case FUTEX_LOCK_PI:
      return lockPi(t, a, isPrivate, CLOCK_REALTIME);
    case FUTEX_LOCK_PI2: {
      const isRealtime = (a.int(1) & FUTEX_CLOCK_REALTIME) !== 0;
      return lockPi(t, a, isPrivate, isRealtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    }
    case FUTEX_TRYLOCK_PI:
      return t.kernel.futexes.tryLockPi(t, addr);
    case FUTEX_UNLOCK_PI:
      return t.kernel.futexes.unlockPi(t, addr, isPrivate);
    default:
      return -ENOSYS;
  }
}

/** Sets the call's deadline from its fourth argument: 0 or -errno. */
function takeTimeout(t: Task, a: SyscallArgs, isRelative: boolean, clockId: number): number {
  const addr = a.addr(3);
  if (addr === 0) return 0;
  const ns = readTimespecNs(t.mm, addr);
  if (ns < 0) return ns;
  if (isRelative) t.setDeadline(t.kernel.clock.monotonicNs() + ns);
  else t.setDeadline(t.kernel.time.toMonotonic(clockId, ns));
  return 0;
}

function wait(
  t: Task,
  a: SyscallArgs,
  isPrivate: boolean,
  bitset: number,
  isRelative: boolean,
): number {
  if (t.syscallState === QUEUED) return keepWaiting(t, a, isRelative);
  if (bitset === 0) return -EINVAL;
  const isRealtime = (a.int(1) & FUTEX_CLOCK_REALTIME) !== 0;
  const timeout = takeTimeout(t, a, isRelative, isRealtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
  if (timeout < 0) return timeout;
  const value = t.mm.readU32(a.addr(0));
  if (t.mm.faulted) return -EFAULT;
  if (value !== a.uint(2)) return -EAGAIN;
  t.kernel.futexes.enqueue(t, a.addr(0), isPrivate, bitset, false);
  t.syscallState = QUEUED;
  return keepWaiting(t, a, isRelative);
}

function keepWaiting(t: Task, a: SyscallArgs, isRelative: boolean): number {
  const waiter = t.futexWaiter;
  if (waiter.wasWoken) return 0;
  const parked = t.park(Number.POSITIVE_INFINITY, ERESTARTSYS);
  if (parked === BLOCKED) return BLOCKED;
  t.kernel.futexes.forget(waiter);
  if (parked === -EAGAIN) return -ETIMEDOUT;
  if (!isRelative || a.addr(3) === 0) return parked;
  // A relative wait goes on with what is left of its time: run again with the same deadline.
  const deadlineNs = t.deadlineNs;
  const addr = a.addr(0);
  const isPrivate = (a.int(1) & FUTEX_PRIVATE_FLAG) !== 0;
  const expected = a.uint(2);
  t.restartCall = (self) => restartWait(self, addr, isPrivate, expected, deadlineNs);
  return -ERESTART_RESTARTBLOCK;
}

function restartWait(
  t: Task,
  addr: number,
  isPrivate: boolean,
  expected: number,
  deadlineNs: number,
): number {
  t.setDeadline(deadlineNs);
  const waiter = t.futexWaiter;
  if (t.syscallState !== QUEUED) {
    const value = t.mm.readU32(addr);
    if (t.mm.faulted) return -EFAULT;
    if (value !== expected) return -EAGAIN;
    t.kernel.futexes.enqueue(t, addr, isPrivate, FUTEX_BITSET_MATCH_ANY, false);
    t.syscallState = QUEUED;
  }
  if (waiter.wasWoken) return 0;
  const parked = t.park(Number.POSITIVE_INFINITY, ERESTART_RESTARTBLOCK);
  if (parked === BLOCKED) return BLOCKED;
  t.kernel.futexes.forget(waiter);
  return parked === -EAGAIN ? -ETIMEDOUT : parked;
}

function wake(t: Task, a: SyscallArgs, isPrivate: boolean, bitset: number): number {
  if (bitset === 0) return -EINVAL;
  // As Linux: a count of 0 or less wakes one.
  return t.kernel.futexes.wake(t, a.addr(0), isPrivate, Math.max(1, a.int(2)), bitset);
}

function requeue(t: Task, a: SyscallArgs, isPrivate: boolean, compares: boolean): number {
  const wakeCount = a.int(2);
  const moveCount = a.int(3);
  if (wakeCount < 0 || moveCount < 0) return -EINVAL;
  if (a.addr(4) % 4 !== 0) return -EINVAL;
  if (compares) {
    const value = t.mm.readU32(a.addr(0));
    if (t.mm.faulted) return -EFAULT;
    if (value !== a.uint(5)) return -EAGAIN;
  }
  const futexes = t.kernel.futexes;
  return futexes.requeue(t, a.addr(0), a.addr(4), isPrivate, wakeCount, moveCount);
}

function wakeOp(t: Task, a: SyscallArgs, isPrivate: boolean): number {
  const second = a.addr(4);
  if (second % 4 !== 0) return -EINVAL;
  const encoded = a.int(5);
  const op = (encoded >>> 28) & 0xf;
  const comparison = (encoded >>> 24) & 0xf;
  let operand = (encoded << 8) >> 20;
  const against = (encoded << 20) >> 20;
  if ((op & FUTEX_OP_OPARG_SHIFT) !== 0) operand = 1 << (operand & 31);
  if ((op & 7) > FUTEX_OP_XOR || comparison > FUTEX_OP_CMP_GE) return -ENOSYS;

  let old = t.mm.readU32(second);
  for (;;) {
    if (t.mm.faulted) return -EFAULT;
    const seen = t.mm.compareExchangeU32(second, old, applyOp(op & 7, old, operand) >>> 0);
    if (t.mm.faulted) return -EFAULT;
    if (seen === old) break;
    old = seen;
  }
  const futexes = t.kernel.futexes;
  const any = FUTEX_BITSET_MATCH_ANY;
  const first = futexes.wake(t, a.addr(0), isPrivate, Math.max(1, a.int(2)), any);
  if (first < 0 || !holds(comparison, old | 0, against)) return first;
  const more = futexes.wake(t, second, isPrivate, Math.max(1, a.int(3)), any);
  return more < 0 ? more : first + more;
}

function applyOp(op: number, old: number, operand: number): number {
  switch (op) {
    case FUTEX_OP_SET:
      return operand;
    case FUTEX_OP_ADD:
      return (old + operand) | 0;
    case FUTEX_OP_OR:
      return old | operand;
    case FUTEX_OP_ANDN:
      return old & ~operand;
    default:
      return old ^ operand;
  }
}

function holds(comparison: number, old: number, against: number): boolean {
  switch (comparison) {
    case FUTEX_OP_CMP_EQ:
      return old === against;
    case FUTEX_OP_CMP_NE:
      return old !== against;
    case FUTEX_OP_CMP_LT:
      return old < against;
    case FUTEX_OP_CMP_LE:
      return old <= against;
    case FUTEX_OP_CMP_GT:
      return old > against;
    default:
      return old >= against;
  }
}

function lockPi(t: Task, a: SyscallArgs, isPrivate: boolean, clockId: number): number {
  const futexes = t.kernel.futexes;
  const waiter = t.futexWaiter;
  if (t.syscallState !== QUEUED) {
    const timeout = takeTimeout(t, a, false, clockId);
    if (timeout < 0) return timeout;
    const tried = futexes.tryLockPi(t, a.addr(0));
    if (tried !== -EAGAIN) return tried;
    futexes.enqueue(t, a.addr(0), isPrivate, FUTEX_BITSET_MATCH_ANY, true);
    t.syscallState = QUEUED;
  }
  // The unlocking task has made us the owner already.
  if (waiter.wasWoken) return 0;
  const parked = t.park(Number.POSITIVE_INFINITY, ERESTARTNOINTR);
  if (parked === BLOCKED) return BLOCKED;
  futexes.forget(waiter);
  return parked === -EAGAIN ? -ETIMEDOUT : parked;
}

export const futexFamily: SyscallFamily = [[SYS_futex, sysFutex]];
