// Undoing a reduction that was needless: by timestamps (Eifel, RFC 3522, RFC 4015) or by DSACKs for every
// retransmission (RFC 2883, RFC 3708). Restores cwnd and ssthresh as they were when the recovery began.
// @rfc 3522 3.2
// @rfc 5682 3.1

import { seqLt } from "../../base/seqnum.ts";
import { $ack } from "./ack-state.ts";
import { noteReordering } from "./rack.ts";
import { EVER_RETRANS } from "./sent-list.ts";
import { CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY } from "./state.ts";
import type { Tcb } from "./tcb.ts";

const REO_WND_PERSIST_RECOVERIES = 16;

/** What ssthresh was, for undo: in slow start the window itself is as good. */
export function currentSsthresh(tcb: Tcb): number {
  if (tcb.caState === CA_CWR || tcb.caState === CA_RECOVERY) return tcb.ssthresh;
  return Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
}

export function initUndo(tcb: Tcb): void {
  const { loss, sent } = tcb;
  loss.hasUndo = true;
  loss.undoMarker = tcb.snd.una;
  loss.undoRetrans = sent.retransOut > 0 ? sent.retransOut : -1;
}

/** Remembers the first retransmission of an episode and counts them all. */
export function noteRetransmission(tcb: Tcb, segs: number): void {
  const { loss } = tcb;
  if (!loss.hasRetransStamp) {
    loss.hasRetransStamp = true;
    loss.retransStampMs = tcb.ctx.nowMs;
  }
  if (loss.undoRetrans < 0) loss.undoRetrans = 0;
  loss.undoRetrans += segs;
}

export function isAnyRetransmitted(tcb: Tcb): boolean {
  if (tcb.sent.retransOut > 0) return true;
  const head = tcb.sent.head;
  return head !== null && (head.flags & EVER_RETRANS) !== 0;
}

export function forgetRetransStamp(tcb: Tcb): void {
  if (!isAnyRetransmitted(tcb)) tcb.loss.hasRetransStamp = false;
}

/** RFC 3522 3.2 step 5: the ACK answers the first sending, not the retransmission. */
export function isDelayedOriginal(tcb: Tcb): boolean {
  const { loss } = tcb;
  if (!loss.hasRetransStamp) return true;
  return $ack.hasEcr && seqLt($ack.ecrMs, loss.retransStampMs);
}

function mayUndo(tcb: Tcb): boolean {
  return tcb.loss.hasUndo && (tcb.loss.undoRetrans === 0 || isDelayedOriginal(tcb));
}

export function undoReduction(tcb: Tcb, unmarkLoss: boolean): void {
  const { loss, sent } = tcb;
  if (unmarkLoss) sent.unmarkLost();
  if (loss.priorSsthresh > 0) {
    tcb.congestion.onUndo?.(tcb);
    if (tcb.congestion.control === undefined) tcb.cwnd = Math.max(tcb.cwnd, loss.priorCwnd);
    if (loss.priorSsthresh > tcb.ssthresh) {
      tcb.ssthresh = loss.priorSsthresh;
      tcb.isCwrWanted = false;
    }
  }
  loss.hasUndo = false;
  loss.isRackAdvanced = true;
}

/** RFC 6582 3.2: without SACK the state is left only by an ACK above `recover`. */
function mustStay(tcb: Tcb): boolean {
  if (tcb.snd.una !== tcb.highSeq || tcb.sackOk) return false;
  forgetRetransStamp(tcb);
  return true;
}

/** At the end of a recovery. True: the state is kept. */
export function tryUndoRecovery(tcb: Tcb): boolean {
  const { loss, ctx } = tcb;
  if (mayUndo(tcb)) {
    undoReduction(tcb, false);
    if (tcb.caState === CA_LOSS) ctx.stats.TCPLossUndo++;
    else ctx.stats.TCPFullUndo++;
  } else if (loss.reoWndPersist > 0) {
    loss.reoWndPersist--;
  }
  if (mustStay(tcb)) return true;
  tcb.caState = CA_OPEN;
  loss.isReneging = false;
  return false;
}

/** Every retransmission was answered by a DSACK. */
export function tryUndoByDsack(tcb: Tcb): boolean {
  const { loss } = tcb;
  if (!loss.hasUndo || loss.undoRetrans !== 0) return false;
  loss.reoWndPersist = Math.min(REO_WND_PERSIST_RECOVERIES, loss.reoWndPersist + 1);
  undoReduction(tcb, false);
  tcb.ctx.stats.TCPDSACKUndo++;
  return true;
}

/** In Loss: by Eifel or DSACK, or because F-RTO found the timeout spurious (RFC 5682 2.1). */
export function tryUndoLoss(tcb: Tcb, byFrto: boolean): boolean {
  if (!byFrto && !mayUndo(tcb)) return false;
  const { stats } = tcb.ctx;
  undoReduction(tcb, true);
  stats.TCPLossUndo++;
  if (byFrto) stats.TCPSpuriousRTOs++;
  tcb.retransmits = 0;
  if (mustStay(tcb)) return true;
  if (byFrto || tcb.sackOk) {
    tcb.caState = CA_OPEN;
    tcb.loss.isReneging = false;
  }
  return true;
}

/** A partial ACK that answers the original. True: wait, retransmissions are still out. */
export function tryUndoPartial(tcb: Tcb): boolean {
  if (!tcb.loss.hasUndo || !isDelayedOriginal(tcb)) return false;
  noteReordering(tcb, $ack.priorUna, true);
  if (tcb.sent.retransOut > 0) return true;
  forgetRetransStamp(tcb);
  undoReduction(tcb, true);
  tcb.ctx.stats.TCPPartialUndo++;
  keepOpen(tcb);
  return false;
}

/** Open, or Disorder while something is SACKed or was retransmitted. */
export function keepOpen(tcb: Tcb): void {
  const { sent } = tcb;
  const isDisorder = sent.sackedOut > 0 || sent.lostOut > 0 || isAnyRetransmitted(tcb);
  const state = isDisorder ? CA_DISORDER : CA_OPEN;
  if (state === tcb.caState) return;
  tcb.caState = state;
  tcb.highSeq = tcb.snd.nxt;
}
