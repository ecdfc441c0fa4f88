// The door of the lab: experiments on the stack in virtual time.

export * as arbitraries from "./arbitraries/index.ts";
export type { DecodedLayer } from "./decode/dissection.ts";
export { type DecodeOptions, FrameDecoder } from "./decode/frame-decoder.ts";
export type { PrintedText } from "./decode/printed-text.ts";
export {
  type DrillFamily,
  type DrillOptions,
  type DrillOutcome,
  runScript,
} from "./drill/drill.ts";
export { PROGRAM_NETWORK, PROGRAM_NETWORK6 } from "./program-network.ts";
export { type Conversation, conversationName } from "./replay/conversation.ts";
export { cutCapture } from "./replay/cut-capture.ts";
export { align, type DiffRow, diffText } from "./replay/diff.ts";
export { type ExtractCounts, type ExtractLimits, Extractor } from "./replay/extract.ts";
export type { ReplayOptions, ReplayOutcome } from "./replay/outcome.ts";
export { type PacketScript, packetScript } from "./replay/packet-script.ts";
export { ProgramPeer, type ProgramPeerConfig } from "./replay/program-peer.ts";
export { type CaptureReplay, replayCapture, replayConversation } from "./replay/replay.ts";
export { reportPage } from "./replay/report.ts";
export { type TcpTrace, traceTcp } from "./replay/tcp-trace.ts";
export { segmentText, type WireSegment } from "./replay/wire-segment.ts";
export { Cable, type CableConfig, CableEnd, type Flaps } from "./sim/cable.ts";
export { newTcp, openConnection, type TransferConfig } from "./sim/conversation.ts";
export { jainIndex } from "./sim/fairness.ts";
export {
  type Aimed,
  after,
  corrupt,
  delay,
  drop,
  duplicate,
  type Fault,
  pathMtu,
  swap,
} from "./sim/faults.ts";
export { FaultyWay } from "./sim/faulty-way.ts";
export { PacketView } from "./sim/packet-view.ts";
export {
  anyPacket,
  arp,
  both,
  either,
  fragment,
  from,
  icmp,
  ipv4,
  ipv6,
  longerThan,
  not,
  type PacketPredicate,
  tcp,
  tcpFlags,
  to,
  udp,
} from "./sim/predicates.ts";
export { Recording } from "./sim/recording.ts";
export { StreamSink, StreamSource } from "./sim/streams.ts";
export { type JoinConfig, type PlugConfig, World, type WorldConfig } from "./sim/world.ts";
