// The verdict on a program that answered a played peer: its bytes against the captured ones. How it cuts them into
// segments is its own business.

import { conversationName, otherSide, type Side } from "./conversation.ts";
import { align, countDifferences } from "./diff.ts";
import { newOutcome, type ReplayOutcome, skipped } from "./outcome.ts";
import type { TcpPeer } from "./tcp-peer.ts";
import { isRefused, type TcpTrace } from "./tcp-trace.ts";
import { type WireSegment, wireSegment } from "./wire-segment.ts";

export interface PlayedProgram {
  index: number;
  trace: TcpTrace;
  /** Why it was not played; "" when it was. */
  problem: string;
  side: Side;
  /** null: the program never came. */
  peer: TcpPeer | null;
  segments: WireSegment[];
  replayNs: number;
  /** Other bytes than the captured ones are no failure. */
  isLoose: boolean;
}

/** Bytes shown of each side where they part. */
const SHOWN_BYTES = 24;

export function judgeProgram(played: PlayedProgram): ReplayOutcome {
  const { index, trace, side, peer, segments } = played;
  const { conversation } = trace;
  const outcome = newOutcome(index, conversation, conversationName(conversation), side);
  outcome.captured = trace.segments.map(wireSegment);
  outcome.replayed = segments;
  outcome.replayNs = played.replayNs;
  if (played.problem !== "") return skipped(outcome, played.problem);
  if (peer === null) {
    outcome.state = "failed";
    outcome.problems.push("the program never connected");
    outcome.verdict = outcome.problems[0];
    return outcome;
  }
  const own = trace.sides[side];
  const other = trace.sides[otherSide(side)];
  const { counts } = outcome;
  counts.replayedPackets = segments.length;
  counts.differences = countDifferences(align(outcome.captured, segments, side), side);
  counts.capturedRetransmissions = other.repeats;
  counts.retransmissions = peer.counts.repeatsSeen;
  counts.addedAcks = peer.counts.addedAcks;
  counts.repairs = peer.counts.repairs;
  counts.early = peer.counts.early;
  peer.received.finish();
  const got = peer.received.bytes.subarray(0, peer.received.contiguous);
  outcome.received = {
    expectedBytes: own.stream.length,
    bytes: Math.max(0, Math.min(peer.acked, own.stream.length)),
    wrongAt: -1,
    missingInCapture: own.stream.missingBytes,
  };
  outcome.sent = {
    expectedBytes: other.stream.length,
    bytes: got.length,
    wrongAt: firstDifference(got, other.stream.bytes),
    missingInCapture: other.stream.missingBytes,
  };
  findProblems(played, peer, outcome, got);
  outcome.state = outcome.problems.length === 0 ? "passed" : "failed";
  outcome.verdict = outcome.problems.join("; ") || praise(outcome, played.isLoose);
  return outcome;
}

function findProblems(
  { trace, side, isLoose }: PlayedProgram,
  peer: TcpPeer,
  outcome: ReplayOutcome,
  got: Uint8Array,
): void {
  const { problems, sent, received } = outcome;
  const own = trace.sides[side];
  const other = trace.sides[otherSide(side)];
  if (isRefused(trace)) {
    if (!peer.hasReset) problems.push("the program did not refuse the connection as captured");
    return;
  }
  if (peer.otherIsn === null) problems.push("the program took no connection");
  else if (peer.hasReset && !other.hasReset) problems.push("the program reset the connection");
  const isCutShort = own.hasReset || other.hasReset;
  if (received.bytes < received.expectedBytes && !isCutShort) {
    problems.push(`the program took ${received.bytes} of ${received.expectedBytes} bytes`);
  }
  if (isLoose) {
    if (sent.expectedBytes > 0 && sent.bytes === 0) problems.push("the program said nothing");
    return;
  }
  if (sent.wrongAt >= 0) {
    const at = sent.wrongAt;
    const [theirs, ours] = [shown(other.stream.bytes, at), shown(got, at)];
    problems.push(`byte ${at} of what the program sent differs: captured ${theirs}, now ${ours}`);
  }
  if (sent.bytes !== sent.expectedBytes && !isCutShort) {
    problems.push(`the program sent ${sent.bytes} bytes, captured were ${sent.expectedBytes}`);
  }
  if (other.fin >= 0 && peer.otherFin < 0 && !peer.hasReset) {
    problems.push("the program did not close the connection");
  }
}

export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** As a quoted string, what cannot be printed as dots. */
export function shown(bytes: Uint8Array, at: number): string {
  const part = bytes.subarray(at, at + SHOWN_BYTES);
  const text = Array.from(part, (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "."));
  return `"${text.join("")}"`;
}

function praise({ sent, received, counts }: ReplayOutcome, isLoose: boolean): string {
  const same = isLoose ? "" : " as captured";
  const again = counts.retransmissions === 0 ? "" : `, ${counts.retransmissions} retransmissions`;
  return `the program took ${received.bytes} bytes and sent ${sent.bytes}${same}${again}`;
}
