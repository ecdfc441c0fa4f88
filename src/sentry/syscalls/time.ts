// Clocks, sleeping and timers: clock_*(2), nanosleep(2), gettimeofday(2), setitimer(2), alarm(2),
// timer_create(2) and its family, restart_syscall(2).

import {
  EAGAIN,
  EFAULT,
  EINTR,
  EINVAL,
  EOPNOTSUPP,
  EPERM,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
} from "../../abi/errno.ts";
import { SIGALRM } from "../../abi/signal.ts";
import {
  SYS_adjtimex,
  SYS_alarm,
  SYS_clock_adjtime,
  SYS_clock_getres,
  SYS_clock_gettime,
  SYS_clock_nanosleep,
  SYS_clock_settime,
  SYS_getitimer,
  SYS_gettimeofday,
  SYS_nanosleep,
  SYS_restart_syscall,
  SYS_setitimer,
  SYS_settimeofday,
  SYS_time,
  SYS_timer_create,
  SYS_timer_delete,
  SYS_timer_getoverrun,
  SYS_timer_gettime,
  SYS_timer_settime,
} from "../../abi/syscall-numbers.ts";
import {
  CLOCK_MONOTONIC_RAW,
  CLOCK_THREAD_CPUTIME_ID,
  COARSE_NS,
  ITIMER_PROF,
  ITIMER_REAL,
  SIGEV_NONE,
  SIGEV_SIGNAL,
  SIGEV_THREAD,
  SIGEV_THREAD_ID,
  TIMER_ABSTIME,
} from "../../abi/time.ts";
import { i32Le, i64Le, setU64Le, u32Le } from "../../base/bytes.ts";
import { SECOND, US } from "../../base/clock.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import type { IntervalTimer, PosixTimer } from "../time/process-timers.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import {
  putTimespec,
  readTimespecNs,
  timespecNs,
  writeTimespec,
  writeTimeval,
} from "./timeouts.ts";

const SIGEVENT_BYTES = 64;
const ITIMER_BYTES = 32;
const scratch = new Uint8Array(SIGEVENT_BYTES);
/** In syscallState: the deadline of a relative sleep is set. */
const SLEEPING = { sleeping: true };

function sysClockGettime(t: Task, a: SyscallArgs): number {
  const ns = t.kernel.time.read(a.int(0), t);
  return ns < 0 ? ns : writeTimespec(t.mm, a.addr(1), ns);
}

function sysClockGetres(t: Task, a: SyscallArgs): number {
  const time = t.kernel.time;
  if (!time.isKnown(a.int(0), t)) return -EINVAL;
  if (a.addr(1) === 0) return 0;
  return writeTimespec(t.mm, a.addr(1), time.isCoarse(a.int(0)) ? COARSE_NS : 1);
}

/** The clocks are the host's: nobody in the sandbox may set them. */
function refuseToSet(t: Task, clockId: number): number {
  return t.kernel.time.isKnown(clockId, t) ? -EPERM : -EINVAL;
}

function sysGettimeofday(t: Task, a: SyscallArgs): number {
  if (a.addr(0) !== 0 && writeTimeval(t.mm, a.addr(0), t.kernel.clock.realtimeNs()) < 0) {
    return -EFAULT;
  }
  return a.addr(1) === 0 ? 0 : t.mm.writeU64(a.addr(1), 0);
}

function sysTime(t: Task, a: SyscallArgs): number {
  const seconds = Math.floor(t.kernel.clock.realtimeNs() / SECOND);
  if (a.addr(0) !== 0 && t.mm.writeU64(a.addr(0), seconds) < 0) return -EFAULT;
  return seconds;
}

/** Sleeps until the deadline. remainderAddr 0: none is wanted, or the time was absolute. */
function sleep(t: Task, deadlineNs: number, remainderAddr: number, isRelative: boolean): number {
  t.setDeadline(deadlineNs);
  const parked = t.park(Number.POSITIVE_INFINITY, EINTR);
  if (parked === BLOCKED) return BLOCKED;
  if (parked === -EAGAIN) return 0;
  if (!isRelative) return -ERESTARTNOHAND;
  if (remainderAddr !== 0) {
    const left = Math.max(0, deadlineNs - t.kernel.clock.monotonicNs());
    if (writeTimespec(t.mm, remainderAddr, left) < 0) return -EFAULT;
  }
  t.restartCall = (self) => sleep(self, deadlineNs, remainderAddr, true);
  return -ERESTART_RESTARTBLOCK;
}

