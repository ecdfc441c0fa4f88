// The IPv6 header and what its extension headers have in common (RFC 8200 3, 4).
//
//    0              1..3         4                6             7           8     24    40
//   | ver, class    flow label | payload length | next header | hop limit | src | dst | ...
//
// The fragment header: | next header | 0 | offset << 3, M | identification |

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import { IPV6, type IpAddr } from "../ip-addr.ts";

const PAYLOAD = 4;
export const IPV6_NEXT = 6;
const HOP_LIMIT = 7;
export const IPV6_SRC = 8;
export const IPV6_DST = 24;
export const IPV6_HEADER = 40;
/** What every IPv6 link carries. */
export const IPV6_MIN_MTU = 1280;

export const NEXT_HOP_BY_HOP = 0;
export const NEXT_ROUTING = 43;
export const NEXT_FRAGMENT = 44;
export const NEXT_NONE = 59;
export const NEXT_DESTINATION = 60;

export const FRAGMENT_HEADER = 8;

/** Version, and a payload that is all here (jumbograms are not understood: their length says 0). */
export function checkIpv6(b: Uint8Array, o: number, length: number): boolean {
  return length >= IPV6_HEADER && b[o] >>> 4 === 6 && IPV6_HEADER + u16(b, o + PAYLOAD) <= length;
}

export const ipv6Tos = (b: Uint8Array, o: number): number => ((b[o] & 15) << 4) | (b[o + 1] >>> 4);
export const ipv6FlowLabel = (b: Uint8Array, o: number): number =>
  ((b[o + 1] & 15) << 16) | u16(b, o + 2);
export const ipv6Payload = (b: Uint8Array, o: number): number => u16(b, o + PAYLOAD);
export const ipv6Next = (b: Uint8Array, o: number): number => b[o + IPV6_NEXT];
export const ipv6HopLimit = (b: Uint8Array, o: number): number => b[o + HOP_LIMIT];
export function setIpv6Payload(b: Uint8Array, o: number, length: number): void {
  setU16(b, o + PAYLOAD, length);
}

/** tos: the class, and above its 8 bits the flow label. */
export function writeIpv6(
  b: Uint8Array,
  o: number,
  payloadLength: number,
  tos: number,
  next: number,
  hopLimit: number,
  src: IpAddr,
  dst: IpAddr,
): void {
  setU32(b, o, 0x6000_0000 | ((tos & 0xff) << 20) | (tos >>> 8));
  setU16(b, o + PAYLOAD, payloadLength);
  b[o + IPV6_NEXT] = next;
  b[o + HOP_LIMIT] = hopLimit;
  src.write(b, o + IPV6_SRC, IPV6);
  dst.write(b, o + IPV6_DST, IPV6);
}

/** Offset in bytes of the fragment header at o. */
export const fragmentOffset = (b: Uint8Array, o: number): number => u16(b, o + 2) & 0xfff8;
export const fragmentMore = (b: Uint8Array, o: number): boolean => (b[o + 3] & 1) !== 0;
export const fragmentId = (b: Uint8Array, o: number): number => u32(b, o + 4);

export function writeFragmentHeader(
  b: Uint8Array,
  o: number,
  next: number,
  offset: number,
  more: boolean,
  id: number,
): void {
  b[o] = next;
  b[o + 1] = 0;
  setU16(b, o + 2, offset | (more ? 1 : 0));
  setU32(b, o + 4, id);
}
