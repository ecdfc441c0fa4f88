// The segments that are played of one side: the captured ones, and what stands for those that the capture lost, and
// for data in a SYN. Not when they go: tcp-peer.ts.

import { ACK, FIN, PSH, RST, SYN, URG } from "../drill/frame.ts";
import type { Side } from "./conversation.ts";
import type { TcpSegment, TcpTrace } from "./tcp-trace.ts";

interface Gap {
  from: number;
  to: number;
}

/** Pieces of what the capture lost, where its other segments do not say how long they are. */
const PIECE_BYTES = 1400;

export function playedFrames(trace: TcpTrace, side: Side): TcpSegment[] {
  const own = trace.segments.filter((segment) => segment.from === side);
  return withSynData(withLost(trace, side, own));
}

/** Stretches of the stream that no captured segment covers, as long or as short as it was kept. */
function gapsOf(frames: readonly TcpSegment[], end: number): Gap[] {
  const data = frames.filter(({ length }) => length > 0);
  const ranges = data.map(({ at, length, flags }) => {
    const from = (flags & SYN) !== 0 ? 0 : at;
    return { from, to: from + length };
  });
  ranges.sort((a, b) => a.from - b.from);
  const gaps: Gap[] = [];
  let at = 0;
  for (const { from, to } of ranges) {
    if (from > at) gaps.push({ from: at, to: from });
    at = Math.max(at, to);
  }
  if (end > at) gaps.push({ from: at, to: end });
  return gaps;
}

/** Zeros for the gaps, each before the first segment that shows that it had been sent. */
function withLost(trace: TcpTrace, side: Side, frames: TcpSegment[]): TcpSegment[] {
  const own = trace.sides[side];
  const gaps = gapsOf(frames, own.stream.length);
  if (gaps.length === 0 || frames.length === 0) return frames;
  const size = own.segmentBytesMax > 0 ? Math.min(own.segmentBytesMax, PIECE_BYTES) : PIECE_BYTES;
  const out = frames.slice();
  for (const gap of gaps) {
    const shown = trace.segments.find((segment) =>
      segment.from === side ? segment.at >= gap.to : segment.ack > gap.from,
    );
    const number = shown?.packet.number ?? Number.POSITIVE_INFINITY;
    let place = out.findIndex(({ packet }) => packet.number >= number);
    if (place < 0) place = out.length;
    const like = out.slice(0, place).findLast(isOrdinary) ?? out.find(isOrdinary);
    if (like === undefined) continue;
    const timeNs = shown?.packet.timeNs ?? like.packet.timeNs;
    const pieces: TcpSegment[] = [];
    for (let at = gap.from; at < gap.to; at += size) {
      pieces.push(zeros(like, at, Math.min(size, gap.to - at), timeNs));
    }
    out.splice(place, 0, ...pieces);
  }
  return out;
}

const isOrdinary = ({ flags }: TcpSegment): boolean => (flags & (SYN | RST | ACK)) === ACK;

/** A segment with the header of another one. */
function zeros(like: TcpSegment, at: number, length: number, timeNs: number): TcpSegment {
  const bytes = new Uint8Array(like.headerBytes + length);
  bytes.set(like.packet.bytes.subarray(0, like.headerBytes));
  const flags = (like.flags & ~(FIN | URG)) | PSH;
  bytes[13] = flags & 0xff;
  const packet = { ...like.packet, bytes, length: bytes.length, cuts: null, timeNs, number: 0 };
  return { ...like, packet, flags, at, length, isBeyondWindow: false, isRepeat: false };
}

/** In two, at `length` bytes; what ends the segment (PSH, FIN) is with the second. */
export function cutSegment(frame: TcpSegment, length: number): [TcpSegment, TcpSegment] {
  const { packet, headerBytes } = frame;
  const head = packet.bytes.subarray(0, headerBytes);
  const part = (from: number, to: number, flags: number): TcpSegment => {
    const bytes = new Uint8Array(headerBytes + to - from);
    bytes.set(head);
    bytes.set(packet.bytes.subarray(headerBytes + from, headerBytes + to), headerBytes);
    bytes[13] = flags & 0xff;
    return {
      ...frame,
      packet: { ...packet, bytes, length: bytes.length, cuts: null },
      flags,
      at: frame.at + from,
      length: to - from,
    };
  };
  return [part(0, length, frame.flags & ~(PSH | FIN)), part(length, frame.length, frame.flags)];
}

/** Data in a SYN become a segment of their own behind the handshake. */
function withSynData(frames: TcpSegment[]): TcpSegment[] {
  const syn = frames.find((frame) => (frame.flags & SYN) !== 0 && frame.length > 0);
  if (syn === undefined) return frames;
  const after = frames.findIndex((frame) => (frame.flags & (SYN | ACK)) === ACK);
  if (after < 0) return frames;
  const carrier = frames[after];
  const { packet, headerBytes } = carrier;
  const bytes = new Uint8Array(headerBytes + syn.length);
  bytes.set(packet.bytes.subarray(0, headerBytes));
  bytes.set(syn.packet.bytes.subarray(syn.headerBytes, syn.headerBytes + syn.length), headerBytes);
  bytes[13] = ACK | PSH;
  const data: TcpSegment = {
    ...carrier,
    packet: { ...packet, bytes, length: bytes.length },
    flags: ACK | PSH,
    at: 0,
    length: syn.length,
    isRepeat: false,
  };
  frames.splice(after, carrier.length > 0 ? 0 : 1, data);
  return frames;
}
