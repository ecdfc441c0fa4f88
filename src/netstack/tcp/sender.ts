// New data out: how much the windows let go (RFC 5681 4.1), and nagle.ts of that.
// Retransmission is recovery.ts's; the bytes are put on the wire by transmit.ts.

import { seqAdd, seqDiff, seqGe, seqLt } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { ACK, FIN, PSH } from "../wire/tcp.ts";
import { CHRONO_RWND, CHRONO_SNDBUF, chronoStart, chronoStop } from "./chrono.ts";
import { isEarlyChild } from "./fastopen.ts";
import { burstBytesMax, currentMss, currentRoute } from "./mss.ts";
import { PROBE_WAIT, sendMtuProbe } from "./mtu-probe.ts";
import {
  allowed,
  deferral,
  inPiece,
  isPieceEnd,
  mayFinOverrun,
  WAITS_FOR_CWND,
  WAITS_NOT,
} from "./nagle.ts";
import { isInReduction } from "./prr.ts";
import { rateOnSend } from "./rate.ts";
import { reschedule, schedule } from "./schedule.ts";
import { HAS_FIN, PUSHED } from "./sent-list.ts";
import {
  CA_OPEN,
  CLOSE_WAIT,
  CLOSING,
  CORK_NS,
  ESTABLISHED,
  FIN_WAIT_1,
  LAST_ACK,
  RTO_MIN_US,
  RTX_CORK,
  RTX_PERSIST,
  RTX_REORDER,
  RTX_RETRANSMIT,
  RTX_TLP,
  SENT_RECORDS_MAX,
  SSTHRESH_INFINITE,
} from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { scheduleProbe } from "./tlp.ts";
import { transmitBurst } from "./transmit.ts";

const NEVER = Number.POSITIVE_INFINITY;

const maySendData = (state: number): boolean =>
  state === ESTABLISHED ||
  state === CLOSE_WAIT ||
  state === FIN_WAIT_1 ||
  state === LAST_ACK ||
  state === CLOSING;

/** Everything new that may go now goes: data, then a FIN. Lost segments go when an ACK or a timer says so. */
export function output(tcb: Tcb, isMoreComing: boolean): void {
  if (!maySendData(tcb.state) && !isEarlyChild(tcb)) return;
  const snd = tcb.snd;
  if (snd.nxt === snd.end && (!snd.finQueued || snd.finSent)) return;
  if (snd.finSent) return;
  const mss = currentMss(tcb);
  if (currentRoute(tcb) === null) {
    // No way there now: what waits is tried again by the persist timer.
    if (tcb.sent.packetsOut === 0) armPersist(tcb, false);
    return;
  }
  // @rfc 9293 MUST-34 MUST-38
  // A new route may have a smaller MTU.
  sendNew(tcb, isMoreComing, Math.min(mss, tcb.snd.mss), false);
}

/** A writer has filled the piece at the head of the queue: one packet of it, if it may go. */
export function outputOne(tcb: Tcb): void {
  if (!maySendData(tcb.state) && !isEarlyChild(tcb)) return;
  const mss = currentMss(tcb);
  if (currentRoute(tcb) !== null) sendNew(tcb, true, Math.min(mss, tcb.snd.mss), true);
}

