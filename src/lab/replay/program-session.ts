// One captured conversation that is played against a program: what is known of it before it begins and while it runs.

import { CLIENT, type Conversation, SERVER, type Side } from "./conversation.ts";
import type { DatagramPeer } from "./datagram-peer.ts";
import { datagramProblem } from "./datagrams.ts";
import type { IpPacket } from "./ip-packet.ts";
import { TcpPeer } from "./tcp-peer.ts";
import { type TcpTrace, traceTcp } from "./tcp-trace.ts";
import type { WireSegment } from "./wire-segment.ts";

export const DNS_PORT = 53;

export interface Session {
  index: number;
  conversation: Conversation;
  /** Of TCP; null: datagrams. */
  trace: TcpTrace | null;
  /** Why it is not played; "" when it is. */
  problem: string;
  peer: TcpPeer | DatagramPeer | null;
  segments: WireSegment[];
  beginNs: number;
  lastNs: number;
  /** When to try again: nobody listened yet. */
  retryNs: number;
  isOver: boolean;
}

export function newSession(
  conversation: Conversation,
  index: number,
  side: Side,
  isLoose: boolean,
): Session {
  const trace = conversation.kind === "tcp" ? traceTcp(conversation) : null;
  const problem =
    trace === null
      ? datagramsProblem(conversation, side)
      : trace.problem || (isLoose ? "" : secretProblem(trace));
  const times = { beginNs: 0, lastNs: 0, retryNs: Number.POSITIVE_INFINITY };
  const isOver = problem !== "";
  return { index, conversation, trace, problem, peer: null, segments: [], ...times, isOver };
}

function datagramsProblem(conversation: Conversation, side: Side): string {
  const isDns = conversation.stations[SERVER].port === DNS_PORT;
  if (side === SERVER && isDns) return "a program's questions for names are answered by netcell";
  return datagramProblem(conversation);
}

/** Nobody listens yet, where the captured one did. */
export function isUnheard({ peer, trace }: Session): boolean {
  if (peer instanceof TcpPeer) {
    return peer.hasReset && peer.otherIsn === null && trace?.sides[SERVER].hasReset === false;
  }
  return peer?.isRefused === true;
}

/** RFC 792, RFC 4443 3.1. */
export const isPortUnreachable = ({ protocol, bytes }: IpPacket): boolean =>
  (protocol === 1 && bytes[0] === 3 && bytes[1] === 3) ||
  (protocol === 58 && bytes[0] === 1 && bytes[1] === 4);

/** RFC 8446 5.1: a handshake record of any TLS. */
const TLS_HANDSHAKE = [0x16, 0x03];
/** RFC 4253 4.2. */
const SSH = [..."SSH-"].map((c) => c.charCodeAt(0));

/** Both sides make up secrets: a program that does as it should says something else each time. */
function secretProblem(trace: TcpTrace): string {
  const { bytes } = trace.sides[CLIENT].stream;
  const begins = (with_: readonly number[]): boolean => with_.every((byte, i) => bytes[i] === byte);
  const what = begins(TLS_HANDSHAKE) ? "TLS" : begins(SSH) ? "SSH" : "";
  if (what === "") return "";
  return `it is ${what}, whose keys are new each time: no program can say the captured bytes again (--loose plays it all the same)`;
}
