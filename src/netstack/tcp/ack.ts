// The fifth step of RFC 9293 3.10.7.4: what an acknowledgment tells. Takes acknowledged records off the
// list and bytes off the ring, samples the RTT, updates the window, and lets recovery.ts judge the rest.

import { seqAdd, seqDiff, seqGt, seqLe, seqLt, seqMin } from "../../base/seqnum.ts";
import { Ready } from "../readiness.ts";
import { FIN, SYN } from "../wire/tcp.ts";
import { challengeAck } from "./challenge.ts";
import { onAck } from "./recovery.ts";
import { $sackSample, tagSacks } from "./sack.ts";
import type { Segment } from "./segment.ts";
import { armPersist, armRetransmit } from "./sender.ts";
import { EVER_RETRANS, LOST, SACKED } from "./sent-list.ts";
import type { Tcb } from "./tcb.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** Scratch of one ACK: what left the list. */
const $acked = {
  segs: 0,
  delivered: 0,
  sentUs: 0,
  hasSample: false,
  hadRetrans: false,
  retransUs: 0,
};

/** False: the segment is to be dropped. Precondition: the ACK flag is set, the state is synchronised. */
export function processAck(tcb: Tcb, seg: Segment): boolean {
  const { snd, sent } = tcb;
  const advance = seqDiff(seg.ack, snd.una);
  if (advance < 0) {
    // RFC 5961 5.2: older than anything the peer can have meant.
    if (seqLt(seg.ack, seqAdd(snd.una, -snd.maxWnd))) {
      challengeAck(tcb);
      return false;
    }
    if (tcb.sackOk && seg.options.sackCount > 0) onOldAck(tcb, seg);
    return true;
  }
  if (seqGt(seg.ack, snd.nxt)) {
    // Never sent: RFC 9293 says answer with an ACK (an optimistic ACK gains nothing).
    challengeAck(tcb);
    return false;
  }
  const ctx = tcb.ctx;
  tcb.lastAckMs = ctx.nowMs;
  tcb.probesOut = 0;
  const priorWnd = snd.wnd;
  const isWindowUpdate = updateWindow(tcb, seg);
  const priorPackets = sent.packetsOut;
  if (priorPackets === 0 && advance === 0) {
    if (isWindowUpdate) afterProbe(tcb);
    return true;
  }
  $acked.segs = 0;
  $acked.delivered = 0;
  $acked.hasSample = false;
  $acked.hadRetrans = false;
  if (advance > 0) removeAcked(tcb, seg.ack);
  let sampleSack = false;
  if (tcb.sackOk && seg.options.sackCount > 0) {
    $acked.delivered += tagSacks(tcb, seg);
    sampleSack = $sackSample.isValid;
  }
  sampleRtt(tcb, seg, advance > 0, sampleSack);
  tcb.delivered += $acked.delivered;
  ctx.stats.TCPDelivered += $acked.delivered;
  const isDuplicate =
    advance === 0 &&
    seg.length === 0 &&
    snd.wnd === priorWnd &&
    !isWindowUpdate &&
    (seg.flags & (SYN | FIN)) === 0;
  if (advance > 0) {
    tcb.backoff = 0;
    tcb.retransmits = 0;
    tcb.troubleNs = 0;
    tcb.softError = 0;
    if (tcb.route !== null) ctx.network.confirmReachable(tcb.route);
  }
  onAck(tcb, advance > 0, $acked.segs, $acked.delivered, isDuplicate);
  if (sent.packetsOut === 0) {
    tcb.rtxNs = NEVER;
  } else if (advance > 0) {
    armRetransmit(tcb);
  }
  return true;
}

function onOldAck(tcb: Tcb, seg: Segment): void {
  const newSegs = tagSacks(tcb, seg);
  tcb.delivered += newSegs;
  if (newSegs > 0) onAck(tcb, false, 0, newSegs, false);
}

function removeAcked(tcb: Tcb, ack: number): void {
  const { snd, sent } = tcb;
  for (let record = sent.head; record !== null; record = sent.head) {
    if (seqLe(record.end, ack)) {
      $acked.segs += record.segs;
      if ((record.flags & SACKED) === 0) $acked.delivered += record.segs;
      if ((record.flags & EVER_RETRANS) !== 0) noteRetransAcked(record.sentUs);
      else if (!$acked.hasSample && (record.flags & (SACKED | LOST)) === 0) {
        $acked.hasSample = true;
        $acked.sentUs = record.sentUs;
      }
      sent.removeHead();
      continue;
    }
    if (seqLt(record.seq, ack)) {
      // ACK division earns nothing: only whole segments count.
      const wasSacked = (record.flags & SACKED) !== 0;
      const segs = sent.trimHead(ack);
      $acked.segs += segs;
      if (!wasSacked) $acked.delivered += segs;
      if ((record.flags & EVER_RETRANS) !== 0) noteRetransAcked(record.sentUs);
      else if (!$acked.hasSample && segs > 0 && (record.flags & (SACKED | LOST)) === 0) {
        $acked.hasSample = true;
        $acked.sentUs = record.sentUs;
      }
    }
    break;
  }
  snd.una = ack;
  if (snd.isUrgent && seqLe(snd.up, ack)) snd.isUrgent = false;
  const dataAck = seqMin(ack, snd.end);
  const bytes = seqDiff(dataAck, snd.base);
  if (bytes <= 0) return;
  tcb.bytesAcked += bytes;
  snd.base = dataAck;
  tcb.sendRing.release(bytes, dataAck === snd.end);
  onSpaceFreed(tcb);
}

