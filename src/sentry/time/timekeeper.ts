// The sandbox's clocks (clock_gettime(2)) over the one injected Clock. Nothing can set them: they are the
// host's, or virtual ones.

import { EINVAL } from "../../abi/errno.ts";
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
  COARSE_NS,
  CPUCLOCK_PERTHREAD,
  CPUCLOCK_SCHED,
  CPUCLOCK_TYPE_MASK,
  CPUCLOCK_VIRT,
} from "../../abi/time.ts";
import type { Clock } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";

export class Timekeeper {
  readonly #clock: Clock;
  /** When the sandbox began: uptime counts from here. */
  readonly startMonotonicNs: number;
  readonly startRealtimeNs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.startMonotonicNs = clock.monotonicNs();
    this.startRealtimeNs = clock.realtimeNs();
  }

  uptimeNs(): number {
    return this.#clock.monotonicNs() - this.startMonotonicNs;
  }

  /** Nanoseconds of the clock as seen by t, or -EINVAL (a negative time cannot be). */
  read(clockId: number, t: Task): number {
    switch (clockId) {
      case CLOCK_REALTIME:
      case CLOCK_REALTIME_ALARM:
      case CLOCK_TAI:
        return this.#clock.realtimeNs();
      case CLOCK_REALTIME_COARSE:
        return floorTo(this.#clock.realtimeNs(), COARSE_NS);
      case CLOCK_MONOTONIC:
      case CLOCK_MONOTONIC_RAW:
      case CLOCK_BOOTTIME:
      case CLOCK_BOOTTIME_ALARM:
        return this.#clock.monotonicNs();
      case CLOCK_MONOTONIC_COARSE:
        return floorTo(this.#clock.monotonicNs(), COARSE_NS);
      case CLOCK_PROCESS_CPUTIME_ID:
        return groupCpuNs(t.threadGroup, CPUCLOCK_SCHED, this.#clock.monotonicNs());
      case CLOCK_THREAD_CPUTIME_ID:
        return taskCpuNs(t, CPUCLOCK_SCHED, this.#clock.monotonicNs());
    }
    return clockId < 0 ? this.#readCpuClock(clockId, t) : -EINVAL;
  }

  isKnown(clockId: number, t: Task): boolean {
    return this.read(clockId, t) >= 0;
  }
  isCoarse(clockId: number): boolean {
    return clockId === CLOCK_REALTIME_COARSE || clockId === CLOCK_MONOTONIC_COARSE;
  }
  isRealtime(clockId: number): boolean {
    return clockId === CLOCK_REALTIME || clockId === CLOCK_REALTIME_ALARM || clockId === CLOCK_TAI;
  }
  isCpuClock(clockId: number): boolean {
    return (
      clockId < 0 || clockId === CLOCK_PROCESS_CPUTIME_ID || clockId === CLOCK_THREAD_CPUTIME_ID
    );
  }

  /** A time of a wall or monotonic clock as a deadline of the injected monotonic clock. */
  toMonotonic(clockId: number, timeNs: number): number {
    if (!this.isRealtime(clockId) && clockId !== CLOCK_REALTIME_COARSE) return timeNs;
    return timeNs - this.#clock.realtimeNs() + this.#clock.monotonicNs();
  }

  #readCpuClock(clockId: number, t: Task): number {
    const type = clockId & CPUCLOCK_TYPE_MASK;
    if (type > CPUCLOCK_SCHED) return -EINVAL;
    const pid = ~(clockId >> 3);
    const now = this.#clock.monotonicNs();
    if ((clockId & CPUCLOCK_PERTHREAD) !== 0) {
      const target = pid === 0 ? t : t.kernel.findTask(pid);
      // Threads of other processes cannot be asked.
      if (target === null || target.threadGroup !== t.threadGroup) return -EINVAL;
      return taskCpuNs(target, type, now);
    }
    const group = pid === 0 ? t.threadGroup : t.kernel.findGroup(pid);
    return group === null ? -EINVAL : groupCpuNs(group, type, now);
  }
}

const floorTo = (n: number, unit: number): number => n - (n % unit);

/** type: CPUCLOCK_*. What is running now counts up to now. */
export function taskCpuNs(t: Task, type: number, nowNs: number): number {
  const running = t.context?.isRunning ? Math.max(0, nowNs - t.resumedAtNs) : 0;
  const user = t.utimeNs + running;
  return type === CPUCLOCK_VIRT ? user : user + t.stimeNs;
}

export function groupCpuNs(group: ThreadGroup, type: number, nowNs: number): number {
  let sum = group.usage.utimeNs + (type === CPUCLOCK_VIRT ? 0 : group.usage.stimeNs);
  for (const task of group.tasks) sum += taskCpuNs(task, type, nowNs);
  return sum;
}
