// Plays one side of a captured TCP connection against our stack, whose application does what the captured one at
// the other side did, and judges what came of it.

import { MS } from "../../base/clock.ts";
import { IPV4, newTcpInfo } from "../../netstack/index.ts";
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP } from "../drill/frame.ts";
import {
  CLIENT,
  type Conversation,
  conversationName,
  otherSide,
  SERVER,
  type Side,
} from "./conversation.ts";
import { align, countDifferences } from "./diff.ts";
import { IcmpPeer } from "./icmp-peer.ts";
import { newOutcome, type ReplayOptions, type ReplayOutcome, skipped } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { STACK_PATIENCE } from "./silence.ts";
import { BENCH_START_NS, StackBench } from "./stack-bench.ts";
import { type AppCall, TcpApp } from "./tcp-app.ts";
import { judgeTcp } from "./tcp-judge.ts";
import { TcpPeer } from "./tcp-peer.ts";
import { type TcpSegment, type TcpTrace, traceTcp } from "./tcp-trace.ts";
import { type WireSegment, wireSegment } from "./wire-segment.ts";

const V4_HEADERS = 40;
const V6_HEADERS = 60;
const DEFAULT_MTU = 1500;
const MTU_MIN = 68;
const MTU_MIN_V6 = 1280;
const MTU_MAX = 65_535;

export function replayTcp(
  conversation: Conversation,
  index: number,
  options: ReplayOptions = {},
): ReplayOutcome {
  const trace = traceTcp(conversation);
  const side = playedSide(trace, options.side ?? "auto");
  const outcome = newOutcome(index, conversation, conversationName(conversation), side);
  if (trace.problem !== "") return skipped(outcome, trace.problem);
  const played = playTcp(trace, side, options, outcome);
  const captured = trace.segments.map(wireSegment);
  const rows = align(captured, played.segments, side);
  outcome.counts.differences = countDifferences(rows, side);
  judgeTcp(trace, outcome, played);
  if (options.keep === true || outcome.state === "failed") {
    outcome.captured = captured;
    outcome.replayed = played.segments;
  }
  return outcome;
}

/** Whom to play: with both whole, the client. */
export function playedSide(trace: TcpTrace, wanted: "client" | "server" | "auto"): Side {
  if (wanted !== "auto") return wanted === "client" ? CLIENT : SERVER;
  const [client, server] = trace.sides;
  return client.stream.missingBytes > server.stream.missingBytes ? SERVER : CLIENT;
}

export interface PlayedTcp {
  peer: TcpPeer;
  app: TcpApp;
  segments: WireSegment[];
  /** Segments and the calls of the application, in order. */
  events: (WireSegment | AppCall)[];
  mtu: number;
}

