// The timers of one process: setitimer's three, POSIX timers, and RLIMIT_CPU. Wall timers sit in the
// kernel's timer queue. CPU timers are looked at by one tick that is armed only while the process runs
// and has some, so that an idle sandbox has no timer.

import { RLIMIT_CPU } from "../../abi/resource.ts";
import { SI_KERNEL, SI_TIMER, SigInfo } from "../../abi/siginfo.ts";
import { SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU } from "../../abi/signal.ts";
import {
  CPUCLOCK_PROF,
  CPUCLOCK_VIRT,
  ITIMER_PROF,
  ITIMER_REAL,
  ITIMER_VIRTUAL,
  SIGEV_NONE,
} from "../../abi/time.ts";
import { signalStatusWord } from "../../abi/wait.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import { groupExit } from "../kernel/task-exit.ts";
import { sendToGroup, sendToTask } from "../kernel/task-signals.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import { groupCpuNs } from "./timekeeper.ts";

const DELAY_MAX = 0x7fff_ffff;
/** An interval shorter than this counts its expiries, but wakes us only so often. */
const PERIOD_NS_MIN = 100_000;
/** CPU timers are not looked at more often than this. */
const TICK_NS_MIN = MS;

/** A deadline with an interval, on the wall or on a CPU clock. */
export class IntervalTimer {
  /** Absolute, of the clock it runs on; 0: disarmed. */
  expiryNs = 0;
  intervalNs = 0;
  readonly timer: Timer | null;
  readonly now: () => number;
  readonly fire: (count: number) => void;

  /** timer: null for a CPU clock. */
  constructor(isWall: boolean, now: () => number, fire: (count: number) => void) {
    this.now = now;
    this.fire = fire;
    // The queue counts monotonic time; the timer's own clock may be a rounding behind it.
    this.timer = isWall ? new Timer(() => this.check(Math.max(this.now(), this.expiryNs))) : null;
  }

  get remainingNs(): number {
    if (this.expiryNs === 0) return 0;
    // Linux never shows 0 for an armed timer.
    return Math.max(1, this.expiryNs - this.now());
  }
  /** Fires if due; the number of expiries is told at once. */
  check(nowNs: number): void {
    if (this.expiryNs === 0 || this.expiryNs > nowNs) return;
    let count = 1;
    if (this.intervalNs > 0) {
      count += Math.floor((nowNs - this.expiryNs) / this.intervalNs);
      this.expiryNs += count * this.intervalNs;
    } else this.expiryNs = 0;
    this.fire(count);
  }
}

export class PosixTimer extends IntervalTimer {
  readonly id: number;
  readonly clockId: number;
  readonly notify: number;
  readonly signo: number;
  valueLow: number;
  readonly valueHigh: number;
  readonly target: Task | null;
  /** Expiries since the signal that waits was queued, and those of the one last taken. */
  missed = 0;
  overrun = 0;
  isSignalQueued = false;

  constructor(
    id: number,
    clockId: number,
    isWall: boolean,
    now: () => number,
    event: { notify: number; signo: number; valueLow: number; valueHigh: number },
    target: Task | null,
    fire: (timer: PosixTimer, count: number) => void,
  ) {
    super(isWall, now, (count) => fire(this, count));
    this.id = id;
    this.clockId = clockId;
    this.notify = event.notify;
    this.signo = event.signo;
    this.valueLow = event.valueLow;
    this.valueHigh = event.valueHigh;
    this.target = target;
  }
}

