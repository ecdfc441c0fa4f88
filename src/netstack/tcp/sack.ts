// Reads the peer's SACK blocks into the scoreboard (RFC 2018 5, RFC 6675 4). Blocks for what was never
// sent, or upside down, are ignored; a block at or below SND.UNA is a DSACK (RFC 2883) and only counted.

import { seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../base/seqnum.ts";
import type { Segment } from "./segment.ts";
import { EVER_RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import { DUP_THRESH, SENT_RECORDS_MAX } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** Send time of the last record newly SACKed and never retransmitted; valid while $hasSackSample. */
export const $sackSample = { sentUs: 0, isValid: false };

/** Precondition: snd.una already covers seg.ack. Returns the segments newly SACKed. */
export function tagSacks(tcb: Tcb, seg: Segment): number {
  const options = seg.options;
  let newSegs = 0;
  $sackSample.isValid = false;
  for (let i = 0; i < options.sackCount; i++) {
    const start = options.sackStart[i];
    const end = options.sackEnd[i];
    if (i === 0 && isDsack(tcb, seg, start, end)) {
      tcb.dsackDups++;
      tcb.ctx.stats.TCPDSACKRecv++;
      continue;
    }
    if (!seqLt(start, end) || seqLt(start, tcb.snd.una) || seqGt(end, tcb.snd.nxt)) {
      tcb.ctx.stats.TCPSACKDiscard++;
      continue;
    }
    if (tcb.sent.sackedOut === 0 || seqGt(end, tcb.highSacked)) tcb.highSacked = end;
    newSegs += tagBlock(tcb, start, end);
  }
  return newSegs;
}

function isDsack(tcb: Tcb, seg: Segment, start: number, end: number): boolean {
  if (!seqLt(start, end)) return false;
  if (seqLt(start, tcb.snd.una)) return seqLe(end, tcb.snd.una);
  const o = seg.options;
  return o.sackCount > 1 && seqGe(start, o.sackStart[1]) && seqLe(end, o.sackEnd[1]);
}

function tagBlock(tcb: Tcb, start: number, end: number): number {
  const sent = tcb.sent;
  let newSegs = 0;
  const hint = sent.sackHint;
  let record: SentRecord | null = hint !== null && seqLe(hint.seq, start) ? hint : sent.head;
  while (record !== null && seqLe(record.end, start)) record = record.next;
  for (; record !== null && seqLt(record.seq, end); record = record.next) {
    sent.sackHint = record;
    if ((record.flags & SACKED) !== 0) continue;
    if (!isolate(tcb, record, start, end)) continue;
    if (seqLt(record.seq, start)) continue; // the front part was cut off; the next record is covered
    if ((record.flags & EVER_RETRANS) === 0) {
      $sackSample.sentUs = record.sentUs;
      $sackSample.isValid = true;
    }
    sent.setSacked(record);
    newSegs += record.segs;
  }
  return newSegs;
}

/** Cuts a record so that its covered part, in whole segments, is a record of its own. False: nothing is. */
function isolate(tcb: Tcb, record: SentRecord, start: number, end: number): boolean {
  const { mss } = record;
  const startsBefore = seqLt(record.seq, start);
  const endsAfter = seqGt(record.end, end);
  if (!startsBefore && !endsAfter) return true;
  if (tcb.sent.recordCount >= 2 * SENT_RECORDS_MAX) return false;
  if (startsBefore) {
    const lead = Math.ceil(seqDiff(start, record.seq) / mss) * mss;
    if (lead >= seqDiff(record.end, record.seq)) return false;
    tcb.sent.split(record, (record.seq + lead) | 0);
    return true;
  }
  const covered = Math.floor(seqDiff(end, record.seq) / mss) * mss;
  if (covered <= 0) return false;
  tcb.sent.split(record, (record.seq + covered) | 0);
  return true;
}

/** RFC 6675 IsLost: three segments SACKed above. Returns whether anything is newly lost. */
export function markLostBySack(tcb: Tcb): boolean {
  const sent = tcb.sent;
  const before = sent.lostOut;
  let above = sent.sackedOut;
  for (let r = sent.head; r !== null && above >= DUP_THRESH; r = r.next) {
    if ((r.flags & SACKED) !== 0) above -= r.segs;
    else sent.setLost(r);
  }
  return sent.lostOut > before;
}
