// A captured TCP connection as it can be played again: both streams, every segment with its numbers counted from
// the beginning of its side's stream, and what the handshake agreed. Says why when it cannot be played.

import { u16, u32 } from "../../base/bytes.ts";
import { ACK, FIN, PROTO_TCP, RST, SYN, URG } from "../drill/frame.ts";
import {
  type CapturedPacket,
  CLIENT,
  type Conversation,
  otherSide,
  SERVER,
  type Side,
} from "./conversation.ts";
import { Stream } from "./stream.ts";
import { readTcpOptions, type TcpOptions } from "./tcp-options.ts";

export interface TcpSegment {
  packet: CapturedPacket;
  from: Side;
  flags: number;
  /** Of the first byte, counted from the stream's; a SYN is at -1. */
  at: number;
  /** Bytes of the stream, as on the wire. */
  length: number;
  headerBytes: number;
  /** The other side's stream up to here has come; -1 without the flag. A FIN counts as one byte. */
  ack: number;
  /** All that the other side had sent by then, as far as the capture shows. */
  acksAll: boolean;
  window: number;
  options: TcpOptions;
  /** Beyond the highest right edge that the other side had offered until then. */
  isBeyondWindow: boolean;
  /** Nothing of it was new. */
  isRepeat: boolean;
}

export interface TcpSideTrace {
  /** Of the SYN, on the wire. */
  isn: number;
  hasSyn: boolean;
  syn: TcpSegment | null;
  stream: Stream;
  /** Where in the stream the FIN stands; -1: none. */
  fin: number;
  hasReset: boolean;
  repeats: number;
  segmentBytesMax: number;
  usesTimestamps: boolean;
  usesSack: boolean;
  /** The highest byte that this side ever offered to take; -1: the capture does not say. */
  rightEdge: number;
}

export interface TcpTrace {
  conversation: Conversation;
  sides: [TcpSideTrace, TcpSideTrace];
  /** TCP segments that arrived whole, in order; ICMP errors are in `conversation.packets` only. */
  segments: TcpSegment[];
  /** Frames whose checksum says that no receiver took them. */
  damaged: number;
  /** The capture has both SYNs. */
  hasHandshake: boolean;
  /** Why it cannot be played; "" when it can. */
  problem: string;
}

/** Numbers further away than this from where the stream is are no part of it. */
const STRAY_BYTES = 0x4000_0000;

export function traceTcp(conversation: Conversation): TcpTrace {
  const trace: TcpTrace = {
    conversation,
    sides: [newSide(), newSide()],
    segments: [],
    damaged: 0,
    hasHandshake: false,
    problem: "",
  };
  const packets = intactPackets(trace);
  if (packets.length === 0) return { ...trace, problem: "no TCP segment arrived whole" };
  findStarts(trace, packets);
  for (const packet of packets) addSegment(trace, packet);
  for (const side of trace.sides) {
    // A keep-alive asks with a byte of where the FIN stood (RFC 9293 3.8.4).
    if (side.fin >= 0 && side.stream.length === side.fin + 1) side.stream.cut(side.fin);
    side.stream.finish();
  }
  const [client, server] = trace.sides;
  trace.hasHandshake = client.hasSyn && server.hasSyn;
  trace.problem = problemOf(trace);
  return trace;
}

function newSide(): TcpSideTrace {
  return {
    isn: 0,
    hasSyn: false,
    syn: null,
    stream: new Stream(),
    fin: -1,
    hasReset: false,
    repeats: 0,
    segmentBytesMax: 0,
    usesTimestamps: false,
    usesSack: false,
    rightEdge: -1,
  };
}