function sendNew(tcb: Tcb, isMoreComing: boolean, mss: number, isOne: boolean): void {
  const snd = tcb.snd;
  const sent = tcb.sent;
  const burst = burstBytesMax(tcb, mss);
  let isCwndLimited = false;
  const sentBefore = snd.nxt;
  if (tcb.mtuProbe !== null && !tcb.isPushForced) {
    const probed = sendMtuProbe(tcb, seqDiff(snd.end, snd.nxt));
    if (probed === PROBE_WAIT) return;
  }
  for (;;) {
    const available = inPiece(tcb, seqDiff(snd.end, snd.nxt));
    const halfCwnd = tcb.cwnd > 1 ? tcb.cwnd >> 1 : 1;
    let room = tcb.cwnd - sent.inFlight;
    if (room > halfCwnd) room = halfCwnd;
    if (available > 0 && isPacedNow(tcb)) break;
    if (room <= 0 && mayFinOverrun(tcb, available)) room = 1;
    if (room <= 0 || sent.recordCount >= SENT_RECORDS_MAX) {
      isCwndLimited = true;
      break;
    }
    const usable = seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt);
    let length = available < usable ? available : usable;
    if (length > burst) length = burst;
    if (length > room * mss) length = room * mss;
    if (available === 0) {
      // A FIN takes a number, so it needs room in the window like a byte (tcp_snd_wnd_test).
      if (snd.finQueued && !snd.finSent && usable > 0) emit(tcb, 0, mss);
      break;
    }
    if (length <= 0) break;
    length = allowed(tcb, length, available, mss, isMoreComing);
    if (length === 0) break;
    if (available > mss && !isOne) {
      const why = deferral(tcb, available, usable, burst);
      if (why === WAITS_FOR_CWND) isCwndLimited = true;
      if (why !== WAITS_NOT) break;
    }
    if (!emit(tcb, fitRing(tcb, length, mss), mss)) break;
    if (snd.finSent || isOne) break;
  }
  if (sent.inFlight >= tcb.cwnd) isCwndLimited = true;
  const hasSent = snd.nxt !== sentBefore;
  noteLimit(tcb, isCwndLimited);
  if (hasSent || isCwndLimited) noteCwndUse(tcb, isCwndLimited);
  if (hasSent) scheduleProbe(tcb, false);
  if (sent.packetsOut === 0) armPersist(tcb, isMoreComing);
}

/** Why does the sender wait: for the peer's window, or for a writer who found the buffer full? */
function noteLimit(tcb: Tcb, isCwndLimited: boolean): void {
  const { snd } = tcb;
  const unsent = seqDiff(snd.end, snd.nxt);
  const window = seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt);
  if (unsent > 0 && window < unsent && window < snd.mss && !isCwndLimited)
    chronoStart(tcb, CHRONO_RWND);
  else chronoStop(tcb, CHRONO_RWND);
  if (unsent <= 0 && tcb.isWriteBlocked && !isCwndLimited) chronoStart(tcb, CHRONO_SNDBUF);
}

/** RFC 5682 step 2b and the like: new data at once, Nagle aside. */
export function outputUnpaced(tcb: Tcb): void {
  tcb.isPushForced = true;
  output(tcb, false);
  tcb.isPushForced = false;
}

/** RFC 8985 7.3: one segment of new data, whatever cwnd says; the peer's window holds. */
export function sendProbe(tcb: Tcb): void {
  const snd = tcb.snd;
  const available = seqDiff(snd.end, snd.nxt);
  if (available <= 0) {
    if (snd.finQueued && !snd.finSent && currentRoute(tcb) !== null) emit(tcb, 0, currentMss(tcb));
    return;
  }
  if (currentRoute(tcb) === null) return;
  const mss = currentMss(tcb);
  const usable = seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt);
  const length = Math.min(inPiece(tcb, available), mss);
  if (length > usable) return;
  emit(tcb, fitRing(tcb, length, mss), mss);
}

/** Pacing (tcp_pacing_*_ratio): is it too early for more data? Then the timer stands for it. */
export function isPacedNow(tcb: Tcb): boolean {
  const { ctx } = tcb;
  if (tcb.nextSendNs <= ctx.nowNs) return false;
  if (
    !ctx.settings.isPaced &&
    tcb.options.maxPacingRate === 0 &&
    tcb.congestion.control === undefined
  ) {
    return false;
  }
  tcb.paceNs = tcb.nextSendNs;
  schedule(tcb, tcb.paceNs);
  return true;
}

/** A piece that wraps in the ring is cut at a segment boundary before the wrap, or is one copied segment. */
function fitRing(tcb: Tcb, length: number, mss: number): number {
  const contiguous = tcb.sendRing.contiguous(seqDiff(tcb.snd.nxt, tcb.snd.base));
  if (length <= contiguous || length <= mss) return length;
  return contiguous >= mss ? contiguous - (contiguous % mss) : mss;
}

/**
 * Sends [nxt, nxt + length) for the first time, with the FIN when it is the end of the stream. False: our own
 * link had no room, and it is as if nothing had been tried.
 */
