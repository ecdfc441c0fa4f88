// Sends lost records again, oldest first, as far as cwnd lets (RFC 6675 5, step C; its NextSeg rule 1).

import { seqAdd, seqDiff, seqGe, seqMin } from "../../base/seqnum.ts";
import { ACK, FIN, PSH } from "../wire/tcp.ts";
import { armRetransmit } from "./sender.ts";
import { HAS_FIN, HAS_SYN, LOST, RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import { CA_LOSS, CA_RECOVERY, SENT_RECORDS_MAX } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { burstBytesMax, currentMss, transmit } from "./transmit.ts";

/** `isForced`: the first one goes whatever cwnd says (fast retransmit, timeout). */
export function retransmitLost(tcb: Tcb, isForced: boolean): void {
  const sent = tcb.sent;
  let force = isForced;
  let record = sent.retransmitHint ?? sent.head;
  while (record !== null) {
    if ((record.flags & (LOST | RETRANS | SACKED)) === LOST) {
      const room = force ? 1 : tcb.cwnd - sent.inFlight;
      if (room <= 0) break;
      if (!retransmitRecord(tcb, record, room)) break;
      force = false;
    }
    record = record.next;
  }
  sent.retransmitHint = record;
}

/** Sends up to `room` segments of a record again, cutting it there. False: the peer's window ends before. */
export function retransmitRecord(tcb: Tcb, record: SentRecord, room: number): boolean {
  const { snd, sent, ctx } = tcb;
  if ((record.flags & HAS_SYN) !== 0) return false;
  const mss = currentMss(tcb);
  // A window taken back: what lies beyond it waits, but the oldest byte is always tried.
  if (seqGe(record.seq, seqAdd(snd.una, snd.wnd)) && record.seq !== snd.una) return false;
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
  if (cut === snd.end && length > 0) flags |= PSH;
  if ((record.flags & HAS_FIN) !== 0) flags |= FIN;
  sent.setRetransmitted(record, ctx.nowUs);
  tcb.totalRetrans += record.segs;
  tcb.bytesRetrans += length;
  ctx.stats.RetransSegs += record.segs;
  if (tcb.caState === CA_RECOVERY) ctx.stats.TCPFastRetrans += record.segs;
  else if (tcb.caState === CA_LOSS) ctx.stats.TCPSlowStartRetrans += record.segs;
  transmit(tcb, record.seq, length, flags, mss);
  // RFC 6298 5.1, and Linux: the timer restarts when the oldest segment goes again.
  if (record === sent.head) armRetransmit(tcb);
  return true;
}
