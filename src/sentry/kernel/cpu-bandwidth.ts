// How much processor time a sandbox may take: so much in every period of 100 ms, as cgroup2's cpu.max and the kernel's
// CFS bandwidth control (Documentation/scheduler/sched-bwc.rst). Time runs while contexts run, for as many of them
// as there are CPUs, and while the Sentry works for a task. When it is used up, what runs is interrupted and every
// task is held on its way back to its program until a new period has paid for it; what was taken too much is paid
// back first. A context that waits for one of the host's CPUs counts as running: the limit is never exceeded on a
// busy host, and not always reached.

import type { Clock } from "../../base/clock.ts";
import { MS, US } from "../../base/clock.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import type { Task } from "./task.ts";

const PERIOD_NS = 100 * MS;
/** It is looked at no more often while something runs: what may be overdrawn on each CPU. */
const SLICE_MIN_NS = 500 * US;

/** What it needs of the kernel. */
export interface BandwidthHost {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  readonly cpus: number;
  readonly platform: { readonly runningCount: number };
  readonly pids: { readonly tasks: ReadonlyMap<number, Task> };
  makeReady(task: Task): void;
}

export class CpuBandwidth {
  readonly #host: BandwidthHost;
  readonly #quotaNs: number;
  readonly #timer = new Timer((nowNs) => this.#look(nowNs));
  readonly #held: Task[] = [];
  /** Contexts that run, since #sinceNs. */
  #running = 0;
  #sinceNs = 0;
  #periodNs = 0;
  /** In this period, what earlier ones lent included. */
  #usedNs = 0;
  /** Over the whole life: periods in which tasks were held (nr_throttled of cpu.stat). */
  throttled = 0;
  #isThrottled = false;

  /** millicores: thousandths of a CPU. */
  constructor(host: BandwidthHost, millicores: number) {
    this.#host = host;
    this.#quotaNs = (PERIOD_NS * millicores) / 1000;
  }

  /** A context has stopped. */
  stopped(nowNs: number): void {
    this.#account(nowNs);
  }

  /** The Sentry has worked for a task. */
  charge(ns: number): void {
    this.#usedNs += ns;
  }

  /** A context has just been resumed. */
  resumed(nowNs: number): void {
    this.#account(nowNs);
    if (!this.#timer.isArmed) this.#arm(nowNs);
  }

  /** True: the task must wait, and will be made ready when it may go on. */
  holds(t: Task, nowNs: number): boolean {
    this.#account(nowNs);
    if (!this.#isThrottled && this.#usedNs >= this.#quotaNs) this.#throttle();
    if (!this.#isThrottled) return false;
    t.isHeld = true;
    this.#held.push(t);
    return true;
  }

  #account(nowNs: number): void {
    const { cpus, platform } = this.#host;
    this.#usedNs += (nowNs - this.#sinceNs) * Math.min(this.#running, cpus);
    this.#sinceNs = nowNs;
    this.#running = platform.runningCount;
    const periods = Math.floor((nowNs - this.#periodNs) / PERIOD_NS);
    if (periods === 0) return;
    this.#periodNs += periods * PERIOD_NS;
    // What is not used is lost; what was used too much is paid back first.
    this.#usedNs = Math.max(0, this.#usedNs - periods * this.#quotaNs);
  }

  /** When all CPUs together could have used up what is left: never late by more than a slice. */
  #arm(nowNs: number): void {
    const { timers, cpus } = this.#host;
    const leftNs = (this.#quotaNs - this.#usedNs) / cpus;
    timers.arm(this.#timer, nowNs + Math.max(SLICE_MIN_NS, leftNs));
  }

  #look(nowNs: number): void {
    this.#account(nowNs);
    if (this.#isThrottled) {
      if (this.#usedNs < this.#quotaNs) this.#release();
      else this.#host.timers.arm(this.#timer, this.#periodNs + PERIOD_NS);
    } else if (this.#usedNs >= this.#quotaNs) this.#throttle();
    else if (this.#running > 0) this.#arm(nowNs);
  }

  #throttle(): void {
    this.#isThrottled = true;
    this.throttled++;
    for (const { context } of this.#host.pids.tasks.values()) {
      if (context?.isRunning === true) context.interrupt();
    }
    this.#host.timers.arm(this.#timer, this.#periodNs + PERIOD_NS);
  }

  #release(): void {
    this.#isThrottled = false;
    for (const t of this.#held) {
      // One that a signal has let go meanwhile is here no more, or a second time.
      if (!t.isHeld) continue;
      t.isHeld = false;
      this.#host.makeReady(t);
    }
    this.#held.length = 0;
  }
}
