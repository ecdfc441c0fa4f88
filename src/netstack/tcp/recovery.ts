// Loss recovery: the congestion state machine (Open, Disorder, CWR, Recovery, Loss) fed by each ACK and by
// the timers. With SACK losses are found by RACK (RFC 8985), without it by NewReno (RFC 6582); the window
// is reduced by PRR (prr.ts), needless reductions are undone (undo.ts), F-RTO (RFC 5682) is in inLoss.

import { seqAdd, seqGe, seqGt } from "../../base/seqnum.ts";
import {
  $ack,
  F_DATA_ACKED,
  F_DATA_SACKED,
  F_ECE,
  F_LOST_RETRANS,
  F_ORIG_SACK_ACKED,
  F_PROGRESS,
  F_RENEGING,
  F_SET_TIMER,
  F_UNA_ADVANCED,
  REXMIT_LOST,
  REXMIT_NEW,
  REXMIT_NONE,
} from "./ack-state.ts";
import { failProbe } from "./mtu-probe.ts";
import { endReduction, enterCwr, initReduction, isInReduction, reduce } from "./prr.ts";
import { rackDetectLoss, rackMarkLost, rackRemainingUs, reorderWaitNs } from "./rack.ts";
import { updatePacingRate } from "./rate.ts";
import { addRenoSack, markHeadLost, resetRenoSacks } from "./reno-sack.ts";
import { retransmitLost } from "./retransmit.ts";
import { noteRecovered } from "./rto-stats.ts";
import { schedule } from "./schedule.ts";
import { mayGrowCwnd, outputUnpaced, rearmRetransmit } from "./sender.ts";
import { SACKED } from "./sent-list.ts";
import {
  CA_CWR,
  CA_DISORDER,
  CA_LOSS,
  CA_OPEN,
  CA_RECOVERY,
  RTX_REORDER,
  SYN_SENT,
} from "./state.ts";
import type { Tcb } from "./tcb.ts";
import {
  currentSsthresh,
  forgetRetransStamp,
  initUndo,
  keepOpen,
  tryUndoByDsack,
  tryUndoLoss,
  tryUndoPartial,
  tryUndoRecovery,
} from "./undo.ts";

// @rfc 6582 3.2.3
// @rfc 3042 2
// @rfc 5681 3.2b
/** An ACK that is a duplicate, tells of SACKs or marks, or comes while the state is not Open. */
export function onDubiousAck(tcb: Tcb, isDuplicate: boolean): void {
  const { sent, loss } = tcb;
  if (sent.packetsOut === 0) sent.sackedOut = 0;
  if (($ack.flags & F_ECE) !== 0) loss.priorSsthresh = 0;
  if (checkReneging(tcb)) return;
  if (tcb.caState === CA_OPEN) loss.hasRetransStamp = false;
  else if (seqGe(tcb.snd.una, tcb.highSeq) && leaveReduction(tcb)) return;
  if (tcb.caState === CA_RECOVERY) inRecovery(tcb, isDuplicate);
  else if (tcb.caState === CA_LOSS) inLoss(tcb, isDuplicate);
  else inOpen(tcb, isDuplicate);
}

/** Everything up to highSeq is acknowledged. True: nothing more is to be judged. */
function leaveReduction(tcb: Tcb): boolean {
  if (tcb.caState === CA_CWR) {
    // RFC 3168: CWR must have reached the receiver, so something above highSeq.
    if (tcb.snd.una !== tcb.highSeq) {
      endReduction(tcb);
      tcb.caState = CA_OPEN;
    }
  } else if (tcb.caState === CA_RECOVERY) {
    if (!tcb.sackOk) resetRenoSacks(tcb);
    if (tryUndoRecovery(tcb)) return true;
    endReduction(tcb);
  }
  return false;
}

function inOpen(tcb: Tcb, isDuplicate: boolean): void {
  if (!tcb.sackOk) {
    if (($ack.flags & F_UNA_ADVANCED) !== 0) resetRenoSacks(tcb);
    addRenoSack(tcb, isDuplicate);
  }
  if (tcb.caState <= CA_DISORDER) tryUndoByDsack(tcb);
  identifyLoss(tcb);
  if (tcb.sent.lostOut === 0) {
    tryToOpen(tcb);
    return;
  }
  if (tcb.mtuProbe !== null && failProbe(tcb)) return;
  // @rfc 6675 5a
  // @rfc 6582 3.2.2
  // @rfc 5681 3.2a
  enterRecovery(tcb, ($ack.flags & F_ECE) !== 0);
  $ack.rexmit = REXMIT_LOST;
}

function tryToOpen(tcb: Tcb): void {
  forgetRetransStamp(tcb);
  if (($ack.flags & F_ECE) !== 0) enterCwr(tcb);
  if (tcb.caState !== CA_CWR) keepOpen(tcb);
}

