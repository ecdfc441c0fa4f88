// BBR version 1 as Linux's tcp_bbr.c has it (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016):
// a model of the path - the largest delivery rate of ten rounds, the least RTT of ten seconds - decides the
// pacing rate and the window. Rates in segments per microsecond. Needs pacing (sender.ts) and samples (rate.ts).

import { seqDiff } from "../../../base/seqnum.ts";
import { $ack, F_DATA_ACKED, F_MAYBE_DELAYED, F_SYN_ACKED } from "../ack-state.ts";
import { MIN_RTT_NONE } from "../rtt.ts";
import { CA_LOSS, CA_OPEN, CA_RECOVERY, CWND_MAX, INITIAL_CWND } from "../state.ts";
import type { Tcb } from "../tcb.ts";
import { BbrPolicer, USE_MAX_ROUNDS } from "./bbr-policer.ts";
import type { CongestionControl } from "./congestion.ts";
import { WindowedMax } from "./windowed-max.ts";

const STARTUP = 0;
const DRAIN = 1;
const PROBE_BW = 2;
const PROBE_RTT = 3;

/** 2/ln(2), the least gain that doubles the rate each round, and its inverse, in 256ths as Linux rounds them. */
const HIGH_GAIN = 739 / 256;
const DRAIN_GAIN = 88 / 256;
const CWND_GAIN = 2;
/** Pacing gains over a cycle of PROBE_BW: probe, drain, cruise. */
const PACING_GAINS = [5 / 4, 3 / 4, 1, 1, 1, 1, 1, 1];
const CYCLE_RAND = 7;
const BW_ROUNDS = PACING_GAINS.length + 2;
const MIN_RTT_WINDOW_MS = 10_000;
const PROBE_RTT_MS = 200;
const CWND_MIN = 4;
const FULL_BW_GROWTH = 5 / 4;
const FULL_BW_ROUNDS = 3;
/** Below the bottleneck's rate by this: its queue drains. */
const PACING_MARGIN = 0.99;
const EXTRA_ACKED_ROUNDS = 5;
const EXTRA_ACKED_RESET = 1 << 20;
const EXTRA_ACKED_MAX_US = 100_000;
const TSO_BYTES_MAX = 65_536 - 1 - 320;
const TSO_SEGS_MAX = 127;
/** Bytes per second below which one segment at a time is sent: 1.2 Mbit/s. */
const MIN_TSO_RATE = 150_000;
const UNKNOWN = 0xffff_ffff;

/** struct tcp_bbr_info, gains in units of 1. */
export interface BbrInfo {
  bandwidthBytesPerSec: number;
  minRttUs: number;
  pacingGain: number;
  cwndGain: number;
}

export class Bbr implements CongestionControl {
  readonly name = "bbr";
  #mode = STARTUP;
  #minRttUs = UNKNOWN;
  #minRttMs = 0;
  #probeRttDoneMs = 0;
  #isProbeRttTimed = false;
  #isProbeRttRoundDone = false;
  readonly #bw = new WindowedMax();
  #round = 0;
  #nextRoundDelivered = 0;
  #isRoundStart = false;
  #cycle = 0;
  #cycleUs = 0;
  #priorState = CA_OPEN;
  #isConserving = false;
  #isIdleRestart = false;
  readonly #policer = new BbrPolicer();
  #pacingGain = HIGH_GAIN;
  #cwndGain = HIGH_GAIN;
  #isFull = false;
  #fullCount = 0;
  #fullBw = 0;
  #hasSeenRtt = false;
  #priorCwnd = 0;
  #epochUs = 0;
  #epochAcked = 0;
  #extraAcked0 = 0;
  #extraAcked1 = 0;
  #extraRounds = 0;
  #extraIndex = 0;

  /** bbr_init. */
  begin(tcb: Tcb): void {
    const { ctx, rtt } = tcb;
    this.#minRttUs = rtt.minRttUs < MIN_RTT_NONE ? rtt.minRttUs : UNKNOWN;
    this.#minRttMs = ctx.nowMs;
    this.#nextRoundDelivered = tcb.delivered;
    this.#priorState = CA_OPEN;
    this.#policer.reset(tcb);
    this.#epochUs = this.#cycleUs = ctx.nowUs;
    this.#paceFromRtt(tcb);
  }

