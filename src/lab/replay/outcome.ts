// What came of playing one conversation.

import type { PcapWriter } from "../../link/index.ts";
import type { Stack } from "../../netstack/index.ts";
import type { Conversation, Side } from "./conversation.ts";
import type { PaceKind } from "./pace.ts";
import type { WireSegment } from "./wire-segment.ts";

export interface ReplayOptions {
  /** Whom we play; auto: the client, unless the capture has more of the server. */
  side?: "client" | "server" | "auto";
  pace?: PaceKind;
  seed?: number;
  /** Records what passes between the peer and our stack. */
  pcap?: PcapWriter;
  /** Before anything happens: other settings than the stack's own. */
  configure?: (stack: Stack) => void;
  /** Without timestamps, and with a card that cuts segments: as packet scripts are run. */
  isPlain?: boolean;
  /** Keep every segment, for a diff; of what failed they are kept anyway. */
  keep?: boolean;
  /** Take samples of the congestion state, for a report. */
  samples?: boolean;
}

/** Our stack's congestion state when it sent or was acknowledged. */
export interface Sample {
  timeNs: number;
  cwndBytes: number;
  ssthreshBytes: number;
  rttUs: number;
  inFlightBytes: number;
}

export interface StreamResult {
  /** Of the capture. */
  expectedBytes: number;
  bytes: number;
  /** First byte that is not the captured one; -1: none. */
  wrongAt: number;
  /** Bytes of the stream that the capture does not have: zeros stood for them. */
  missingInCapture: number;
}

export interface ReplayCounts {
  capturedPackets: number;
  replayedPackets: number;
  capturedRetransmissions: number;
  retransmissions: number;
  addedAcks: number;
  repairs: number;
  early: number;
  differences: number;
}

export interface ReplayOutcome {
  /** From 1, in the order of the capture. */
  index: number;
  conversation: Conversation;
  name: string;
  /** Whom we played. */
  side: Side;
  state: "passed" | "failed" | "skipped";
  /** One sentence. */
  verdict: string;
  problems: string[];
  /** What the other side's application received, and what it sent. */
  received: StreamResult;
  sent: StreamResult;
  counts: ReplayCounts;
  /** Virtual time it took, and captured. */
  replayNs: number;
  capturedNs: number;
  captured: WireSegment[];
  replayed: WireSegment[];
  samples: Sample[];
}

const noStream = (): StreamResult => ({
  expectedBytes: 0,
  bytes: 0,
  wrongAt: -1,
  missingInCapture: 0,
});

export function newOutcome(
  index: number,
  conversation: Conversation,
  name: string,
  side: Side,
): ReplayOutcome {
  const { packets } = conversation;
  return {
    index,
    conversation,
    name,
    side,
    state: "passed",
    verdict: "",
    problems: [],
    received: noStream(),
    sent: noStream(),
    counts: {
      capturedPackets: packets.length,
      replayedPackets: 0,
      capturedRetransmissions: 0,
      retransmissions: 0,
      addedAcks: 0,
      repairs: 0,
      early: 0,
      differences: 0,
    },
    replayNs: 0,
    capturedNs: packets[packets.length - 1].timeNs - packets[0].timeNs,
    captured: [],
    replayed: [],
    samples: [],
  };
}

export function skipped(outcome: ReplayOutcome, reason: string): ReplayOutcome {
  outcome.state = "skipped";
  outcome.verdict = `not played: ${reason}`;
  return outcome;
}
