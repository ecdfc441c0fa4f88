// timerfd_create(2), timerfd_settime(2), timerfd_gettime(2).

import {
  TFD_CLOEXEC,
  TFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from "../../abi/epoll.ts";
import { EBADF, EFAULT, EINVAL } from "../../abi/errno.ts";
import {
  SYS_timerfd_create,
  SYS_timerfd_gettime,
  SYS_timerfd_settime,
} from "../../abi/syscall-numbers.ts";
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
} from "../../abi/time.ts";
import type { Task } from "../kernel/task.ts";
import { TimerFile } from "../readiness/timer-file.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";
import { putTimespec, timespecNs } from "./timeouts.ts";

const CLOCKS = [
  CLOCK_REALTIME,
  CLOCK_MONOTONIC,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_BOOTTIME_ALARM,
];
/** struct itimerspec: interval, value. */
const ITIMERSPEC_BYTES = 32;
const spec = new Uint8Array(ITIMERSPEC_BYTES);

function create(t: Task, a: SyscallArgs): number {
  const clockId = a.int(0);
  const flags = a.int(1);
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0) return -EINVAL;
  if (!CLOCKS.includes(clockId)) return -EINVAL;
  const file = new TimerFile(t.kernel, clockId, flags & TFD_NONBLOCK);
  return newDescriptor(t, file, (flags & TFD_CLOEXEC) !== 0);
}

function timerOf(t: Task, fd: number): TimerFile | number {
  const file = t.fds.get(fd);
  if (file === undefined) return -EBADF;
  return file instanceof TimerFile ? file : -EINVAL;
}

/** Puts { interval, time left } into spec. */
function describe(timer: TimerFile): void {
  putTimespec(spec, 0, timer.intervalNs);
  putTimespec(spec, 16, timer.remainingNs());
}

function settime(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  const oldAddr = a.addr(3);
  if (t.mm.copyIn(a.addr(2), spec, 0, ITIMERSPEC_BYTES) !== ITIMERSPEC_BYTES) return -EFAULT;
  const intervalNs = timespecNs(spec, 0);
  const valueNs = timespecNs(spec, 16);
  if (intervalNs < 0 || valueNs < 0) return -EINVAL;
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
  const timer = timerOf(t, a.int(0));
  if (typeof timer === "number") return timer;
  describe(timer);
  timer.arm(valueNs, intervalNs, (flags & TFD_TIMER_ABSTIME) !== 0, flags);
  // Linux, too, has set the timer when it finds that it cannot store the old one.
  if (oldAddr === 0) return 0;
  return t.mm.copyOut(oldAddr, spec, 0, ITIMERSPEC_BYTES) === ITIMERSPEC_BYTES ? 0 : -EFAULT;
}

function gettime(t: Task, a: SyscallArgs): number {
  const timer = timerOf(t, a.int(0));
  if (typeof timer === "number") return timer;
  describe(timer);
  return t.mm.copyOut(a.addr(1), spec, 0, ITIMERSPEC_BYTES) === ITIMERSPEC_BYTES ? 0 : -EFAULT;
}

export const timerfdFamily: SyscallFamily = [
  [SYS_timerfd_create, create],
  [SYS_timerfd_settime, settime],
  [SYS_timerfd_gettime, gettime],
];
