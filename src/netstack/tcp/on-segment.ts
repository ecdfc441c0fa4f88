// SEGMENT ARRIVES (RFC 9293 3.10.7): one switch by state, then the eight steps as functions in the RFC's
// order. A step answers false when the segment goes no further. What must be sent is noted in the TCB and
// sent once, at the end, by finish(). SYN-SENT and LISTEN are in handshake.ts.

import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { ACK, FIN, RST, SYN, URG } from "../wire/tcp.ts";
import { acceptThirdAck, countMark } from "./accecn.ts";
import { processAck } from "./ack.ts";
import { sendAck } from "./ack-policy.ts";
import { ackUnacceptable, challengeAck, isLimited } from "./challenge.ts";
import { setDsack } from "./dsack.ts";
import { isEarlyChild } from "./fastopen.ts";
import { endsInFinWait2, finWait2Ns } from "./give-up.ts";
import { isSynFinDropped, onSynSent } from "./handshake.ts";
import { updatePacingRate } from "./rate.ts";
import { processData, takeSynData } from "./receiver.ts";
import { replyReset } from "./reset.ts";
import { schedule } from "./schedule.ts";
import type { Segment } from "./segment.ts";
import { checkSpace } from "./send-memory.ts";
import { armRetransmit, output } from "./sender.ts";
import { EVER_RETRANS } from "./sent-list.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  PAWS_24_DAYS_MS,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
  TIME_WAIT_NS,
} from "./state.ts";
import { setState, type Tcb } from "./tcb.ts";
import {
  abortTcb,
  closeTcb,
  enterEstablished,
  enterTimeWait,
  handOverFinWait2,
  isSynLossGrave,
  onReset,
} from "./transitions.ts";
import { transmitSyn } from "./transmit.ts";
import { receiveWindow } from "./window.ts";

const NOT_PREDICTED = FIN | SYN | RST | URG;

/** A segment whose 4-tuple is this TCB's. */
export function onSegment(tcb: Tcb, seg: Segment): void {
  tcb.segsIn += seg.packets;
  switch (tcb.state) {
    case ESTABLISHED:
      if (onPredicted(tcb, seg)) break;
      onSynchronized(tcb, seg);
      break;
    case SYN_SENT:
      onSynSent(tcb, seg);
      break;
    case CLOSED:
      replyReset(tcb.ctx, seg, tcb.options.authKeys);
      break;
    default:
      onSynchronized(tcb, seg);
  }
  // @rfc 5681 4.2b
  // @rfc 9293 MUST-58 MUST-59
  finish(tcb);
}

/** Sends what the event left to send and tells the owner, once. */
export function finish(tcb: Tcb): void {
  output(tcb, false);
  if (tcb.isWriteBlocked) checkSpace(tcb);
  if (tcb.isAckNow) sendAck(tcb);
  flushEvents(tcb);
}

export function flushEvents(tcb: Tcb): void {
  const { events } = tcb;
  if (events === 0) return;
  tcb.events = 0;
  if (tcb.owner !== null) tcb.owner.onTcbEvents(events);
}

/**
 * Header prediction: the next segment in order, or an ACK, with nothing unusual about it. The same steps as
 * onSynchronized, without the checks that its conditions make needless.
 */
function onPredicted(tcb: Tcb, seg: Segment): boolean {
  const rcv = tcb.rcv;
  if (seg.seq !== rcv.nxt || (seg.flags & (NOT_PREDICTED | ACK)) !== ACK) return false;
  if (seqDiff(seqAdd(rcv.wup, rcv.wnd), seqAdd(seg.seq, seg.length)) < 0) return false;
  // An ACK that the fifth step would refuse must not renew TS.Recent.
  if (seqLt(seg.ack, tcb.snd.una) || seqGt(seg.ack, tcb.snd.nxt)) return false;
  if (tcb.tsOk) {
    if (!seg.options.hasTimestamps || seqLt(seg.options.tsVal, tcb.tsRecent)) return false;
    if (seqLe(seg.seq, rcv.wup)) noteTsRecent(tcb, seg);
  }
  tcb.keepProbes = 0;
  const { stats } = tcb.ctx;
  if (seqGt(seg.ack, tcb.snd.una)) stats.TCPHPAcks++;
  else if (seg.length === 0) stats.TCPPureAcks++;
  if (seg.length > 0) stats.TCPHPHits++;
  if (!processAck(tcb, seg)) return true;
  if (tcb.accEcn !== null) countMark(tcb, seg);
  if (seg.length > 0) processData(tcb, seg);
  return true;
}