/** Where most of a side's checksums are wrong its card fills them in; where few are, those packets were hurt. */
function intactPackets(trace: TcpTrace): CapturedPacket[] {
  const tcp = trace.conversation.packets.filter(({ protocol }) => protocol === PROTO_TCP);
  const hurt = [0, 0];
  const all = [0, 0];
  for (const packet of tcp) {
    all[packet.from]++;
    if (packet.isDamaged) hurt[packet.from]++;
  }
  for (const packet of tcp) {
    if (hurt[packet.from] * 2 >= all[packet.from]) packet.isDamaged = false;
  }
  const intact = tcp.filter((packet) => !packet.isDamaged && headerFits(packet));
  trace.damaged = tcp.length - intact.length;
  return intact;
}

function headerFits({ bytes, length }: CapturedPacket): boolean {
  const header = (bytes[12] >>> 4) * 4;
  return header >= 20 && header <= bytes.length && header <= length;
}

const dataBytes = ({ bytes, length }: CapturedPacket): number => length - (bytes[12] >>> 4) * 4;

/** Initial sequence numbers: of the SYN, else such that nothing that was captured comes before the stream. */
function findStarts(trace: TcpTrace, packets: readonly CapturedPacket[]): void {
  const first: (number | null)[] = [null, null];
  const lower = (side: Side, seq: number): void => {
    const known = first[side];
    if (known === null || ((seq - known) | 0) < 0) first[side] = seq;
  };
  for (const { bytes, from } of packets) {
    const flags = bytes[13];
    if ((flags & SYN) === 0) continue;
    const side = trace.sides[from];
    // The last SYN before an answer counts; the same one again changes nothing.
    if (!side.hasSyn || (flags & ACK) === 0) side.isn = u32(bytes, 4);
    side.hasSyn = true;
  }
  for (const packet of packets) {
    const { bytes, from } = packet;
    const flags = bytes[13];
    if ((flags & (SYN | RST)) !== 0) continue;
    if (dataBytes(packet) > 0 || (flags & FIN) !== 0 || first[from] === null)
      lower(from, u32(bytes, 4));
    if ((flags & ACK) !== 0) lower(otherSide(from), u32(bytes, 8));
  }
  for (const from of [CLIENT, SERVER] as const) {
    const side = trace.sides[from];
    if (!side.hasSyn) side.isn = ((first[from] ?? 0) - 1) >>> 0;
  }
}

/** Counted from the stream's first byte; NaN when it is nowhere near. */
function place(side: TcpSideTrace, seq: number): number {
  const near = side.stream.length;
  const distance = (seq - (side.isn + 1 + near)) | 0;
  if (distance > STRAY_BYTES || distance < -STRAY_BYTES) return Number.NaN;
  return near + distance;
}

function addSegment(trace: TcpTrace, packet: CapturedPacket): void {
  const { bytes, from } = packet;
  const own = trace.sides[from];
  const other = trace.sides[otherSide(from)];
  const flags = bytes[13] | ((bytes[12] & 1) << 8);
  const headerBytes = (bytes[12] >>> 4) * 4;
  const isSyn = (flags & SYN) !== 0;
  const length = dataBytes(packet);
  const seq = u32(bytes, 4);
  const at = isSyn ? (seq === own.isn ? -1 : Number.NaN) : place(own, seq);
  const ack = (flags & ACK) === 0 ? -1 : place(other, u32(bytes, 8));
  const isReset = (flags & RST) !== 0;
  // Neither here nor there: other incarnations, blind attacks.
  if (Number.isNaN(at) || (Number.isNaN(ack) && !isReset)) return;
  const options = readTcpOptions(bytes, headerBytes);
  const data = isReset ? 0 : length;
  const begin = isSyn ? 0 : at;
  const end = begin + data;
  const segment: TcpSegment = {
    packet,
    from,
    flags,
    at,
    length: data,
    headerBytes,
    ack: Number.isNaN(ack) ? -1 : ack,
    acksAll: ack >= Math.max(other.fin >= 0 ? other.fin + 1 : 0, other.stream.length),
    window: u16(bytes, 14),
    options,
    isBeyondWindow: other.rightEdge >= 0 && end > other.rightEdge,
    isRepeat: data > 0 && end <= own.stream.length,
  };
  trace.segments.push(segment);
  if (isSyn) own.syn ??= segment;
  if (isReset) own.hasReset = true;
  if (data > 0) addData(own, segment, begin);
  if ((flags & FIN) !== 0 && !isReset) {
    own.stream.extend(end);
    if (own.fin < 0) own.fin = end;
  }
  if (segment.ack > 0)
    other.stream.extend(other.fin >= 0 ? other.fin : lessFin(other, segment.ack));
  if (options.tsVal !== null && !isSyn) own.usesTimestamps = true;
  if (options.sacks.length > 0) own.usesSack = true;
  noteEdge(trace, own, segment);
}

