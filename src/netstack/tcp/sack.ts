// Reads the peer's SACK blocks into the scoreboard (RFC 2018 5, RFC 6675 4) and its DSACKs (RFC 2883) into
// the count of needless retransmissions. Blocks for what was never sent, or upside down, are ignored.

import { seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../base/seqnum.ts";
import { $ack, F_DATA_SACKED, F_DSACK, F_DSACK_TLP, F_ORIG_SACK_ACKED } from "./ack-state.ts";
import { noteReordering, rackAdvance } from "./rack.ts";
import { rateOnDelivered } from "./rate.ts";
import type { Segment } from "./segment.ts";
import { EVER_RETRANS, endOfRun, RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import { CA_LOSS, SENT_RECORDS_MAX } from "./state.ts";
import type { Tcb } from "./tcb.ts";

// @rfc 2018 5
/** Precondition: snd.una already covers seg.ack. */
export function tagSacks(tcb: Tcb, seg: Segment): void {
  const { options } = seg;
  const { sent, loss, snd } = tcb;
  if (sent.sackedOut === 0) tcb.highSacked = snd.una;
  $ack.reordSeq = snd.nxt;
  for (let i = 0; i < options.sackCount; i++) {
    const start = options.sackStart[i];
    const end = options.sackEnd[i];
    if (i === 0 && isDsack(seg, start, end)) {
      if (!seqLt(start, seg.ack)) tcb.ctx.stats.TCPDSACKOfoRecv++;
      onDsack(tcb, start, end);
      continue;
    }
    if (!isPlausible(tcb, start, end)) {
      tcb.ctx.stats.TCPSACKDiscard++;
      continue;
    }
    // Entirely acknowledged: an ACK below SND.UNA carries such blocks.
    if (seqLe(end, snd.una)) continue;
    tagBlock(tcb, seqLt(start, snd.una) ? snd.una : start, end);
  }
  if (tcb.caState !== CA_LOSS || loss.hasUndo) noteReordering(tcb, $ack.reordSeq, false);
}

function isPlausible(tcb: Tcb, start: number, end: number): boolean {
  const { snd } = tcb;
  return seqLt(start, end) && !seqGt(end, snd.nxt) && seqGe(start, $ack.priorUna);
}

/** RFC 2883 4: below the cumulative ACK, or within the second block. */
function isDsack(seg: Segment, start: number, end: number): boolean {
  if (seqLt(start, seg.ack)) return true;
  const o = seg.options;
  return o.sackCount > 1 && seqGe(start, o.sackStart[1]) && seqLe(end, o.sackEnd[1]);
}

function onDsack(tcb: Tcb, start: number, end: number): void {
  const { loss, snd, ctx } = tcb;
  if (!seqLt(start, end)) return;
  const length = seqDiff(end, start);
  if (length > snd.maxWnd) return;
  let dups = 1;
  if (length > snd.mss) dups = Math.ceil(length / snd.mss);
  else if (tcb.isProbeOut && loss.probeEnd === end) $ack.flags |= F_DSACK_TLP;
  tcb.dsackDups += dups;
  if (seqLt(start, snd.una)) ctx.stats.TCPDSACKRecv++;
  ctx.stats.TCPDSACKRecvSegs += dups;
  // More than we ever sent twice: the network's own duplicates, or a liar.
  if (tcb.dsackDups > tcb.totalRetrans) {
    ctx.stats.TCPDSACKIgnoredDubious++;
    return;
  }
  if (loss.reordSeen > 0 && ($ack.flags & F_DSACK_TLP) === 0) loss.isDsackSeen = true;
  $ack.flags |= F_DSACK;
  tcb.delivered += dups;
  if (!loss.hasUndo) {
    ctx.stats.TCPDSACKIgnoredNoUndo++;
    return;
  }
  if (seqLe(end, $ack.priorUna)) {
    if (!seqGt(end, loss.undoMarker)) ctx.stats.TCPDSACKIgnoredOld++;
    else if (loss.undoRetrans > 0) loss.undoRetrans = Math.max(0, loss.undoRetrans - dups);
    return;
  }
  dsackRecords(tcb, start, end);
}

/** A DSACK of what is not acknowledged yet: record by record. */
function dsackRecords(tcb: Tcb, start: number, end: number): void {
  const { loss, sent } = tcb;
  for (let r = sent.seek(start); r !== null && seqLt(r.seq, end); r = r.next) {
    if (seqLe(r.end, start) || (r.flags & EVER_RETRANS) === 0) continue;
    if (loss.undoRetrans > 0 && seqGt(r.end, loss.undoMarker)) {
      loss.undoRetrans = Math.max(0, loss.undoRetrans - r.segs);
    }
    if ((r.flags & SACKED) !== 0 && seqLt(r.seq, $ack.reordSeq)) $ack.reordSeq = r.seq;
    sent.clearRetransmitted(r);
  }
}

function tagBlock(tcb: Tcb, start: number, end: number): void {
  const { sent } = tcb;
  let record = sent.seek(start);
  for (; record !== null && seqLt(record.seq, end); record = record.next) {
    if ((record.flags & SACKED) !== 0) record = endOfRun(record);
    sent.sackHint = record;
    if ((record.flags & SACKED) !== 0) continue;
    if (!isolate(tcb, record, start, end)) continue;
    if (seqLt(record.seq, start)) continue; // the front part was cut off; the next record is covered
    tagRecord(tcb, record);
  }
}

function tagRecord(tcb: Tcb, record: SentRecord): void {
  const { sent } = tcb;
  rackAdvance(tcb, record);
  if ((record.flags & RETRANS) === 0 && (record.flags & EVER_RETRANS) === 0) {
    // A hole that was filled without being retransmitted: reordering.
    if (seqLt(record.seq, tcb.highSacked) && seqLt(record.seq, $ack.reordSeq)) {
      $ack.reordSeq = record.seq;
    }
    if (!seqGt(record.end, tcb.highSeq)) $ack.flags |= F_ORIG_SACK_ACKED;
    if (!$ack.hasSackTime) $ack.firstSackUs = record.sentUs;
    $ack.hasSackTime = true;
    $ack.lastSackUs = record.sentUs;
  }
  $ack.flags |= F_DATA_SACKED;
  sent.setSacked(record);
  rateOnDelivered(tcb, record);
  tcb.delivered += record.segs;
  tcb.ctx.stats.TCPDelivered += record.segs;
  if (seqGt(record.end, tcb.highSacked)) tcb.highSacked = record.end;
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
