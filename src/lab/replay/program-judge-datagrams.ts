// The verdict on a program that answered a played exchange of datagrams: each of its own against the captured one.

import { type Conversation, conversationName, otherSide, type Side } from "./conversation.ts";
import type { DatagramPeer } from "./datagram-peer.ts";
import { datagramContent, datagramSteps } from "./datagrams.ts";
import { newOutcome, type ReplayOutcome, skipped } from "./outcome.ts";
import { firstDifference, shown } from "./program-judge.ts";

export interface PlayedDatagrams {
  index: number;
  conversation: Conversation;
  side: Side;
  /** Why it was not played; "" when it was. */
  problem: string;
  /** null: the program never came. */
  peer: DatagramPeer | null;
  replayNs: number;
  /** Other bytes than the captured ones are no failure. */
  isLoose: boolean;
}

export function judgeProgramDatagrams(played: PlayedDatagrams): ReplayOutcome {
  const { index, conversation, side, peer, problem } = played;
  const outcome = newOutcome(index, conversation, conversationName(conversation), side);
  outcome.replayNs = played.replayNs;
  if (problem !== "") return skipped(outcome, problem);
  const { problems, counts } = outcome;
  const steps = datagramSteps(conversation);
  const contents = (of: Side): Uint8Array[] =>
    steps[of].map(({ packet }) => datagramContent(conversation, packet));
  const own = contents(side);
  const wanted = contents(otherSide(side));
  const got = peer?.received ?? [];
  const sent = own.slice(0, peer?.sent ?? 0);
  counts.replayedPackets = got.length + sent.length;
  counts.differences = Math.abs(got.length - wanted.length);
  outcome.received = { ...outcome.received, expectedBytes: sum(own), bytes: sum(sent) };
  outcome.sent = { ...outcome.sent, expectedBytes: sum(wanted), bytes: sum(got) };
  if (peer === null) problems.push("the program never sent a datagram");
  else if (peer.isRefused && wanted.length > 0) problems.push("the program has no such port open");
  else if (played.isLoose) {
    if (wanted.length > 0 && got.length === 0) problems.push("the program said nothing");
  } else compare(wanted, got, problems);
  outcome.state = problems.length === 0 ? "passed" : "failed";
  const same = played.isLoose ? "" : " as captured";
  const praise = `the program was sent ${sent.length} datagrams and sent ${got.length}${same}`;
  outcome.verdict = problems.join("; ") || praise;
  return outcome;
}

function compare(wanted: readonly Uint8Array[], got: readonly Uint8Array[], problems: string[]) {
  for (let i = 0; i < Math.min(got.length, wanted.length); i++) {
    const [a, b] = [wanted[i], got[i]];
    let at = firstDifference(a, b);
    if (at < 0 && a.length !== b.length) at = Math.min(a.length, b.length);
    if (at < 0) continue;
    const parts = `captured ${shown(a, at)}, now ${shown(b, at)}`;
    problems.push(`byte ${at} of the program's datagram ${i + 1} differs: ${parts}`);
    break;
  }
  if (got.length !== wanted.length) {
    problems.push(`the program sent ${got.length} datagrams, captured were ${wanted.length}`);
  }
}

const sum = (datagrams: readonly Uint8Array[]): number =>
  datagrams.reduce((n, { length }) => n + length, 0);
