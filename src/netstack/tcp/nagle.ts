// Whether what is written goes now, and how much of it at once: the pieces it was written in, Nagle's and the
// sender's SWS avoidance (RFC 9293 3.7.4, 3.8.6.2.1), and waiting for an ACK that lets more go in one packet.
// Windows are sender.ts's.

import { seqDiff, seqGt, seqLe } from "../../base/seqnum.ts";
import { CA_RECOVERY } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/**
 * Bytes up to the end of the piece at the head of the queue, or of a record (MSG_EOR): no packet spans one.
 * Pieces but the last are full, so their ends lie at whole sizes before the last one's beginning.
 */
export function inPiece(tcb: Tcb, unsent: number): number {
  const { snd } = tcb;
  let available = unsent;
  if (isBeforeTail(tcb)) {
    available = seqDiff(snd.tailSeq, snd.nxt) % snd.pieceBytes || snd.pieceBytes;
  }
  const ends = tcb.recordEnds;
  if (ends === null || ends.length === 0) return available;
  while (ends.length > 0 && seqLe(ends[0], snd.nxt)) ends.shift();
  if (ends.length === 0) return available;
  return Math.min(available, seqDiff(ends[0], snd.nxt));
}

/** Whether a full piece ends here: not the last one of the queue. */
export const isPieceEnd = (tcb: Tcb, dataEnd: number): boolean =>
  tcb.snd.pieceBytes > 0 && seqLe(dataEnd, tcb.snd.tailSeq);

const isBeforeTail = (tcb: Tcb): boolean =>
  tcb.snd.pieceBytes > 0 && seqGt(tcb.snd.tailSeq, tcb.snd.nxt);

export const WAITS_NOT = 0;
export const WAITS_FOR_CWND = 1;
const WAITS_FOR_MORE = 2;
/** Deferring ends when the next ACK is further away than this, or half a round trip. */
const ACK_SOON_US = 1_000;
const SRTT_MIN_US = 1 / 8;

/**
 * Linux's tcp_tso_should_defer: with an ACK about to come, a packet that the windows would cut small waits
 * for it, to be a larger one. `available`: bytes in the piece; `usable`: of the peer's window.
 */
export function deferral(tcb: Tcb, available: number, usable: number, burst: number): number {
  const { snd, sent, ctx } = tcb;
  if (tcb.caState >= CA_RECOVERY || seqDiff(ctx.nowUs, tcb.lastTransmitUs) > ACK_SOON_US) {
    return WAITS_NOT;
  }
  const byCwnd = (tcb.cwnd - sent.inFlight) * snd.mss;
  const limit = Math.min(usable, byCwnd);
  if (limit >= burst) return WAITS_NOT;
  if (isBeforeTail(tcb) && limit >= available) return WAITS_NOT;
  const divisor = ctx.settings.tsoWinDivisor;
  if (divisor > 0) {
    if (limit >= Math.floor(Math.min(snd.wnd, tcb.cwnd * snd.mss) / divisor)) return WAITS_NOT;
  } else if (limit > 3 * snd.mss) return WAITS_NOT;
  const head = sent.head;
  if (head === null) return WAITS_NOT;
  // As Linux's srtt_us, never zero: on a clock too coarse to see the round trip the ACK is not overdue yet.
  const srttUs = Math.max(tcb.rtt.srttUs, SRTT_MIN_US);
  const ackInUs = seqDiff(head.sentUs, ctx.nowUs) + srttUs;
  if (ackInUs > Math.min(srttUs / 2, ACK_SOON_US)) return WAITS_NOT;
  if (byCwnd < usable ? byCwnd <= available : usable <= available) {
    return byCwnd < usable ? WAITS_FOR_CWND : WAITS_FOR_MORE;
  }
  return snd.finQueued ? WAITS_NOT : WAITS_FOR_MORE;
}

/** The final FIN is not held back by cwnd, with less than a segment of data or none. */
export function mayFinOverrun(tcb: Tcb, available: number): boolean {
  return tcb.snd.finQueued && !tcb.snd.finSent && available < tcb.snd.mss;
}

/** How much of `length` may go: whole segments always, a smaller last one by Nagle and SWS avoidance. */
export function allowed(
  tcb: Tcb,
  length: number,
  available: number,
  mss: number,
  isMoreComing: boolean,
): number {
  const tail = length % mss;
  if (tail === 0) return length;
  if (tcb.isPushForced) return length;
  if (length === available && mayBeSmall(tcb, isMoreComing)) return length;
  // Less than a segment, held or cut by the window: not at all (tcp_snd_wnd_test). Half of the largest window is a
  // segment (tcp_bound_to_half_wnd), so that what RFC 9293 3.8.6.2.1 asks for goes all the same.
  if (length < mss) return 0;
  return length - tail;
}

// @rfc 9293 MUST-17
/** Nagle as modified by Minshall: a small segment waits only while another small one is unacknowledged. */
function mayBeSmall(tcb: Tcb, isMoreComing: boolean): boolean {
  const snd = tcb.snd;
  // In the middle of the queue: it has no chance to grow.
  if (isBeforeTail(tcb)) return true;
  if (tcb.recordEnds !== null && tcb.recordEnds.length > 0) return true;
  if (snd.finQueued || (snd.isUrgent && seqGt(snd.up, snd.nxt))) return true;
  if (tcb.options.cork || (isMoreComing && seqLe(snd.pushSeq, snd.nxt))) return false;
  if (isMoreComing) return false;
  if (tcb.options.noDelay || tcb.sent.packetsOut === 0) return true;
  return seqLe(snd.smallEnd, snd.una);
}
