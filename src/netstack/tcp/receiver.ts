// Steps six to eight of RFC 9293 3.10.7.4: urgent pointer, text, FIN. Text is copied once, to its place in
// the receive ring, in order or not; a list of ranges says what is there beyond RCV.NXT.

import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt, seqMax } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { FIN, URG } from "../wire/tcp.ts";
import { enterQuickAck, scheduleAck } from "./ack-policy.ts";
import { noteOverlap, setDsack } from "./dsack.ts";
import { receiveEcnMark } from "./ecn.ts";
import { replyReset } from "./reset.ts";
import { RESERVE_BLOCK_BYTES } from "./ring-pool.ts";
import type { Segment } from "./segment.ts";
import { CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, SYN_RECEIVED } from "./state.ts";
import {
  ownRanges,
  setState,
  type Tcb,
  URGENT_NONE,
  URGENT_PENDING,
  URGENT_READ,
  URGENT_READY,
} from "./tcb.ts";
import { abortTcb, enterTimeWait } from "./transitions.ts";
import { growWindow, measureReceiverRtt, noteReceiverRtt, receiveWindow } from "./window.ts";

const mayReceive = (state: number): boolean =>
  state === ESTABLISHED || state === FIN_WAIT_1 || state === FIN_WAIT_2;

/** Closed, or shut down both ways (tcp_rcv_state_process in FIN_WAIT1 and FIN_WAIT2). */
const isUnread = (tcb: Tcb): boolean =>
  tcb.isOrphan || (tcb.receiveShutdown && tcb.state !== ESTABLISHED);

/** Steps six, seven and eight. False: the connection is gone. */
export function processData(tcb: Tcb, seg: Segment): boolean {
  const hasFin = (seg.flags & FIN) !== 0;
  if (seg.length === 0 && !hasFin && (seg.flags & URG) === 0) return true;
  const isAfterEnd = !mayReceive(tcb.state);
  // After the peer's FIN nothing more can come: what begins beyond it is not even answered (tcp_rcv_state_process).
  if (isAfterEnd && !isEndRepeated(tcb, seg)) return true;
  const isClosed = isAfterEnd ? tcb.ctx.settings.ackPolicy === 0 : isUnread(tcb);
  if (isClosed && seg.length > 0 && seqGt(seqAdd(seg.dataSeq, seg.length), tcb.rcv.nxt)) {
    // Nobody is there to read it: the peer must learn that (RFC 2525 2.17).
    tcb.ctx.stats.TCPAbortOnData++;
    replyReset(tcb.ctx, seg, tcb.options.authKeys);
    // tcp_reset: who has heard the end already learns it when he writes.
    const error = tcb.state === CLOSE_WAIT ? NetErr.BrokenPipe : NetErr.ConnectionReset;
    abortTcb(tcb, tcb.isOrphan ? 0 : error, false);
    return false;
  }
  if (isAfterEnd) {
    onDuplicate(tcb, seg.dataSeq, seg.end);
    return true;
  }
  if ((seg.flags & URG) !== 0) processUrgent(tcb, seg);
  const finSeq = seqAdd(seg.dataSeq, seg.length);
  if (seg.length > 0) processText(tcb, seg);
  else if (hasFin && seqLt(finSeq, tcb.rcv.nxt)) onDuplicate(tcb, finSeq, seqAdd(finSeq, 1));
  if (hasFin) noteFin(tcb, finSeq);
  if (tcb.rcv.hasEarlyFin && tcb.rcv.earlyFinSeq === tcb.rcv.nxt) processFin(tcb);
  return true;
}

/** Some of what came before the FIN, or it, once more; 4.4BSD takes all that comes now for that. */
function isEndRepeated(tcb: Tcb, seg: Segment): boolean {
  if (tcb.ctx.settings.ackPolicy !== 0) return seg.sequenceLength > 0;
  return seqLt(seg.dataSeq, tcb.rcv.nxt);
}

