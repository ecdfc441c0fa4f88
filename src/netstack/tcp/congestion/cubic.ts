// CUBIC (RFC 9438): the window as a cubic function of the time since the last loss, never slower than
// Reno would be. Windows in segments, times in seconds. Slow start is Reno's, left early by HyStart.
// @rfc 9438 4.6

import { seqDiff } from "../../../base/seqnum.ts";
import type { Tcb } from "../tcb.ts";
import type { CongestionControl } from "./congestion.ts";
import { increase, slowStart } from "./congestion.ts";
import { HyStart } from "./hystart.ts";

const C = 0.4;
const BETA = 0.7;
const GROWTH_UNKNOWN = 20;
/** RFC 9438 4.3: makes additive increase with BETA as fair as Reno's with 0.5. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

export class Cubic implements CongestionControl {
  readonly name = "cubic";
  #wMax = 0;
  /** Window before the last reduction. */
  #cwndPrior = 0;
  #wEst = 0;
  /** Seconds until the plateau. */
  #k = 0;
  #epochStartUs = 0;
  #isEpochOpen = false;
  /** Made with the first sample: an idle connection needs none. */
  #hystart: HyStart | null = null;

  onAck(tcb: Tcb, segs: number): void {
    let left = segs;
    if (tcb.cwnd < tcb.ssthresh)
      left = slowStart(tcb, this.#hystart === null ? segs : this.#hystart.growth(segs));
    if (left <= 0) return;
    if (!this.#isEpochOpen) this.#openEpoch(tcb);
    const cwnd = tcb.cwnd;
    // The window to reach one RTT from now.
    const t = (seqDiff(tcb.ctx.nowUs, this.#epochStartUs) + tcb.rtt.srttUs) / 1_000_000;
    const d = t - this.#k;
    const target = C * d * d * d + this.#wMax;
    let perSegs = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
    // Where the capacity is unknown yet, not slower than 5 % a round trip (as Linux).
    if (this.#cwndPrior === 0 && perSegs > GROWTH_UNKNOWN) perSegs = GROWTH_UNKNOWN;
    // Reno-friendly region (4.3).
    this.#wEst +=
      ((this.#cwndPrior > 0 && this.#wEst >= this.#cwndPrior ? 1 : ALPHA) * left) / cwnd;
    const ahead = Math.floor(this.#wEst) - cwnd;
    if (ahead > 0) perSegs = Math.min(perSegs, Math.floor(cwnd / ahead));
    // At most one segment for two acknowledged: 1.5 times a round trip (4.4).
    increase(tcb, Math.max(2, perSegs), left);
  }

  #openEpoch(tcb: Tcb): void {
    this.#isEpochOpen = true;
    this.#epochStartUs = tcb.ctx.nowUs;
    this.#wEst = tcb.cwnd;
    tcb.cwndCount = 0;
    if (tcb.cwnd >= this.#wMax) {
      this.#wMax = tcb.cwnd;
      this.#k = 0;
    } else {
      this.#k = Math.cbrt((this.#wMax - tcb.cwnd) / C);
    }
  }

  ssthreshAfterLoss(tcb: Tcb): number {
    this.#isEpochOpen = false;
    this.#cwndPrior = tcb.cwnd;
    // Fast convergence (4.7): leave room for newcomers when the plateau was not reached again.
    this.#wMax = tcb.cwnd < this.#wMax ? (tcb.cwnd * (1 + BETA)) / 2 : tcb.cwnd;
    return Math.max(Math.floor(tcb.cwnd * BETA), 2);
  }

  onTimeout(_tcb: Tcb): void {
    this.#isEpochOpen = false;
    this.#hystart?.reset();
  }

  onSample(tcb: Tcb, rttUs: number): void {
    if (rttUs < 0) return;
    // Delays right after a recovery say little.
    if (this.#isEpochOpen && seqDiff(tcb.ctx.nowUs, this.#epochStartUs) < 1_000_000) return;
    if (tcb.dataSegsOut === 0) return;
    if (this.#hystart === null) this.#hystart = new HyStart();
    this.#hystart.onSample(tcb, rttUs === 0 ? 1 : rttUs);
  }

  /** 4.2: the time in which the application sent nothing does not count. */
  onRestart(_tcb: Tcb, idleUs: number): void {
    if (this.#isEpochOpen) this.#epochStartUs = (this.#epochStartUs + idleUs) | 0;
  }
}
