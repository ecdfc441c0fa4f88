// Recovery without SACK (NewReno, RFC 6582): each duplicate ACK stands for a segment that has left the
// network, counted in sackedOut as if it had been SACKed.

import { seqAdd } from "../../base/seqnum.ts";
import { LOST } from "./sent-list.ts";
import { CA_RECOVERY } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** RFC 5681 2: `isDuplicate` by its definition of a duplicate ACK. */
export function addRenoSack(tcb: Tcb, isDuplicate: boolean): void {
  if (!isDuplicate) return;
  const { sent, ctx } = tcb;
  const before = sent.sackedOut;
  sent.sackedOut++;
  checkReordering(tcb, 0);
  const delivered = sent.sackedOut - before;
  if (delivered > 0) {
    tcb.delivered += delivered;
    ctx.stats.TCPDelivered += delivered;
  }
}

/** An ACK of `acked` segments: one filled the hole, the others had been counted as duplicates. */
export function removeRenoSacks(tcb: Tcb, acked: number): void {
  const { sent, ctx } = tcb;
  if (acked > 0) {
    const delivered = Math.max(acked - sent.sackedOut, 1);
    tcb.delivered += delivered;
    ctx.stats.TCPDelivered += delivered;
    sent.sackedOut = Math.max(0, sent.sackedOut - (acked - 1));
  }
  checkReordering(tcb, acked);
}

export function resetRenoSacks(tcb: Tcb): void {
  tcb.sent.sackedOut = 0;
}

/** A peer that duplicates ACKs without end (Savage) gets no more than what is out. */
function checkReordering(tcb: Tcb, acked: number): void {
  const { sent, ctx, loss } = tcb;
  const holes = Math.min(Math.max(sent.lostOut, 1), sent.packetsOut);
  if (sent.sackedOut + holes <= sent.packetsOut) return;
  sent.sackedOut = sent.packetsOut - holes;
  tcb.reordering = Math.min(sent.packetsOut + acked, ctx.settings.maxReordering);
  loss.reordSeen++;
  ctx.stats.TCPRenoReorder++;
}

/** Only the first segment is known to be missing: at the third duplicate, and at each partial ACK. */
export function markHeadLost(tcb: Tcb, hasAdvanced: boolean): void {
  const { sent } = tcb;
  const isDue =
    (tcb.caState < CA_RECOVERY && sent.sackedOut >= tcb.reordering) ||
    (tcb.caState === CA_RECOVERY && hasAdvanced);
  const head = sent.head;
  if (!isDue || head === null || (head.flags & LOST) !== 0) return;
  if (head.segs > 1) sent.split(head, seqAdd(head.seq, head.mss));
  sent.setLost(head);
}