export function processText(tcb: Tcb, seg: Segment): void {
  const { rcv, ctx } = tcb;
  let seq = seg.dataSeq;
  let { offset, length } = seg;
  const old = seqDiff(rcv.nxt, seq);
  if (old > 0) {
    if (old >= length) {
      onDuplicate(tcb, seq, seqAdd(seq, length));
      return;
    }
    if (tcb.sackOk) noteDsack(tcb, seq, rcv.nxt);
    if (ctx.settings.ackPolicy !== 0) tcb.isAckNow = true;
    offset += old;
    length -= old;
    seq = rcv.nxt;
  }
  const room = seqDiff(seqAdd(rcv.nxt, receiveWindow(tcb)), seq);
  if (length > room) {
    tcb.isAckNow = true;
    if (room <= 0) {
      ctx.stats.TCPZeroWindowDrop++;
      return;
    }
    length = room;
  }
  const held = seqDiff(heldEnd(tcb), rcv.copied);
  const position = seqDiff(seq, rcv.copied);
  const { receiveRing } = tcb;
  if (seq !== rcv.nxt && position + length > receiveRing.capacity && ctx.rings.isScarce) {
    // A byte far beyond a hole would take a whole window's memory (Linux prunes its queue instead).
    ctx.stats.TCPOFODrop++;
    tcb.isAckNow = true;
    return;
  }
  if (!receiveRing.reserve(Math.max(position + length, held), held)) {
    tcb.isAckNow = true;
    ctx.stats.PruneCalled++;
    // What a small block holds is taken all the same: the stream must go on.
    length = Math.min(length, RESERVE_BLOCK_BYTES - position);
    if (length <= 0 || !receiveRing.reserve(Math.max(position + length, held), held)) {
      ctx.stats.RcvPruned++;
      ctx.stats.TCPRcvQDrop++;
      return;
    }
  }
  if (tcb.ecnOk) receiveEcnMark(tcb, seg);
  tcb.dataSegsIn += seg.packets;
  tcb.lastReceivedMs = ctx.nowMs;
  if (seq !== rcv.nxt) {
    storeOutOfOrder(tcb, seg, seq, offset, length);
    return;
  }
  if (position > 0) ctx.stats.TCPRcvCoalesce++;
  tcb.receiveRing.store(position, seg.bytes, offset, length, seg.slabAt);
  rcv.nxt = seqAdd(seq, length);
  noteSegmentSize(tcb, seg);
  if (tcb.outOfOrder.count > 0) {
    if (tcb.sackOk) noteOverlap(tcb, seq, rcv.nxt);
    absorb(tcb);
  }
  tcb.bytesReceived += seqDiff(rcv.nxt, seq);
  if (rcv.urgentState === URGENT_PENDING) takeUrgent(tcb);
  tcb.events |= Ready.Read;
  growWindow(tcb, length);
  measure(tcb, seg);
  scheduleAck(tcb);
}

/** Behind the last byte in the ring. A FIN in the queue has a number, but no byte. */
function heldEnd(tcb: Tcb): number {
  const { rcv, outOfOrder } = tcb;
  const i = outOfOrder.count - 1;
  if (i < 0) return rcv.nxt;
  const end = outOfOrder.end[i];
  if (!rcv.hasEarlyFin || end !== seqAdd(rcv.earlyFinSeq, 1)) return end;
  if (outOfOrder.start[i] !== rcv.earlyFinSeq) return rcv.earlyFinSeq;
  return i > 0 ? outOfOrder.end[i - 1] : rcv.nxt;
}

function storeOutOfOrder(
  tcb: Tcb,
  seg: Segment,
  seq: number,
  offset: number,
  length: number,
): void {
  const stats = tcb.ctx.stats;
  const end = seqAdd(seq, length);
  const ranges = ownRanges(tcb);
  tcb.isAckNow = true;
  enterQuickAck(tcb);
  tcb.outOfOrderPackets++;
  if (ranges.covering(seq, end) >= 0) {
    stats.TCPOFOMerge++;
    if (tcb.sackOk) {
      stats.TCPDSACKOfoSent++;
      setDsack(tcb, seq, end);
    }
    // It has been reported; RFC 2018 wants the range it belongs to named again first.
    ranges.add(seq, end);
    return;
  }
  if (tcb.sackOk) noteOverlap(tcb, seq, end);
  if (!ranges.add(seq, end)) {
    stats.TCPOFODrop++;
    return;
  }
  stats.TCPOFOQueue++;
  const position = seqDiff(seq, tcb.rcv.copied);
  tcb.receiveRing.store(position, seg.bytes, offset, length, seg.slabAt);
}

/** Text that came with a SYN before the connection is there waits beyond RCV.NXT. Its FIN must come again. */
export function keepSynData(tcb: Tcb, seg: Segment): void {
  const { rcv } = tcb;
  const length = Math.min(seg.length, receiveWindow(tcb));
  if (length <= 0 || !tcb.receiveRing.reserve(length, 0)) return;
  tcb.receiveRing.store(0, seg.bytes, seg.offset, length, seg.slabAt);
  ownRanges(tcb).add(rcv.nxt, seqAdd(rcv.nxt, length));
}

/** The connection is there: what waited is in order. */
export function takeSynData(tcb: Tcb): void {
  if (tcb.outOfOrder.count === 0) return;
  // @rfc 5681 4.2c
  absorb(tcb);
  tcb.isAckNow = false;
  tcb.events |= Ready.Read;
  scheduleAck(tcb);
}

/** A hole was filled: what lay behind it is in order now. */
function absorb(tcb: Tcb): void {
  const { rcv, outOfOrder } = tcb;
  const before = rcv.nxt;
  while (outOfOrder.count > 0 && seqLe(outOfOrder.start[0], rcv.nxt)) {
    rcv.nxt = seqMax(rcv.nxt, outOfOrder.end[0]);
    outOfOrder.dropBelow(rcv.nxt);
  }
  // The FIN's number is processFin()'s to take.
  const isFinReached = rcv.hasEarlyFin && seqLe(before, rcv.earlyFinSeq);
  if (isFinReached && seqGt(rcv.nxt, rcv.earlyFinSeq)) rcv.nxt = rcv.earlyFinSeq;
  // RFC 5681 4.2: an ACK at once for a segment that fills a gap.
  tcb.isAckNow = true;
}

