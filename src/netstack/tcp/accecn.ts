// Accurate ECN (RFC 9768): the receiver tells how many packets came marked, not only that one did. Negotiation by
// its Table 2, the ACE field in both directions, and checks against networks that bleach or mangle the bits.
// As Linux's tcp_ecn.h; the option with the byte counters is in accecn-option.ts.

import { ACE_MASK, ACE_SHIFT, SYN } from "../wire/tcp.ts";
import { judgeOption, noteOption } from "./accecn-option.ts";
import { AccEcnState, COUNTER_CE, OPTION_BROKEN } from "./accecn-state.ts";
import { $ack, F_ECE, F_PROGRESS, F_SYN_ACKED } from "./ack-state.ts";
import { CE, ECN_MASK } from "./ecn.ts";
import type { Segment } from "./segment.ts";
import { CA_CWR, CA_OPEN } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** r.cep begins with 5 (3.2.2), so that no ACE field of an established connection can be mistaken for another. */
const ACE_INIT = 5;
const ACE_MAX = 7;
const ACE_CLASSIC = 3;
/** Marks that may stay untold while an ACK is delayed (3.2.2.5.1): with and without data acknowledged. */
const PENDING_MAX = 2;
const EWMA_SHIFT = 6;
/** More segments than this at a time: ACKs are thinned or compressed on the way. */
const COMPRESSED_ACKS = 4 << EWMA_SHIFT;
/** 2^22 bytes: a counter of 24 bits must be told before it wraps. */
const WRAP_GUARD = ~0x3f_ffff;

export const aceOf = (flags: number): number => (flags >> ACE_SHIFT) & 7;
const markOf = (seg: Segment): number => (seg.pkt === null ? 0 : seg.pkt.tos & ECN_MASK);

/** Table 2: the mark on the SYN as the SYN-ACK tells it; Table 3: that on the SYN-ACK in the last ACK. */
const reflectorAce = (mark: number): number => (mark === CE ? 6 : mark + 2);
const reflectedMark = (ace: number): number => (ace === 6 ? CE : ace - 2);

// @rfc 9768 3.1.3
/** 3.1.2: anything but "no ECN" and classic ECN asks for AccECN, as far as it is known today. */
export function asksForAccEcn(seg: Segment): boolean {
  const ace = aceOf(seg.flags);
  return ace !== 0 && ace !== ACE_CLASSIC;
}

// @rfc 9768 3.1.1 3.1.4
/** The peer's SYN asked for it and we agree. */
export function acceptAccEcnSyn(tcb: Tcb, seg: Segment): void {
  const state = new AccEcnState();
  state.synMark = state.priorMark = markOf(seg);
  tcb.accEcn = state;
}

/** Flags of our SYN-ACK: the mark on the SYN. Repeated once in vain they are left out (3.1.4.2). */
export const synAckAce = (tcb: Tcb): number =>
  tcb.accEcn === null || tcb.retransmits > 1 ? 0 : reflectorAce(tcb.accEcn.synMark) << ACE_SHIFT;

// @rfc 9768 3.1.2
/** 3.1.2, client: what the SYN-ACK makes of our request. True: classic ECN is agreed. */
export function acceptAccEcnSynAck(tcb: Tcb, seg: Segment): boolean {
  const ace = aceOf(seg.flags);
  if (ace === 0 || ace === ACE_MAX) return false;
  // 001 is RFC 3168's answer; 101 was the nonce's.
  if (ace === 1 || ace === 5) return true;
  const state = new AccEcnState();
  tcb.accEcn = state;
  state.synMark = markOf(seg);
  state.reflects = true;
  state.optionDemand = 2;
  if (state.synMark === CE) {
    state.receivedCe = state.pendingCe = 1;
  }
  noteOption(state, seg);
  if (isMangled(tcb, reflectedMark(ace))) state.failReceive = true;
  else if (reflectedMark(ace) === CE) state.deliveredCe = 0;
  return false;
}

/** The ACK that ends the handshake, at the server: its ACE field is Table 4's, not a count. */
export function acceptThirdAck(tcb: Tcb, seg: Segment): void {
  const state = tcb.accEcn;
  if (state === null) return;
  state.optionDemand = 1;
  noteOption(state, seg);
  const ace = aceOf(seg.flags);
  if (ace === 0) {
    // Bleached on the way: what comes back from this peer is worth nothing.
    state.failReceive = true;
    return;
  }
  if (ace === 1 || ace === 5 || ace === ACE_MAX) return;
  // Only a segment without data is sure to be the first one.
  if (seg.length > 0 || seg.options.sackCount > 0) return;
  const mark = reflectedMark(ace);
  if (isMangled(tcb, mark)) state.failReceive = true;
  else if (mark === CE) state.deliveredCe = 1;
}

