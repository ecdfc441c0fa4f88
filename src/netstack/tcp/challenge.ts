// Answers to segments that do not fit: challenge ACKs (RFC 5961 3.2, 4.2, 5.2) and ACKs for what lies
// outside the window. The rate limit is each connection's own, so that it tells an attacker nothing about
// another connection (CVE-2016-5696).

import { seqDiff, seqLt } from "../../base/seqnum.ts";
import { FIN, SYN } from "../wire/tcp.ts";
import { sendAck, sendBareAck } from "./ack-policy.ts";
import { reportOld } from "./dsack.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

export function challengeAck(tcb: Tcb): void {
  if (isLimited(tcb, "TCPACKSkippedChallenge")) return;
  tcb.ctx.stats.TCPChallengeACK++;
  sendBareAck(tcb);
}

/** RFC 9293 3.10.7.4, first step: an unacceptable segment is answered, so that both ends agree again. */
export function ackUnacceptable(tcb: Tcb, seg: Segment, skipped: SkipCounter): void {
  // A segment with data cannot be part of an ACK war: Linux answers each of those.
  const hasData = seg.length > 0 || (seg.flags & FIN) !== 0;
  if ((!hasData || (seg.flags & SYN) !== 0) && isLimited(tcb, skipped)) return;
  if (seg.sequenceLength > 0 && seqLt(seg.seq, tcb.rcv.nxt)) reportOld(tcb, seg);
  sendAck(tcb);
}

/** Which counter tells of an ACK that the limit has kept back. */
type SkipCounter =
  | "TCPACKSkippedChallenge"
  | "TCPACKSkippedPAWS"
  | "TCPACKSkippedSeq"
  | "TCPACKSkippedSynRecv";

// @rfc 5961 7
export function isLimited(tcb: Tcb, skipped: SkipCounter): boolean {
  const now = tcb.ctx.nowMs;
  const elapsed = seqDiff(now, tcb.lastInvalidAckMs);
  if (elapsed >= 0 && elapsed < tcb.ctx.settings.invalidRatelimitMs) {
    tcb.ctx.stats[skipped]++;
    return true;
  }
  tcb.lastInvalidAckMs = now;
  return false;
}
