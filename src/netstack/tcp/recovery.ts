// Loss recovery: the congestion state machine (Open, Disorder, CWR, Recovery, Loss) fed by each ACK and by
// the retransmission timeout. With SACK it is RFC 6675; without, NewReno (RFC 6582), where duplicate ACKs
// are counted as if they SACKed a segment each. Entering cuts cwnd to ssthresh at once.

import { seqAdd, seqGe, seqGt, seqLt } from "../../base/seqnum.ts";
import { retransmitLost } from "./retransmit.ts";
import { markLostBySack } from "./sack.ts";
import { mayGrowCwnd } from "./sender.ts";
import { SACKED } from "./sent-list.ts";
import { CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, DUP_THRESH } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/**
 * `ackedSegs`: removed from the head; `delivered`: newly acknowledged or SACKed; `isDuplicate`: a pure ACK
 * that moved nothing.
 */
export function onAck(
  tcb: Tcb,
  hasAdvanced: boolean,
  ackedSegs: number,
  delivered: number,
  isDuplicate: boolean,
): void {
  if (!tcb.sackOk) emulateSacks(tcb, hasAdvanced, ackedSegs, isDuplicate);
  if (tcb.caState === CA_RECOVERY) inRecovery(tcb, hasAdvanced);
  else if (tcb.caState === CA_LOSS) inLoss(tcb, hasAdvanced);
  else inOpen(tcb);
  if (delivered === 0 || !hasAdvanced) return;
  if (tcb.caState === CA_CWR || tcb.caState === CA_RECOVERY) return;
  if (mayGrowCwnd(tcb)) tcb.congestion.onAck(tcb, ackedSegs);
}

/** RFC 6582 by Linux's bookkeeping: sackedOut stands for segments that duplicate ACKs show to have left. */
function emulateSacks(
  tcb: Tcb,
  hasAdvanced: boolean,
  ackedSegs: number,
  isDuplicate: boolean,
): void {
  const sent = tcb.sent;
  if (hasAdvanced && ackedSegs > 0) {
    const left = sent.sackedOut - (ackedSegs - 1);
    sent.sackedOut = left > 0 ? left : 0;
  } else if (isDuplicate) {
    sent.sackedOut++;
    tcb.ctx.stats.TCPDelivered++;
  }
  // A peer that duplicates ACKs without end (Savage) gets no more than what is out.
  const max = Math.max(0, sent.packetsOut - Math.max(1, sent.lostOut));
  if (sent.sackedOut > max) sent.sackedOut = max;
}

function inOpen(tcb: Tcb): void {
  const sent = tcb.sent;
  if (tcb.caState === CA_CWR && seqGe(tcb.snd.una, tcb.highSeq)) tcb.caState = CA_OPEN;
  const isLoss = tcb.sackOk
    ? markLostBySack(tcb) || sent.lostOut > 0
    : sent.sackedOut >= DUP_THRESH;
  if (isLoss && sent.packetsOut > 0) {
    enterRecovery(tcb);
    return;
  }
  if (tcb.caState !== CA_CWR) tcb.caState = sent.sackedOut > 0 ? CA_DISORDER : CA_OPEN;
}

function enterRecovery(tcb: Tcb): void {
  const { ctx } = tcb;
  if (tcb.sackOk) ctx.stats.TCPSackRecovery++;
  else ctx.stats.TCPRenoRecovery++;
  tcb.highSeq = tcb.snd.nxt;
  if (tcb.caState !== CA_CWR) tcb.ssthresh = tcb.congestion.ssthreshAfterLoss(tcb);
  tcb.cwnd = Math.min(tcb.cwnd, tcb.ssthresh);
  tcb.cwndCount = 0;
  tcb.caState = CA_RECOVERY;
  if (!tcb.sackOk) markHeadLost(tcb);
  retransmitLost(tcb, true);
}

/** Without SACK only the first segment is known to be missing. */
function markHeadLost(tcb: Tcb): void {
  const head = tcb.sent.head;
  if (head === null || (head.flags & SACKED) !== 0) return;
  if (head.segs > 1) tcb.sent.split(head, seqAdd(head.seq, head.mss));
  tcb.sent.setLost(head);
}

function inRecovery(tcb: Tcb, hasAdvanced: boolean): void {
  // RFC 6582 3.2: without SACK one more ACK is needed, lest late duplicates begin a second recovery.
  const isDone = tcb.sackOk
    ? seqGe(tcb.snd.una, tcb.highSeq)
    : seqGt(tcb.snd.una, tcb.highSeq) || (tcb.snd.una === tcb.highSeq && tcb.sent.packetsOut === 0);
  if (isDone) {
    leave(tcb);
    tcb.cwnd = Math.min(tcb.cwnd, tcb.ssthresh);
    return;
  }
  if (tcb.sackOk) markLostBySack(tcb);
  else if (hasAdvanced && tcb.snd.una !== tcb.highSeq) markHeadLost(tcb);
  // A partial ACK retransmits the next hole at once, whatever the window.
  if (tcb.sent.lostOut > tcb.sent.retransOut) retransmitLost(tcb, hasAdvanced && !tcb.sackOk);
}

function inLoss(tcb: Tcb, hasAdvanced: boolean): void {
  if (seqGe(tcb.snd.una, tcb.highSeq)) {
    leave(tcb);
    return;
  }
  if (tcb.sackOk) markLostBySack(tcb);
  if (hasAdvanced) retransmitLost(tcb, false);
}

function leave(tcb: Tcb): void {
  if (!tcb.sackOk) tcb.sent.sackedOut = 0;
  tcb.caState = tcb.sent.sackedOut > 0 ? CA_DISORDER : CA_OPEN;
}

/** RFC 5681 3.1, 4.3; RFC 6298 5.4-5.6: one segment, and everything outstanding is taken for lost. */
export function enterLoss(tcb: Tcb): void {
  const { sent, ctx } = tcb;
  const head = sent.head;
  // RFC 2018 8: a peer that SACKed the oldest segment and still lacks it has thrown it away.
  const isReneging = head !== null && (head.flags & SACKED) !== 0;
  if (isReneging) ctx.stats.TCPSACKReneging++;
  if (tcb.caState !== CA_LOSS || seqLt(tcb.highSeq, tcb.snd.una)) {
    tcb.ssthresh = tcb.congestion.ssthreshAfterLoss(tcb);
  }
  tcb.congestion.onTimeout(tcb);
  if (!tcb.sackOk) sent.sackedOut = 0;
  sent.markAllLost(isReneging);
  tcb.cwnd = 1;
  tcb.cwndCount = 0;
  tcb.highSeq = tcb.snd.nxt;
  tcb.caState = CA_LOSS;
  retransmitLost(tcb, true);
}
