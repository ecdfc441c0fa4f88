// The Sentry's one loop: contexts that trapped, tasks that were woken, timers, and descriptors of the host.
// While programs run it spins for a while before it sleeps, because waking an idle CPU costs far more than a
// trap; how long is learned from how often spinning paid. With nothing to do it sits in one epoll_wait
// without a timer.

import { EINTR, EPERM } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import type { Clock } from "../../base/clock.ts";
import * as host from "../../host/index.ts";
import type { HostPoller } from "../host.ts";
import type { KernelDriver } from "../kernel/driver.ts";
import type { SystrapPlatform } from "../platform/systrap/index.ts";

/** Descriptors and timers are looked at at least this often, and while spinning. */
const POLL_INTERVAL_NS = 30_000;
/** Traps handled between two looks at the clock. */
const TRAPS_PER_CLOCK = 16;
/** Work that could wait is done after so many of them, if the loop never waits. */
const POLLS_PER_ATTENTION = 32;
const SPIN_MIN_NS = 5_000;
const SPIN_MAX_NS = 200_000;
const SPIN_START_NS = 60_000;
/** Tasks that wait for a runner get one at least this often. */
const PREEMPT_NS = 5_000_000;

interface Watch {
  fd: number;
  handler: (ready: number) => void;
}

/** What the loop needs of a clock beyond reading it; HostClock has it. */
export interface LoopClock extends Clock {
  calibrate?(nowNs: number): void;
  /** A clock that moves only when nothing runs: the loop takes it to the next deadline. */
  advanceToNs?(timeNs: number): void;
}

export class Loop implements HostPoller {
  readonly #platform: SystrapPlatform;
  readonly #clock: LoopClock;
  /** The clock stands while nothing moves it: how long to spin and when to poll, the host's clock says. */
  readonly #isVirtual: boolean;
  readonly #epoll = new host.Epoll();
  readonly #watches: (Watch | undefined)[] = [];
  readonly #canSpin: boolean;
  #spinNs = SPIN_START_NS;
  #lastPollNs = 0;
  #polls = 0;
  /** For statistics: times slept, times a spin paid. */
  sleeps = 0;
  spinsPaid = 0;

  readonly #patienceNs: number;
  readonly #idleCalls: (() => void)[] = [];

