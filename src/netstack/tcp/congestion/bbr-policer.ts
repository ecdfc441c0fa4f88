// BBR's look-out for token-bucket policers (tcp_bbr.c, bbr_lt_bw_sampling): when two stretches of many losses
// deliver at the same rate, that rate is what the path allows in the long term, and is used for a while.

import { seqDiff } from "../../../base/seqnum.ts";
import type { Tcb } from "../tcb.ts";

const INTERVAL_MIN_ROUNDS = 4;
/** Losses per delivery that make a stretch worth measuring: a fifth. */
const LOSS_THRESHOLD = 50 / 256;
const SAME_RATIO = 1 / 8;
const SAME_BYTES_PER_SECOND = 4_000 / 8;
export const USE_MAX_ROUNDS = 48;

export class BbrPolicer {
  /** Segments per microsecond; 0: none known. */
  bw = 0;
  isUsed = false;
  rounds = 0;
  #isSampling = false;
  #lastUs = 0;
  #lastDelivered = 0;
  #lastLost = 0;

  reset(tcb: Tcb): void {
    this.bw = 0;
    this.isUsed = false;
    this.#isSampling = false;
    this.#beginInterval(tcb);
  }

  #beginInterval(tcb: Tcb): void {
    this.#lastUs = tcb.loss.deliveredUs;
    this.#lastDelivered = tcb.delivered;
    this.#lastLost = tcb.sent.lostEver;
    this.rounds = 0;
  }

  /** Precondition: not in use. True: from now on the long-term rate is to be used. */
  sample(tcb: Tcb, losses: number, isAppLimited: boolean, isRoundStart: boolean): boolean {
    if (!this.#isSampling) {
      if (losses === 0) return false;
      this.#beginInterval(tcb);
      this.#isSampling = true;
    }
    // Without enough to send nothing is learned of a policer.
    if (isAppLimited) {
      this.reset(tcb);
      return false;
    }
    if (isRoundStart) this.rounds++;
    if (this.rounds < INTERVAL_MIN_ROUNDS) return false;
    if (this.rounds > 4 * INTERVAL_MIN_ROUNDS) {
      this.reset(tcb);
      return false;
    }
    // An interval ends with a loss: the bucket ran dry.
    if (losses === 0) return false;
    const lost = tcb.sent.lostEver - this.#lastLost;
    const delivered = tcb.delivered - this.#lastDelivered;
    if (delivered <= 0 || lost < LOSS_THRESHOLD * delivered) return false;
    const us = seqDiff(tcb.loss.deliveredUs, this.#lastUs);
    if (us < 1_000) return false;
    return this.#endInterval(tcb, delivered / us);
  }

  #endInterval(tcb: Tcb, bw: number): boolean {
    if (this.bw > 0) {
      const diff = Math.abs(bw - this.bw);
      if (
        diff <= SAME_RATIO * this.bw ||
        diff * tcb.snd.mss * 1_000_000 * 0.99 <= SAME_BYTES_PER_SECOND
      ) {
        this.bw = (bw + this.bw) / 2;
        this.isUsed = true;
        this.rounds = 0;
        return true;
      }
    }
    this.bw = bw;
    this.#beginInterval(tcb);
    return false;
  }
}