function inRecovery(tcb: Tcb, isDuplicate: boolean): void {
  if (($ack.flags & F_UNA_ADVANCED) === 0) {
    if (!tcb.sackOk) addRenoSack(tcb, isDuplicate);
  } else if (tryUndoPartial(tcb)) {
    return;
  }
  if (tryUndoByDsack(tcb)) tryToOpen(tcb);
  identifyLoss(tcb);
  if (tcb.caState !== CA_RECOVERY) {
    if (tcb.sent.lostOut === 0) return;
    if (tcb.mtuProbe !== null && failProbe(tcb)) return;
    enterRecovery(tcb, ($ack.flags & F_ECE) !== 0);
  }
  $ack.rexmit = REXMIT_LOST;
}

function inLoss(tcb: Tcb, isDuplicate: boolean): void {
  judgeTimeout(tcb, isDuplicate);
  if (tcb.caState !== CA_LOSS) noteRecovered(tcb);
  identifyLoss(tcb);
  if (tcb.caState !== CA_OPEN && ($ack.flags & F_LOST_RETRANS) === 0) return;
  // Undone, or retransmissions were lost: what is lost now is judged afresh.
  if (!tcb.sackOk) {
    if (($ack.flags & F_UNA_ADVANCED) !== 0) resetRenoSacks(tcb);
    addRenoSack(tcb, isDuplicate);
  }
  if (tcb.caState <= CA_DISORDER) tryUndoByDsack(tcb);
  identifyLoss(tcb);
  if (tcb.sent.lostOut === 0) {
    tryToOpen(tcb);
    return;
  }
  enterRecovery(tcb, ($ack.flags & F_ECE) !== 0);
  $ack.rexmit = REXMIT_LOST;
}

/** RFC 5682 2.1 and 3.1: was the timeout spurious? */
function judgeTimeout(tcb: Tcb, isDuplicate: boolean): void {
  const { loss, snd } = tcb;
  const isRecovered = seqGe(snd.una, tcb.highSeq);
  const hasAdvanced = ($ack.flags & F_UNA_ADVANCED) !== 0;
  if (hasAdvanced && tryUndoLoss(tcb, false)) return;
  if (loss.isFrto) {
    // Step 3b: data never sent again has arrived.
    if (($ack.flags & F_ORIG_SACK_ACKED) !== 0 && tryUndoLoss(tcb, true)) return;
    if (seqGt(snd.nxt, tcb.highSeq)) {
      // Step 3a: the loss was real.
      if (($ack.flags & F_DATA_SACKED) !== 0 || isDuplicate) loss.isFrto = false;
    } else if (hasAdvanced && !isRecovered) {
      // Step 2b: new data instead of retransmissions, if there is any and the window lets it.
      tcb.highSeq = snd.nxt;
      const hasNew = snd.nxt !== snd.end || (snd.finQueued && !snd.finSent);
      if (hasNew && seqGt(seqAdd(snd.una, snd.wnd), snd.nxt)) {
        $ack.rexmit = REXMIT_NEW;
        return;
      }
      loss.isFrto = false;
    }
  }
  if (isRecovered) {
    // Steps 2a and the first part of 3a.
    tryUndoRecovery(tcb);
    return;
  }
  if (!tcb.sackOk) {
    if (seqGt(snd.nxt, tcb.highSeq) && isDuplicate) addRenoSack(tcb, isDuplicate);
    else if (hasAdvanced) resetRenoSacks(tcb);
  }
  $ack.rexmit = REXMIT_LOST;
}

function identifyLoss(tcb: Tcb): void {
  const { sent } = tcb;
  if (sent.head === null) return;
  if (!tcb.sackOk) {
    markHeadLost(tcb, ($ack.flags & F_UNA_ADVANCED) !== 0);
    return;
  }
  const before = sent.lostRetransmissions;
  if (rackMarkLost(tcb)) $ack.flags &= ~F_SET_TIMER;
  const again = sent.lostRetransmissions - before;
  if (again === 0) return;
  tcb.ctx.stats.TCPLostRetransmit += again;
  $ack.flags |= F_LOST_RETRANS;
}

/** RFC 2018 8: the peer acknowledges up to, not with, what it had SACKed: give it half a round trip. */
function checkReneging(tcb: Tcb): boolean {
  if (($ack.flags & F_RENEGING) === 0 || ($ack.flags & F_UNA_ADVANCED) === 0) return false;
  const waitUs = Math.max(tcb.rtt.srttUs >> 1, 10_000);
  tcb.rtxKind = 0;
  tcb.rtxNs = tcb.ctx.nowNs + waitUs * 1_000;
  schedule(tcb, tcb.rtxNs);
  $ack.flags &= ~F_SET_TIMER;
  return true;
}

function enterRecovery(tcb: Tcb, byEcn: boolean): void {
  const { loss, ctx } = tcb;
  if (tcb.sackOk) ctx.stats.TCPSackRecovery++;
  else ctx.stats.TCPRenoRecovery++;
  forgetRetransStamp(tcb);
  loss.priorSsthresh = 0;
  initUndo(tcb);
  if (!isInReduction(tcb)) {
    if (!byEcn) loss.priorSsthresh = currentSsthresh(tcb);
    initReduction(tcb);
  }
  tcb.caState = CA_RECOVERY;
}

