// The segments that are played of one side: the captured ones, and what stands for those that the capture lost, and
// for data in a SYN. Not when they go: tcp-peer.ts.

import { setU16 } from "../../base/bytes.ts";
import { ACK, FIN, PSH, RST, SYN, URG } from "../drill/frame.ts";
import type { Side } from "./conversation.ts";
import {
  eachTcpOption,
  OPTION_FAST_OPEN,
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK_PERMITTED,
  OPTION_WSCALE,
} from "./tcp-options.ts";
import { type TcpSegment, type TcpTrace, windowShift } from "./tcp-trace.ts";

interface Gap {
  from: number;
  to: number;
}

/** Pieces of what the capture lost, where its other segments do not say how long they are. */
const PIECE_BYTES = 1400;
/** Options that only a SYN has. */
const OF_A_SYN = new Set([OPTION_MSS, OPTION_WSCALE, OPTION_SACK_PERMITTED, OPTION_FAST_OPEN]);

export function playedFrames(trace: TcpTrace, side: Side): TcpSegment[] {
  const own = trace.segments.filter((segment) => segment.from === side);
  return withSynData(trace, side, withLost(trace, side, own));
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
    // As far as it was captured.
    const data = packet.bytes.subarray(headerBytes + from, headerBytes + to);
    const bytes = new Uint8Array(headerBytes + data.length);
    bytes.set(head);
    bytes.set(data, headerBytes);
    bytes[13] = flags & 0xff;
    return {
      ...frame,
      packet: { ...packet, bytes, length: headerBytes + to - from, cuts: null },
      flags,
      at: frame.at + from,
      length: to - from,
    };
  };
  return [part(0, length, frame.flags & ~(PSH | FIN)), part(length, frame.length, frame.flags)];
}

/** Data in a SYN become a segment of their own, right behind the last SYN: they go when the other end has answered. */
function withSynData(trace: TcpTrace, side: Side, frames: TcpSegment[]): TcpSegment[] {
  const syn = frames.find((frame) => (frame.flags & SYN) !== 0 && frame.length > 0);
  if (syn === undefined) return frames;
  const { packet, headerBytes, length } = syn;
  const bytes = new Uint8Array(headerBytes + length);
  bytes.set(packet.bytes.subarray(0, bytes.length));
  bytes[13] = ACK | PSH;
  eachTcpOption(bytes, headerBytes, (kind, at, size) => {
    if (OF_A_SYN.has(kind)) bytes.fill(OPTION_NOP, at, at + size);
  });
  // The window of a SYN is never shifted (RFC 7323 2.2); that of any other segment is.
  const window = syn.window >>> Math.max(0, windowShift(trace, side));
  setU16(bytes, 14, window);
  const last = frames.findLastIndex((frame) => (frame.flags & SYN) !== 0);
  const { timeNs } = frames[last].packet;
  frames.splice(last + 1, 0, {
    ...syn,
    packet: { ...packet, bytes, length: bytes.length, cuts: null, timeNs, number: 0 },
    flags: ACK | PSH,
    at: 0,
    // A first SYN acknowledges nothing: what answers it is acknowledged here.
    ack: Math.max(0, syn.ack),
    window,
    options: { ...syn.options, mss: null, wscale: null, sackPermitted: false },
  });
  return frames;
}