/** RFC 9293 3.10.7.4 for every state from SYN-RECEIVED on, TIME-WAIT excepted. */
function onSynchronized(tcb: Tcb, seg: Segment): void {
  if (tcb.isForwardPending) {
    onForwardPending(tcb, seg);
    return;
  }
  // Neither says nor asks anything (tcp_rcv_established): not even its number is looked at.
  if ((seg.flags & (ACK | RST | SYN)) === 0) return;
  if (isSynFinDropped(tcb.ctx, seg)) return;
  if (tcb.state === SYN_RECEIVED && !checkRepeatedSyn(tcb, seg)) return;
  if (!checkSequence(tcb, seg)) return;
  if (!checkRst(tcb, seg)) return;
  if (!checkSyn(tcb, seg)) return;
  if (!checkAck(tcb, seg)) return;
  if (tcb.accEcn !== null) countMark(tcb, seg);
  if ((seg.flags & SYN) !== 0) onSynAckAgain(tcb);
  if (!processData(tcb, seg)) return;
  tcb.keepProbes = 0;
}

/** Simultaneous open: the SYN of the other end's SYN-ACK has been received before (RFC 2883 4). */
function onSynAckAgain(tcb: Tcb): void {
  const { rcv } = tcb;
  if (tcb.sackOk) {
    tcb.ctx.stats.TCPDSACKOldSent++;
    setDsack(tcb, rcv.irs, seqAdd(rcv.irs, 1));
  }
  tcb.isAckNow = true;
}

/** While a gateway ponders only a RST matters; repetitions of the SYN are expected. */
function onForwardPending(tcb: Tcb, seg: Segment): void {
  if ((seg.flags & RST) !== 0 && seg.seq === tcb.rcv.nxt) closeTcb(tcb, 0);
}

/** Our SYN-ACK was lost: the SYN comes again and is answered again, not acknowledged as a stray. */
function checkRepeatedSyn(tcb: Tcb, seg: Segment): boolean {
  if ((seg.flags & (SYN | ACK | RST)) !== SYN || seg.seq !== tcb.rcv.irs) return true;
  if (!isLimited(tcb, "TCPACKSkippedSynRecv")) {
    tcb.ctx.stats.TCPSynRetrans++;
    if (tcb.sent.head !== null) tcb.sent.head.flags |= EVER_RETRANS;
    transmitSyn(tcb);
  }
  return false;
}

// @rfc 5961 3.2a
// @rfc 7323 5.3a 5.3b
// @rfc 9293 MUST-66
/** First: PAWS (RFC 7323 5.3), then the window. */
function checkSequence(tcb: Tcb, seg: Segment): boolean {
  const { rcv, ctx } = tcb;
  const isRst = (seg.flags & RST) !== 0;
  if (!isRst && isOldByTimestamp(tcb, seg)) {
    ctx.stats.PAWSEstab++;
    ackUnacceptable(tcb, seg, "TCPACKSkippedPAWS");
    return false;
  }
  if (tcb.tsOk && ctx.settings.dropsMissingTs !== 0 && !isRst && !seg.options.hasTimestamps) {
    return false;
  }
  // Laxer than the RFC's table at both edges, as Linux: old data up to what was last acknowledged, and the
  // right edge itself, carry ACKs that are worth having (RFC 9293's "special allowance").
  const edge = seqAdd(rcv.nxt, receiveWindow(tcb));
  if (seqGe(seg.end, rcv.wup) && seqLe(seg.seq, edge)) return true;
  if (isRst) {
    if (isResetOfFin(tcb, seg)) onReset(tcb);
    return false;
  }
  if ((seg.flags & SYN) !== 0) return checkSyn(tcb, seg);
  if (seqGt(seg.end, edge)) ctx.stats.BeyondWindow++;
  ackUnacceptable(tcb, seg, "TCPACKSkippedSeq");
  return false;
}

// @rfc 7323 5.5
function isOldByTimestamp(tcb: Tcb, seg: Segment): boolean {
  if (!tcb.tsOk || !seg.options.hasTimestamps) return false;
  if (!seqLt(seg.options.tsVal, tcb.tsRecent)) return false;
  const age = seqDiff(tcb.ctx.nowMs, tcb.tsRecentMs);
  return age >= 0 && age < PAWS_24_DAYS_MS;
}

// @rfc 7323 4.3
function noteTsRecent(tcb: Tcb, seg: Segment): void {
  tcb.tsRecent = seg.options.tsVal;
  tcb.tsRecentMs = tcb.ctx.nowMs;
}