export function playTcp(
  trace: TcpTrace,
  side: Side,
  options: ReplayOptions,
  outcome: ReplayOutcome,
): PlayedTcp {
  const { conversation } = trace;
  const other = otherSide(side);
  const segments: WireSegment[] = [];
  const events: (WireSegment | AppCall)[] = [];
  const mtu = mtuOf(trace, other);
  let hasEnded = false;
  const pace = new Pace(
    options.pace ?? "captured",
    BENCH_START_NS + MS,
    trace.segments[0].packet.timeNs,
  );
  const icmp = conversation.family === IPV4 ? PROTO_ICMP : PROTO_ICMPV6;
  const bench = new StackBench({
    family: conversation.family,
    mtu,
    isCard: options.isPlain === true,
    seed: options.seed ?? 1,
    pcap: options.pcap,
    onPacket: (packet, nowNs) => {
      if (packet.protocol !== PROTO_TCP) return;
      peer.receive(packet.bytes, nowNs);
      sample();
    },
  });
  options.configure?.(bench.stack);
  const path = {
    peerAddr: bench.remote,
    peerPort: conversation.stations[side].port,
    otherAddr: bench.local,
    otherPort: conversation.stations[other].port,
  };
  const mss = segmentBytesOf(trace, side);
  const peer = new TcpPeer({
    trace,
    side,
    path,
    pace,
    patience: STACK_PATIENCE,
    record: (segment) => {
      // What our own tidying up sends is no part of it.
      if (hasEnded) return;
      segments.push(segment);
      if (options.isPlain === true) events.push(segment);
    },
    withoutTimestamps: options.isPlain === true,
    send: (tcp, like) => {
      const head = headOf(like, PROTO_TCP);
      const data = tcp.length - (tcp[12] >>> 4) * 4;
      bench.inject(head, tcp, like?.packet.cuts ?? null, data > mss ? mss : 0);
      sample();
    },
  });
  const app = new TcpApp({
    trace,
    side: other,
    pace,
    stack: bench.stack,
    local: bench.local,
    localPort: path.otherPort,
    remote: bench.remote,
    remotePort: path.peerPort,
    onCall: options.isPlain === true ? (call) => events.push(call) : undefined,
  });
  const info = newTcpInfo();
  const sample = (): void => {
    const { endpoint } = app;
    if (options.samples !== true || endpoint === null || outcome.samples.length > 100_000) return;
    endpoint.info(info);
    outcome.samples.push({
      timeNs: bench.nowNs,
      cwndBytes: info.sndCwnd * info.sndMss,
      ssthreshBytes: info.sndSsthresh * info.sndMss,
      rttUs: info.rttUs,
      inFlightBytes: endpoint.unackedBytes - endpoint.unsentBytes,
    });
  };
  const errors = new IcmpPeer(trace, side, path, pace, peer, (body, like) =>
    bench.inject(headOf(like, icmp), body, null, 0),
  );
  const isOver = (): boolean =>
    peer.isStuck ||
    (peer.isDone && app.isDone && ((peer.isQuiet && app.isDrained) || peer.hasReset));
  bench.run([peer, errors, app], isOver);
  hasEnded = true;
  outcome.replayNs = bench.nowNs - BENCH_START_NS;
  app.close();
  bench.stack.close();
  return { peer, app, segments, events: withoutIdleCalls(events), mtu };
}

function headOf(
  like: { packet: { tos: number; ttl: number } } | TcpSegment | null,
  protocol: number,
) {
  const tos = like?.packet.tos ?? 0;
  const ttl = Math.max(1, like?.packet.ttl ?? 64);
  return { tos, ttl, flowLabel: 0, protocol };
}

/** Calls that changed nothing: a write that finds no room leaves its mark once (SOCK_NOSPACE), and the buffer grows. */
function withoutIdleCalls(events: readonly (WireSegment | AppCall)[]): (WireSegment | AppCall)[] {
  let hadRoom = true;
  return events.filter((event) => {
    if (!("kind" in event)) return true;
    if (event.kind === "read") return event.bytes > 0;
    if (event.kind !== "write") return true;
    const isKept = event.bytes > 0 || hadRoom;
    hadRoom = event.bytes === event.wantedBytes;
    return isKept;
  });
}

/** What our side's MSS option said that it can take; jumbo frames and loopbacks included. */
function mtuOf(trace: TcpTrace, side: Side): number {
  const isV4 = trace.conversation.family === IPV4;
  const mss = trace.sides[side].syn?.options.mss ?? null;
  if (mss === null) return DEFAULT_MTU;
  const mtu = mss + (isV4 ? V4_HEADERS : V6_HEADERS);
  return Math.min(MTU_MAX, Math.max(isV4 ? MTU_MIN : MTU_MIN_V6, mtu));
}

/** What a side's data was cut into on the wire; larger captured ones were merged or not yet cut. */
function segmentBytesOf(trace: TcpTrace, side: Side): number {
  const own = trace.sides[side].syn?.options.mss ?? 1460;
  const other = trace.sides[otherSide(side)].syn?.options.mss ?? 1460;
  return Math.max(1, Math.min(own, other)) - (trace.sides[side].usesTimestamps ? 12 : 0);
}
