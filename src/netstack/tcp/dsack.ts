// Duplicate SACK, the receiver's half (RFC 2883): which bytes of an arriving segment are here already. What is
// noted leaves as the first block of the next ACK (transmit.ts).

import { seqGt, seqLe, seqLt, seqMax, seqMin } from "../../base/seqnum.ts";
import { enterQuickAck } from "./ack-policy.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

export function setDsack(tcb: Tcb, start: number, end: number): void {
  if (!tcb.sackOk || tcb.ctx.settings.dsack === 0) return;
  tcb.hasDsack = true;
  tcb.dsackStart = start;
  tcb.dsackEnd = end;
}

/** As Linux's tcp_dsack_extend(): one block, so only what touches it joins it. */
export function extendDsack(tcb: Tcb, start: number, end: number): void {
  if (!tcb.hasDsack) {
    setDsack(tcb, start, end);
    return;
  }
  if (seqGt(start, tcb.dsackEnd) || seqLt(end, tcb.dsackStart)) return;
  tcb.dsackStart = seqMin(tcb.dsackStart, start);
  tcb.dsackEnd = seqMax(tcb.dsackEnd, end);
}

/** [start, end) is in order or about to be; what of it lies in the queue beyond RCV.NXT is a duplicate (4.2). */
export function noteOverlap(tcb: Tcb, start: number, end: number): void {
  const { outOfOrder } = tcb;
  for (let i = 0; i < outOfOrder.count; i++) {
    if (seqLe(end, outOfOrder.start[i])) return;
    if (seqLe(outOfOrder.end[i], start)) continue;
    extendDsack(tcb, seqMax(start, outOfOrder.start[i]), seqMin(end, outOfOrder.end[i]));
  }
}

/** A segment in front of the window (4.1): the peer has not seen our ACK. Linux's tcp_send_dupack(). */
export function reportOld(tcb: Tcb, seg: Segment): void {
  tcb.ctx.stats.DelayedACKLost++;
  enterQuickAck(tcb);
  if (!tcb.sackOk) return;
  tcb.ctx.stats.TCPDSACKOldSent++;
  setDsack(tcb, seg.seq, seqMin(seg.end, tcb.rcv.nxt));
}
