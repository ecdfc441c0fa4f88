// The sandbox's clock on the host's time. Monotonic time starts with the sandbox, at one second. Both the
// kernel and the programs' vDSO read the time stamp counter through one time page; calibrate(), called when
// the loop is awake anyway, steers the page towards the host's clock: never back, and by at most 500 ppm
// unless far off.
// Where the counter cannot be trusted the page says so, and programs ask by system call.

import { readFileSync } from "node:fs";
import { type Clock, MS, SECOND } from "../../base/clock.ts";
import * as host from "../../host/index.ts";
import type { VdsoImage } from "../platform/platform.ts";
import {
  readTsc,
  TIME_MODE_SYSCALL,
  TIME_MODE_TSC,
  TimePage,
  type TimeParameters,
} from "../platform/systrap/index.ts";

const FIRST_WINDOW_NS = 1n * BigInt(MS);
/** Calibrations closer than this say nothing. */
const CALIBRATION_INTERVAL_NS = SECOND;
/** Errors are worked off over this time. */
const CORRECTION_WINDOW_NS = BigInt(2 * SECOND);
const SLEW_PPM_MAX = 500n;
/** An error beyond this is a suspended machine, not drift: step. */
const STEP_NS = BigInt(20 * MS);
const BASELINE_MAX_NS = BigInt(64 * SECOND);
const SAMPLE_TRIES = 5;
/** No machine runs programs in its first second: ping takes a time of 0 s for one that was never set. */
const START_NS = BigInt(SECOND);

interface Sample {
  tsc: bigint;
  monotonicNs: bigint;
}

export class HostClock implements Clock {
  readonly #page = new TimePage();
  readonly #isTscUsed: boolean;
  readonly #originNs: bigint;
  readonly #originNumberNs: number;
  #baseline: Sample;
  #parameters: TimeParameters;
  #realtimeOffsetNs = 0;
  #calibratedNs = 0;
  /** The last answer. */
  #readNs = Number(START_NS);

  /**
   * For the stack: the time at which the present trap, frame or timer began to be handled, all of which ask the
   * clock first. measured: 100 ns less for each call and packet.
   */
  readonly turn: Clock = {
    monotonicNs: () => this.#readNs,
    realtimeNs: () => this.#readNs + this.#realtimeOffsetNs,
    refresh: () => {
      this.monotonicNs();
    },
  };

  /** trustTsc: by default what the host says of its counter. Before the lock-down: reads /proc and /sys. */
  constructor(trustTsc: boolean = isTscStable()) {
    this.#isTscUsed = trustTsc;
    this.#baseline = sample();
    this.#originNs = this.#baseline.monotonicNs - START_NS;
    this.#originNumberNs = Number(this.#originNs);
    this.#parameters = {
      mode: trustTsc ? TIME_MODE_TSC : TIME_MODE_SYSCALL,
      tscBase: this.#baseline.tsc,
      multiplier: 0n,
      monotonicNs: START_NS,
      realtimeNs: 0n,
      boottimeNs: 0n,
    };
    if (trustTsc) {
      let now = sample();
      while (now.monotonicNs - this.#baseline.monotonicNs < FIRST_WINDOW_NS) now = sample();
      this.#parameters.multiplier = this.#rate(now);
    }
    this.#publish();
  }

  get vdso(): VdsoImage {
    return this.#page.image;
  }

  monotonicNs(): number {
    this.#readNs = this.#isTscUsed
      ? this.#page.monotonicNs()
      : host.hostClockNumberNs(host.CLOCK_MONOTONIC) - this.#originNumberNs;
    return this.#readNs;
  }
  realtimeNs(): number {
    return this.monotonicNs() + this.#realtimeOffsetNs;
  }

  /** Nanoseconds per tick, times 2^32, between the baseline and `now`. */
  #rate(now: Sample): bigint {
    const ns = now.monotonicNs - this.#baseline.monotonicNs;
    const ticks = now.tsc - this.#baseline.tsc;
    return ticks > 0n ? (ns << 32n) / ticks : this.#parameters.multiplier;
  }

  /** Brings the page up to the host's clock if it was long ago. Cheap to call often. */
  calibrate(nowNs: number): void {
    if (nowNs - this.#calibratedNs < CALIBRATION_INTERVAL_NS && nowNs >= this.#calibratedNs) return;
    this.#calibratedNs = nowNs;
    if (this.#isTscUsed) this.#steer(sample());
    this.#publish();
  }

  #steer(now: Sample): void {
    const p = this.#parameters;
    const pageNs = p.monotonicNs + (((now.tsc - p.tscBase) * p.multiplier) >> 32n);
    const hostNs = now.monotonicNs - this.#originNs;
    const error = hostNs - pageNs;
    const rate = this.#rate(now);
    p.tscBase = now.tsc;
    p.monotonicNs = error > STEP_NS ? hostNs : pageNs;
    let ppm = error > STEP_NS ? 0n : (error * 1_000_000n) / CORRECTION_WINDOW_NS;
    const limit = error < -STEP_NS ? 20n * SLEW_PPM_MAX : SLEW_PPM_MAX;
    if (ppm > limit) ppm = limit;
    if (ppm < -limit) ppm = -limit;
    p.multiplier = rate + (rate * ppm) / 1_000_000n;
    if (now.monotonicNs - this.#baseline.monotonicNs > BASELINE_MAX_NS) this.#baseline = now;
  }

  #publish(): void {
    const p = this.#parameters;
    const monotonic = host.hostClockNs(host.CLOCK_MONOTONIC);
    const realtimeOffset = host.hostClockNs(host.CLOCK_REALTIME) - monotonic + this.#originNs;
    this.#realtimeOffsetNs = Number(realtimeOffset);
    p.realtimeNs = p.monotonicNs + realtimeOffset;
    p.boottimeNs = p.monotonicNs;
    this.#page.write(p);
  }
}

/** The counter and the host's clock at one instant: the tightest of a few tries. */
function sample(): Sample {
  let best: Sample = { tsc: 0n, monotonicNs: 0n };
  let bestSpread = 1n << 62n;
  for (let i = 0; i < SAMPLE_TRIES; i++) {
    const before = BigInt(readTsc());
    const monotonicNs = host.hostClockNs(host.CLOCK_MONOTONIC);
    const after = BigInt(readTsc());
    if (after - before >= bestSpread) continue;
    bestSpread = after - before;
    best = { tsc: before + bestSpread / 2n, monotonicNs };
  }
  return best;
}

/** The counter ticks evenly, in sleep too, alike on all CPUs, and the host itself keeps time by it. */
export function isTscStable(): boolean {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? "";
    if (!/\bconstant_tsc\b/.test(flags) || !/\bnonstop_tsc\b/.test(flags)) return false;
    const source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    return /^(tsc|kvm-clock|hyperv_clocksource_tsc_page)$/.test(
      readFileSync(source, "latin1").trim(),
    );
  } catch {
    return false;
  }
}
