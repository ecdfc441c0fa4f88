// The fifth step of RFC 9293 3.10.7.4: what an acknowledgment tells. Takes acknowledged records off the
// list and bytes off the ring, samples the RTT, updates the window, and lets recovery.ts judge the rest.

import { seqAdd, seqDiff, seqGt, seqLe, seqLt, seqMin } from "../../base/seqnum.ts";
import { FIN, SYN } from "../wire/tcp.ts";
import { receiveAce } from "./accecn.ts";
import {
  $ack,
  F_ACKED,
  F_ALERT,
  F_DATA,
  F_DATA_ACKED,
  F_DSACK,
  F_MAYBE_DELAYED,
  F_NOT_DUP,
  F_ORIG_SACK_ACKED,
  F_PROGRESS,
  F_RENEGING,
  F_RETRANS_ACKED,
  F_SET_TIMER,
  F_SYN_ACKED,
  F_UNA_ADVANCED,
  F_WIN_UPDATE,
  REXMIT_NONE,
} from "./ack-state.ts";
import { challengeAck } from "./challenge.ts";
import { CHRONO_BUSY, chronoStop } from "./chrono.ts";
import { receiveEcnEcho } from "./ecn.ts";
import { onProbeAcked } from "./mtu-probe.ts";
import { noteReordering, rackAdvance, rackUpdateReorderWindow } from "./rack.ts";
import { rateOnAck, rateOnDelivered, updatePacingRate } from "./rate.ts";
import { controlCongestion, onDubiousAck, transmitRecovery } from "./recovery.ts";
import { removeRenoSacks } from "./reno-sack.ts";
import { tagSacks } from "./sack.ts";
import type { Segment } from "./segment.ts";
import { armPersist, isWaiting, rearmRetransmit, restartAfterIdle } from "./sender.ts";
import { EVER_RETRANS, HAS_SYN, SACKED, type SentRecord, segmentsOf } from "./sent-list.ts";
import { CA_OPEN, RTX_PERSIST } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { onProbeAck, scheduleProbe } from "./tlp.ts";

const NEVER = Number.POSITIVE_INFINITY;

// @rfc 5961 5.2
/** False: the segment is to be dropped. Precondition: the ACK flag is set, the state is synchronised. */
export function processAck(tcb: Tcb, seg: Segment): boolean {
  const { snd, ctx } = tcb;
  const advance = seqDiff(seg.ack, snd.una);
  if (advance < 0) {
    // RFC 5961 5.2: older than anything the peer can have meant. A SYN of ours that was acknowledged counts.
    const oldest = Math.min(snd.maxWnd, tcb.bytesAcked + (tcb.isPassive ? 0 : 1));
    if (seqLt(seg.ack, seqAdd(snd.una, -oldest))) {
      challengeAck(tcb);
      return false;
    }
    if (tcb.sackOk && seg.options.sackCount > 0) onOldAck(tcb, seg);
    return true;
  }
  if (seqGt(seg.ack, snd.nxt)) {
    // Never sent: dropped (RFC 9293 would answer with an ACK; Linux does not in these states).
    return false;
  }
  beginAck(tcb, seg);
  const isTsNewer = tcb.tsOk && seg.options.hasTimestamps && seqLt(tcb.tsRecent, seg.options.tsVal);
  if (advance > 0) {
    $ack.flags |= F_UNA_ADVANCED;
    tcb.retransmits = 0;
  }
  tcb.lastAckMs = ctx.nowMs;
  tcb.probesOut = 0;
  tcb.softError = 0;
  if (seg.length > 0 || (seg.flags & FIN) !== 0) $ack.flags |= F_DATA;
  if (updateWindow(tcb, seg)) $ack.flags |= F_WIN_UPDATE;
  snd.una = seg.ack;
  if (tcb.sackOk && seg.options.sackCount > 0) tagSacks(tcb, seg);
  if (tcb.ecnOk) receiveEcnEcho(tcb, seg);
  if (tcb.sent.packetsOut === 0) {
    onAckWhileIdle(tcb, seg);
    return true;
  }
  // @rfc 2018 8a
  removeAcked(tcb);
  if (tcb.accEcn !== null) receiveAce(tcb, seg, tcb.delivered - $ack.priorDelivered, isTsNewer);
  if (tcb.notices !== null) tcb.notices.acked();
  rackUpdateReorderWindow(tcb);
  if (tcb.isProbeOut) onProbeAck(tcb, seg.ack);
  judge(tcb, seg);
  return true;
}