function noteRetransAcked(sentUs: number): void {
  if (!$acked.hadRetrans || seqGt(sentUs, $acked.retransUs)) $acked.retransUs = sentUs;
  $acked.hadRetrans = true;
}

/** Tells the writer when a third of the buffer is free again, if it was turned away; grows the buffer. */
function onSpaceFreed(tcb: Tcb): void {
  const options = tcb.options;
  if (!options.sendBufferLocked) {
    const wanted = 2 * tcb.cwnd * tcb.snd.mss;
    if (wanted > options.sendBufferBytes) {
      options.sendBufferBytes = Math.min(wanted, tcb.ctx.limits.socketBufferBytesMax);
    }
  }
  if (tcb.isWriteBlocked && isWritable(tcb)) {
    tcb.isWriteBlocked = false;
    tcb.events |= Ready.Write;
  }
}

export function isWritable(tcb: Tcb): boolean {
  const options = tcb.options;
  const queued = tcb.queued;
  if (3 * queued > 2 * options.sendBufferBytes && queued > 0) return false;
  const lowat = options.notsentLowatBytes;
  return lowat <= 0 || seqDiff(tcb.snd.end, tcb.snd.nxt) < lowat;
}

/**
 * Karn: retransmitted data gives no sample, unless timestamps say which sending was answered. Nor does data
 * once taken for lost: its ACK waited for a hole before it to be filled.
 */
function sampleRtt(tcb: Tcb, seg: Segment, hasAdvanced: boolean, hasSackSample: boolean): void {
  const ctx = tcb.ctx;
  let rttUs = -1;
  if ($acked.hasSample && !$acked.hadRetrans) rttUs = seqDiff(ctx.nowUs, $acked.sentUs);
  else if (hasSackSample) rttUs = seqDiff(ctx.nowUs, $sackSample.sentUs);
  else if (hasAdvanced && tcb.tsOk && seg.options.hasTimestamps && seg.options.tsEcr !== 0) {
    const ms = seqDiff((ctx.nowMs + tcb.tsOffset) | 0, seg.options.tsEcr);
    // An echo from the future or of another age is a lie. One from before the last retransmission answers
    // the first sending, and its delay is that of ACKs that were lost since: Linux would count it.
    const sinceRetransUs = seqDiff(ctx.nowUs, $acked.retransUs);
    const isAmbiguous = $acked.hadRetrans && ms * 1_000 > sinceRetransUs + 1_000;
    if (ms >= 0 && ms < 2_000_000 && !isAmbiguous) rttUs = Math.max(1, ms * 1_000);
  }
  if (rttUs >= 0) tcb.rtt.sample(rttUs, tcb.snd.una, tcb.snd.nxt);
}

/** RFC 9293 3.10.7.4: SND.WL1/WL2 keep old segments from setting the window. True: it grew or moved. */
export function updateWindow(tcb: Tcb, seg: Segment): boolean {
  const snd = tcb.snd;
  const wnd = (seg.flags & SYN) !== 0 ? seg.window : seg.window << snd.wscale;
  const isNewer =
    seqGt(seg.ack, snd.una) ||
    seqLt(snd.wl1, seg.seq) ||
    (snd.wl1 === seg.seq && (seqLt(snd.wl2, seg.ack) || wnd > snd.wnd || wnd === 0));
  if (!isNewer) return false;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  if (wnd === snd.wnd) return false;
  snd.wnd = wnd;
  if (wnd > snd.maxWnd) snd.maxWnd = wnd;
  return true;
}

/** A window update while nothing was in flight: the persist timer has done its work, or goes on. */
function afterProbe(tcb: Tcb): void {
  const snd = tcb.snd;
  if (!tcb.isPersist) return;
  if (seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt) > 0) {
    tcb.backoff = 0;
    tcb.troubleNs = 0;
    tcb.rtxNs = NEVER;
  } else {
    tcb.rtxNs = NEVER;
    armPersist(tcb, false);
  }
}