export class ProcessTimers {
  readonly #kernel: Kernel;
  #group: ThreadGroup | null = null;
  #itimers: (IntervalTimer | null)[] = [null, null, null];
  readonly posix = new Map<number, PosixTimer>();
  #nextId = 0;
  readonly #cpu: IntervalTimer[] = [];
  /** When RLIMIT_CPU is next to be looked at; Infinity: no limit. */
  #limitNs = Number.POSITIVE_INFINITY;
  readonly #tick: Timer;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#tick = new Timer((now) => this.#onTick(now));
  }
  attach(group: ThreadGroup): void {
    this.#group = group;
    this.onLimitChange();
  }
  get #owner(): ThreadGroup {
    return this.#group as ThreadGroup;
  }

  /** which: ITIMER_*. */
  itimer(which: number): IntervalTimer {
    let timer = this.#itimers[which];
    if (timer === null) {
      timer = this.#makeItimer(which);
      this.#itimers[which] = timer;
    }
    return timer;
  }

  #makeItimer(which: number): IntervalTimer {
    const group = this.#owner;
    const clock = this.#kernel.clock;
    const send = (signo: number) => () => {
      sendToGroup(group, new SigInfo(signo, SI_KERNEL));
    };
    if (which === ITIMER_REAL) {
      const timer = new IntervalTimer(
        true,
        () => clock.monotonicNs(),
        () => {
          sendToGroup(group, new SigInfo(SIGALRM, SI_KERNEL));
          this.#rearm(timer, PERIOD_NS_MIN);
        },
      );
      return timer;
    }
    const type = which === ITIMER_VIRTUAL ? CPUCLOCK_VIRT : CPUCLOCK_PROF;
    const signo = which === ITIMER_PROF ? SIGPROF : SIGVTALRM;
    return new IntervalTimer(
      false,
      () => groupCpuNs(group, type, clock.monotonicNs()),
      send(signo),
    );
  }

  /** expiryNs absolute, of the timer's own clock; 0 disarms. */
  arm(timer: IntervalTimer, expiryNs: number, intervalNs: number): void {
    timer.expiryNs = expiryNs;
    timer.intervalNs = intervalNs;
    if (timer.timer !== null) {
      this.#rearm(timer, 0);
      return;
    }
    const at = this.#cpu.indexOf(timer);
    if (expiryNs !== 0 && at < 0) this.#cpu.push(timer);
    if (expiryNs === 0 && at >= 0) this.#cpu.splice(at, 1);
  }

  #rearm(timer: IntervalTimer, delayMinNs: number): void {
    if (timer.timer === null) return;
    if (timer.expiryNs === 0) {
      this.#kernel.timers.disarm(timer.timer);
      return;
    }
    // The deadline may be of the wall clock: the queue counts monotonic time.
    const delay = timer.expiryNs - timer.now();
    this.#kernel.timers.arm(
      timer.timer,
      this.#kernel.clock.monotonicNs() + Math.max(delayMinNs, delay),
    );
  }

  /** Null: too many. */
  createPosix(
    clockId: number,
    now: () => number,
    isWall: boolean,
    event: { notify: number; signo: number; valueLow: number; valueHigh: number },
    target: Task | null,
  ): PosixTimer | null {
    if (this.#kernel.posixTimers >= this.#kernel.limits.timers) return null;
    while (this.posix.has(this.#nextId)) this.#nextId = (this.#nextId + 1) & DELAY_MAX;
    const id = this.#nextId;
    this.#nextId = (id + 1) & DELAY_MAX;
    const timer = new PosixTimer(id, clockId, isWall, now, event, target, (self, count) => {
      this.#onPosixExpiry(self, count);
    });
    this.posix.set(id, timer);
    this.#kernel.posixTimers++;
    return timer;
  }

  deletePosix(timer: PosixTimer): void {
    this.arm(timer, 0, 0);
    if (this.posix.delete(timer.id)) this.#kernel.posixTimers--;
  }

  #onPosixExpiry(timer: PosixTimer, count: number): void {
    this.#rearm(timer, PERIOD_NS_MIN);
    if (timer.notify === SIGEV_NONE) return;
    if (timer.isSignalQueued) {
      timer.missed = Math.min(DELAY_MAX, timer.missed + count);
      return;
    }
    timer.missed = Math.min(DELAY_MAX, count - 1);
    const info = new SigInfo(timer.signo, SI_TIMER)
      .setTimer(timer.id, 0)
      .setValue(timer.valueLow, timer.valueHigh);
    // An ignored or lost signal must not leave the timer waiting to be told of it.
    timer.isSignalQueued = !this.#owner.actions.isIgnored(timer.signo);
    const sent =
      timer.target === null ? sendToGroup(this.#owner, info) : sendToTask(timer.target, info);
    if (sent < 0) timer.isSignalQueued = false;
  }

  /** A signal is about to reach the program: if a timer sent it, it carries the overruns up to now. */
  onSignalTaken(info: SigInfo): void {
    if (info.code !== SI_TIMER) return;
    const timer = this.posix.get(info.timerId);
    if (timer === undefined || !timer.isSignalQueued) return;
    timer.isSignalQueued = false;
    timer.overrun = timer.missed;
    timer.missed = 0;
    info.overrun = timer.overrun;
  }

  get hasCpuTimers(): boolean {
    return this.#cpu.length > 0 || this.#limitNs !== Number.POSITIVE_INFINITY;
  }

  /** A task of ours is about to run. */
  onResume(nowNs: number): void {
    if (!this.#tick.isArmed) this.#kernel.timers.arm(this.#tick, nowNs + this.#nextTickNs(nowNs));
  }

  #nextTickNs(nowNs: number): number {
    let least = this.#limitNs - groupCpuNs(this.#owner, CPUCLOCK_PROF, nowNs);
    for (const timer of this.#cpu) least = Math.min(least, timer.expiryNs - timer.now());
    return Math.max(TICK_NS_MIN, least / Math.max(1, this.#owner.tasks.size));
  }

  #onTick(nowNs: number): void {
    const group = this.#owner;
    for (const timer of this.#cpu.slice()) {
      timer.check(timer.now());
      if (timer.expiryNs === 0) this.arm(timer, 0, 0);
    }
    this.#checkLimit(groupCpuNs(group, CPUCLOCK_PROF, nowNs));
    if (!this.hasCpuTimers) return;
    for (const task of group.tasks) {
      if (!task.context?.isRunning) continue;
      this.onResume(nowNs);
      return;
    }
  }

  #checkLimit(usedNs: number): void {
    if (usedNs < this.#limitNs) return;
    const group = this.#owner;
    const { soft, hard } = group.rlimit(RLIMIT_CPU);
    if (usedNs >= hard * SECOND) {
      groupExit(group, signalStatusWord(SIGKILL, false));
      return;
    }
    if (usedNs >= soft * SECOND) {
      sendToGroup(group, new SigInfo(SIGXCPU, SI_KERNEL));
      // Once more each second, until the hard limit.
      this.#limitNs = Math.min((Math.floor(usedNs / SECOND) + 1) * SECOND, hard * SECOND);
    }
  }

  onLimitChange(): void {
    const { soft, hard } = this.#owner.rlimit(RLIMIT_CPU);
    this.#limitNs = Math.min(soft, hard) * SECOND;
  }

  onTaskExit(t: Task): void {
    for (const timer of this.posix.values()) if (timer.target === t) this.deletePosix(timer);
  }
  /** POSIX timers do not survive; setitimer's do. */
  onExec(): void {
    for (const timer of [...this.posix.values()]) this.deletePosix(timer);
  }
  clear(): void {
    this.onExec();
    for (const timer of this.#itimers) if (timer !== null) this.arm(timer, 0, 0);
    this.#kernel.timers.disarm(this.#tick);
  }
}