function sleepFor(t: Task, requestAddr: number, remainderAddr: number): number {
  if (t.syscallState === SLEEPING) return sleep(t, t.deadlineNs, remainderAddr, true);
  const ns = readTimespecNs(t.mm, requestAddr);
  if (ns < 0) return ns;
  t.syscallState = SLEEPING;
  return sleep(t, t.kernel.clock.monotonicNs() + ns, remainderAddr, true);
}

function sysClockNanosleep(t: Task, a: SyscallArgs): number {
  const clockId = a.int(0);
  const time = t.kernel.time;
  if (clockId === CLOCK_THREAD_CPUTIME_ID || !time.isKnown(clockId, t)) return -EINVAL;
  if (time.isCoarse(clockId) || clockId === CLOCK_MONOTONIC_RAW || time.isCpuClock(clockId)) {
    return -EOPNOTSUPP;
  }
  if ((a.int(1) & TIMER_ABSTIME) === 0) return sleepFor(t, a.addr(2), a.addr(3));
  const ns = readTimespecNs(t.mm, a.addr(2));
  if (ns < 0) return ns;
  return sleep(t, time.toMonotonic(clockId, ns), 0, false);
}

function sysRestart(t: Task): number {
  return t.restartCall === null ? -EINTR : t.restartCall(t);
}

function readTimeval(offset: number): number {
  const seconds = i64Le(scratch, offset);
  const micros = i64Le(scratch, offset + 8);
  if (seconds < 0 || micros < 0 || micros >= 1_000_000) return -EINVAL;
  return seconds * SECOND + micros * US;
}

function putItimerval(timer: IntervalTimer): void {
  putTimevalAt(0, timer.intervalNs);
  putTimevalAt(16, timer.remainingNs);
}
function putTimevalAt(offset: number, ns: number): void {
  // Rounded up: an armed timer never shows as 0.
  const micros = Math.ceil(ns / US);
  const seconds = Math.floor(micros / 1_000_000);
  setU64Le(scratch, offset, seconds);
  setU64Le(scratch, offset + 8, micros - seconds * 1_000_000);
}

function sysGetitimer(t: Task, a: SyscallArgs): number {
  const which = a.int(0);
  if (which < ITIMER_REAL || which > ITIMER_PROF) return -EINVAL;
  putItimerval(t.threadGroup.timers.itimer(which));
  return t.mm.copyOut(a.addr(1), scratch, 0, ITIMER_BYTES) === ITIMER_BYTES ? 0 : -EFAULT;
}

function sysSetitimer(t: Task, a: SyscallArgs): number {
  const which = a.int(0);
  if (which < ITIMER_REAL || which > ITIMER_PROF) return -EINVAL;
  let intervalNs = 0;
  let valueNs = 0;
  if (a.addr(1) !== 0) {
    if (t.mm.copyIn(a.addr(1), scratch, 0, ITIMER_BYTES) !== ITIMER_BYTES) return -EFAULT;
    intervalNs = readTimeval(0);
    valueNs = readTimeval(16);
    if (intervalNs < 0 || valueNs < 0) return -EINVAL;
  }
  const timers = t.threadGroup.timers;
  const timer = timers.itimer(which);
  putItimerval(timer);
  timers.arm(timer, valueNs === 0 ? 0 : timer.now() + valueNs, intervalNs);
  if (a.addr(2) === 0) return 0;
  return t.mm.copyOut(a.addr(2), scratch, 0, ITIMER_BYTES) === ITIMER_BYTES ? 0 : -EFAULT;
}

function sysAlarm(t: Task, a: SyscallArgs): number {
  const timers = t.threadGroup.timers;
  const timer = timers.itimer(ITIMER_REAL);
  const left = timer.remainingNs;
  const seconds = a.uint(0);
  timers.arm(timer, seconds === 0 ? 0 : timer.now() + seconds * SECOND, 0);
  if (left === 0) return 0;
  // Linux rounds to the nearest second, but never to 0.
  return Math.max(1, Math.floor(left / SECOND + 0.5));
}

