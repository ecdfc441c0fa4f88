// When to acknowledge (RFC 9293 3.8.6.3, RFC 5681 4.2): every second full segment at once, others within
// 40 ms; at once at the start of a connection, after disorder, and, out of ping-pong mode, when the user asks
// (TCP_QUICKACK, option-calls.ts).

import { seqDiff, seqLe } from "../../base/seqnum.ts";
import { ACK, FIN } from "../wire/tcp.ts";
import { schedule } from "./schedule.ts";
import type { Tcb } from "./tcb.ts";
import { ackSeq, transmit } from "./transmit.ts";

const NEVER = Number.POSITIVE_INFINITY;

// @rfc 5681 4.2a
// @rfc 9293 MUST-40
/** Data has been accepted: an ACK is due now or soon. */
export function scheduleAck(tcb: Tcb): void {
  const rcv = tcb.rcv;
  if (
    seqDiff(rcv.nxt, rcv.wup) > rcv.mss ||
    tcb.outOfOrder.count > 0 ||
    (tcb.quickAcks > 0 && !tcb.isPingPong)
  ) {
    tcb.isAckNow = true;
    return;
  }
  if (!tcb.isAckPending) {
    tcb.isAckPending = true;
    const { delayedAckUs } = tcb.ctx.settings;
    const { ackDelayUs } = tcb.options.timing;
    tcb.ackNs = tcb.ctx.nowNs + (delayedAckUs < ackDelayUs ? delayedAckUs : ackDelayUs) * 1_000;
    schedule(tcb, tcb.ackNs);
  } else if (tcb.ctx.settings.ackPolicy !== 0) {
    tcb.isAckNow = true;
  }
}

/** An acknowledgment has left, alone or with data. */
export function ackSent(tcb: Tcb): void {
  if (tcb.quickAcks > 0) tcb.quickAcks--;
  tcb.isAckPending = false;
  tcb.isAckNow = false;
  tcb.ackNs = NEVER;
}

export function enterQuickAck(tcb: Tcb): void {
  enterQuickAckFor(tcb, tcb.ctx.settings.quickAcks);
}

/** At least the next `acks` ACKs are not delayed. */
export function enterQuickAckFor(tcb: Tcb, acks: number): void {
  const most = tcb.ctx.settings.quickAcks;
  const n = acks < most ? acks : most;
  if (tcb.quickAcks < n) tcb.quickAcks = n;
  tcb.isPingPong = false;
}

export function sendAck(tcb: Tcb): void {
  const { snd } = tcb;
  if (tcb.ctx.settings.acksRepeatFin !== 0 && snd.finSent && seqLe(snd.una, snd.end)) {
    transmit(tcb, snd.end, 0, FIN | ACK, snd.mss);
    return;
  }
  sendBareAck(tcb);
}

/** An ACK and nothing else: a challenge. */
export function sendBareAck(tcb: Tcb): void {
  transmit(tcb, ackSeq(tcb), 0, ACK, tcb.snd.mss);
}
