// The verdict on a replayed TCP connection: were both streams those of the capture, byte for byte, did it open and
// end as captured, and was there no reset that was not there before.

import { netErrorName } from "../../netstack/index.ts";
import { CLIENT, otherSide } from "./conversation.ts";
import type { ReplayOutcome } from "./outcome.ts";
import type { PlayedTcp } from "./replay-tcp.ts";
import { isRefused, type TcpTrace } from "./tcp-trace.ts";

export function judgeTcp(trace: TcpTrace, outcome: ReplayOutcome, played: PlayedTcp): void {
  const { peer, app, segments } = played;
  const { side, counts, problems } = outcome;
  const own = trace.sides[side];
  const other = trace.sides[otherSide(side)];
  counts.replayedPackets = segments.length;
  counts.capturedRetransmissions = other.repeats;
  counts.retransmissions = peer.counts.repeatsSeen;
  counts.addedAcks = peer.counts.addedAcks;
  counts.repairs = peer.counts.repairs;
  counts.early = peer.counts.early;
  outcome.received = {
    expectedBytes: own.stream.length,
    bytes: app.read,
    wrongAt: app.wrongAt,
    missingInCapture: own.stream.missingBytes,
  };
  peer.received.finish();
  outcome.sent = {
    expectedBytes: other.stream.length,
    bytes: peer.received.contiguous,
    wrongAt: firstDifference(peer.received.bytes, other.stream.bytes, peer.received.contiguous),
    missingInCapture: other.stream.missingBytes,
  };
  if (app.trouble !== "") problems.push(app.trouble);
  if (peer.hasReset && !other.hasReset) problems.push("our stack sent a reset that was not there");
  const refused = isRefused(trace);
  if (refused && side === CLIENT && !peer.hasReset) {
    problems.push("our stack did not refuse the connection as the captured server did");
  }
  if (!refused) streamProblems(trace, outcome, played);
  const mayFail = own.hasReset || other.hasReset || hasIcmp(trace);
  if (app.error !== 0 && !mayFail) problems.push(`the application got ${netErrorName(app.error)}`);
  if (peer.isStuck && problems.length === 0) {
    problems.push("our stack did not answer for a minute though the captured side did");
  }
  outcome.state = problems.length === 0 ? "passed" : "failed";
  outcome.verdict = problems.length === 0 ? praise(trace, outcome) : problems.join("; ");
}

function streamProblems(trace: TcpTrace, outcome: ReplayOutcome, { peer, app }: PlayedTcp): void {
  const { side, problems, received, sent } = outcome;
  const own = trace.sides[side];
  const other = trace.sides[otherSide(side)];
  if (received.wrongAt >= 0) {
    problems.push(`byte ${received.wrongAt} of what our application received differs`);
  }
  if (received.bytes > received.expectedBytes) {
    problems.push(
      `our application received ${received.bytes - received.expectedBytes} bytes too many`,
    );
  }
  if (sent.wrongAt >= 0) problems.push(`byte ${sent.wrongAt} of what our stack sent differs`);
  if (sent.bytes > sent.expectedBytes) {
    problems.push(`our stack sent ${sent.bytes - sent.expectedBytes} bytes too many`);
  }
  // A reset cuts short: of either side, what was on its way may be lost.
  const isCutShort = own.hasReset || other.hasReset;
  if (isCutShort) return;
  if (received.bytes < received.expectedBytes) {
    problems.push(`our application received ${received.bytes} of ${received.expectedBytes} bytes`);
  }
  if (sent.bytes < sent.expectedBytes) {
    problems.push(`our stack sent ${sent.bytes} of ${sent.expectedBytes} bytes`);
  }
  if (other.fin >= 0 && peer.otherFin < 0) problems.push("our stack did not close its direction");
  if (own.fin >= 0 && !app.hasEnd) {
    problems.push("our application did not see the end of the stream");
  }
}

const hasIcmp = (trace: TcpTrace): boolean =>
  trace.conversation.packets.some(({ protocol }) => protocol !== 6);

function firstDifference(a: Uint8Array, b: Uint8Array, length: number): number {
  const n = Math.min(length, a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return i;
  return -1;
}

function praise(trace: TcpTrace, outcome: ReplayOutcome): string {
  if (isRefused(trace)) return "refused as captured";
  const { received, sent, counts, side } = outcome;
  const parts = [
    `${sent.bytes} bytes sent and ${received.bytes} received as captured`,
    retransmissionText(counts.retransmissions, counts.capturedRetransmissions),
  ];
  if (counts.differences > 0) parts.push(`${counts.differences} packets differ`);
  const missing = received.missingInCapture + sent.missingInCapture;
  const { conflicts } = trace.sides[side].stream;
  if (conflicts > 0) {
    parts.push(`${conflicts} segment${conflicts === 1 ? "" : "s"} contradicting earlier ones`);
  }
  if (missing > 0) parts.push(`zeros for ${missing} bytes that the capture does not have`);
  if (!trace.hasHandshake) parts.push("opened by a handshake of our own");
  if (outcome.conversation.packets.some(({ cuts }) => cuts !== null))
    parts.push("fragments put together");
  if (trace.sides[side].hasReset) parts.push("reset by the peer as captured");
  return parts.join(", ");
}

function retransmissionText(now: number, then: number): string {
  if (now === 0 && then === 0) return "no retransmissions";
  return `${now} retransmission${now === 1 ? "" : "s"} (captured: ${then})`;
}
