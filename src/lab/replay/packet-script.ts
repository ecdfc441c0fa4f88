// A captured conversation as a packet script: what the played peer sent, what the application called, what our
// stack answered, in the language that `netcell drill` runs. Made from a replay without timestamps, whose values a
// script would have to know before; payloads are zeros, as everywhere in that language.

import { runScript } from "../drill/drill.ts";
import { SYN, URG } from "../drill/frame.ts";
import { CLIENT, type Conversation, conversationName } from "./conversation.ts";
import { newOutcome, type ReplayOptions } from "./outcome.ts";
import { playedSide, playTcp } from "./replay-tcp.ts";
import { BENCH_START_NS } from "./stack-bench.ts";
import type { AppCall } from "./tcp-app.ts";
import { isRefused, traceTcp } from "./tcp-trace.ts";
import { flagText, segmentText, type WireSegment } from "./wire-segment.ts";

export interface PacketScript {
  text: string;
  /** Why there is none; "" when there is. */
  problem: string;
}

const NO_ROOM = "-1 EAGAIN (Resource temporarily unavailable)";
/** Longer ones nobody reads. */
const SEGMENTS_MAX = 4000;

export function packetScript(conversation: Conversation, options: ReplayOptions): PacketScript {
  const none = (problem: string): PacketScript => ({ text: "", problem });
  const trace = traceTcp(conversation);
  if (trace.problem !== "") return none(trace.problem);
  if (trace.segments.length > SEGMENTS_MAX) return none("it has too many segments to be read");
  if (trace.segments.some(({ flags }) => (flags & URG) !== 0)) return none("it has urgent data");
  if (conversation.packets.some(({ protocol }) => protocol !== 6))
    return none("it has ICMP errors");
  const side = playedSide(trace, options.side ?? "auto");
  const outcome = newOutcome(1, conversation, "", side);
  const played = playTcp(trace, side, { ...options, isPlain: true }, outcome);
  const isServer = side === CLIENT;
  const lines = [
    `// ${conversationName(conversation)}: ${isServer ? "the server" : "the client"} is the stack.`,
    ...(conversation.family === 6 ? ["--ip_version=ipv6"] : []),
    `--mtu=${played.mtu}`,
    ...(isServer ? opening(isRefused(trace)) : []),
  ];
  const fd = isServer ? 4 : 3;
  for (const event of played.events) {
    const isCall = "kind" in event;
    const at = ((event.timeNs - BENCH_START_NS) / 1e9).toFixed(6);
    const texts = isCall ? callTexts(event, fd) : [packetText(event, side)];
    for (const text of texts) lines.push(`${at} ${text}`);
  }
  const text = `${lines.join("\n")}\n`;
  const result = runScript(text, { family: conversation.family === 6 ? "ipv6" : "ipv4" });
  if (result.state === "passed") return { text, problem: "" };
  return none(`as a script it goes another way, at line ${result.line}: ${result.message}`);
}

function opening(refused: boolean): string[] {
  if (refused) return [];
  return [
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
    "+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
    "+0 setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0",
    "+0 bind(3, ..., ...) = 0",
    "+0 listen(3, 16) = 0",
  ];
}

function callTexts({ kind, bytes, wantedBytes }: AppCall, fd: number): string[] {
  switch (kind) {
    case "connect":
      return [
        "socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
        "fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
        "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0",
        "connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
      ];
    case "accept":
      return ["accept(3, ..., ...) = 4", "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0"];
    case "read":
      return [`read(${fd}, ..., ${bytes}) = ${bytes}`];
    case "write":
      return [`write(${fd}, ..., ${wantedBytes}) = ${bytes > 0 ? bytes : NO_ROOM}`];
    case "shutdown":
      return [`shutdown(${fd}, SHUT_WR) = 0`];
    case "close":
      return [`close(${fd}) = 0`];
    case "abort":
      return [
        `setsockopt(${fd}, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0`,
        `close(${fd}) = 0`,
      ];
  }
}

function packetText(s: WireSegment, side: number): string {
  if (s.from !== side) {
    const plain = segmentText({ ...s, sacks: [], mss: null, wscale: null, sackPermitted: false });
    const hasOptions = (s.flags & SYN) !== 0 || s.sacks.length > 0;
    return `> ${plain.replace(/ win \d+.*$/, "")}${hasOptions ? " <...>" : ""}`;
  }
  const options: string[] = [];
  if (s.mss !== null) options.push(`mss ${s.mss}`);
  if (s.sackPermitted) options.push("nop,nop,sackOK");
  if (s.wscale !== null) options.push(`nop,wscale ${s.wscale}`);
  const edges: string[] = [];
  for (let i = 0; i + 1 < s.sacks.length; i += 2) {
    edges.push(`${s.sacks[i] + 1}:${s.sacks[i + 1] + 1}`);
  }
  if (edges.length > 0) options.push(`nop,nop,sack ${edges.join(" ")}`);
  const seq = s.at + 1;
  const flags = flagText(s.flags).replace("none", "-");
  const ack = s.ack >= 0 ? ` ack ${s.ack + 1}` : "";
  const tail = options.length > 0 ? ` <${options.join(",")}>` : "";
  return `< ${flags} ${seq}:${seq + s.length}(${s.length})${ack} win ${s.window}${tail}`;
}