/** An acknowledgment may count a FIN that the capture lost: by one it does not lengthen the stream. */
const lessFin = (side: TcpSideTrace, ack: number): number =>
  ack === side.stream.length + 1 ? side.stream.length : ack;

function addData(own: TcpSideTrace, segment: TcpSegment, begin: number): void {
  const { packet, headerBytes, length } = segment;
  const known = Math.min(length, packet.bytes.length - headerBytes);
  if (segment.isRepeat) own.repeats++;
  own.segmentBytesMax = Math.max(own.segmentBytesMax, length);
  // Keep-alives repeat the byte before; a capture from the middle may have bytes before its beginning.
  const skip = Math.max(0, -begin);
  if (skip >= length) return;
  const held = Math.max(0, known - skip);
  own.stream.add(begin + skip, packet.bytes, headerBytes + skip, held, length - skip);
}

/** A window that is offered is offered for good (RFC 9293 3.8.6). */
function noteEdge(trace: TcpTrace, own: TcpSideTrace, segment: TcpSegment): void {
  if (segment.ack < 0 || (segment.flags & (SYN | RST)) !== 0) return;
  const shift = windowShift(trace, segment.from);
  if (shift < 0) return;
  own.rightEdge = Math.max(own.rightEdge, segment.ack + segment.window * 2 ** shift);
}

/** By how much a side's windows are shifted; -1: the capture does not say. */
export function windowShift(trace: TcpTrace, side: Side): number {
  const [client, server] = trace.sides;
  if (client.syn === null || server.syn === null) return -1;
  const [a, b] = [client.syn.options.wscale, server.syn.options.wscale];
  if (a === null || b === null) return 0;
  return Math.min(14, side === CLIENT ? a : b);
}

function problemOf(trace: TcpTrace): string {
  const [client, server] = trace.sides;
  for (const { stream } of trace.sides) {
    if (stream.isAbsurd) return "its sequence numbers leap so far that the capture holds no stream";
  }
  if (trace.sides.some(({ fin, stream }) => fin >= 0 && stream.length > fin)) {
    return "it speaks on after its end";
  }
  const isSigned = trace.segments.some(({ options }) => options.isSigned);
  if (isSigned)
    return "its segments are signed (TCP-MD5 or TCP-AO), and the key is not in the capture";
  const hasServer = trace.segments.some(({ from }) => from === SERVER);
  const hasClient = trace.segments.some(({ from }) => from === CLIENT);
  if (!hasServer) {
    if (client.hasSyn && client.stream.length === 0) return "nobody answers in the capture";
    return "the capture has only the client's segments";
  }
  if (!hasClient) return "the capture has only the server's segments";
  if (client.stream.length + server.stream.length === 0 && !client.hasSyn) {
    return "it has neither a beginning nor data";
  }
  return "";
}

/** The client's SYN was answered by a RST. */
export const isRefused = (trace: TcpTrace): boolean =>
  trace.sides[CLIENT].hasSyn && !trace.sides[SERVER].hasSyn && trace.sides[SERVER].hasReset;

export const isUrgent = (segment: TcpSegment): boolean => (segment.flags & URG) !== 0;
