// Options of raw sockets' own levels: SOL_RAW (raw(7), ICMP_FILTER; of IPv6 the place of the checksum) and SOL_ICMPV6
// (RFC 3542 3.2). Linux's raw_seticmpfilter, do_rawv6_setsockopt, rawv6_seticmpfilter.

import { EINVAL, ENOPROTOOPT, EOPNOTSUPP } from "../../../abi/errno.ts";
import {
  ICMP_FILTER,
  ICMPV6_FILTER,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV6_CHECKSUM,
} from "../../../abi/in.ts";
import { AF_INET, SOL_ICMPV6, SOL_RAW } from "../../../abi/socket.ts";
import { i32Le, setU32Le } from "../../../base/bytes.ts";
import type { DatagramEndpoint } from "../../../netstack/index.ts";
import type { InetSocket } from "./inet-socket.ts";

/** struct icmp_filter, and struct icmp6_filter: a bit for each type that is not wanted. */
const FILTER_BYTES = 4;
const FILTER6_BYTES = 32;
const word = new Uint8Array(FILTER_BYTES);

export const isRawLevel = (level: number, family: number): boolean =>
  level === SOL_RAW || (level === SOL_ICMPV6 && family !== AF_INET);

/** Of a raw socket. */
export function setRawOption(
  s: InetSocket,
  level: number,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  const endpoint = s.endpoint as DatagramEndpoint;
  if (level === SOL_ICMPV6) {
    if (s.protocol !== IPPROTO_ICMPV6) return -EOPNOTSUPP;
    if (name !== ICMPV6_FILTER) return -ENOPROTOOPT;
    // Of less than all of it the rest stays.
    endpoint.icmp6Filter ??= new Uint8Array(FILTER6_BYTES);
    endpoint.icmp6Filter.set(value.subarray(0, Math.min(length, FILTER6_BYTES)));
    return 0;
  }
  if (s.family !== AF_INET) {
    if (length < 4) return -EINVAL;
    return name === IPV6_CHECKSUM ? setChecksum(s, i32Le(value, 0)) : -ENOPROTOOPT;
  }
  if (name !== ICMP_FILTER) return -ENOPROTOOPT;
  if (s.protocol !== IPPROTO_ICMP) return -EOPNOTSUPP;
  setU32Le(word, 0, endpoint.icmpFilter ?? 0);
  word.set(value.subarray(0, Math.min(length, FILTER_BYTES)));
  endpoint.icmpFilter = i32Le(word, 0);
  return 0;
}

/** How many bytes of it. */
export function getRawOption(
  s: InetSocket,
  level: number,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  const endpoint = s.endpoint as DatagramEndpoint;
  if (level === SOL_ICMPV6) {
    if (s.protocol !== IPPROTO_ICMPV6) return -EOPNOTSUPP;
    if (name !== ICMPV6_FILTER) return -ENOPROTOOPT;
    out.fill(0, 0, FILTER6_BYTES);
    if (endpoint.icmp6Filter) out.set(endpoint.icmp6Filter);
    return Math.min(maxLength, FILTER6_BYTES);
  }
  if (s.family !== AF_INET) {
    if (name !== IPV6_CHECKSUM) return -ENOPROTOOPT;
    setU32Le(out, 0, endpoint.checksumAt ?? -1);
    return 4;
  }
  if (name !== ICMP_FILTER) return -ENOPROTOOPT;
  if (s.protocol !== IPPROTO_ICMP) return -EOPNOTSUPP;
  setU32Le(out, 0, endpoint.icmpFilter ?? 0);
  return 4;
}

/** Where in the payload a sum goes, and is looked for; below 0: nowhere (RFC 3542 3.1). */
export function setChecksum(s: InetSocket, value: number): number {
  if (value > 0 && (value & 1) !== 0) return -EINVAL;
  (s.endpoint as DatagramEndpoint).checksumAt = value < 0 ? -1 : value;
  return 0;
}