/** What the ACK means for the window, and what it lets go. */
function judge(tcb: Tcb, seg: Segment): void {
  const { sent, ctx } = tcb;
  const flags = $ack.flags;
  const isDubious = (flags & F_NOT_DUP) === 0 || (flags & F_ALERT) !== 0 || tcb.caState !== CA_OPEN;
  if (isDubious) {
    const isDuplicate = (flags & (F_UNA_ADVANCED | F_NOT_DUP | F_DSACK)) === 0;
    onDubiousAck(tcb, isDuplicate && (seg.flags & SYN) === 0);
  }
  if (sent.packetsOut === 0) {
    tcb.rtxNs = NEVER;
    chronoStop(tcb, CHRONO_BUSY);
  } else if (($ack.flags & F_SET_TIMER) !== 0) {
    setTransmitTimer(tcb);
  }
  if (($ack.flags & F_PROGRESS) !== 0 && tcb.route !== null) {
    ctx.network.confirmReachable(tcb.route);
  }
  const delivered = tcb.delivered - $ack.priorDelivered;
  $ack.newlyLost = sent.lostEver - $ack.priorLost;
  rateOnAck(tcb, delivered);
  controlCongestion(tcb, delivered);
  transmitRecovery(tcb);
}

/** The ACK of our SYN, and of data that went with it. snd.nxt covers both. */
export function ackSyn(tcb: Tcb, seg: Segment): void {
  const { sent, snd } = tcb;
  beginAck(tcb, seg);
  $ack.flags |= F_UNA_ADVANCED;
  snd.una = seg.ack;
  removeAcked(tcb);
  if (tcb.notices !== null) tcb.notices.acked();
  if (sent.packetsOut === 0) tcb.rtxNs = NEVER;
  else rearmRetransmit(tcb);
  rateOnAck(tcb, tcb.delivered - $ack.priorDelivered);
  updatePacingRate(tcb);
}

function beginAck(tcb: Tcb, seg: Segment): void {
  const { sent, snd } = tcb;
  $ack.flags = 0;
  $ack.rexmit = REXMIT_NONE;
  $ack.priorUna = snd.una;
  $ack.priorFack = sent.sackedOut > 0 ? tcb.highSacked : snd.una;
  $ack.priorDelivered = tcb.delivered;
  $ack.priorLost = sent.lostEver;
  $ack.priorInFlight = sent.inFlight;
  $ack.priorSackedOut = sent.sackedOut;
  $ack.hasSackTime = $ack.hasAckTime = $ack.hasRate = false;
  $ack.segsAcked = 0;
  $ack.reordSeq = snd.nxt;
  $ack.hasEcr = tcb.tsOk && seg.options.hasTimestamps && seg.options.tsEcr !== 0;
  $ack.ecrMs = (seg.options.tsEcr - tcb.tsOffset) | 0;
}

function onAckWhileIdle(tcb: Tcb, seg: Segment): void {
  const { snd } = tcb;
  if (($ack.flags & F_DSACK) !== 0) onDubiousAck(tcb, false);
  // A window update, or an answer to a probe: the persist timer has done its work, or goes on.
  if (tcb.rtxKind === RTX_PERSIST && tcb.rtxNs !== NEVER && isWaiting(tcb)) {
    if (seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt) > 0) {
      tcb.backoff = 0;
      tcb.troubleNs = 0;
      tcb.rtxNs = NEVER;
    } else {
      tcb.rtxNs = NEVER;
      armPersist(tcb, false);
    }
  }
  if (tcb.isProbeOut) onProbeAck(tcb, seg.ack);
}

