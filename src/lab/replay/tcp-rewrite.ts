// The bytes of a captured segment as they are sent again: other ports and numbers, options that this connection
// has not agreed to made no-operations, what the capture cut off filled with zeros (or what another segment has for
// it), the checksum made new.

import { setU16, setU32, u32 } from "../../base/bytes.ts";
import { checksum, type IpAddr, pseudoSum } from "../../netstack/index.ts";
import { ACK, PROTO_TCP } from "../drill/frame.ts";
import {
  eachTcpOption,
  OPTION_FAST_OPEN,
  OPTION_NOP,
  OPTION_SACK,
  OPTION_SACK_PERMITTED,
  OPTION_TIMESTAMPS,
  OPTION_WSCALE,
} from "./tcp-options.ts";
import type { TcpSegment } from "./tcp-trace.ts";

/** Where a conversation is played: `peer` is who we play, `other` whom we talk to. */
export interface PlayedPath {
  peerAddr: IpAddr;
  peerPort: number;
  otherAddr: IpAddr;
  otherPort: number;
}

export interface Numbers {
  seq: number;
  ack: number;
  /** From captured numbers of the other side to live ones, for SACK blocks. */
  otherDelta: number;
  /** The timestamp to be echoed; null: as captured. */
  tsEcr: number | null;
  /** Kinds of options that were not agreed. */
  without: ReadonlySet<number>;
  clearFlags: number;
  /** Bytes of data; those of the segment, unless a SYN shall go without. */
  length: number;
  /** What the capture has of the played side's stream: some of what it cut off may be there from another segment. */
  stream: Uint8Array;
}

const NO_KINDS: ReadonlySet<number> = new Set([OPTION_FAST_OPEN]);

/** Options of a SYN that the captured answer did not take up. */
export function notAgreed(syn: TcpSegment | null, answer: TcpSegment | null): ReadonlySet<number> {
  if (syn === null || answer === null) return NO_KINDS;
  const kinds = new Set(NO_KINDS);
  if (answer.options.wscale === null) kinds.add(OPTION_WSCALE);
  if (!answer.options.sackPermitted) kinds.add(OPTION_SACK_PERMITTED);
  if (answer.options.tsVal === null) kinds.add(OPTION_TIMESTAMPS);
  return kinds;
}

/** Segments are sent at once and then done with: they share these bytes. */
let scratch = new Uint8Array(128 * 1024);

function room(length: number): Uint8Array {
  if (scratch.length < length) scratch = new Uint8Array(2 * length);
  return scratch.subarray(0, length);
}

/** From the transport's header on; valid until the next one is made. */
export function rewritten(segment: TcpSegment, path: PlayedPath, n: Numbers): Uint8Array {
  const { packet, headerBytes } = segment;
  const out = room(headerBytes + n.length);
  const held = Math.min(packet.bytes.length, out.length);
  out.set(held === packet.bytes.length ? packet.bytes : packet.bytes.subarray(0, held));
  out.fill(0, held);
  const at = segment.at + held - headerBytes;
  if (held < out.length && at >= 0) out.set(n.stream.subarray(at, at + out.length - held), held);
  setU16(out, 0, path.peerPort);
  setU16(out, 2, path.otherPort);
  setU32(out, 4, n.seq);
  if ((segment.flags & ACK) !== 0) setU32(out, 8, n.ack);
  out[13] &= ~n.clearFlags;
  eachTcpOption(out, headerBytes, (kind, at, length) => {
    if (n.without.has(kind)) {
      out.fill(OPTION_NOP, at, at + length);
    } else if (kind === OPTION_TIMESTAMPS && length === 10 && n.tsEcr !== null) {
      setU32(out, at + 6, n.tsEcr);
    } else if (kind === OPTION_SACK) {
      for (let o = at + 2; o + 4 <= at + length; o += 4) setU32(out, o, u32(out, o) + n.otherDelta);
    }
  });
  return summed(out, path);
}

export interface MadeSegment {
  seq: number;
  ack: number;
  flags: number;
  window: number;
  /** Option bytes, a multiple of four. */
  options: Uint8Array;
  data: Uint8Array;
}

/** A segment that the capture does not have. */
export function made(path: PlayedPath, s: MadeSegment): Uint8Array {
  const headerBytes = 20 + s.options.length;
  const out = new Uint8Array(headerBytes + s.data.length);
  setU16(out, 0, path.peerPort);
  setU16(out, 2, path.otherPort);
  setU32(out, 4, s.seq);
  setU32(out, 8, s.ack);
  out[12] = headerBytes << 2;
  out[13] = s.flags;
  setU16(out, 14, s.window);
  out.set(s.options, 20);
  out.set(s.data, headerBytes);
  return summed(out, path);
}

function summed(out: Uint8Array, path: PlayedPath): Uint8Array {
  setU16(out, 16, 0);
  const seed = pseudoSum(path.peerAddr, path.otherAddr, PROTO_TCP, out.length);
  setU16(out, 16, checksum(out, 0, out.length, seed));
  return out;
}