function emit(tcb: Tcb, length: number, mss: number): boolean {
  const snd = tcb.snd;
  const seq = snd.nxt;
  const dataEnd = seqAdd(seq, length);
  let flags = ACK;
  let end = dataEnd;
  let recordFlags = 0;
  if (tcb.recordEnds !== null && tcb.recordEnds[0] === dataEnd) flags |= PSH;
  if (snd.pushEnds !== null && isPushEnd(snd.pushEnds, dataEnd)) flags |= PSH;
  if (dataEnd === snd.end) {
    if (length > 0 && (snd.isTailPushed || tcb.isProbing)) flags |= PSH;
    if (snd.finQueued) {
      flags |= FIN;
      end = seqAdd(end, 1);
      recordFlags = HAS_FIN;
      snd.finSent = true;
    }
  }
  // A full piece that was cut before the peer's window (and with it the MSS) grew is not small: it would hold
  // back the last one until its own delayed ACK.
  if (length % mss !== 0 && !isPieceEnd(tcb, dataEnd)) snd.smallEnd = dataEnd;
  if ((flags & PSH) !== 0) recordFlags |= PUSHED;
  const { sent, ctx } = tcb;
  const wasIdle = sent.packetsOut === 0;
  const { rtxKind, rtxNs } = tcb;
  const record = sent.append(seq, end, mss, recordFlags, ctx.nowUs);
  rateOnSend(tcb, record, wasIdle);
  if (isInReduction(tcb)) tcb.loss.prrOut += record.segs;
  snd.nxt = end;
  tcb.bytesSent += length;
  if (sent.inFlight === record.segs && tcb.bytesSent > length) {
    tcb.congestion.onRestart(tcb, seqDiff(ctx.nowMs, tcb.lastSentMs) * 1_000);
  }
  tcb.lastSentMs = ctx.nowMs;
  if (length > 0) {
    tcb.ctx.stats.TCPOrigDataSent += record.segs;
    // Data that follows what was received soon: an interactive exchange, ACKs can ride along.
    if ((tcb.dataSegsIn > 0 || tcb.isAckPending) && seqDiff(tcb.ctx.nowMs, tcb.lastReceivedMs) < 40)
      tcb.isPingPong = true;
  }
  if (isEarlyChild(tcb)) {
    // The timer is the SYN-ACK's.
  } else if (wasIdle || tcb.rtxNs === NEVER || tcb.rtxKind >= RTX_PERSIST) armRetransmit(tcb);
  else if (tcb.rtxKind === RTX_TLP) rearmRetransmit(tcb);
  if (transmitBurst(tcb, seq, length, flags, mss) !== NetErr.NoBuffers) return true;
  takeBack(tcb, seq, length, record.segs);
  tcb.rtxKind = rtxKind;
  tcb.rtxNs = rtxNs;
  // The timer armed above would try again before its time.
  ctx.timers.disarm(tcb);
  reschedule(tcb);
  return false;
}

function takeBack(tcb: Tcb, seq: number, length: number, segs: number): void {
  const { snd, sent } = tcb;
  sent.removeTail();
  snd.nxt = seq;
  snd.finSent = false;
  tcb.bytesSent -= length;
  if (length > 0) tcb.ctx.stats.TCPOrigDataSent -= segs;
  if (isInReduction(tcb)) tcb.loss.prrOut = Math.max(0, tcb.loss.prrOut - segs);
}

function isPushEnd(ends: number[], dataEnd: number): boolean {
  while (ends.length > 0 && seqLt(ends[0], dataEnd)) ends.shift();
  return ends.length > 0 && ends[0] === dataEnd;
}

export function armRetransmit(tcb: Tcb): void {
  tcb.rtxKind = RTX_RETRANSMIT;
  tcb.rtxNs = tcb.ctx.nowNs + backedOffUs(tcb) * 1_000;
  schedule(tcb, tcb.rtxNs);
}

function backedOffUs(tcb: Tcb): number {
  const { rtoMaxUs } = tcb.options.timing;
  const { rtoSlopUs } = tcb.ctx.settings;
  const { rtoUs } = tcb.rtt;
  // The power of two would be a call out of compiled code.
  const us = tcb.backoff === 0 ? rtoUs : rtoUs * 2 ** tcb.backoff + rtoSlopUs;
  return us < rtoMaxUs ? us : rtoMaxUs;
}

