// Explicit congestion notification (RFC 3168 6.1): negotiation, the receiver's echo (ECE until CWR) and the
// sender's answer (one reduction per window, then CWR). Marks are in the low two bits of the TOS octet.

import { seqGe } from "../../base/seqnum.ts";
import { ACK, AE, CWR, ECE, SYN } from "../wire/tcp.ts";
import { acceptAccEcnSyn, acceptAccEcnSynAck, asksForAccEcn, synAckAce } from "./accecn.ts";
import { enterQuickAckFor } from "./ack-policy.ts";
import { $ack, F_ECE } from "./ack-state.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

export const ECT_1 = 1;
export const ECT_0 = 2;
export const CE = 3;
export const ECN_MASK = 3;

/** tcp_ecn: from here on AccECN is answered; with this value asked for too. */
const ACCECN_ANSWERED = 3;
const ACCECN_ASKED = 3;

/** 6.1.1: our SYN asks when the administrator or the algorithm wants it. */
export const asksForEcn = (tcb: Tcb): boolean => {
  const { ecn, ecnFallback } = tcb.ctx.settings;
  if (ecn !== 1 && ecn !== 3 && ecn !== 4) return false;
  // 6.1.1.1: a SYN that was lost may have been dropped for its flags.
  return ecnFallback === 0 || tcb.retransmits < ecnFallback;
};

// @rfc 3168 6.1.1a 6.1.1c
/** 6.1.1: the peer's SYN asks with ECE and CWR both. */
export function acceptEcnSyn(tcb: Tcb, seg: Segment): void {
  if (tcb.ctx.settings.ecn >= ACCECN_ANSWERED && asksForAccEcn(seg)) {
    acceptAccEcnSyn(tcb, seg);
    return;
  }
  const isAsked = (seg.flags & (ECE | CWR)) === (ECE | CWR);
  tcb.ecnOk = isAsked && tcb.ctx.settings.ecn !== 0;
}

/** 6.1.1: the peer's SYN-ACK agrees with ECE alone; a reflected SYN is no agreement. */
export function acceptEcnSynAck(tcb: Tcb, seg: Segment): void {
  if (tcb.accEcnAsked) tcb.ecnOk = acceptAccEcnSynAck(tcb, seg);
  else tcb.ecnOk = tcb.ecnAsked && (seg.flags & (ECE | CWR)) === ECE;
}

/** Flags of our SYN or SYN-ACK. */
export function synEcnFlags(tcb: Tcb, isAnswer: boolean): number {
  if (isAnswer && tcb.accEcn !== null) return synAckAce(tcb);
  if (isAnswer) return tcb.ecnOk && (tcb.retransmits === 0 || !tcb.isPassive) ? ECE : 0;
  tcb.ecnAsked = asksForEcn(tcb);
  tcb.accEcnAsked = tcb.ecnAsked && tcb.ctx.settings.ecn === ACCECN_ASKED;
  if (tcb.accEcnAsked) return AE | ECE | CWR;
  return tcb.ecnAsked ? ECE | CWR : 0;
}

/** 6.1.2, 6.1.3: flags and ECT of an outgoing segment; only new data is ECN-capable (6.1.5). */
export function sendEcnFlags(tcb: Tcb, seq: number, length: number): number {
  let flags = 0;
  tcb.isEctNext = false;
  if (length > 0 && seqGe(seq, tcb.maxSentSeq)) {
    tcb.isEctNext = true;
    if (tcb.isCwrWanted) {
      tcb.isCwrWanted = false;
      flags |= CWR;
    }
  }
  if (tcb.isEceDemanded) flags |= ECE;
  return flags;
}

// @rfc 3168 6.1.2a
/** 6.1.2: the peer saw a mark. */
export function receiveEcnEcho(tcb: Tcb, seg: Segment): void {
  if ((seg.flags & (ECE | SYN | ACK)) === (ECE | ACK)) $ack.flags |= F_ECE;
  if ((seg.flags & CWR) !== 0) {
    tcb.isEceDemanded = false;
    // The peer's window may be down to one segment: do not delay its ACK.
    if (seg.length > 0) tcb.isAckNow = true;
  }
}

// @rfc 3168 6.1.3
/** 6.1.3: data arrived; a mark is echoed in every ACK until CWR comes. */
export function receiveEcnMark(tcb: Tcb, seg: Segment): void {
  const mark = seg.pkt === null ? 0 : seg.pkt.tos & ECN_MASK;
  if (mark === 0) {
    // Marked before and not now: a retransmission, the window may be small.
    if (tcb.isEctSeen) enterQuickAckFor(tcb, 2);
    return;
  }
  tcb.isEctSeen = true;
  if (mark !== CE || tcb.isEceDemanded) return;
  enterQuickAckFor(tcb, 2);
  tcb.isEceDemanded = true;
}