/** An ACK below SND.UNA: its SACK blocks are news all the same. */
function onOldAck(tcb: Tcb, seg: Segment): void {
  beginAck(tcb, seg);
  tagSacks(tcb, seg);
  if (tcb.sent.packetsOut === 0) return;
  onDubiousAck(tcb, false);
  transmitRecovery(tcb);
}

/** Takes what is acknowledged off the list and the ring. */
function removeAcked(tcb: Tcb): void {
  const { snd, sent, ctx } = tcb;
  const ack = snd.una;
  $ack.reordSeq = snd.nxt;
  for (let record = sent.head; record !== null; record = sent.head) {
    if (seqGt(record.end, ack)) {
      // ACK division earns nothing: only whole segments count.
      if (!seqLt(record.seq, ack)) break;
      const segs = record.segs - segmentsLeft(record, ack);
      if (segs > 0) noteAcked(tcb, record, segs);
      sent.trimHead(ack);
      break;
    }
    noteAcked(tcb, record, record.segs);
    sent.removeHead();
  }
  const left = sent.head;
  if (left !== null && (left.flags & SACKED) !== 0) $ack.flags |= F_RENEGING;
  if (snd.isUrgent && seqLe(snd.up, ack)) snd.isUrgent = false;
  releaseBytes(tcb, ack);
  if (tcb.mtuProbe !== null) onProbeAcked(tcb);
  const isRttValid = sampleRtt(tcb);
  if (($ack.flags & F_ACKED) !== 0) {
    $ack.flags |= F_SET_TIMER;
    tcb.troubleNs = 0;
    if (!tcb.sackOk) {
      removeRenoSacks(tcb, $ack.segsAcked);
      if (($ack.flags & F_RETRANS_ACKED) !== 0) $ack.flags &= ~F_ORIG_SACK_ACKED;
    } else if (seqLt($ack.reordSeq, $ack.priorFack)) {
      noteReordering(tcb, $ack.reordSeq, false);
    }
  } else if (left !== null && isRttValid && $ack.hasSackTime) {
    // Not from data sent after the oldest: else the timeout would be put off for ever.
    const rttUs = seqDiff(ctx.nowUs, $ack.firstSackUs);
    if (rttUs > seqDiff(ctx.nowUs, left.sentUs)) $ack.flags |= F_SET_TIMER;
  }
  tcb.congestion.onSample?.(tcb, $ack.rttUs);
}

const segmentsLeft = (record: SentRecord, ack: number): number =>
  segmentsOf(seqDiff(record.end, ack), record.mss);

/** `segs` segments at the front of a record are acknowledged. */
function noteAcked(tcb: Tcb, record: SentRecord, segs: number): void {
  $ack.segsAcked += segs;
  if ((record.flags & EVER_RETRANS) !== 0) {
    $ack.flags |= F_RETRANS_ACKED;
  } else if ((record.flags & SACKED) === 0) {
    if (!$ack.hasAckTime) $ack.firstAckUs = record.sentUs;
    $ack.hasAckTime = true;
    $ack.lastAckUs = record.sentUs;
    if (seqLt(record.seq, $ack.reordSeq)) $ack.reordSeq = record.seq;
    if (!seqGt(record.end, tcb.highSeq)) $ack.flags |= F_ORIG_SACK_ACKED;
  }
  if ((record.flags & SACKED) === 0 && tcb.sackOk) {
    tcb.delivered += segs;
    tcb.ctx.stats.TCPDelivered += segs;
    if (!isSpuriousRetransmission(tcb, record)) rackAdvance(tcb, record);
  }
  rateOnDelivered(tcb, record);
  if ((record.flags & HAS_SYN) === 0) $ack.flags |= F_DATA_ACKED;
  else {
    $ack.flags |= F_SYN_ACKED;
    tcb.loss.hasRetransStamp = false;
  }
}