  /** patienceNs: how long virtual time waits for the host before it jumps, though never longer than the jump. */
  constructor(platform: SystrapPlatform, clock: LoopClock, patienceNs = 0) {
    this.#patienceNs = patienceNs;
    this.#platform = platform;
    this.#clock = clock;
    this.#isVirtual = clock.advanceToNs !== undefined;
    this.#canSpin = host.schedGetAffinity().length > 1;
    if (!this.#canSpin) platform.setRunnerSpinNs(0);
    // A timer fires when it is due, not up to 50 us later.
    host.setTimerSlackNs(1);
    this.watch(platform.bellFd, POLLIN, () => platform.silenceBell());
    this.watch(platform.exitFd, POLLIN, () => platform.reapStubs());
  }

  // ---- HostPoller ----

  watch(fd: number, mask: number, handler: (ready: number) => void): void {
    const r = this.#epoll.add(fd, mask, fd);
    // Regular files are always ready: nobody ever waits for them.
    if (r === -EPERM) return;
    if (r < 0) throw new Error(`descriptor ${fd} cannot be watched (errno ${-r})`);
    this.#watches[fd] = { fd, handler };
  }
  modify(fd: number, mask: number): void {
    this.#epoll.modify(fd, mask, fd);
  }
  unwatch(fd: number): void {
    this.#epoll.remove(fd);
    this.#watches[fd] = undefined;
  }

  // ---- the loop ----

  /** Until driver.isOver. */
  run(driver: KernelDriver): void {
    while (!driver.isOver) {
      const didWork = this.#runContexts(driver);
      const now = this.#clock.monotonicNs();
      const didTimers = this.#runTimers(driver, now);
      const realNs = this.#isVirtual ? this.#realNs() : now;
      if (realNs - this.#lastPollNs >= POLL_INTERVAL_NS) {
        this.#lastPollNs = realNs;
        if (++this.#polls % POLLS_PER_ATTENTION === 0) this.#platform.attend();
        if (this.#dispatch(0) > 0) continue;
      }
      if (didWork || didTimers) continue;
      if (this.#idleCalls.length > 0 && this.#tellIdle()) continue;
      if (this.#advanceVirtualTime(driver)) continue;
      this.#wait(driver, now);
    }
  }

  #realNs(): number {
    return this.#isVirtual
      ? host.hostClockNumberNs(host.CLOCK_MONOTONIC)
      : this.#clock.monotonicNs();
  }

  /** Calls once, as soon as no program runs and no descriptor has anything to say; timers may be armed. */
  whenIdle(call: () => void): void {
    this.#idleCalls.push(call);
  }

  /** True when something is to be done first, or was told. */
  #tellIdle(): boolean {
    if (this.#platform.runningCount > 0) return false;
    if (this.#dispatch(0) > 0) return true;
    for (const call of this.#idleCalls.splice(0)) call();
    return true;
  }

  /** Traps and woken tasks, up to a bound. True if there were any. */
  #runContexts(driver: KernelDriver): boolean {
    let didWork = driver.runReady();
    for (let i = 0; i < TRAPS_PER_CLOCK; i++) {
      const context = this.#platform.nextTrap();
      if (context === null) break;
      didWork = true;
      driver.onTrap(context);
      driver.runReady();
      if (driver.isOver) break;
    }
    return didWork;
  }

  #runTimers(driver: KernelDriver, now: number): boolean {
    if (driver.nextDeadlineNs() > now) return false;
    driver.onTimers(now);
    return true;
  }

  #advanceVirtualTime(driver: KernelDriver): boolean {
    const clock = this.#clock;
    if (clock.advanceToNs === undefined || this.#platform.runningCount > 0) return false;
    if (this.#dispatch(0) > 0) return true;
    const deadline = driver.nextDeadlineNs();
    if (deadline === Number.POSITIVE_INFINITY) return false;
    const patienceNs = Math.min(this.#patienceNs, deadline - clock.monotonicNs());
    if (patienceNs > 0 && this.#dispatch(patienceNs) > 0) return true;
    clock.advanceToNs(deadline);
    return true;
  }

  /** Spins if that has paid lately, then sleeps. */
  #wait(driver: KernelDriver, now: number): void {
    this.#platform.attend();
    this.#clock.calibrate?.(now);
    const canSpin = this.#canSpin && !this.#platform.sharesCpu;
    if (canSpin && this.#spin(driver, this.#isVirtual ? this.#realNs() : now)) return;
    this.#sleep(driver);
  }

  /** True when something happened meanwhile. What happened is seen to by the caller's next round. */
  #spin(driver: KernelDriver, start: number): boolean {
    const platform = this.#platform;
    if (platform.runningCount === 0 && this.#spinNs <= SPIN_MIN_NS) return false;
    const deadline = this.#isVirtual ? Number.POSITIVE_INFINITY : driver.nextDeadlineNs();
    let nextPoll = start + POLL_INTERVAL_NS;
    for (;;) {
      for (let i = 0; i < 20; i++) if (platform.hasTrap()) return this.#spinPaid();
      const now = this.#realNs();
      if (now >= deadline) return true;
      if (now >= nextPoll) {
        nextPoll = now + POLL_INTERVAL_NS;
        this.#lastPollNs = now;
        if (this.#dispatch(0) > 0) return this.#spinPaid();
      }
      if (now - start >= this.#spinNs) break;
    }
    this.#spinNs = Math.max(SPIN_MIN_NS, this.#spinNs * 0.75);
    return false;
  }
  #spinPaid(): true {
    this.spinsPaid++;
    this.#spinNs = Math.min(SPIN_MAX_NS, this.#spinNs * 1.1 + 1000);
    return true;
  }

  #sleep(driver: KernelDriver): void {
    const platform = this.#platform;
    platform.armBell();
    if (!platform.hasTrap()) {
      let timeout = driver.nextDeadlineNs();
      if (timeout !== Number.POSITIVE_INFINITY)
        timeout = Math.max(0, timeout - this.#clock.monotonicNs());
      if (platform.waitingCount > 0) timeout = Math.min(timeout, PREEMPT_NS);
      this.sleeps++;
      const before = this.#realNs();
      const count = this.#dispatch(timeout);
      if (count === 0 && platform.waitingCount > 0) platform.preempt();
      // Short sleeps are what spinning could have saved.
      const slept = this.#realNs() - before;
      if (slept < SPIN_MAX_NS && !platform.sharesCpu)
        this.#spinNs = Math.min(SPIN_MAX_NS, this.#spinNs * 1.5 + 1000);
    }
    platform.disarmBell();
  }

  /** Waits for descriptors and serves those that are ready; how many were. */
  #dispatch(timeoutNs: number): number {
    const epoll = this.#epoll;
    const count = epoll.waitNs(timeoutNs);
    if (count === -EINTR) return 0;
    if (count < 0) throw new Error(`epoll_wait failed (errno ${-count})`);
    // What the handlers do, they do at this time (HostClock.turn).
    if (count > 0) this.#clock.monotonicNs();
    for (let i = 0; i < count; i++) {
      const watch = this.#watches[epoll.tokenAt(i)];
      // An earlier handler of this round may have unwatched it.
      if (watch !== undefined) watch.handler(epoll.maskAt(i));
    }
    return count;
  }
}
