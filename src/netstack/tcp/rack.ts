// RACK (RFC 8985 6): a segment is lost when one sent later has arrived and it has been under way for longer
// than that one's round trip plus a reordering window. Times are send times of the records, so a lost
// retransmission is found like any other loss.

import { seqDiff, seqGt, seqLt } from "../../base/seqnum.ts";
import { $ack } from "./ack-state.ts";
import { schedule } from "./schedule.ts";
import { EVER_RETRANS, LOST, RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import { CA_RECOVERY, RTX_REORDER } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** Settings bits of tcp_recovery. */
const STATIC_REO_WND = 2;
const NO_DUPTHRESH = 4;
const REO_WND_PERSIST_RECOVERIES = 16;
const REO_WND_STEPS_MAX = 255;
/** The least time a timer waits: two ticks of the clock. */
export const timeoutMinUs = (tcb: Tcb): number => 2 * tcb.ctx.settings.tickUs;

function isSentAfter(us1: number, end1: number, us2: number, end2: number): boolean {
  return seqGt(us1, us2) || (us1 === us2 && seqGt(end1, end2));
}

// @rfc 8985 6.2.1
/** RFC 8985 6.2 steps 1 and 2: `record` has just been delivered. */
export function rackAdvance(tcb: Tcb, record: SentRecord): void {
  const { loss } = tcb;
  const rttUs = Math.max(0, seqDiff(tcb.ctx.nowUs, record.sentUs));
  // Sooner than any round trip: the first sending was answered, not the retransmission.
  if ((record.flags & EVER_RETRANS) !== 0 && rttUs < tcb.rtt.minRttUs) return;
  loss.isRackAdvanced = true;
  loss.rackRttUs = rttUs;
  if (!loss.hasRack || isSentAfter(record.sentUs, record.end, loss.rackUs, loss.rackEnd)) {
    loss.hasRack = true;
    loss.rackUs = record.sentUs;
    loss.rackEnd = record.end;
  }
}

/** RFC 8985 6.2 step 4. */
export function rackReorderWindowUs(tcb: Tcb): number {
  const { loss, rtt } = tcb;
  if (loss.reordSeen === 0) {
    if (tcb.caState >= CA_RECOVERY) return 0;
    const hasThresh = (tcb.ctx.settings.recovery & NO_DUPTHRESH) === 0;
    if (hasThresh && tcb.sent.sackedOut >= tcb.reordering) return 0;
  }
  return Math.min((rtt.minRttUs >> 2) * loss.reoWndSteps, rtt.srttUs);
}

/** How much longer a record may take before it counts as lost. */
export function rackRemainingUs(tcb: Tcb, record: SentRecord, reoWndUs: number): number {
  return tcb.loss.rackRttUs + reoWndUs - seqDiff(tcb.ctx.nowUs, record.sentUs);
}

// @rfc 8985 6.2.5
/** RFC 8985 6.2 step 5: marks what is lost; returns after how long the next one would be (0: none). */
export function rackDetectLoss(tcb: Tcb): number {
  const { loss, sent } = tcb;
  const reoWndUs = rackReorderWindowUs(tcb);
  let timeoutUs = 0;
  for (let record = sent.oldest; record !== null; ) {
    const newer: SentRecord | null = record.newer;
    const isWaiting = (record.flags & (LOST | RETRANS)) === LOST;
    if (!isWaiting && (record.flags & SACKED) === 0) {
      if (!isSentAfter(loss.rackUs, loss.rackEnd, record.sentUs, record.end)) break;
      const remainingUs = rackRemainingUs(tcb, record, reoWndUs);
      if (remainingUs <= 0) {
        sent.setLost(record);
        sent.forgetTime(record);
      } else if (remainingUs > timeoutUs) timeoutUs = remainingUs;
    }
    record = newer;
  }
  return timeoutUs;
}

/** In whole ticks, as Linux's timers. */
export function reorderWaitNs(tcb: Tcb, timeoutUs: number): number {
  const { tickUs } = tcb.ctx.settings;
  return Math.ceil((timeoutUs + timeoutMinUs(tcb)) / tickUs) * tickUs * 1_000;
}

/** After an ACK. True: the reordering timer stands, and the retransmission timer need not be set. */
export function rackMarkLost(tcb: Tcb): boolean {
  const { loss, ctx } = tcb;
  if (!loss.isRackAdvanced) return false;
  loss.isRackAdvanced = false;
  const timeoutUs = rackDetectLoss(tcb);
  if (timeoutUs === 0) return false;
  tcb.rtxKind = RTX_REORDER;
  tcb.rtxNs = ctx.nowNs + reorderWaitNs(tcb, timeoutUs);
  schedule(tcb, tcb.rtxNs);
  return true;
}

// @rfc 8985 6.2.4
/** RFC 8985 6.2 step 4: DSACKs widen the window by a quarter of the least RTT, once per round trip. */
export function rackUpdateReorderWindow(tcb: Tcb): void {
  const { loss } = tcb;
  if ((tcb.ctx.settings.recovery & STATIC_REO_WND) !== 0 || !$ack.hasRate) return;
  if ($ack.ratePriorDelivered < loss.lastDelivered) loss.isDsackSeen = false;
  if (loss.isDsackSeen) {
    loss.reoWndSteps = Math.min(REO_WND_STEPS_MAX, loss.reoWndSteps + 1);
    loss.isDsackSeen = false;
    loss.lastDelivered = tcb.delivered;
    loss.reoWndPersist = REO_WND_PERSIST_RECOVERIES;
  } else if (loss.reoWndPersist === 0) {
    loss.reoWndSteps = 1;
  }
}

// @rfc 8985 6.2.3
/** Data below what was SACKed arrived without being retransmitted: the path reorders (RFC 8985 6.2 step 3). */
export function noteReordering(tcb: Tcb, lowSeq: number, byTimestamp: boolean): void {
  const { ctx, loss, sent } = tcb;
  const fack = sent.sackedOut === 0 ? tcb.snd.una : tcb.highSacked;
  const high = seqGt($ack.priorFack, fack) ? $ack.priorFack : fack;
  if (!seqLt(lowSeq, high)) return;
  const { mss } = tcb.snd;
  const metric = seqDiff(high, lowSeq);
  if (metric > tcb.reordering * mss) {
    tcb.reordering = Math.min(Math.ceil(metric / mss), ctx.settings.maxReordering);
  }
  loss.reordSeen++;
  if (byTimestamp) ctx.stats.TCPTSReorder++;
  else ctx.stats.TCPSACKReorder++;
}