// @rfc 9768 3.2.2.4
/** 3.2.2.3: no honest network makes this of the mark that we sent. */
function isMangled(tcb: Tcb, received: number): boolean {
  const sent = (tcb.accEcn as AccEcnState).sentSynMark;
  if (tcb.ctx.settings.ecnFallback === 0 || sent === received) return false;
  return sent === 0 || received === 0 || sent === CE;
}

/** 3.2.2.5.1 and 3.2.3: counts the mark of an acceptable segment; says whether an ACK must go now. */
export function countMark(tcb: Tcb, seg: Segment): void {
  const state = tcb.accEcn as AccEcnState;
  const mark = markOf(seg);
  if (mark !== 0) {
    tcb.isEctSeen = true;
    if (mark === CE) {
      const { packets } = seg;
      state.receivedCe += packets;
      state.pendingCe += packets;
    }
    if (seg.length > 0) countBytes(state, mark - 1, seg.length);
  }
  if (seg.length === 0) return;
  if ((mark === CE) !== (state.priorMark === CE)) {
    // A change-triggered ACK: the sender learns of a burst's begin and end without delay.
    tcb.isAckNow = true;
    if (state.optionDemand < 1) state.optionDemand = 1;
  }
  if (state.pendingCe >= PENDING_MAX) tcb.isAckNow = true;
  state.priorMark = mark;
}

function countBytes(state: AccEcnState, counter: number, length: number): void {
  const before = state.receivedBytes[counter];
  state.receivedBytes[counter] = before + length;
  // Kind 174 has ECT(1) first, then CE, then ECT(0).
  const fields = counter === 0 ? 1 : counter === COUNTER_CE ? 2 : 3;
  if (fields > state.optionMinFields) state.optionMinFields = fields;
  if (((before ^ state.receivedBytes[counter]) & WRAP_GUARD) !== 0 && state.optionDemand < 1) {
    state.optionDemand = 1;
  }
}

// @rfc 9768 3.2.2
/** The ACE bits of an outgoing segment. */
export function sendAce(state: AccEcnState): number {
  if (state.reflects) {
    state.reflects = false;
    return reflectorAce(state.synMark) << ACE_SHIFT;
  }
  state.pendingCe = 0;
  return ((state.receivedCe + ACE_INIT) & ACE_MAX) << ACE_SHIFT;
}

export const maySendEct = (state: AccEcnState): boolean => !state.failReceive && !state.failSend;

// @rfc 9768 3.3
/** 3.2.2.5.2: how many of the segments just acknowledged were marked. Sets F_ECE. */
export function receiveAce(tcb: Tcb, seg: Segment, delivered: number, isTsNewer: boolean): void {
  const state = tcb.accEcn as AccEcnState;
  // An ACK that brings nothing may be an old one.
  if (($ack.flags & F_PROGRESS) === 0 && !isTsNewer) return;
  const bytes = delivered * tcb.snd.mss;
  const ceBefore = state.deliveredBytes[COUNTER_CE];
  const hasBytes = judgeOption(tcb, seg, bytes);
  noteAcked(state, delivered);
  if (($ack.flags & F_SYN_ACKED) !== 0 || (seg.flags & SYN) !== 0) return;
  if (state.optionSeen === OPTION_BROKEN && state.failReceive) return;
  const delta = (aceOf(seg.flags) - ACE_INIT - state.deliveredCe) & ACE_MAX;
  const ceBytes = state.deliveredBytes[COUNTER_CE] - ceBefore;
  const n = marksOf(tcb, state, delta, delivered, hasBytes ? ceBytes : -1);
  if (n === 0) return;
  state.deliveredCe += n;
  tcb.ctx.stats.TCPDeliveredCE += n;
  $ack.flags |= F_ECE;
}

function noteAcked(state: AccEcnState, delivered: number): void {
  if (delivered <= 0) return;
  const scaled = delivered << EWMA_SHIFT;
  if (state.ackedEwma === 0) state.ackedEwma = scaled;
  else state.ackedEwma = Math.min(0xffff, state.ackedEwma + ((scaled - state.ackedEwma) >> 6));
}

// @rfc 9768 3.2.2.5
/** A.1, A.2: three bits may have wrapped when more than seven segments are acknowledged at once. */
function marksOf(
  tcb: Tcb,
  state: AccEcnState,
  delta: number,
  delivered: number,
  ceBytes: number,
): number {
  if (delivered <= ACE_MASK) return delta;
  const safe = delivered - ((delivered - delta) & ACE_MAX);
  const { mss } = tcb.snd;
  if (ceBytes < 0) return state.ackedEwma > COMPRESSED_ACKS ? delta : safe;
  if (ceBytes === 0) return delta;
  const isPlain = tcb.sackOk || tcb.caState === CA_OPEN || tcb.caState === CA_CWR;
  if (delivered >= 2 * (ACE_MAX + 1) && isPlain) {
    const estimate = Math.ceil(ceBytes / mss);
    return Math.min(safe, delta + (estimate & ~ACE_MAX));
  }
  if (ceBytes > delta * mss) return safe;
  return ceBytes < (safe * mss) >> 1 ? delta : safe;
}