function onDuplicate(tcb: Tcb, start: number, end: number): void {
  tcb.ctx.stats.DelayedACKLost++;
  if (tcb.sackOk) noteDsack(tcb, start, end);
  enterQuickAck(tcb);
  tcb.isAckNow = true;
}

function noteDsack(tcb: Tcb, start: number, end: number): void {
  tcb.ctx.stats.TCPDSACKOldSent++;
  // @rfc 2883 4
  setDsack(tcb, start, end);
}

function noteSegmentSize(tcb: Tcb, seg: Segment): void {
  const gso = seg.pkt === null ? 0 : seg.pkt.gsoSize;
  const size = gso > 0 ? gso : seg.length;
  const { rcv } = tcb;
  if (size > rcv.mss) rcv.mss = size < rcv.advertisedMss ? size : rcv.advertisedMss;
}

function measure(tcb: Tcb, seg: Segment): void {
  const o = seg.options;
  if (tcb.tsOk && o.hasTimestamps && o.tsEcr !== 0 && seg.length >= tcb.rcv.mss) {
    const ms = seqDiff((tcb.ctx.nowMs + tcb.tsOffset) | 0, o.tsEcr);
    if (ms > 0 && ms < 100_000) noteReceiverRtt(tcb, ms * 1_000, false);
  }
  measureReceiverRtt(tcb);
}

function noteFin(tcb: Tcb, finSeq: number): void {
  const { rcv } = tcb;
  // Cut off by the window: the peer will send it again.
  if (seqLt(finSeq, rcv.nxt) || seqGt(finSeq, seqAdd(rcv.wup, rcv.wnd))) return;
  // Beyond a hole it is answered as any segment there. A stream has one end: the first FIN names it.
  if (finSeq !== rcv.nxt) tcb.isAckNow = true;
  if (rcv.hasEarlyFin && seqGe(rcv.earlyFinSeq, rcv.nxt)) return;
  rcv.hasEarlyFin = true;
  rcv.earlyFinSeq = finSeq;
  if (finSeq !== rcv.nxt && tcb.ctx.settings.sacksFin !== 0) {
    ownRanges(tcb).add(finSeq, seqAdd(finSeq, 1));
  }
}

/** Eighth step. */
function processFin(tcb: Tcb): void {
  const { rcv } = tcb;
  rcv.hasEarlyFin = false;
  rcv.finReceived = true;
  // Nothing lies behind the end (tcp_fin).
  if (tcb.outOfOrder.count > 0) tcb.outOfOrder.dropBelow(tcb.outOfOrder.last);
  rcv.nxt = seqAdd(rcv.nxt, 1);
  tcb.isAckNow = true;
  tcb.events |= Ready.Read | Ready.ReadClosed;
  switch (tcb.state) {
    case SYN_RECEIVED:
    case ESTABLISHED:
      setState(tcb, CLOSE_WAIT);
      break;
    case FIN_WAIT_1:
      // Our FIN, had it been acknowledged, would have brought us to FIN-WAIT-2 already.
      setState(tcb, CLOSING);
      break;
    case FIN_WAIT_2:
      enterTimeWait(tcb);
      break;
  }
}

// @rfc 9293 MUST-30 MUST-31 MUST-62
/**
 * Sixth step, as Linux: the pointer names the byte behind the urgent one, and only a pointer that moves
 * forward counts. Nothing is read through it: it is a mark in sequence space, wherever it may lie.
 */
function processUrgent(tcb: Tcb, seg: Segment): void {
  const { rcv } = tcb;
  if (seg.urgent === 0) return;
  const urgentSeq = seqAdd(seg.seq, seg.urgent - 1);
  // Of what has come already nothing becomes urgent any more (tcp_check_urg).
  if (seqLt(urgentSeq, rcv.nxt)) return;
  if (rcv.urgentState !== URGENT_NONE && seqLe(urgentSeq, rcv.urgentSeq)) return;
  if (seqGt(urgentSeq, seqAdd(rcv.nxt, 0x1_0000))) return;
  rcv.urgentSeq = urgentSeq;
  rcv.urgentState = URGENT_PENDING;
  tcb.events |= Ready.Urgent;
}

// @rfc 9293 MUST-32
function takeUrgent(tcb: Tcb): void {
  const { rcv } = tcb;
  if (!seqLt(rcv.urgentSeq, rcv.nxt) || seqLt(rcv.urgentSeq, rcv.copied)) return;
  const ring = tcb.receiveRing;
  if (ring.bytes === null) return;
  rcv.urgentByte = ring.bytes[ring.indexOf(seqDiff(rcv.urgentSeq, rcv.copied))];
  rcv.urgentState = URGENT_READY;
  tcb.events |= Ready.Urgent;
}

// @rfc 9293 MUST-33
/** The stream has been read up to rcv.copied: a mark passed means nothing any more. */
export function forgetUrgent(tcb: Tcb): void {
  const { rcv } = tcb;
  if (rcv.urgentState === URGENT_READ || rcv.urgentState === URGENT_READY) {
    if (seqLt(rcv.urgentSeq, rcv.copied)) rcv.urgentState = URGENT_NONE;
  }
}
