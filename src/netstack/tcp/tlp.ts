// Tail loss probe (RFC 8985 7): two round trips after the last ACK one segment, new or the last one again,
// is sent so that a loss at the end of a flight is found by SACK instead of by the retransmission timeout.

import { seqAdd, seqDiff, seqGe, seqGt } from "../../base/seqnum.ts";
import { $ack, F_DATA_SACKED, F_DSACK_TLP, F_NOT_DUP, F_UNA_ADVANCED } from "./ack-state.ts";
import { currentMss } from "./mss.ts";
import { endReduction, initReduction } from "./prr.ts";
import { timeoutMinUs } from "./rack.ts";
import { retransmitRecord } from "./retransmit.ts";
import { schedule } from "./schedule.ts";
import { armRetransmit, rearmRetransmit, sendProbe } from "./sender.ts";
import { CA_CWR, CA_OPEN, RTO_INITIAL_US, RTX_RETRANSMIT, RTX_TLP } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { keepOpen } from "./undo.ts";

// @rfc 8985 7.2
/** RFC 8985 7.2 TLP_calc_PTO and the conditions for it. False: none is wanted, or possible. */
export function scheduleProbe(tcb: Tcb, isRtoAdvancing: boolean): boolean {
  const { sent, ctx, rtt } = tcb;
  const { earlyRetrans } = ctx.settings;
  // RFC 7413: before the handshake ends the timer is the SYN-ACK's.
  if (tcb.isHalfOpen) return true;
  if ((earlyRetrans !== 3 && earlyRetrans !== 4) || !tcb.sackOk || sent.packetsOut === 0)
    return false;
  if (tcb.caState !== CA_OPEN && tcb.caState !== CA_CWR) return false;
  let us = RTO_INITIAL_US;
  if (rtt.srttUs > 0) {
    us = 2 * rtt.srttUs + (sent.packetsOut === 1 ? tcb.options.timing.rtoMinUs : timeoutMinUs(tcb));
  }
  const rtoUs = isRtoAdvancing || sent.head === null ? rtt.rtoUs : rtoRemainingUs(tcb);
  if (rtoUs > 0 && us > rtoUs) us = rtoUs;
  tcb.rtxKind = RTX_TLP;
  tcb.rtxNs = ctx.nowNs + us * 1_000;
  schedule(tcb, tcb.rtxNs);
  return true;
}

/** Until the retransmission timeout of the oldest segment, counted from its sending. */
export function rtoRemainingUs(tcb: Tcb): number {
  const head = tcb.sent.head;
  return head === null ? tcb.rtt.rtoUs : tcb.rtt.rtoUs - seqDiff(tcb.ctx.nowUs, head.sentUs);
}

// @rfc 8985 7.3
/** The probe timer has fired (RFC 8985 7.3). */
export function onProbeTimer(tcb: Tcb): void {
  const { loss, sent, snd } = tcb;
  tcb.rtxKind = RTX_RETRANSMIT;
  if (tcb.isProbeOut || !probe(tcb)) {
    tcb.rtxKind = RTX_TLP;
    rearmRetransmit(tcb);
    return;
  }
  tcb.isProbeOut = true;
  loss.probeEnd = snd.nxt;
  tcb.ctx.stats.TCPLossProbes++;
  if (sent.packetsOut > 0) armRetransmit(tcb);
}

function probe(tcb: Tcb): boolean {
  const { loss, sent, snd } = tcb;
  loss.isProbeRetransmission = false;
  const before = sent.packetsOut;
  sendProbe(tcb);
  if (sent.packetsOut > before) return true;
  let last = sent.tail;
  if (last === null || seqDiff(snd.end, snd.nxt) > 0) return false;
  const mss = currentMss(tcb);
  const cut = (last.segs - 1) * last.mss;
  if (last.segs > 1 && seqDiff(last.end, last.seq) > cut) {
    sent.split(last, seqAdd(last.seq, cut));
    last = sent.tail as typeof last;
  }
  if (mss === 0 || !retransmitRecord(tcb, last, 1, true)) return false;
  loss.isProbeRetransmission = true;
  return true;
}

// @rfc 8985 7.4
/** RFC 8985 7.4: what the ACK says about the probe's fate. */
export function onProbeAck(tcb: Tcb, ack: number): void {
  const { loss, ctx } = tcb;
  if (!tcb.isProbeOut || !seqGe(ack, loss.probeEnd)) return;
  if (!loss.isProbeRetransmission || ($ack.flags & F_DSACK_TLP) !== 0) {
    tcb.isProbeOut = false;
  } else if (seqGt(ack, loss.probeEnd)) {
    // The probe repaired a loss: the window is reduced as for any other.
    initReduction(tcb);
    tcb.caState = CA_CWR;
    endReduction(tcb);
    keepOpen(tcb);
    ctx.stats.TCPLossProbeRecovery++;
  } else if (($ack.flags & (F_UNA_ADVANCED | F_NOT_DUP | F_DATA_SACKED)) === 0) {
    tcb.isProbeOut = false;
  }
}
