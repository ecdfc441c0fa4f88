// What an ICMP error means: from type and code to ICMP_KIND_*, and to the error an endpoint reports
// (RFC 1122 4.2.3.9, 4.1.3.3; Linux's icmp_err_convert).

import { NetErr, type NetError } from "../net-error.ts";
import {
  ICMP_KIND_ADMIN_PROHIBITED,
  ICMP_KIND_HOST_UNREACHABLE,
  ICMP_KIND_NET_UNREACHABLE,
  ICMP_KIND_PACKET_TOO_BIG,
  ICMP_KIND_PARAMETER_PROBLEM,
  ICMP_KIND_PORT_UNREACHABLE,
  ICMP_KIND_PROTOCOL_UNREACHABLE,
  ICMP_KIND_TIME_EXCEEDED,
  type IcmpError,
} from "../stack/transport.ts";
import {
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  UNREACHABLE_ADMIN,
  UNREACHABLE_FRAG_NEEDED,
  UNREACHABLE_HOST_PROHIBITED,
  UNREACHABLE_NET,
  UNREACHABLE_NET_PROHIBITED,
  UNREACHABLE_PORT,
  UNREACHABLE_PROTOCOL,
} from "../wire/icmp.ts";
import {
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  PROBLEM6_NEXT_HEADER,
  UNREACHABLE6_ADMIN,
  UNREACHABLE6_NO_ROUTE,
  UNREACHABLE6_PORT,
} from "../wire/icmpv6.ts";

// @rfc 1122 3.2.2.4 3.2.2.5
/** 0: not an error that endpoints hear of (source quench is ignored, RFC 6633; redirects are for the route table). */
export function icmpKind(type: number, code: number): number {
  // A fragment that waited in vain (code 1) is nobody's error, as in Linux (icmp_unreach).
  if (type === ICMP_TIME_EXCEEDED) return code === 1 ? 0 : ICMP_KIND_TIME_EXCEEDED;
  if (type === ICMP_PARAMETER_PROBLEM) return ICMP_KIND_PARAMETER_PROBLEM;
  if (type !== ICMP_UNREACHABLE) return 0;
  switch (code) {
    case UNREACHABLE_NET:
    case 6:
    case 11:
      return ICMP_KIND_NET_UNREACHABLE;
    case UNREACHABLE_PROTOCOL:
      return ICMP_KIND_PROTOCOL_UNREACHABLE;
    case UNREACHABLE_PORT:
      return ICMP_KIND_PORT_UNREACHABLE;
    case UNREACHABLE_FRAG_NEEDED:
      return ICMP_KIND_PACKET_TOO_BIG;
    case UNREACHABLE_NET_PROHIBITED:
    case UNREACHABLE_HOST_PROHIBITED:
    case UNREACHABLE_ADMIN:
      return ICMP_KIND_ADMIN_PROHIBITED;
    default:
      return ICMP_KIND_HOST_UNREACHABLE;
  }
}

// @rfc 4443 3.1
/** As icmpKind, of ICMPv6 (RFC 4443; Linux's icmpv6_err_convert). */
export function icmp6Kind(type: number, code: number): number {
  if (type === ICMP6_PACKET_TOO_BIG) return ICMP_KIND_PACKET_TOO_BIG;
  if (type === ICMP6_TIME_EXCEEDED) return ICMP_KIND_TIME_EXCEEDED;
  if (type === ICMP6_PARAMETER_PROBLEM) {
    const unknownNext = code === PROBLEM6_NEXT_HEADER;
    return unknownNext ? ICMP_KIND_PROTOCOL_UNREACHABLE : ICMP_KIND_PARAMETER_PROBLEM;
  }
  if (type !== ICMP6_UNREACHABLE) return 0;
  switch (code) {
    case UNREACHABLE6_NO_ROUTE:
      return ICMP_KIND_NET_UNREACHABLE;
    case UNREACHABLE6_PORT:
      return ICMP_KIND_PORT_UNREACHABLE;
    case UNREACHABLE6_ADMIN:
    case 5:
    case 6:
      return ICMP_KIND_ADMIN_PROHIBITED;
    default:
      return ICMP_KIND_HOST_UNREACHABLE;
  }
}

/** icmp_err_convert: by the code of a destination unreachable. */
const UNREACHABLE_ERRORS: readonly NetError[] = [
  NetErr.NetworkUnreachable,
  NetErr.HostUnreachable,
  NetErr.ProtocolUnavailable,
  NetErr.ConnectionRefused,
  NetErr.MessageTooLong,
  NetErr.NotSupported,
  NetErr.NetworkUnreachable,
  NetErr.HostDown,
  NetErr.HostIsolated,
  NetErr.NetworkUnreachable,
  NetErr.HostUnreachable,
  NetErr.NetworkUnreachable,
];
/** Codes 2, 3, 6 to 10 and 13 to 15 are fatal: there is no use in trying again. */
const UNREACHABLE_FATAL = 0b1110_0111_1100_1100;
/** As icmpv6_err_convert. */
const UNREACHABLE6_ERRORS: readonly NetError[] = [
  NetErr.NetworkUnreachable,
  NetErr.AccessDenied,
  NetErr.HostUnreachable,
  NetErr.HostUnreachable,
  NetErr.ConnectionRefused,
  NetErr.AccessDenied,
  NetErr.AccessDenied,
];
const UNREACHABLE6_FATAL = 0b111_0010;

/** What an endpoint reports. */
export function icmpErrorOf(e: IcmpError): NetError {
  if (e.kind === ICMP_KIND_PACKET_TOO_BIG) return NetErr.MessageTooLong;
  if (e.dst.isV4) {
    if (e.type === ICMP_TIME_EXCEEDED) return NetErr.HostUnreachable;
    if (e.type === ICMP_PARAMETER_PROBLEM) return NetErr.Protocol;
    return UNREACHABLE_ERRORS[e.code] ?? NetErr.HostUnreachable;
  }
  if (e.type === ICMP6_TIME_EXCEEDED) return NetErr.HostUnreachable;
  if (e.type === ICMP6_PARAMETER_PROBLEM) return NetErr.Protocol;
  return UNREACHABLE6_ERRORS[e.code] ?? NetErr.Protocol;
}

/** Whether a connected endpoint hears of it without having asked (RFC 1122 4.1.3.3). */
export function isHardError(e: IcmpError, mtuDiscover: number): boolean {
  if (e.kind === ICMP_KIND_PACKET_TOO_BIG) return mtuDiscover !== 0;
  if (e.dst.isV4) {
    if (e.type === ICMP_PARAMETER_PROBLEM) return true;
    return e.type === ICMP_UNREACHABLE && ((UNREACHABLE_FATAL >>> e.code) & 1) !== 0;
  }
  if (e.type === ICMP6_PARAMETER_PROBLEM) return true;
  return e.type === ICMP6_UNREACHABLE && ((UNREACHABLE6_FATAL >>> e.code) & 1) !== 0;
}