// @rfc 5961 3.2b 3.2c
/** Second: only the exact next number resets (RFC 5961 3.2). */
function checkRst(tcb: Tcb, seg: Segment): boolean {
  if ((seg.flags & RST) === 0) return true;
  const { strictEdges, insecureRst } = tcb.ctx.settings;
  const isExact = seg.seq === tcb.rcv.nxt;
  if (!isExact && strictEdges !== 0 && !isInWindow(tcb, seg.seq)) return false;
  const isMatch = isExact || isResetOfFin(tcb, seg) || isAtSackEdge(tcb, seg);
  if (isMatch || insecureRst !== 0) onReset(tcb);
  else challengeAck(tcb);
  return false;
}

/** Linux's tcp_reset_check: some systems number a RST after their FIN as if the FIN took no number. */
function isResetOfFin(tcb: Tcb, seg: Segment): boolean {
  const { state } = tcb;
  if (state !== CLOSE_WAIT && state !== LAST_ACK && state !== CLOSING) return false;
  return tcb.ctx.settings.strictEdges === 0 && seg.seq === seqAdd(tcb.rcv.nxt, -1);
}

/** Linux's tcp_validate_incoming: a peer that sent beyond a hole resets from where it got to. */
function isAtSackEdge(tcb: Tcb, seg: Segment): boolean {
  const { count, last } = tcb.outOfOrder;
  return tcb.sackOk && tcb.ctx.settings.strictEdges === 0 && count > 0 && seg.seq === last;
}

// @rfc 5961 4.2
/** Fourth: a SYN in a synchronised state is never obeyed (RFC 5961 4.2). */
function checkSyn(tcb: Tcb, seg: Segment): boolean {
  if ((seg.flags & SYN) === 0) return true;
  // Simultaneous open: the other end's SYN-ACK repeats its SYN.
  if (
    tcb.state === SYN_RECEIVED &&
    (seg.flags & ACK) !== 0 &&
    seqAdd(seg.seq, 1) === tcb.rcv.nxt &&
    seg.ack === tcb.snd.nxt
  ) {
    return true;
  }
  if (tcb.ctx.settings.insecureSyn !== 0 && isInWindow(tcb, seg.seq)) {
    abortTcb(tcb, NetErr.ConnectionReset, true);
    return false;
  }
  tcb.ctx.stats.TCPSYNChallenge++;
  challengeAck(tcb);
  return false;
}

/** RFC 9293 3.10.7.4's table for one number, as seen from the last ACK. */
function isInWindow(tcb: Tcb, seq: number): boolean {
  const { rcv } = tcb;
  const window = receiveWindow(tcb);
  if (window === 0) return seq === rcv.wup;
  return seqGe(seq, rcv.wup) && seqLt(seq, seqAdd(rcv.nxt, window));
}

/** Fifth. */
function checkAck(tcb: Tcb, seg: Segment): boolean {
  if ((seg.flags & ACK) === 0) return false;
  if (tcb.state === SYN_RECEIVED && !completeHandshake(tcb, seg)) return false;
  if (tcb.isHalfOpen && isEarlyChild(tcb)) completeEarly(tcb, seg);
  if (seg.sequenceLength === 0) tcb.ctx.stats.TCPPureAcks++;
  if (!processAck(tcb, seg)) return false;
  // RFC 7323 4.3: only a segment that is acceptable and spans Last.ACK.sent renews TS.Recent.
  const isTsFit = tcb.tsOk && seg.options.hasTimestamps && seqLe(seg.seq, tcb.rcv.wup);
  if (isTsFit && !seqLt(seg.options.tsVal, tcb.tsRecent)) noteTsRecent(tcb, seg);
  const isFinAcked = tcb.snd.finSent && seqGt(tcb.snd.una, tcb.snd.end);
  if (!isFinAcked) return true;
  switch (tcb.state) {
    case FIN_WAIT_1:
      setState(tcb, FIN_WAIT_2);
      // Who lingers in close() is done (sk_state_change).
      tcb.events |= Ready.Write;
      // With data or a FIN in the same segment this one has to be processed first.
      return !tcb.isOrphan || limitFinWait2(tcb, seg.sequenceLength === 0);
    case CLOSING:
      enterTimeWait(tcb);
      return false;
    case LAST_ACK:
      closeTcb(tcb, 0);
      return false;
  }
  return true;
}

/**
 * An orphan has nobody to wait for but the peer's FIN: for up to a minute that takes no Tcb. False: it is not there any
 * more.
 */
