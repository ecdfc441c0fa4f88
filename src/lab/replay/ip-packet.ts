// From a captured frame to what its IP packet carries: the transport's header and payload, put together again
// when fragments brought them, with a note of where the cuts were. Reads IPv4 and IPv6 with extension headers;
// whatever else is in the frame is not for replay. Not a judge of the bytes: see decode/ for that.

import { u16, u32 } from "../../base/bytes.ts";
import type { CapturedFrame } from "../../link/index.ts";
import { checksum, type Family, IPV4, IPV6, IpAddr, pseudoSum } from "../../netstack/index.ts";
import { Dissection, TRUNCATED } from "../decode/dissection.ts";
import { decodeLinkLayer, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../decode/link-layer.ts";
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from "../drill/frame.ts";
import { type Cut, Fragments } from "./fragments.ts";

export interface IpPacket {
  src: IpAddr;
  dst: IpAddr;
  tos: number;
  ttl: number;
  protocol: number;
  /** From the transport's header on, as far as it was captured. */
  bytes: Uint8Array;
  /** What `bytes` was on the wire: more when the capture cut it off. */
  length: number;
  /** The fragments it came in, in that order; null: in one piece. */
  cuts: readonly Cut[] | null;
  /** A checksum is wrong, and not because a card was to fill it in. */
  isDamaged: boolean;
}

/** Why a frame has no packet for us. */
export type NoPacket = "other" | "broken" | "fragment";

const V4_HEADER = 20;
const V6_HEADER = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
/** More extension headers than this are no honest packet's. */
const EXTENSIONS_MAX = 16;

export class IpReader {
  readonly #d = new Dissection();
  readonly #fragments = new Fragments();

  read(frame: CapturedFrame): IpPacket | NoPacket {
    const d = this.#d;
    d.printedLength = 0;
    d.begin(frame.bytes, frame.offset, frame.length, 0);
    try {
      const { type, at, length } = decodeLinkLayer(d, frame, false);
      if (type === ETHERTYPE_IPV4) return this.#ipv4(frame.bytes, at, d.end, length);
      if (type === ETHERTYPE_IPV6) return this.#ipv6(frame.bytes, at, d.end, length);
    } catch (error) {
      if (error !== TRUNCATED) throw error;
      return "broken";
    }
    return "other";
  }

  /** A packet without a link's header, as an ICMP error quotes it or a stack sends it. */
  readIp(b: Uint8Array, at: number, end: number): IpPacket | NoPacket {
    if (end - at < 1) return "broken";
    const version = b[at] >>> 4;
    if (version === 4) return this.#ipv4(b, at, end, end - at);
    return version === 6 ? this.#ipv6(b, at, end, end - at) : "other";
  }

  #ipv4(b: Uint8Array, at: number, end: number, frameLength: number): IpPacket | NoPacket {
    if (end - at < V4_HEADER || b[at] >>> 4 !== 4) return "broken";
    const header = (b[at] & 15) * 4;
    const told = u16(b, at + 2);
    // A large packet that the card was to cut leaves its length at zero.
    const total = told === 0 ? frameLength : told;
    if (header < V4_HEADER || total < header || end - at < header) return "broken";
    const field = u16(b, at + 10);
    const isDamaged = told !== 0 && field !== 0 && checksum(b, at, header) !== 0;
    const fragment = u16(b, at + 6);
    const packet = packetOf(b, at + header, Math.min(end, at + total), total - header);
    packet.src.read(b, at + 12, IPV4);
    packet.dst.read(b, at + 16, IPV4);
    packet.tos = b[at + 1];
    packet.ttl = b[at + 8];
    packet.protocol = b[at + 9];
    packet.isDamaged = isDamaged;
    if ((fragment & 0x3fff) === 0) return checked(packet);
    if (isDamaged) return "broken";
    const offset = (fragment & 0x1fff) * 8;
    const whole = this.#fragments.add(
      packet,
      u16(b, at + 4),
      offset,
      (fragment & 0x2000) !== 0,
      packet.protocol,
    );
    return whole === null ? "fragment" : checked(whole);
  }

  #ipv6(b: Uint8Array, at: number, end: number, frameLength: number): IpPacket | NoPacket {
    if (end - at < V6_HEADER || b[at] >>> 4 !== 6) return "broken";
    const told = u16(b, at + 4);
    // Zero: a jumbogram, or a large packet that the card was to cut.
    const payload = told === 0 ? frameLength - V6_HEADER : told;
    let next = b[at + 6];
    let o = at + V6_HEADER;
    const limit = Math.min(end, o + payload);
    let left = payload;
    for (let i = 0; i < EXTENSIONS_MAX; i++) {
      const isOption = next === HOP_BY_HOP || next === ROUTING || next === DESTINATION;
      if (!isOption && next !== AUTHENTICATION && next !== FRAGMENT) break;
      if (limit - o < 8) return "broken";
      if (next === FRAGMENT) return this.#fragment6(b, at, o, limit, left);
      const size = next === AUTHENTICATION ? (b[o + 1] + 2) * 4 : (b[o + 1] + 1) * 8;
      next = b[o];
      o += size;
      left -= size;
      if (o > limit) return "broken";
    }
    return checked(packet6(b, at, o, limit, left, next));
  }

  #fragment6(
    b: Uint8Array,
    at: number,
    o: number,
    limit: number,
    left: number,
  ): IpPacket | NoPacket {
    const next = b[o];
    const word = u16(b, o + 2);
    const packet = packet6(b, at, o + 8, limit, left - 8, next);
    // RFC 6946: one that is whole by itself.
    if ((word & 0xfff9) === 0) return checked(packet);
    const whole = this.#fragments.add(packet, u32(b, o + 4), word & 0xfff8, (word & 1) !== 0, next);
    return whole === null ? "fragment" : checked(whole);
  }
}

