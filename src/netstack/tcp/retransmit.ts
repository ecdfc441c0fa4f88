// Sends lost records again, oldest first, as far as cwnd lets (RFC 6675 5, step C; its NextSeg rule 1).

import { seqAdd, seqDiff, seqGe, seqMin } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { ACK, FIN, PSH } from "../wire/tcp.ts";
import { burstBytesMax, currentMss } from "./mss.ts";
import { isInReduction } from "./prr.ts";
import { rateOnSend } from "./rate.ts";
import { armRetransmit, isPacedNow } from "./sender.ts";
import { HAS_FIN, HAS_SYN, LOST, PUSHED, RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import { CA_LOSS, CA_RECOVERY, RTX_REORDER, SENT_RECORDS_MAX } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { transmitBurst } from "./transmit.ts";
import { noteRetransmission } from "./undo.ts";

// @rfc 6675 5b
export function retransmitLost(tcb: Tcb): void {
  const sent = tcb.sent;
  let record = sent.retransmitHint ?? sent.head;
  let mustRearm = false;
  while (record !== null && sent.retransOut < sent.lostOut) {
    if ((record.flags & (LOST | RETRANS | SACKED)) === LOST) {
      const room = tcb.cwnd - sent.inFlight;
      if (room <= 0 || isPacedNow(tcb)) break;
      if (!retransmitRecord(tcb, record, room)) break;
      if (isInReduction(tcb)) tcb.loss.prrOut += record.segs;
      if (record === sent.head && tcb.rtxKind !== RTX_REORDER) mustRearm = true;
    }
    record = record.next;
  }
  sent.retransmitHint = record;
  if (mustRearm) armRetransmit(tcb);
}

/**
 * Sends up to `room` segments of a record again, cutting it there. False: the peer's window ends before, or
 * our own link is full. A probe (RFC 8985 7.3) repairs nothing yet: it does not count as in flight.
 */
export function retransmitRecord(
  tcb: Tcb,
  record: SentRecord,
  room: number,
  isProbe = false,
): boolean {
  const { snd, sent, ctx } = tcb;
  if ((record.flags & HAS_SYN) !== 0) return false;
  const mss = currentMss(tcb);
  // Whether a probe of the path MTU got through can no longer be told.
  if (tcb.mtuProbe !== null) tcb.mtuProbe.size = 0;
  // A window taken back: what lies beyond it waits, but the oldest byte is always tried.
  if (seqGe(record.seq, seqAdd(snd.una, snd.wnd)) && record.seq !== snd.una) return false;
  if (record.mss !== mss && record.segs > 0) sent.resegment(record, mss);
  const dataEnd = seqMin(record.end, snd.end);
  let length = seqDiff(dataEnd, record.seq);
  const max = Math.min(room * mss, burstBytesMax(tcb, mss));
  if (length > max) length = max;
  if (length > mss) {
    const contiguous = tcb.sendRing.contiguous(seqDiff(record.seq, snd.base));
    if (length > contiguous) length = contiguous >= mss ? contiguous - (contiguous % mss) : mss;
  }
  const cut = seqAdd(record.seq, length);
  if (cut !== dataEnd) {
    // At the cap a record is sent in part and stays whole: the rest follows at the next timeout.
    if (sent.recordCount < SENT_RECORDS_MAX * 2) sent.split(record, cut);
  }
  let flags = ACK;
  if (cut === dataEnd && (record.flags & PUSHED) !== 0) flags |= PSH;
  if ((record.flags & HAS_FIN) !== 0) flags |= FIN;
  const sentUs = record.sentUs;
  const wasUnderWay = (record.flags & RETRANS) !== 0;
  sent.setRetransmitted(record, ctx.nowUs);
  if (isProbe && !wasUnderWay) sent.clearRetransmitted(record);
  if (transmitBurst(tcb, record.seq, length, flags, mss) === NetErr.NoBuffers) {
    ctx.stats.TCPRetransFail++;
    sent.unsetRetransmitted(record, sentUs);
    return false;
  }
  tcb.totalRetrans += record.segs;
  tcb.bytesRetrans += length;
  ctx.stats.RetransSegs += record.segs;
  if (tcb.caState === CA_RECOVERY) ctx.stats.TCPFastRetrans += record.segs;
  else if (tcb.caState === CA_LOSS) ctx.stats.TCPSlowStartRetrans += record.segs;
  if (!isProbe) noteRetransmission(tcb, record.segs);
  rateOnSend(tcb, record, false);
  return true;
}

/**
 * What is in flight larger than a segment may be now goes again, cut smaller. Not congestion: the window stays as
 * it is (RFC 1191 6.5). As Linux, the repair runs as Loss without a cut.
 */
export function retransmitLarge(tcb: Tcb): void {
  const { sent } = tcb;
  for (let r = sent.head; r !== null; r = r.next) {
    if (r.mss > tcb.snd.mss && (r.flags & SACKED) === 0) sent.setLost(r);
  }
  if (tcb.caState !== CA_LOSS) {
    tcb.highSeq = tcb.snd.nxt;
    tcb.caState = CA_LOSS;
  }
  retransmitLost(tcb);
}