/** The echo is older than the retransmission: it answers the first sending (RFC 8985 6.2 step 2). */
const isSpuriousRetransmission = (tcb: Tcb, record: SentRecord): boolean =>
  (record.flags & EVER_RETRANS) !== 0 &&
  $ack.hasEcr &&
  seqDiff(
    $ack.ecrMs,
    (tcb.ctx.nowMs - Math.floor(seqDiff(tcb.ctx.nowUs, record.sentUs) / 1_000)) | 0,
  ) < 0;

function releaseBytes(tcb: Tcb, ack: number): void {
  const { snd } = tcb;
  const dataAck = seqMin(ack, snd.end);
  const bytes = seqDiff(dataAck, snd.base);
  if (bytes <= 0) return;
  tcb.bytesAcked += bytes;
  snd.base = dataAck;
  tcb.sendRing.release(bytes, dataAck === snd.end);
}

/** Sets the probe timer or, where no probe is wanted, the retransmission timer. */
export function setTransmitTimer(tcb: Tcb): void {
  if (!scheduleProbe(tcb, true)) rearmRetransmit(tcb);
}

// @rfc 6298 3
// @rfc 7323 4.1
// @rfc 9293 MUST-18
/**
 * Karn: retransmitted data gives no sample, unless timestamps say which sending was answered. Sets
 * $ack.rttUs; true when a sample was taken.
 */
function sampleRtt(tcb: Tcb): boolean {
  const { ctx, rtt, sent } = tcb;
  const flags = $ack.flags;
  let rttUs = -1;
  let lastUs = -1;
  if ($ack.hasAckTime && (flags & F_RETRANS_ACKED) === 0) {
    rttUs = seqDiff(ctx.nowUs, $ack.firstAckUs);
    lastUs = seqDiff(ctx.nowUs, $ack.lastAckUs);
    const isLoneSmall = $ack.segsAcked === 1 && $ack.priorSackedOut === 0;
    if (
      isLoneSmall &&
      seqDiff(tcb.snd.una, $ack.priorUna) < tcb.snd.mss &&
      $ack.ratePriorDelivered + 1 === tcb.delivered &&
      (flags & (F_ALERT | F_SYN_ACKED)) === 0
    ) {
      $ack.flags |= F_MAYBE_DELAYED;
    }
  }
  if ($ack.hasSackTime) {
    if (rttUs < 0) rttUs = seqDiff(ctx.nowUs, $ack.firstSackUs);
    lastUs = seqDiff(ctx.nowUs, $ack.lastSackUs);
  }
  if (rttUs < 0 && $ack.hasEcr && (flags & F_ACKED) !== 0) {
    const ms = seqDiff(ctx.nowMs, $ack.ecrMs);
    // An echo from the future or of another age is a lie.
    if (ms >= 0 && ms < 2_000_000) rttUs = lastUs = Math.max(1, ms * 1_000);
  }
  $ack.rttUs = lastUs;
  if (rttUs < 0) return false;
  rtt.sampleMin(lastUs, ctx.nowMs, ($ack.flags & F_MAYBE_DELAYED) !== 0);
  rtt.sample(rttUs, tcb.snd.una, tcb.snd.nxt, tcb.options.timing);
  tcb.backoff = 0;
  return sent.head !== null;
}

// @rfc 7323 2.2b 2.3a
// @rfc 9293 MUST-1
/** RFC 9293 3.10.7.4: SND.WL1/WL2 keep old segments from setting the window. True: it is news. */
export function updateWindow(tcb: Tcb, seg: Segment): boolean {
  const snd = tcb.snd;
  const wnd = (seg.flags & SYN) !== 0 ? seg.window : seg.window << snd.wscale;
  const isNewer =
    seqGt(seg.ack, snd.una) ||
    seqLt(snd.wl1, seg.seq) ||
    (snd.wl1 === seg.seq && (wnd > snd.wnd || (wnd === 0 && snd.wnd !== 0)));
  if (!isNewer) return false;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  if (wnd !== snd.wnd && snd.end !== snd.nxt && tcb.sent.packetsOut === 0) restartAfterIdle(tcb);
  snd.wnd = wnd;
  if (wnd > snd.maxWnd) snd.maxWnd = wnd;
  return true;
}
