// When to leave slow start before a loss says so. HyStart as Linux's CUBIC has it (ACK train, and the rise
// of a round's least delay: Ha and Rhee 2008); and HyStart++ (RFC 9406), which slows down for some rounds
// first and returns when the delay falls again. Which one: TcpSettings.hystart.

import { seqDiff, seqGt } from "../../../base/seqnum.ts";
import type { Tcb } from "../tcb.ts";

const LOW_WINDOW = 16;
const MIN_SAMPLES = 8;
const ACK_SPACING_US = 2_000;
const THRESH_MIN_US = 4_000;
const THRESH_MAX_US = 16_000;
const TRAIN = 1;
const DELAY = 2;
const PLUS_PLUS = 4;
/** RFC 9406 4.3. */
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
const NO_RTT = 0x7fff_ffff;

const threshold = (rttUs: number): number =>
  Math.min(Math.max(rttUs >> 3, THRESH_MIN_US), THRESH_MAX_US);

export class HyStart {
  #isFound = false;
  #isStarted = false;
  #roundStartUs = 0;
  #lastAckUs = 0;
  #roundEnd = 0;
  #samples = 0;
  #roundRttUs = NO_RTT;
  #delayMinUs = 0;
  // HyStart++.
  #lastRoundRttUs = NO_RTT;
  #cssBaselineUs = NO_RTT;
  #cssRounds = 0;
  #isCss = false;
  #cssCredit = 0;

  reset(): void {
    this.#isFound = false;
    this.#isStarted = false;
    this.#isCss = false;
    this.#lastRoundRttUs = NO_RTT;
    this.#delayMinUs = 0;
  }

  #beginRound(tcb: Tcb): void {
    this.#isStarted = true;
    this.#roundStartUs = this.#lastAckUs = tcb.ctx.nowUs;
    this.#roundEnd = tcb.snd.nxt;
    this.#lastRoundRttUs = this.#roundRttUs;
    this.#roundRttUs = NO_RTT;
    this.#samples = 0;
  }

  /** An ACK in slow start whose newest segment took `rttUs`. */
  onSample(tcb: Tcb, rttUs: number): void {
    const kind = tcb.ctx.settings.hystart;
    if (this.#delayMinUs === 0 || rttUs < this.#delayMinUs) this.#delayMinUs = rttUs;
    if (this.#isFound || kind === 0 || tcb.cwnd >= tcb.ssthresh) return;
    // Linux looks at nothing, not even the rounds, below this window.
    if (kind !== PLUS_PLUS && tcb.cwnd < LOW_WINDOW) return;
    if (!this.#isStarted || seqGt(tcb.snd.una, this.#roundEnd)) {
      if (this.#isCss) this.#cssRounds++;
      this.#beginRound(tcb);
    }
    if (kind === PLUS_PLUS) {
      this.#plusPlus(tcb, rttUs);
      return;
    }
    if ((kind & TRAIN) !== 0) this.#train(tcb);
    if ((kind & DELAY) !== 0) this.#delay(tcb, rttUs);
  }

  /** ACKs close together for half of the least delay: the pipe is full. */
  #train(tcb: Tcb): void {
    const now = tcb.ctx.nowUs;
    if (seqDiff(now, this.#lastAckUs) > ACK_SPACING_US) return;
    this.#lastAckUs = now;
    const { pacingRate } = tcb.loss;
    const ackDelayUs = Math.min(1_000, (65_536 * 4 * 1_000_000) / pacingRate);
    let limit = this.#delayMinUs + Math.floor(ackDelayUs);
    if (!tcb.ctx.settings.isPaced) limit >>= 1;
    if (seqDiff(now, this.#roundStartUs) <= limit) return;
    tcb.ctx.stats.TCPHystartTrainDetect++;
    tcb.ctx.stats.TCPHystartTrainCwnd += tcb.cwnd;
    this.#leave(tcb);
  }

  #delay(tcb: Tcb, rttUs: number): void {
    if (rttUs < this.#roundRttUs) this.#roundRttUs = rttUs;
    if (this.#samples < MIN_SAMPLES) {
      this.#samples++;
      return;
    }
    if (this.#roundRttUs <= this.#delayMinUs + threshold(this.#delayMinUs)) return;
    tcb.ctx.stats.TCPHystartDelayDetect++;
    tcb.ctx.stats.TCPHystartDelayCwnd += tcb.cwnd;
    this.#leave(tcb);
  }

  #leave(tcb: Tcb): void {
    this.#isFound = true;
    tcb.ssthresh = tcb.cwnd;
  }

  /** RFC 9406 4.2. */
  #plusPlus(tcb: Tcb, rttUs: number): void {
    if (rttUs < this.#roundRttUs) this.#roundRttUs = rttUs;
    this.#samples++;
    if (this.#isCss) {
      if (this.#samples >= MIN_SAMPLES && this.#roundRttUs < this.#cssBaselineUs) {
        // The rise was no sign of a queue: back to slow start.
        this.#isCss = false;
        this.#cssBaselineUs = NO_RTT;
      } else if (this.#cssRounds >= CSS_ROUNDS) {
        this.#leave(tcb);
      }
      return;
    }
    const hasRounds = this.#roundRttUs !== NO_RTT && this.#lastRoundRttUs !== NO_RTT;
    if (this.#samples < MIN_SAMPLES || !hasRounds) return;
    if (this.#roundRttUs < this.#lastRoundRttUs + threshold(this.#lastRoundRttUs)) return;
    this.#cssBaselineUs = this.#roundRttUs;
    this.#isCss = true;
    this.#cssRounds = 0;
    tcb.ctx.stats.TCPHystartDelayDetect++;
    tcb.ctx.stats.TCPHystartDelayCwnd += tcb.cwnd;
  }

  /** Segments that slow start may count of `segs` acknowledged: a quarter in conservative slow start. */
  growth(segs: number): number {
    if (!this.#isCss) return segs;
    this.#cssCredit += segs;
    const n = Math.floor(this.#cssCredit / CSS_GROWTH_DIVISOR);
    this.#cssCredit -= n * CSS_GROWTH_DIVISOR;
    return n;
  }
}
