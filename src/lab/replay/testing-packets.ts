// Vocabulary of replay's tests: captures made packet by packet, between one client and one server. Not whole
// connections of two stacks: see testing.ts.

import { setU16, u16 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { CapturedFrame } from "../../link/index.ts";
import { IpAddr } from "../../netstack/index.ts";
import {
  ETHERNET_BYTES,
  type IpHead,
  icmpBytes,
  ipFrame,
  PROTO_ICMP,
  PROTO_TCP,
  PROTO_UDP,
  setTcpSum,
  tcpBytes,
  udpBytes,
} from "../drill/frame.ts";
import { CLIENT, type Conversation, type Side } from "./conversation.ts";
import { EXTRACT_LIMITS, Extractor } from "./extract.ts";

const LINKTYPE_ETHERNET = 1;
const CLIENT_ADDR = IpAddr.v4(10, 0, 0, 1);
const SERVER_ADDR = IpAddr.v4(10, 0, 0, 2);
export const CLIENT_PORT = 40_000;
export const SERVER_PORT = 80;
const ECHO_ID = 77;
const IPV4_HEADER = 20;

export const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

function head(from: Side, protocol: number): IpHead {
  const isClient = from === CLIENT;
  const [src, dst] = isClient ? [CLIENT_ADDR, SERVER_ADDR] : [SERVER_ADDR, CLIENT_ADDR];
  return { src, dst, tos: 0, ttl: 64, flowLabel: 0, protocol };
}

const framed = (ip: IpHead, body: Uint8Array): Uint8Array =>
  ipFrame(new Uint8Array(6), new Uint8Array(6), ip, body);

export interface TcpFields {
  seq: number;
  ack?: number;
  flags: number;
  options?: Uint8Array;
  data?: Uint8Array;
  /** Of the client. */
  port?: number;
}

export function tcpFrame(from: Side, t: TcpFields): Uint8Array {
  const ip = head(from, PROTO_TCP);
  const ports = [t.port ?? CLIENT_PORT, SERVER_PORT];
  const [srcPort, dstPort] = from === CLIENT ? ports : ports.reverse();
  const { seq, ack = 0, flags, options = new Uint8Array(0), data = new Uint8Array(0) } = t;
  const tcp = { srcPort, dstPort, seq, ack, flags, window: 8192, urgent: 0, options };
  const bytes = tcpBytes(ip, tcp, data.length);
  bytes.set(data, bytes.length - data.length);
  setTcpSum(ip, bytes);
  return framed(ip, bytes);
}

/** The same frame with a TCP checksum that is wrong, and is not what a card was to fill in. */
export function damaged(tcp: Uint8Array): Uint8Array {
  const frame = tcp.slice();
  const at = ETHERNET_BYTES + IPV4_HEADER + 16;
  setU16(frame, at, u16(frame, at) ^ 0x5a5a);
  return frame;
}

/** Without a checksum (RFC 768). */
export function udpFrame(from: Side, data: Uint8Array, port = CLIENT_PORT): Uint8Array {
  const ip = head(from, PROTO_UDP);
  const [src, dst] = from === CLIENT ? [port, SERVER_PORT] : [SERVER_PORT, port];
  const bytes = udpBytes(ip, src, dst, data.length);
  bytes.set(data, bytes.length - data.length);
  setU16(bytes, 6, 0);
  return framed(ip, bytes);
}

export function echoFrame(from: Side, isReply: boolean, seq: number, data: Uint8Array): Uint8Array {
  const ip = head(from, PROTO_ICMP);
  return framed(ip, icmpBytes(ip, isReply ? 0 : 8, 0, (ECHO_ID << 16) | seq, data));
}

/** An echo by a machine to itself. */
export function loopedEchoFrame(isReply: boolean, seq: number, data: Uint8Array): Uint8Array {
  const ip = { ...head(CLIENT, PROTO_ICMP), dst: CLIENT_ADDR };
  return framed(ip, icmpBytes(ip, isReply ? 0 : 8, 0, (ECHO_ID << 16) | seq, data));
}

/** "Port unreachable", about a frame of the other side. */
export function unreachableFrame(from: Side, about: Uint8Array): Uint8Array {
  const ip = head(from, PROTO_ICMP);
  return framed(ip, icmpBytes(ip, 3, 3, 0, about.subarray(ETHERNET_BYTES)));
}

/** The frame as a capture of so many bytes each has it. */
export interface CutFrame {
  bytes: Uint8Array;
  capturedBytes: number;
}

export function extracted(
  frames: readonly (Uint8Array | CutFrame)[],
  limits = EXTRACT_LIMITS,
  apartNs = MS,
): { conversations: Conversation[]; extractor: Extractor } {
  const conversations: Conversation[] = [];
  const extractor = new Extractor((conversation) => conversations.push(conversation), limits);
  for (const [i, frame] of frames.entries()) {
    const captured = new CapturedFrame();
    captured.bytes = frame instanceof Uint8Array ? frame : frame.bytes;
    captured.originalLength = captured.bytes.length;
    captured.length = frame instanceof Uint8Array ? frame.length : frame.capturedBytes;
    captured.seconds = Math.floor((i * apartNs) / SECOND);
    captured.nanoseconds = (i * apartNs) % SECOND;
    captured.linkType = LINKTYPE_ETHERNET;
    extractor.add(captured);
  }
  extractor.finish();
  return { conversations, extractor };
}

export const numbersOf = ({ packets }: Conversation): number[] =>
  packets.map(({ number }) => number);
export const sidesOf = ({ packets }: Conversation): Side[] => packets.map(({ from }) => from);