// @rfc 6675 5.1
// @rfc 6582 4.1
// @rfc 5681 3.1e
// @rfc 2018 8b
/** RFC 5681 3.1, 4.3; RFC 6298 5.4-5.6: one segment, and what RACK does not trust is taken for lost. */
export function enterLoss(tcb: Tcb): void {
  const { sent, ctx, loss } = tcb;
  const isNew = tcb.caState < CA_RECOVERY;
  markTimedOut(tcb);
  if (
    tcb.caState <= CA_DISORDER ||
    !seqGt(tcb.highSeq, tcb.snd.una) ||
    (tcb.caState === CA_LOSS && tcb.retransmits === 0)
  ) {
    loss.priorSsthresh = currentSsthresh(tcb);
    loss.priorCwnd = tcb.cwnd;
    tcb.ssthresh = tcb.congestion.ssthreshAfterLoss(tcb);
    initUndo(tcb);
  }
  tcb.cwnd = sent.inFlight + 1;
  tcb.cwndCount = 0;
  const { reordering, frto } = ctx.settings;
  // A timeout in spite of many duplicates: the reordering was overestimated.
  if (tcb.caState <= CA_DISORDER && sent.sackedOut >= reordering) {
    tcb.reordering = Math.min(tcb.reordering, reordering);
  }
  tcb.caState = CA_LOSS;
  tcb.congestion.onTimeout(tcb);
  tcb.highSeq = tcb.snd.nxt;
  tcb.isProbeOut = false;
  if (tcb.ecnOk) tcb.isCwrWanted = true;
  loss.isFrto = frto !== 0 && (isNew || tcb.retransmits > 0);
}

function markTimedOut(tcb: Tcb): void {
  const { sent, ctx, loss } = tcb;
  const head = sent.head;
  const isReneging = head !== null && (head.flags & SACKED) !== 0;
  if (isReneging) {
    ctx.stats.TCPSACKReneging++;
    loss.isReneging = true;
    sent.forgetSacks();
  } else if (!tcb.sackOk) {
    resetRenoSacks(tcb);
  }
  const before = sent.lostRetransmissions;
  for (let record = head; record !== null; record = record.next) {
    // RFC 8985 6.3: what was sent recently may still arrive.
    const isRecent =
      !isReneging && record !== head && loss.hasRack && rackRemainingUs(tcb, record, 0) > 0;
    if (!isRecent) sent.setLost(record);
  }
  ctx.stats.TCPLostRetransmit += sent.lostRetransmissions - before;
  sent.retransmitHint = null;
}

/** The reordering timer (RFC 8985 6.2 step 5). */
export function onReorderTimer(tcb: Tcb): void {
  const { sent, ctx } = tcb;
  const before = sent.inFlight;
  const lostBefore = sent.lostEver;
  const timeoutUs = rackDetectLoss(tcb);
  if (timeoutUs > 0) {
    tcb.rtxKind = RTX_REORDER;
    tcb.rtxNs = ctx.nowNs + reorderWaitNs(tcb, timeoutUs);
    schedule(tcb, tcb.rtxNs);
  }
  if (sent.inFlight !== before) {
    if (tcb.caState !== CA_RECOVERY) {
      enterRecovery(tcb, false);
      if (tcb.congestion.control === undefined) reduce(tcb, 1, sent.lostEver - lostBefore);
    }
    retransmitLost(tcb);
  }
  if (timeoutUs === 0) {
    tcb.rtxKind = RTX_REORDER;
    rearmRetransmit(tcb);
  }
}

/** cwnd after the ACK: reduced, grown, or left to an algorithm of its own kind. */
export function controlCongestion(tcb: Tcb, delivered: number): void {
  if (tcb.congestion.control !== undefined) {
    tcb.congestion.control(tcb, delivered);
    return;
  }
  if (isInReduction(tcb)) {
    reduce(tcb, delivered, $ack.newlyLost);
  } else {
    // A path that reorders much: growth by what is delivered in any order.
    const isMuchReordering = tcb.reordering > tcb.ctx.settings.reordering;
    const wanted = isMuchReordering ? F_PROGRESS : F_DATA_ACKED;
    if (($ack.flags & wanted) !== 0 && delivered > 0 && mayGrowCwnd(tcb)) {
      tcb.congestion.onAck(tcb, delivered);
    }
  }
  updatePacingRate(tcb);
}

/** Sends what the judgement calls for: lost segments, or new data for F-RTO. */
export function transmitRecovery(tcb: Tcb): void {
  if ($ack.rexmit === REXMIT_NONE || tcb.state === SYN_SENT) return;
  if ($ack.rexmit === REXMIT_NEW) {
    outputUnpaced(tcb);
    if (seqGt(tcb.snd.nxt, tcb.highSeq)) return;
    tcb.loss.isFrto = false;
  }
  retransmitLost(tcb);
}