function sysTimerCreate(t: Task, a: SyscallArgs): number {
  const clockId = a.int(0);
  const time = t.kernel.time;
  if (!time.isKnown(clockId, t)) return -EINVAL;
  if (time.isCoarse(clockId) || clockId === CLOCK_MONOTONIC_RAW) return -EOPNOTSUPP;
  const event = { notify: SIGEV_SIGNAL, signo: SIGALRM, valueLow: 0, valueHigh: 0 };
  let target: Task | null = null;
  const hasEvent = a.addr(1) !== 0;
  if (hasEvent) {
    if (t.mm.copyIn(a.addr(1), scratch, 0, SIGEVENT_BYTES) !== SIGEVENT_BYTES) return -EFAULT;
    event.valueLow = i32Le(scratch, 0);
    event.valueHigh = i32Le(scratch, 4);
    event.signo = i32Le(scratch, 8);
    event.notify = i32Le(scratch, 12);
    if (event.notify === SIGEV_THREAD_ID) {
      target = t.kernel.findTask(u32Le(scratch, 16));
      if (target === null || target.threadGroup !== t.threadGroup) return -EINVAL;
    } else if (event.notify !== SIGEV_SIGNAL && event.notify !== SIGEV_NONE) {
      if (event.notify !== SIGEV_THREAD) return -EINVAL;
    }
    if (event.notify !== SIGEV_NONE && (event.signo < 1 || event.signo > 64)) return -EINVAL;
  }
  const isWall = !time.isCpuClock(clockId);
  const now = () => Math.max(0, time.read(clockId, t));
  const timer = t.threadGroup.timers.createPosix(clockId, now, isWall, event, target);
  if (timer === null) return -EAGAIN;
  // Without an event the signal's value is the timer's id.
  if (!hasEvent) timer.valueLow = timer.id;
  if (t.mm.writeU32(a.addr(2), timer.id) < 0) {
    t.threadGroup.timers.deletePosix(timer);
    return -EFAULT;
  }
  return 0;
}

function timerOf(t: Task, a: SyscallArgs): PosixTimer | null {
  return t.threadGroup.timers.posix.get(a.int(0)) ?? null;
}

function writeItimerspec(t: Task, addr: number, intervalNs: number, remainingNs: number): number {
  putTimespec(scratch, 0, intervalNs);
  putTimespec(scratch, 16, remainingNs);
  return t.mm.copyOut(addr, scratch, 0, ITIMER_BYTES) === ITIMER_BYTES ? 0 : -EFAULT;
}

function sysTimerSettime(t: Task, a: SyscallArgs): number {
  if (a.addr(2) === 0) return -EINVAL;
  if (t.mm.copyIn(a.addr(2), scratch, 0, ITIMER_BYTES) !== ITIMER_BYTES) return -EFAULT;
  const intervalNs = timespecNs(scratch, 0);
  const valueNs = timespecNs(scratch, 16);
  if (intervalNs < 0 || valueNs < 0) return -EINVAL;
  const timer = timerOf(t, a);
  if (timer === null) return -EINVAL;
  const oldInterval = timer.intervalNs;
  const oldRemaining = timer.remainingNs;
  const isAbsolute = (a.int(1) & TIMER_ABSTIME) !== 0;
  const expiry = valueNs === 0 ? 0 : isAbsolute ? valueNs : timer.now() + valueNs;
  timer.missed = 0;
  timer.overrun = 0;
  t.threadGroup.timers.arm(timer, expiry, intervalNs);
  return a.addr(3) === 0 ? 0 : writeItimerspec(t, a.addr(3), oldInterval, oldRemaining);
}

function sysTimerGettime(t: Task, a: SyscallArgs): number {
  const timer = timerOf(t, a);
  if (timer === null) return -EINVAL;
  return writeItimerspec(t, a.addr(1), timer.intervalNs, timer.remainingNs);
}

function sysTimerGetoverrun(t: Task, a: SyscallArgs): number {
  return timerOf(t, a)?.overrun ?? -EINVAL;
}

function sysTimerDelete(t: Task, a: SyscallArgs): number {
  const timer = timerOf(t, a);
  if (timer === null) return -EINVAL;
  t.threadGroup.timers.deletePosix(timer);
  return 0;
}

export const timeFamily: SyscallFamily = [
  [SYS_clock_gettime, sysClockGettime],
  [SYS_clock_getres, sysClockGetres],
  [SYS_clock_settime, (t, a) => refuseToSet(t, a.int(0))],
  [SYS_clock_adjtime, (t, a) => refuseToSet(t, a.int(0))],
  [SYS_adjtimex, () => -EPERM],
  [SYS_settimeofday, () => -EPERM],
  [SYS_gettimeofday, sysGettimeofday],
  [SYS_time, sysTime],
  [SYS_nanosleep, (t, a) => sleepFor(t, a.addr(0), a.addr(1))],
  [SYS_clock_nanosleep, sysClockNanosleep],
  [SYS_restart_syscall, sysRestart],
  [SYS_getitimer, sysGetitimer],
  [SYS_setitimer, sysSetitimer],
  [SYS_alarm, sysAlarm],
  [SYS_timer_create, sysTimerCreate],
  [SYS_timer_settime, sysTimerSettime],
  [SYS_timer_gettime, sysTimerGettime],
  [SYS_timer_getoverrun, sysTimerGetoverrun],
  [SYS_timer_delete, sysTimerDelete],
];