  /** bbr_main: on each ACK, instead of growth and reduction. */
  control(tcb: Tcb, delivered: number): void {
    if (($ack.flags & (F_SYN_ACKED | F_DATA_ACKED)) === F_SYN_ACKED) {
      // The handshake's end: its round trip is known now.
      this.begin(tcb);
      return;
    }
    this.#updateBw(tcb);
    this.#updateExtraAcked(tcb, delivered);
    if (this.#mode === PROBE_BW && this.#isPhaseOver(tcb)) this.#nextPhase(tcb);
    this.#checkFull();
    this.#checkDrain(tcb);
    this.#updateMinRtt(tcb);
    this.#setGains();
    this.#setPacing(tcb, this.#estimate(), this.#pacingGain);
    this.#setCwnd(tcb, delivered);
  }

  /** bbr_get_info. */
  info(tcb: Tcb): BbrInfo {
    return {
      bandwidthBytesPerSec: Math.floor(this.#estimate() * tcb.snd.mss * 1_000_000),
      minRttUs: this.#minRttUs,
      pacingGain: this.#pacingGain,
      cwndGain: this.#cwndGain,
    };
  }

  onAck(): void {}

  ssthreshAfterLoss(tcb: Tcb): number {
    this.#saveCwnd(tcb);
    return tcb.ssthresh;
  }

  onTimeout(tcb: Tcb): void {
    this.#priorState = CA_LOSS;
    this.#fullBw = 0;
    this.#isRoundStart = true;
    this.#samplePolicer(tcb, 1, false);
  }

  onUndo(tcb: Tcb): void {
    this.#fullBw = 0;
    this.#fullCount = 0;
    this.#policer.reset(tcb);
  }

  /** CA_EVENT_TX_START: only silence of the application is a restart. */
  onRestart(tcb: Tcb): void {
    if (tcb.loss.appLimited === 0) return;
    this.#isIdleRestart = true;
    this.#epochUs = tcb.ctx.nowUs;
    this.#epochAcked = 0;
    if (this.#mode === PROBE_BW) this.#setPacing(tcb, this.#estimate(), 1);
    else if (this.#mode === PROBE_RTT) this.#checkProbeRttDone(tcb);
  }

  minTsoSegs(tcb: Tcb): number {
    return tcb.loss.pacingRate < MIN_TSO_RATE ? 1 : 2;
  }

  // --- The model ---

  /** The rate in use: the largest measured, or the policer's. */
  #estimate(): number {
    return this.#policer.isUsed ? this.#policer.bw : this.#bw.value;
  }

  #updateBw(tcb: Tcb): void {
    this.#isRoundStart = false;
    if ($ack.rateDelivered < 0 || $ack.rateIntervalUs <= 0) return;
    // A round: something sent after the last one's end is delivered.
    if ($ack.ratePriorDelivered >= this.#nextRoundDelivered) {
      this.#nextRoundDelivered = tcb.delivered;
      this.#round++;
      this.#isRoundStart = true;
      this.#isConserving = false;
    }
    this.#samplePolicer(tcb, $ack.newlyLost, $ack.isRateAppLimited);
    const bw = $ack.rateDelivered / $ack.rateIntervalUs;
    if (!$ack.isRateAppLimited || bw >= this.#bw.value) this.#bw.add(BW_ROUNDS, this.#round, bw);
  }

  #samplePolicer(tcb: Tcb, losses: number, isAppLimited: boolean): void {
    const policer = this.#policer;
    if (!policer.isUsed) {
      if (policer.sample(tcb, losses, isAppLimited, this.#isRoundStart)) this.#pacingGain = 1;
      return;
    }
    if (this.#mode !== PROBE_BW || !this.#isRoundStart) return;
    if (++policer.rounds < USE_MAX_ROUNDS) return;
    policer.reset(tcb);
    this.#beginProbeBw(tcb);
  }

  /** How much more than the model said was acknowledged of late: ACKs come in heaps. */
  #updateExtraAcked(tcb: Tcb, delivered: number): void {
    if (delivered <= 0 || $ack.rateDelivered < 0 || $ack.rateIntervalUs <= 0) return;
    if (this.#isRoundStart && ++this.#extraRounds >= EXTRA_ACKED_ROUNDS) {
      this.#extraRounds = 0;
      this.#extraIndex ^= 1;
      if (this.#extraIndex === 0) this.#extraAcked0 = 0;
      else this.#extraAcked1 = 0;
    }
    const nowUs = tcb.loss.deliveredUs;
    let expected = Math.floor(this.#estimate() * seqDiff(nowUs, this.#epochUs));
    if (this.#epochAcked <= expected || this.#epochAcked + delivered >= EXTRA_ACKED_RESET) {
      this.#epochAcked = 0;
      this.#epochUs = nowUs;
      expected = 0;
    }
    this.#epochAcked += delivered;
    const extra = Math.min(this.#epochAcked - expected, tcb.cwnd);
    if (this.#extraIndex === 0) this.#extraAcked0 = Math.max(this.#extraAcked0, extra);
    else this.#extraAcked1 = Math.max(this.#extraAcked1, extra);
  }

  #updateMinRtt(tcb: Tcb): void {
    const { ctx, loss, sent } = tcb;
    const isExpired = seqDiff(ctx.nowMs, this.#minRttMs) > MIN_RTT_WINDOW_MS;
    const isDelayed = ($ack.flags & F_MAYBE_DELAYED) !== 0;
    const { rttUs } = $ack;
    if (rttUs >= 0 && (rttUs < this.#minRttUs || (isExpired && !isDelayed))) {
      this.#minRttUs = rttUs;
      this.#minRttMs = ctx.nowMs;
    }
    if (isExpired && !this.#isIdleRestart && this.#mode !== PROBE_RTT) {
      this.#mode = PROBE_RTT;
      this.#saveCwnd(tcb);
      this.#isProbeRttTimed = false;
    }
    if (this.#mode === PROBE_RTT) {
      // What is delivered now says nothing of the bandwidth.
      loss.appLimited = Math.max(1, tcb.delivered + sent.inFlight);
      if (!this.#isProbeRttTimed && sent.inFlight <= CWND_MIN) {
        this.#isProbeRttTimed = true;
        this.#probeRttDoneMs = (ctx.nowMs + PROBE_RTT_MS) | 0;
        this.#isProbeRttRoundDone = false;
        this.#nextRoundDelivered = tcb.delivered;
      } else if (this.#isProbeRttTimed) {
        if (this.#isRoundStart) this.#isProbeRttRoundDone = true;
        if (this.#isProbeRttRoundDone) this.#checkProbeRttDone(tcb);
      }
    }
    if ($ack.rateDelivered > 0) this.#isIdleRestart = false;
  }

  #checkProbeRttDone(tcb: Tcb): void {
    const { nowMs } = tcb.ctx;
    if (!this.#isProbeRttTimed || seqDiff(nowMs, this.#probeRttDoneMs) <= 0) return;
    this.#minRttMs = nowMs;
    tcb.cwnd = Math.max(tcb.cwnd, this.#priorCwnd);
    if (this.#isFull) this.#beginProbeBw(tcb);
    else this.#mode = STARTUP;
  }

  // --- The modes ---

  #beginProbeBw(tcb: Tcb): void {
    this.#mode = PROBE_BW;
    // Anywhere but at "drain": the phases of several flows shall not coincide.
    this.#cycle = PACING_GAINS.length - 1 - tcb.ctx.rng.below(CYCLE_RAND);
    this.#nextPhase(tcb);
  }

  #nextPhase(tcb: Tcb): void {
    this.#cycle = (this.#cycle + 1) % PACING_GAINS.length;
    this.#cycleUs = tcb.loss.deliveredUs;
  }

  #isPhaseOver(tcb: Tcb): boolean {
    const isLong = seqDiff(tcb.loss.deliveredUs, this.#cycleUs) > this.#minRttUs;
    if (this.#pacingGain === 1) return isLong;
    const inFlight = this.#inFlightAtDeparture(tcb, $ack.priorInFlight);
    const bw = this.#bw.value;
    // Probing lasts until the pipe is that full, or loses.
    if (this.#pacingGain > 1) {
      return (
        isLong && ($ack.newlyLost > 0 || inFlight >= this.#inflight(tcb, bw, this.#pacingGain))
      );
    }
    return isLong || inFlight <= this.#inflight(tcb, bw, 1);
  }

  #checkFull(): void {
    if (this.#isFull || !this.#isRoundStart || $ack.isRateAppLimited) return;
    const bw = this.#bw.value;
    if (bw >= this.#fullBw * FULL_BW_GROWTH) {
      this.#fullBw = bw;
      this.#fullCount = 0;
      return;
    }
    this.#isFull = ++this.#fullCount >= FULL_BW_ROUNDS;
  }

  #checkDrain(tcb: Tcb): void {
    const target = this.#inflight(tcb, this.#bw.value, 1);
    if (this.#mode === STARTUP && this.#isFull) {
      this.#mode = DRAIN;
      tcb.ssthresh = target;
    }
    if (this.#mode !== DRAIN) return;
    if (this.#inFlightAtDeparture(tcb, tcb.sent.inFlight) <= target) this.#beginProbeBw(tcb);
  }

  #setGains(): void {
    this.#pacingGain = this.#cwndGain = 1;
    if (this.#mode === STARTUP) {
      this.#pacingGain = this.#cwndGain = HIGH_GAIN;
    } else if (this.#mode === DRAIN) {
      this.#pacingGain = DRAIN_GAIN;
      this.#cwndGain = HIGH_GAIN;
    } else if (this.#mode === PROBE_BW) {
      this.#pacingGain = this.#policer.isUsed ? 1 : PACING_GAINS[this.#cycle];
      this.#cwndGain = CWND_GAIN;
    }
  }

  // --- What follows from them ---

  #bdp(bw: number, gain: number): number {
    if (this.#minRttUs === UNKNOWN) return INITIAL_CWND;
    return Math.ceil(bw * this.#minRttUs * gain);
  }

  /** Room for what waits as whole bursts in both hosts. */
  #quantized(tcb: Tcb, cwnd: number): number {
    let n = cwnd + 3 * this.#burstSegs(tcb);
    n = (n + 1) & ~1;
    return this.#mode === PROBE_BW && this.#cycle === 0 ? n + 2 : n;
  }

  #inflight(tcb: Tcb, bw: number, gain: number): number {
    return this.#quantized(tcb, this.#bdp(bw, gain));
  }

  #burstSegs(tcb: Tcb): number {
    const bytes = Math.min(tcb.loss.pacingRate / 1_024, TSO_BYTES_MAX);
    return Math.min(Math.max(Math.floor(bytes / tcb.snd.mss), this.minTsoSegs(tcb)), TSO_SEGS_MAX);
  }

  /** What will be in the network when the next segment may leave. */
  #inFlightAtDeparture(tcb: Tcb, inFlight: number): number {
    const waitUs = Math.max(0, tcb.nextSendNs - tcb.ctx.nowNs) / 1_000;
    const delivered = Math.floor(this.#estimate() * waitUs);
    const then = this.#pacingGain > 1 ? inFlight + this.#burstSegs(tcb) : inFlight;
    return Math.max(0, then - delivered);
  }

  #setPacing(tcb: Tcb, bw: number, gain: number): void {
    if (!this.#hasSeenRtt && tcb.rtt.srttUs > 0) this.#paceFromRtt(tcb);
    const rate = this.#rateOf(tcb, bw, gain);
    if (this.#isFull || rate > tcb.loss.pacingRate) tcb.loss.pacingRate = rate;
  }

  /** Bytes per second. */
  #rateOf(tcb: Tcb, bw: number, gain: number): number {
    const rate = bw * gain * tcb.snd.mss * 1_000_000 * PACING_MARGIN;
    const { maxPacingRate } = tcb.options;
    return maxPacingRate > 0 && maxPacingRate < rate ? maxPacingRate : rate;
  }

  /** Before a rate is measured: the window per RTT, or per millisecond. */
  #paceFromRtt(tcb: Tcb): void {
    const { srttUs } = tcb.rtt;
    if (srttUs > 0) this.#hasSeenRtt = true;
    const bw = tcb.cwnd / (srttUs > 0 ? srttUs : 1_000);
    tcb.loss.pacingRate = this.#rateOf(tcb, bw, HIGH_GAIN);
  }

  #saveCwnd(tcb: Tcb): void {
    const isGood = this.#priorState < CA_RECOVERY && this.#mode !== PROBE_RTT;
    this.#priorCwnd = isGood ? tcb.cwnd : Math.max(this.#priorCwnd, tcb.cwnd);
  }

  #setCwnd(tcb: Tcb, delivered: number): void {
    if (delivered > 0 && !this.#conserve(tcb, delivered)) {
      const bw = this.#estimate();
      let target = this.#bdp(bw, this.#cwndGain);
      if (this.#isFull) {
        const extra = Math.max(this.#extraAcked0, this.#extraAcked1);
        target += Math.min(extra, Math.floor(bw * EXTRA_ACKED_MAX_US));
      }
      target = this.#quantized(tcb, target);
      if (this.#isFull) tcb.cwnd = Math.min(tcb.cwnd + delivered, target);
      else if (tcb.cwnd < target || tcb.delivered < INITIAL_CWND) tcb.cwnd += delivered;
      tcb.cwnd = Math.max(tcb.cwnd, CWND_MIN);
    }
    tcb.cwnd = Math.min(tcb.cwnd, CWND_MAX);
    if (this.#mode === PROBE_RTT) tcb.cwnd = Math.min(tcb.cwnd, CWND_MIN);
  }

  /** In the first round of a recovery a segment leaves for each delivered; after it the window is what it was. */
  #conserve(tcb: Tcb, delivered: number): boolean {
    const { sent, caState } = tcb;
    const prior = this.#priorState;
    let { cwnd } = tcb;
    if ($ack.newlyLost > 0) cwnd = Math.max(cwnd - $ack.newlyLost, 1);
    if (caState === CA_RECOVERY && prior !== CA_RECOVERY) {
      this.#isConserving = true;
      this.#nextRoundDelivered = tcb.delivered;
      cwnd = sent.inFlight + delivered;
    } else if (prior >= CA_RECOVERY && caState < CA_RECOVERY) {
      cwnd = Math.max(cwnd, this.#priorCwnd);
      this.#isConserving = false;
    }
    this.#priorState = caState;
    if (this.#isConserving) cwnd = Math.max(cwnd, sent.inFlight + delivered);
    tcb.cwnd = cwnd;
    return this.#isConserving;
  }
}