/**
 * Copies go into large pieces, one behind the other: every buffer of its own would get a view of its own for its
 * checksum (measured: half of the time that reading a large capture took).
 */
const PIECE_BYTES = 256 * 1024;
let piece = new Uint8Array(PIECE_BYTES);
let pieceUsed = 0;

function kept(b: Uint8Array, from: number, end: number): Uint8Array {
  const length = end - from;
  if (length > PIECE_BYTES / 4) return b.slice(from, end);
  if (pieceUsed + length > PIECE_BYTES) {
    piece = new Uint8Array(PIECE_BYTES);
    pieceUsed = 0;
  }
  const copy = piece.subarray(pieceUsed, pieceUsed + length);
  copy.set(b.subarray(from, end));
  // The next one begins at a word, which checksums like.
  pieceUsed += (length + 7) & ~7;
  return copy;
}

function packetOf(b: Uint8Array, from: number, end: number, length: number): IpPacket {
  return {
    src: new IpAddr(),
    dst: new IpAddr(),
    tos: 0,
    ttl: 0,
    protocol: 0,
    bytes: kept(b, from, end),
    length,
    cuts: null,
    isDamaged: false,
  };
}

function packet6(
  b: Uint8Array,
  at: number,
  from: number,
  limit: number,
  length: number,
  protocol: number,
): IpPacket {
  const packet = packetOf(b, from, limit, length);
  packet.src.read(b, at + 8, IPV6);
  packet.dst.read(b, at + 24, IPV6);
  packet.tos = (u32(b, at) >>> 20) & 0xff;
  packet.ttl = b[at + 7];
  packet.protocol = protocol;
  return packet;
}

/** Of the checksum field in the transport's header; -1: none that we know. */
function checksumAt(protocol: number): number {
  if (protocol === PROTO_TCP) return 16;
  if (protocol === PROTO_UDP) return 6;
  return protocol === PROTO_ICMP || protocol === PROTO_ICMPV6 ? 2 : -1;
}

/** The same packet, its checksum looked at where all that it covers is there. */
function checked(packet: IpPacket): IpPacket {
  const { bytes, length, protocol, src, dst } = packet;
  const o = checksumAt(protocol);
  if (o < 0 || bytes.length < length || length < o + 2 || packet.isDamaged) return packet;
  const field = u16(bytes, o);
  if (protocol === PROTO_UDP && field === 0) return packet;
  // UDP's sum covers what its own length says.
  const covered = protocol === PROTO_UDP ? u16(bytes, 4) : length;
  if (covered < 8 || covered > length) return packet;
  const seed = protocol === PROTO_ICMP ? 0 : pseudoSum(src, dst, protocol, covered);
  if (checksum(bytes, 0, covered, seed) === 0) return packet;
  // What Linux leaves for the card: the pseudo header's sum alone.
  packet.isDamaged = field !== fold(seed);
  return packet;
}

function fold(sum: number): number {
  let s = sum;
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 0x10000);
  return s;
}

export const familyOf = (packet: IpPacket): Family => packet.src.family;