/** RFC 6298 5.3; after a probe or reordering timer the time since the oldest was sent counts. */
export function rearmRetransmit(tcb: Tcb): void {
  const { sent, ctx } = tcb;
  const head = sent.head;
  if (head === null) {
    tcb.rtxNs = NEVER;
    return;
  }
  let us = backedOffUs(tcb);
  if (tcb.rtxKind === RTX_REORDER || tcb.rtxKind === RTX_TLP) {
    us = Math.max(1_000, us - seqDiff(ctx.nowUs, head.sentUs));
  }
  tcb.rtxKind = RTX_RETRANSMIT;
  tcb.rtxNs = ctx.nowNs + us * 1_000;
  schedule(tcb, tcb.rtxNs);
}

/** Something has not been sent: data, or a FIN behind it. */
export const isWaiting = ({ snd }: Tcb): boolean =>
  seqDiff(snd.end, snd.nxt) > 0 || (snd.finQueued && !snd.finSent);

// @rfc 9293 MUST-36 MUST-60
/** Nothing is in flight to bring an ACK, yet data or a FIN waits: for a window (RFC 9293 3.8.6.1) or a cork. */
export function armPersist(tcb: Tcb, isMoreComing: boolean): void {
  const snd = tcb.snd;
  if (!isWaiting(tcb)) return;
  if (tcb.rtxKind === RTX_PERSIST && tcb.rtxNs !== NEVER) return;
  const ctx = tcb.ctx;
  const available = seqDiff(snd.end, snd.nxt);
  const isHeldByUser = available > 0 && (tcb.options.cork || isMoreComing) && available <= snd.wnd;
  tcb.rtxKind = isHeldByUser ? RTX_CORK : RTX_PERSIST;
  const waitUs = Math.max(tcb.rtt.rtoUs, RTO_MIN_US) * 2 ** tcb.backoff;
  tcb.rtxNs =
    ctx.nowNs + (isHeldByUser ? CORK_NS : Math.min(waitUs, tcb.options.timing.rtoMaxUs) * 1_000);
  schedule(tcb, tcb.rtxNs);
}

// @rfc 5681 4.1
/** RFC 5681 4.1 and Linux's tcp_slow_start_after_idle: the window decays by half per RTO of silence. */
export function restartAfterIdle(tcb: Tcb): void {
  const idleUs = seqDiff(tcb.ctx.nowMs, tcb.lastSentMs) * 1_000;
  if (tcb.bytesSent === 0 || idleUs <= tcb.rtt.rtoUs) return;
  const { slowStartAfterIdle } = tcb.ctx.settings;
  if (tcb.congestion.control !== undefined) return;
  if (slowStartAfterIdle === 0 || tcb.caState !== CA_OPEN) return;
  const restart = Math.min(tcb.ctx.settings.initialCwnd, tcb.cwnd);
  if (tcb.ssthresh !== SSTHRESH_INFINITE) {
    tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
  }
  let cwnd = tcb.cwnd;
  for (let t = idleUs; t > tcb.rtt.rtoUs && cwnd > restart; t -= tcb.rtt.rtoUs) cwnd >>= 1;
  tcb.cwnd = Math.max(cwnd, restart);
}

/** RFC 7661's question: was the window in use? Remembered for about a round trip. */
function noteCwndUse(tcb: Tcb, isCwndLimited: boolean): void {
  const out = tcb.sent.packetsOut;
  const isNewRound = seqGe(tcb.snd.una, tcb.cwndUsageSeq);
  if (isNewRound || isCwndLimited || (!tcb.isCwndLimited && out > tcb.maxPacketsOut)) {
    tcb.isCwndLimited = isCwndLimited;
    tcb.maxPacketsOut = out;
    tcb.cwndUsageSeq = tcb.snd.nxt;
  }
}

export function mayGrowCwnd(tcb: Tcb): boolean {
  if (tcb.isCwndLimited) return true;
  return tcb.cwnd < tcb.ssthresh && tcb.cwnd < 2 * tcb.maxPacketsOut;
}