export function limitFinWait2(tcb: Tcb, mayHandOver: boolean): boolean {
  if (endsInFinWait2(tcb)) return false;
  const waitNs = finWait2Ns(tcb);
  if (mayHandOver && waitNs <= TIME_WAIT_NS && tcb.ctx.settings.smallFinWait2 !== 0) {
    handOverFinWait2(tcb, waitNs);
    return false;
  }
  const isLong = waitNs > TIME_WAIT_NS && tcb.ctx.settings.smallFinWait2 !== 0;
  tcb.lifeNs = tcb.ctx.nowNs + (isLong ? waitNs - TIME_WAIT_NS : waitNs);
  schedule(tcb, tcb.lifeNs);
  return true;
}

/** The ACK of our SYN in SYN-RECEIVED. */
function completeHandshake(tcb: Tcb, seg: Segment): boolean {
  const { snd, ctx, listener } = tcb;
  const isEarly = isEarlyChild(tcb);
  const isTooOld = isEarly ? seqLt(seg.ack, snd.una) : !seqGt(seg.ack, snd.una);
  if (isTooOld || seqGt(seg.ack, snd.nxt)) {
    replyReset(ctx, seg, tcb.options.authKeys);
    return false;
  }
  if (isEarly) {
    completeEarly(tcb, seg);
    return true;
  }
  if (listener !== null) {
    if (listener.isQueueFull) {
      // Linux: the ACK is not taken; the peer's data or our repeated SYN-ACK tries again.
      ctx.stats.ListenOverflows++;
      if (ctx.settings.abortOnOverflow !== 0) {
        ctx.stats.EmbryonicRsts++;
        replyReset(ctx, seg, tcb.options.authKeys);
        closeTcb(tcb, 0);
      }
      return false;
    }
    if (listener.defers(tcb, seg)) {
      ctx.stats.TCPDeferAcceptDrop++;
      return false;
    }
  }
  if (ctx.connectionCount >= ctx.limits.connections) {
    ctx.stats.ListenDrops++;
    return false;
  }
  if (tcb.retransmits > 0 && isSynLossGrave(tcb, seg)) tcb.cwnd = 1;
  enterEstablished(tcb);
  acceptThirdAck(tcb, seg);
  snd.wnd = seg.window << snd.wscale;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  if (snd.wnd > snd.maxWnd) snd.maxWnd = snd.wnd;
  tcb.isHalfOpen = false;
  updatePacingRate(tcb);
  if (ctx.settings.queuesSynData !== 0) takeSynData(tcb);
  if (listener !== null) listener.onEstablished(tcb);
  return true;
}

/** The handshake of a child made by a SYN with data (RFC 7413) is over. */
export function completeEarly(tcb: Tcb, seg: Segment): void {
  const { snd, ctx } = tcb;
  if (tcb.retransmits === 0 && tcb.rtt.srttUs === 0) {
    const us = seqDiff(ctx.nowUs, tcb.synAckUs);
    tcb.rtt.sampleMin(us, ctx.nowMs, false);
    tcb.rtt.sample(us, snd.una, snd.nxt, tcb.options.timing);
  }
  if (tcb.state === SYN_RECEIVED) enterEstablished(tcb);
  acceptThirdAck(tcb, seg);
  if (tcb.listener !== null) tcb.listener.onEstablished(tcb);
  tcb.isHalfOpen = false;
  tcb.delivered++;
  snd.wnd = seg.window << snd.wscale;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  if (snd.wnd > snd.maxWnd) snd.maxWnd = snd.wnd;
  updatePacingRate(tcb);
  if (tcb.sent.packetsOut === 0) tcb.rtxNs = Number.POSITIVE_INFINITY;
  else armRetransmit(tcb);
}

/** Which states may follow which (RFC 9293 figure 5, with resets and aborts to CLOSED): for tests and docs. */
export const TRANSITIONS: readonly (readonly [number, readonly number[]])[] = [
  [SYN_SENT, [ESTABLISHED, SYN_RECEIVED, CLOSED]],
  [SYN_RECEIVED, [ESTABLISHED, FIN_WAIT_1, CLOSE_WAIT, CLOSED]],
  [ESTABLISHED, [FIN_WAIT_1, CLOSE_WAIT, CLOSED]],
  [FIN_WAIT_1, [FIN_WAIT_2, CLOSING, TIME_WAIT, CLOSED]],
  [FIN_WAIT_2, [TIME_WAIT, CLOSED]],
  [CLOSING, [TIME_WAIT, CLOSED]],
  [CLOSE_WAIT, [LAST_ACK, CLOSED]],
  [LAST_ACK, [CLOSED]],
  [TIME_WAIT, [CLOSED]],
  [CLOSED, [SYN_SENT, SYN_RECEIVED]],
];
