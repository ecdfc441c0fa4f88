// CUBIC (RFC 9438) in Linux's arithmetic: the window as a cubic function of the time since the last loss,
// never slower than Reno would be. Windows in segments, time in 1/1024 s, whole numbers as in tcp_cubic.c so
// that windows come out the same. Slow start is Reno's, left early by HyStart.
// @rfc 9438 4.6

import { seqDiff } from "../../../base/seqnum.ts";
import type { Tcb } from "../tcb.ts";
import type { CongestionControl } from "./congestion.ts";
import { increase, slowStart } from "./congestion.ts";
import { HyStart } from "./hystart.ts";

/** 717/1024: beta of 0.7 (RFC 9438 4.6). */
const BETA = 717;
const BETA_SCALE = 1024;
/** C = 0.4 as bic_scale * 10 / 1024, so that C t^3 = 410 * t^3 / 2^40 with t in 1/1024 s. */
const CUBE_SCALE = 410;
/** Eight times what Reno must see acknowledged per segment and window to grow as fast with BETA (4.3). */
const FRIENDLY_SCALE = Math.floor(Math.floor((8 * (BETA_SCALE + BETA)) / 3) / (BETA_SCALE - BETA));
const GROWTH_UNKNOWN = 20;
/** The curve is looked at again after this long, or when the window has changed: HZ / 32. */
const RECOMPUTE_MS = 31;

export class Cubic implements CongestionControl {
  readonly name = "cubic";
  /** Window before the last reduction, fast convergence applied; 0: the capacity is unknown. */
  #lastMaxCwnd = 0;
  #lastCwnd = 0;
  #lastMs = 0;
  #originCwnd = 0;
  /** Until the plateau. */
  #k = 0;
  #epochStartMs = 0;
  #isEpochOpen = false;
  /** Acknowledged since Reno's window was last counted up. */
  #acked = 0;
  #renoCwnd = 0;
  /** Segments acknowledged per segment of growth. */
  #perSegs = 0;
  #delayMinUs = 0;
  /** Made with the first sample: an idle connection needs none. */
  #hystart: HyStart | null = null;

  onAck(tcb: Tcb, segs: number): void {
    let left = segs;
    if (tcb.cwnd < tcb.ssthresh)
      left = slowStart(tcb, this.#hystart === null ? segs : this.#hystart.growth(segs));
    if (left <= 0) return;
    this.#update(tcb, left);
    increase(tcb, this.#perSegs, left);
  }

  #update(tcb: Tcb, segs: number): void {
    const { cwnd } = tcb;
    const nowMs = tcb.ctx.nowMs;
    this.#acked += segs;
    const isSame = this.#lastCwnd === cwnd && seqDiff(nowMs, this.#lastMs) <= RECOMPUTE_MS;
    if (isSame) return;
    if (!this.#isEpochOpen || nowMs !== this.#lastMs) {
      this.#lastCwnd = cwnd;
      this.#lastMs = nowMs;
      if (!this.#isEpochOpen) this.#openEpoch(tcb, segs);
      this.#perSegs = this.#onCurve(tcb);
    }
    this.#beFriendly(cwnd);
    // At most one segment for two acknowledged: 1.5 times a round trip (4.4).
    if (this.#perSegs < 2) this.#perSegs = 2;
  }

  #openEpoch(tcb: Tcb, segs: number): void {
    this.#isEpochOpen = true;
    this.#epochStartMs = tcb.ctx.nowMs;
    this.#acked = segs;
    this.#renoCwnd = tcb.cwnd;
    if (this.#lastMaxCwnd <= tcb.cwnd) {
      this.#k = 0;
      this.#originCwnd = tcb.cwnd;
    } else {
      this.#k = Math.floor(Math.cbrt((2 ** 40 / CUBE_SCALE) * (this.#lastMaxCwnd - tcb.cwnd)));
      this.#originCwnd = this.#lastMaxCwnd;
    }
  }

  /** 4.2: where the curve will be one round trip from now. */
  #onCurve(tcb: Tcb): number {
    const { cwnd } = tcb;
    const ms = seqDiff(tcb.ctx.nowMs, this.#epochStartMs) + Math.ceil(this.#delayMinUs / 1_000);
    const t = Math.floor((ms * 1024) / 1_000);
    const offset = Math.abs(t - this.#k);
    const delta = Math.floor((CUBE_SCALE * offset * offset * offset) / 2 ** 40);
    const target = t < this.#k ? this.#originCwnd - delta : this.#originCwnd + delta;
    const perSegs = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
    // Where the capacity is unknown yet, not slower than 5 % a round trip.
    if (this.#lastMaxCwnd === 0 && perSegs > GROWTH_UNKNOWN) return GROWTH_UNKNOWN;
    return perSegs;
  }

  /** Reno-friendly region (4.3). */
  #beFriendly(cwnd: number): void {
    const step = (cwnd * FRIENDLY_SCALE) >> 3;
    if (this.#acked > step) {
      const steps = Math.ceil(this.#acked / step) - 1;
      this.#acked -= steps * step;
      this.#renoCwnd += steps;
    }
    const ahead = this.#renoCwnd - cwnd;
    if (ahead <= 0) return;
    const most = Math.floor(cwnd / ahead);
    if (this.#perSegs > most) this.#perSegs = most;
  }

  ssthreshAfterLoss(tcb: Tcb): number {
    const { cwnd } = tcb;
    this.#isEpochOpen = false;
    // Fast convergence (4.7): leave room for newcomers when the plateau was not reached again.
    const isBelow = cwnd < this.#lastMaxCwnd;
    this.#lastMaxCwnd = isBelow
      ? Math.floor((cwnd * (BETA_SCALE + BETA)) / (2 * BETA_SCALE))
      : cwnd;
    return Math.max(Math.floor((cwnd * BETA) / BETA_SCALE), 2);
  }

  /** Linux forgets the plateau as well: what a timeout has told is that the path is another one now. */
  onTimeout(_tcb: Tcb): void {
    this.#isEpochOpen = false;
    this.#lastMaxCwnd = this.#lastCwnd = this.#lastMs = 0;
    this.#originCwnd = this.#k = this.#acked = this.#renoCwnd = this.#perSegs = 0;
    this.#delayMinUs = 0;
    this.#hystart?.reset();
  }

  onSample(tcb: Tcb, rttUs: number): void {
    if (rttUs < 0) return;
    // Delays right after a recovery say little.
    if (this.#isEpochOpen && seqDiff(tcb.ctx.nowMs, this.#epochStartMs) < 1_000) return;
    const delayUs = rttUs === 0 ? 1 : rttUs;
    if (this.#delayMinUs === 0 || delayUs < this.#delayMinUs) this.#delayMinUs = delayUs;
    if (tcb.dataSegsOut === 0) return;
    if (this.#hystart === null) this.#hystart = new HyStart();
    this.#hystart.onSample(tcb, delayUs);
  }

  /** 4.2: the time in which the application sent nothing does not count. */
  onRestart(tcb: Tcb, idleUs: number): void {
    if (!this.#isEpochOpen || idleUs <= 0) return;
    const shifted = (this.#epochStartMs + Math.floor(idleUs / 1_000)) | 0;
    this.#epochStartMs = seqDiff(shifted, tcb.ctx.nowMs) > 0 ? tcb.ctx.nowMs : shifted;
  }
}
