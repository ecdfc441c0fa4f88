// ICMPv6 (RFC 4443): the header is ICMP's, the checksum has IPv6's pseudo header in it.
//
//    0      1      2          4                8
//   | type | code | checksum | rest of header | echo data, or the packet an error is about

import { setU16, u32 } from "../../base/bytes.ts";
import type { IpAddr } from "../ip-addr.ts";
import { pseudoSum, sum16 } from "./checksum.ts";
import { ICMP_CHECKSUM, ICMP_HEADER } from "./icmp.ts";
import { PROTO_ICMPV6 } from "./ipv4.ts";

export const ICMP6_UNREACHABLE = 1;
export const ICMP6_PACKET_TOO_BIG = 2;
export const ICMP6_TIME_EXCEEDED = 3;
export const ICMP6_PARAMETER_PROBLEM = 4;
export const ICMP6_ECHO = 128;
export const ICMP6_ECHO_REPLY = 129;
export const MLD_QUERY = 130;
export const MLD_REPORT_V1 = 131;
export const MLD_DONE = 132;
export const NDP_ROUTER_SOLICIT = 133;
export const NDP_ROUTER_ADVERT = 134;
export const NDP_NEIGHBOR_SOLICIT = 135;
export const NDP_NEIGHBOR_ADVERT = 136;
export const NDP_REDIRECT = 137;
export const MLD_REPORT_V2 = 143;

export const UNREACHABLE6_NO_ROUTE = 0;
export const UNREACHABLE6_ADMIN = 1;
export const UNREACHABLE6_SCOPE = 2;
export const UNREACHABLE6_ADDRESS = 3;
export const UNREACHABLE6_PORT = 4;
export const PROBLEM6_HEADER = 0;
export const PROBLEM6_NEXT_HEADER = 1;
export const PROBLEM6_OPTION = 2;
/** RFC 7112: the first fragment does not hold the whole header chain. */
export const PROBLEM6_FIRST_FRAGMENT = 3;
export const EXCEEDED6_HOP_LIMIT = 0;
export const EXCEEDED6_REASSEMBLY = 1;

/** Below 128 are errors: nothing may answer them with an error. */
export const isIcmp6Error = (type: number): boolean => type < 128;

export function checkIcmp6(
  b: Uint8Array,
  o: number,
  length: number,
  src: IpAddr,
  dst: IpAddr,
): boolean {
  if (length < ICMP_HEADER) return false;
  return sum16(b, o, length, pseudoSum(src, dst, PROTO_ICMPV6, length)) === 0xffff;
}

// @rfc 4443 2.3
/** Fills the checksum of the message [o, o + length). */
export function finishIcmp6(
  b: Uint8Array,
  o: number,
  length: number,
  src: IpAddr,
  dst: IpAddr,
): void {
  setU16(b, o + ICMP_CHECKSUM, 0);
  const sum = sum16(b, o, length, pseudoSum(src, dst, PROTO_ICMPV6, length));
  setU16(b, o + ICMP_CHECKSUM, ~sum & 0xffff);
}

/** MTU or pointer. */
export const icmp6Rest = (b: Uint8Array, o: number): number => u32(b, o + 4);
