// Delivery rate (draft-cheng-iccrg-delivery-rate-estimation 3): how fast the network delivers, from the
// counters noted in each record when it was sent; and the pacing rate, a multiple of cwnd per RTT.

import { seqDiff, seqGt } from "../../base/seqnum.ts";
import { $ack } from "./ack-state.ts";
import { EVER_RETRANS, SACKED, type SentRecord } from "./sent-list.ts";
import type { Tcb } from "./tcb.ts";

/** `record` is being sent (again). Precondition: not yet counted in packetsOut when `isFirst`. */
export function rateOnSend(tcb: Tcb, record: SentRecord, isFlightEmpty: boolean): void {
  const { loss } = tcb;
  if (isFlightEmpty) {
    loss.firstTxUs = tcb.ctx.nowUs;
    loss.deliveredUs = tcb.ctx.nowUs;
  }
  record.txFirstUs = loss.firstTxUs;
  record.txDeliveredUs = loss.deliveredUs;
  record.txDelivered = tcb.delivered;
  record.isTxAppLimited = loss.appLimited !== 0;
  record.isRateCounted = false;
}

/** `record` was (S)ACKed: the one sent last makes the sample. */
export function rateOnDelivered(tcb: Tcb, record: SentRecord): void {
  if (record.isRateCounted) return;
  const { loss } = tcb;
  const isNewer =
    seqGt(record.sentUs, loss.firstTxUs) ||
    (record.sentUs === loss.firstTxUs && seqGt(record.end, $ack.rateEnd));
  if (!$ack.hasRate || isNewer) {
    $ack.hasRate = true;
    $ack.ratePriorDelivered = record.txDelivered;
    $ack.ratePriorUs = record.txDeliveredUs;
    $ack.isRateAppLimited = record.isTxAppLimited;
    $ack.isRateRetrans = (record.flags & EVER_RETRANS) !== 0;
    $ack.rateEnd = record.end;
    loss.firstTxUs = record.sentUs;
    $ack.rateSendUs = seqDiff(record.sentUs, record.txFirstUs);
  }
  // Once SACKed it must not be counted again when it is acknowledged.
  if ((record.flags & SACKED) !== 0) record.isRateCounted = true;
}

/** At the end of an ACK that delivered `delivered` segments. */
export function rateOnAck(tcb: Tcb, delivered: number): void {
  const { loss, ctx } = tcb;
  if (loss.appLimited !== 0 && tcb.delivered > loss.appLimited) loss.appLimited = 0;
  if (delivered > 0) loss.deliveredUs = ctx.nowUs;
  $ack.rateDelivered = $ack.rateIntervalUs = -1;
  if (!$ack.hasRate || loss.isReneging) return;
  $ack.rateDelivered = tcb.delivered - $ack.ratePriorDelivered;
  const intervalUs = Math.max($ack.rateSendUs, seqDiff(ctx.nowUs, $ack.ratePriorUs));
  // Faster than the least RTT: compressed ACKs, or a spurious retransmission.
  if (intervalUs < tcb.rtt.minRttUs) return;
  $ack.rateIntervalUs = intervalUs;
  const isFaster = $ack.rateDelivered * loss.rateIntervalUs >= loss.rateDelivered * intervalUs;
  if (!$ack.isRateAppLimited || isFaster) {
    loss.rateDelivered = $ack.rateDelivered;
    loss.rateIntervalUs = intervalUs;
    loss.isRateAppLimited = $ack.isRateAppLimited;
  }
}

/** Before more is written: is the sender idle for want of data? */
export function rateCheckAppLimited(tcb: Tcb): void {
  const { snd, sent } = tcb;
  if (seqDiff(snd.end, snd.nxt) >= snd.mss) return;
  if (sent.inFlight >= tcb.cwnd || sent.lostOut > sent.retransOut) return;
  tcb.loss.appLimited = Math.max(1, tcb.delivered + sent.inFlight);
}

/** Bytes per second, for TCP_INFO. */
export function deliveryRate(tcb: Tcb): number {
  const { loss } = tcb;
  if (loss.rateDelivered <= 0 || loss.rateIntervalUs <= 0) return 0;
  return Math.floor((loss.rateDelivered * tcb.snd.mss * 1_000_000) / loss.rateIntervalUs);
}

/** cwnd per RTT, times tcp_pacing_ss_ratio or tcp_pacing_ca_ratio. */
export function updatePacingRate(tcb: Tcb): void {
  // Such an algorithm sets the rate itself.
  if (tcb.congestion.control !== undefined) return;
  const { settings } = tcb.ctx;
  const ratio = tcb.cwnd < tcb.ssthresh / 2 ? settings.pacingSsRatio : settings.pacingCaRatio;
  const segs = Math.max(tcb.cwnd, tcb.sent.packetsOut);
  const perSecond = (tcb.snd.mss * segs * ratio * 10_000) / Math.max(1, tcb.rtt.srttUs);
  const { maxPacingRate } = tcb.options;
  tcb.loss.pacingRate = maxPacingRate > 0 && maxPacingRate < perSecond ? maxPacingRate : perSecond;
}
