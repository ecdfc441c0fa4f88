// Neighbour Discovery messages (RFC 4861 4) and their options. Offsets are from the ICMPv6 header.
//
//   NS, NA:   | icmp 4 | flags 4 | target 16 | options
//   RS:       | icmp 4 | 0 4 | options
//   RA:       | icmp 4 | hop limit | M O | lifetime 2 | reachable 4 | retransmit 4 | options
//   Redirect: | icmp 4 | 0 4 | target 16 | destination 16 | options
//   option:   | type | length / 8 | ...

import { u16, u32 } from "../../base/bytes.ts";

export const NDP_TARGET = 8;
export const NDP_DESTINATION = 24;
export const NS_BYTES = 24;
export const RS_BYTES = 8;
export const RA_BYTES = 16;
export const REDIRECT_BYTES = 40;

export const NA_ROUTER = 0x80;
export const NA_SOLICITED = 0x40;
export const NA_OVERRIDE = 0x20;

export const OPTION_SOURCE_LINK = 1;
export const OPTION_TARGET_LINK = 2;
export const OPTION_PREFIX = 3;
export const OPTION_REDIRECTED = 4;
export const OPTION_MTU = 5;
/** RFC 3971 5.3.2, as RFC 7527 uses it. */
export const OPTION_NONCE = 14;
/** RFC 8106. */
export const OPTION_RDNSS = 25;

export const PREFIX_ON_LINK = 0x80;
export const PREFIX_AUTONOMOUS = 0x40;

export const raHopLimit = (b: Uint8Array, o: number): number => b[o + 4];
/** Seconds as a default router. */
export const raLifetime = (b: Uint8Array, o: number): number => u16(b, o + 6);
export const raReachableMs = (b: Uint8Array, o: number): number => u32(b, o + 8);
export const raRetransmitMs = (b: Uint8Array, o: number): number => u32(b, o + 12);

// @rfc 4861 4.6
/** Options that fill [from, end) exactly, none of length 0: otherwise the whole message is void. */
export function checkNdpOptions(b: Uint8Array, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    if (at + 2 > end || b[at + 1] === 0) return false;
    at += b[at + 1] << 3;
  }
  return at === end;
}

/** Offset of the first option of this type with at least `bytes` bytes, or -1. Precondition: checked. */
export function findNdpOption(
  b: Uint8Array,
  from: number,
  end: number,
  type: number,
  bytes: number,
): number {
  for (let at = from; at < end; at += b[at + 1] << 3) {
    if (b[at] === type && b[at + 1] << 3 >= bytes) return at;
  }
  return -1;
}
