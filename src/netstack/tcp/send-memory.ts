// What a connection's send queue costs and whether a writer may go on: Linux's sk_wmem_queued against
// SO_SNDBUF, with the share of a buffer's overhead per piece; the growth of that buffer (tcp_sndbuf_expand)
// and the wake-up of a writer who was turned away (tcp_check_space). The bytes themselves are ring.ts's.

import { seqDiff } from "../../base/seqnum.ts";
import { Ready } from "../readiness.ts";
import { CHRONO_SNDBUF, chronoStop } from "./chrono.ts";
import type { Tcb } from "./tcb.ts";

/** What Linux counts for a piece besides its payload: sk_buff, header room and skb_shared_info. */
const PIECE_OVERHEAD = 1280;
/** What it reckons with for a segment when the buffer grows: the same, in powers of two. */
const SEGMENT_HEADER_BYTES = 640;
const SEGMENT_STRUCT_BYTES = 256;
/** Segments that a growing send buffer has room for at least, twice over. */
const SEND_SEGMENTS_MIN = 10;

/** Bytes that the send queue is charged with. */
export function sendMemory(tcb: Tcb): number {
  const { snd } = tcb;
  let pieces = tcb.sent.recordCount;
  if (snd.end !== snd.nxt) {
    pieces++;
    const behind = seqDiff(snd.tailSeq, snd.nxt);
    if (behind > 0 && snd.pieceBytes > 0) pieces += Math.ceil(behind / snd.pieceBytes);
    // A record ends its piece, however short (tcp_skb_can_collapse_to): one byte each costs a buffer each.
    if (tcb.recordEnds !== null) pieces += tcb.recordEnds.length;
  }
  return tcb.queued + pieces * PIECE_OVERHEAD;
}

/** TCP_NOTSENT_LOWAT, or the stack's. */
export const notsentLowat = (tcb: Tcb): number =>
  tcb.options.notsentLowatBytes > 0 ? tcb.options.notsentLowatBytes : tcb.ctx.settings.notsentLowat;

/** Poll says so only when a third of the buffer is free (sk_stream_is_writeable). */
export function isWritable(tcb: Tcb): boolean {
  const memory = sendMemory(tcb);
  if (3 * memory > 2 * tcb.options.sendBufferBytes && memory > 0) return false;
  return 2 * seqDiff(tcb.snd.end, tcb.snd.nxt) < notsentLowat(tcb);
}

/** A window kept small by a small buffer must not keep the buffer small. */
export function expandSendBuffer(tcb: Tcb): void {
  const { options } = tcb;
  if (options.sendBufferLocked || tcb.ctx.rings.isUnderPressure) return;
  const segment = tcb.snd.mss + SEGMENT_HEADER_BYTES;
  const perSegment = (1 << (32 - Math.clz32(segment - 1))) + SEGMENT_STRUCT_BYTES;
  const segments = Math.max(SEND_SEGMENTS_MIN, tcb.cwnd, tcb.reordering + 1);
  const wanted = 2 * segments * perSegment;
  if (wanted <= options.sendBufferBytes) return;
  const { settings, limits } = tcb.ctx;
  const most = Math.min(
    settings.wmem[2] || limits.socketBufferBytesMax,
    limits.socketBufferBytesMax,
  );
  if (most > options.sendBufferBytes) options.sendBufferBytes = Math.min(wanted, most);
}

/** After what an ACK lets go has gone: is there room for the writer who found none? */
export function checkSpace(tcb: Tcb): void {
  if (tcb.sent.inFlight < tcb.cwnd) expandSendBuffer(tcb);
  if (!isWritable(tcb)) return;
  tcb.isWriteBlocked = false;
  chronoStop(tcb, CHRONO_SNDBUF);
  tcb.events |= Ready.Write;
}
