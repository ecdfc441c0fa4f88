// The door of replay: a capture in, one outcome per conversation out.

import type { CapturedFrame, CaptureProblem, CaptureReader } from "../../link/index.ts";
import type { Conversation } from "./conversation.ts";
import { EXTRACT_LIMITS, type ExtractCounts, type ExtractLimits, Extractor } from "./extract.ts";
import type { ReplayOptions, ReplayOutcome } from "./outcome.ts";
import { replayDatagrams } from "./replay-datagrams.ts";
import { replayTcp } from "./replay-tcp.ts";

export function replayConversation(
  conversation: Conversation,
  index: number,
  options: ReplayOptions = {},
): ReplayOutcome {
  return conversation.kind === "tcp"
    ? replayTcp(conversation, index, options)
    : replayDatagrams(conversation, index, options);
}

export interface CaptureReplay {
  counts: ExtractCounts;
  /** Where the file breaks; null when it is whole. */
  problem: CaptureProblem | null;
}

/** Plays every conversation, as soon as it is over when the capture is large, else when all is read. */
export function replayCapture(
  reader: CaptureReader,
  options: ReplayOptions,
  /** Numbers of conversations, from 1; null: all. */
  only: ReadonlySet<number> | null,
  onOutcome: (outcome: ReplayOutcome) => void,
  limits: ExtractLimits = EXTRACT_LIMITS,
): CaptureReplay {
  let index = 0;
  const extractor = new Extractor((conversation) => {
    index++;
    if (only?.has(index) === false) return;
    onOutcome(replayConversation(conversation, index, options));
  }, limits);
  for (let frame: CapturedFrame | null = reader.next(); frame !== null; frame = reader.next()) {
    extractor.add(frame);
  }
  extractor.finish();
  return { counts: extractor.counts, problem: reader.problem };
}
