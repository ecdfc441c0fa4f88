// The IPv4 header (RFC 791; ID field as RFC 6864).
//
//    0          1     2             4    6                8     9       10        12   16   20
//   | ver, ihl | tos | total length | id | flags, offset | ttl | proto | checksum | src | dst | options

import { i32, setU16, setU32, u16 } from "../../base/bytes.ts";
import type { IpAddr } from "../ip-addr.ts";
import { checksum, sum16 } from "./checksum.ts";

const VER_IHL = 0;
const TOS = 1;
const TOTAL = 2;
const ID = 4;
const FRAG = 6;
const TTL = 8;
const PROTO = 9;
const CHECKSUM = 10;
export const IPV4_SRC = 12;
export const IPV4_DST = 16;
export const IPV4_HEADER = 20;
export const IPV4_HEADER_MAX = 60;

export const IPV4_MORE_FRAGMENTS = 0x2000;
export const IPV4_DONT_FRAGMENT = 0x4000;

export const PROTO_ICMP = 1;
export const PROTO_IGMP = 2;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_ICMPV6 = 58;

// @rfc 1122 3.2.1.2
/** Version, lengths that agree with each other and the frame, and the header checksum. */
export function checkIpv4(b: Uint8Array, o: number, length: number): boolean {
  if (!checkIpv4Form(b, o, length)) return false;
  const header = ipv4HeaderBytes(b, o);
  if (header !== IPV4_HEADER) return sum16(b, o, header) === 0xffff;
  // Nearly every header: no loop over it.
  let sum = u16(b, o) + u16(b, o + 2) + u16(b, o + 4) + u16(b, o + 6) + u16(b, o + 8);
  sum += u16(b, o + 10) + u16(b, o + 12) + u16(b, o + 14) + u16(b, o + 16) + u16(b, o + 18);
  sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

// @rfc 1122 3.2.1.1
/** As checkIpv4 without the checksum: for headers quoted in ICMP, which a router may have touched. */
export function checkIpv4Form(b: Uint8Array, o: number, length: number): boolean {
  if (length < IPV4_HEADER || b[o] >>> 4 !== 4) return false;
  const header = (b[o] & 15) << 2;
  const total = u16(b, o + TOTAL);
  return header >= IPV4_HEADER && header <= total && total <= length;
}

export const ipv4HeaderBytes = (b: Uint8Array, o: number): number => (b[o + VER_IHL] & 15) << 2;
export const ipv4Tos = (b: Uint8Array, o: number): number => b[o + TOS];
export const ipv4Total = (b: Uint8Array, o: number): number => u16(b, o + TOTAL);
export const ipv4Id = (b: Uint8Array, o: number): number => u16(b, o + ID);
/** Flags and offset, raw. */
export const ipv4FragWord = (b: Uint8Array, o: number): number => u16(b, o + FRAG);
/** Offset in bytes. */
export const ipv4FragOffset = (b: Uint8Array, o: number): number =>
  (u16(b, o + FRAG) & 0x1fff) << 3;
export const ipv4MoreFragments = (b: Uint8Array, o: number): boolean => (b[o + FRAG] & 0x20) !== 0;
export const ipv4IsFragment = (b: Uint8Array, o: number): boolean =>
  (u16(b, o + FRAG) & 0x3fff) !== 0;
export const ipv4DontFragment = (b: Uint8Array, o: number): boolean => (b[o + FRAG] & 0x40) !== 0;
export const ipv4Ttl = (b: Uint8Array, o: number): number => b[o + TTL];
export const ipv4Protocol = (b: Uint8Array, o: number): number => b[o + PROTO];
export const ipv4Src = (b: Uint8Array, o: number): number => i32(b, o + IPV4_SRC);
export const ipv4Dst = (b: Uint8Array, o: number): number => i32(b, o + IPV4_DST);

/** A header without options; fragWord holds flags and offset. Computes the checksum. */
export function writeIpv4(
  b: Uint8Array,
  o: number,
  totalLength: number,
  tos: number,
  id: number,
  fragWord: number,
  ttl: number,
  protocol: number,
  src: IpAddr,
  dst: IpAddr,
): void {
  b[o + VER_IHL] = 0x45;
  b[o + TOS] = tos;
  setU16(b, o + TOTAL, totalLength);
  setU16(b, o + ID, id);
  setU16(b, o + FRAG, fragWord);
  b[o + TTL] = ttl;
  b[o + PROTO] = protocol;
  setU32(b, o + IPV4_SRC, src.w3);
  setU32(b, o + IPV4_DST, dst.w3);
  // The sum of what was just written, without reading it back.
  let sum = (0x4500 | (tos & 0xff)) + (totalLength & 0xffff) + (id & 0xffff) + (fragWord & 0xffff);
  sum += ((ttl & 0xff) << 8) + (protocol & 0xff) + (src.w3 >>> 16) + (src.w3 & 0xffff);
  sum += (dst.w3 >>> 16) + (dst.w3 & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  setU16(b, o + CHECKSUM, ~(sum + (sum >>> 16)));
}

/** Rewrites length, ID and fragment word of a header that is already there, and its checksum. */
export function resizeIpv4(
  b: Uint8Array,
  o: number,
  totalLength: number,
  id: number,
  fragWord: number,
): void {
  setU16(b, o + TOTAL, totalLength);
  setU16(b, o + ID, id);
  setU16(b, o + FRAG, fragWord);
  setU16(b, o + CHECKSUM, 0);
  setU16(b, o + CHECKSUM, checksum(b, o, ipv4HeaderBytes(b, o)));
}

export const IPV4_OPTION_END = 0;
export const IPV4_OPTION_NOP = 1;
