// setsockopt at level SOL_IP (ip(7), Linux's do_ip_setsockopt): what is kept here steers control messages, what steers
// packets is set on the endpoint. Reading them: ip-options-read.ts.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import {
  EADDRNOTAVAIL,
  EINVAL,
  EMSGSIZE,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
} from "../../../abi/errno.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_HDRINCL,
  IP_IPSEC_POLICY,
  IP_LOCAL_PORT_RANGE,
  IP_MINTTL,
  IP_MTU_DISCOVER,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_NODEFRAG,
  IP_OPTIONS,
  IP_RECVERR,
  IP_RECVERR_RFC4884,
  IP_RECVFRAGSIZE,
  IP_ROUTER_ALERT,
  IP_TOS,
  IP_TRANSPARENT,
  IP_TTL,
  IP_UNICAST_IF,
  IP_XFRM_POLICY,
} from "../../../abi/in.ts";
import { AF_INET, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from "../../../abi/socket.ts";
import { i32Le, u32 } from "../../../base/bytes.ts";
import type { DatagramEndpoint } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { resultOf } from "../errno-of.ts";
import { mayMark } from "../socket-options.ts";
import { interfaceOfAddress, isGroupOption, setGroupOption } from "./group-options.ts";
import { setHeaderOptions } from "./header-options.ts";
import type { InetSocket } from "./inet-socket.ts";
import { IP_FLAGS } from "./ip-state.ts";

/** struct xfrm_userpolicy_info. */
const POLICY_BYTES = 168;
const PAGE_BYTES = 4096;

/** Those that Linux refuses to take without a value (do_ip_setsockopt's `optlen < 1`). */
const NOT_EMPTY = new Set([
  IP_TTL,
  IP_MINTTL,
  IP_FREEBIND,
  IP_TRANSPARENT,
  IP_MULTICAST_TTL,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_ALL,
]);

export function setIpOption(
  t: Task,
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  if (isGroupOption(name)) return setGroupOption(s, name, value, length);
  switch (name) {
    case IP_MULTICAST_IF:
      return setMulticastInterface(s, value, length);
    case IP_OPTIONS:
      return setHeaderOptions(t, s, value, length);
    case IP_IPSEC_POLICY:
    case IP_XFRM_POLICY:
      return setPolicy(t, name === IP_XFRM_POLICY && s.family === AF_INET, length);
  }
  // As old programs give it, one byte will do; and none is 0 (ip_setsockopt).
  const number = length >= 4 ? i32Le(value, 0) : length >= 1 ? value[0] : 0;
  if (name === IP_UNICAST_IF || name === IP_LOCAL_PORT_RANGE) {
    if (length !== 4) return -EINVAL;
    return name === IP_UNICAST_IF ? setUnicastInterface(s, number) : setPortRange(s, number);
  }
  if (length < 1 && NOT_EMPTY.has(name)) return -EINVAL;
  return IP_FLAGS.has(name) ? setFlag(t, s, name, number) : setInteger(s, name, number);
}

function setFlag(t: Task, s: InetSocket, name: number, value: number): number {
  switch (name) {
    case IP_RECVERR_RFC4884:
      if (value !== 0 && value !== 1) return -EINVAL;
      break;
    case IP_RECVFRAGSIZE:
      if (s.type !== SOCK_RAW && s.type !== SOCK_DGRAM) return -EINVAL;
      break;
    case IP_NODEFRAG:
      if (s.type !== SOCK_RAW) return -ENOPROTOOPT;
      break;
    case IP_TRANSPARENT:
      if (value !== 0 && !mayMark(t)) return -EPERM;
      break;
  }
  const flag = IP_FLAGS.get(name);
  if (flag === undefined) return -ENOPROTOOPT;
  s.ownIp[flag] = value !== 0;
  if (name === IP_FREEBIND || name === IP_TRANSPARENT) bindingChanged(s);
  if (name === IP_BIND_ADDRESS_NO_PORT) s.endpoint.options.bindNoPort = value !== 0;
  return 0;
}

/** Either lets an address be bound that is not ours; the latter lets it be sent from, too (inet_sk_flowi_flags). */
export function bindingChanged(s: InetSocket): void {
  const { freeBind, transparent } = s.ip;
  s.endpoint.options.freeBind = freeBind || transparent;
  if (s.type !== SOCK_STREAM) (s.endpoint as DatagramEndpoint).isTransparent = transparent;
}

function setInteger(s: InetSocket, name: number, value: number): number {
  const options = s.endpoint.options;
  const on = value !== 0;
  switch (name) {
    case IP_TTL:
      if (value !== -1 && (value < 1 || value > 255)) return -EINVAL;
      options.ttl = value === -1 ? 64 : value;
      return 0;
    case IP_TOS:
      // The two ECN bits of a stream are the stack's own.
      options.tos = s.type === SOCK_STREAM ? keepEcn(options.tos, value) : value & 0xff;
      return 0;
    case IP_MTU_DISCOVER:
      if (value < 0 || value > 5) return -EINVAL;
      options.mtuDiscover = value;
      return 0;
    case IP_RECVERR:
      options.receiveErrors = on;
      return 0;
    case IP_MINTTL:
      if (value < 0 || value > 255) return -EINVAL;
      options.minTtl = value;
      return 0;
    case IP_HDRINCL:
      if (s.type !== SOCK_RAW) return -ENOPROTOOPT;
      return s.setIncludeHeader(on);
    case IP_ROUTER_ALERT:
      return setRouterAlert(s, on);
    case IP_MULTICAST_TTL:
      if (s.type === SOCK_STREAM) return -EINVAL;
      if (value !== -1 && (value < 0 || value > 255)) return -EINVAL;
      options.multicastTtl = value === -1 ? 1 : value;
      return 0;
    case IP_MULTICAST_LOOP:
      return s.setMulticastLoop(on);
    case IP_MULTICAST_ALL:
      if (value !== 0 && value !== 1) return -EINVAL;
      s.ownIp.multicastAll = on;
      if (s.family === AF_INET) options.multicastAll = on;
      else if (s.type !== SOCK_STREAM) (s.endpoint as DatagramEndpoint).mappedMulticastAll = on;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** Above the class stands a connection's flow label. */
export const keepEcn = (tos: number, value: number): number => (tos & ~0xfc) | (value & 0xfc);

/** ip_ra_control: packets that ask routers to look at them, of this socket's protocol, come here instead of going on. */
function setRouterAlert(s: InetSocket, on: boolean): number {
  const endpoint = s.endpoint as DatagramEndpoint;
  if (s.type !== SOCK_RAW || endpoint.setRouterAlert === undefined) return -EINVAL;
  const result = resultOf(endpoint.setRouterAlert(on ? s.protocol : -1));
  if (result === 0) s.ownIp.routerAlert = on;
  return result;
}

/**
 * xfrm_user_policy, and compile_policy's checks: one of the two numbers is for each family. There is no IPsec to give a
 * policy to: one that is well formed finds what a kernel without it answers.
 */
export function setPolicy(t: Task, isOfFamily: boolean, length: number): number {
  if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
  if (length < 1 || length > PAGE_BYTES) return -EMSGSIZE;
  if (!isOfFamily) return -EOPNOTSUPP;
  return length < POLICY_BYTES ? -EINVAL : -ENOPROTOOPT;
}

/** An index in network order. */
export function setUnicastInterface(s: InetSocket, value: number): number {
  const index = swap(value);
  const bound = s.endpoint.options.boundNicId;
  if (index !== 0 && s.network.interfaceByIndex(index) === undefined) {
    return -EADDRNOTAVAIL;
  }
  if (index !== 0 && bound !== 0 && bound !== index) return -EINVAL;
  // Linux keeps it for streams and goes by it nowhere (ip_route_connect has no uc_index).
  s.ownIp.unicastIndex = index;
  if (s.type !== SOCK_STREAM) (s.endpoint as DatagramEndpoint).unicastNicId = index;
  return 0;
}
export const swap = (n: number): number =>
  (n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24);

function setPortRange(s: InetSocket, value: number): number {
  const low = value & 0xffff;
  const high = value >>> 16;
  if (low !== 0 && high !== 0 && low > high) return -EINVAL;
  s.endpoint.options.portRange = value >>> 0;
  return 0;
}

/** An address, ip_mreq or ip_mreqn. */
function setMulticastInterface(s: InetSocket, value: Uint8Array, length: number): number {
  if (s.type === SOCK_STREAM || length < 4) return -EINVAL;
  const at = length >= 8 ? 4 : 0;
  const index = length >= 12 ? i32Le(value, 8) : 0;
  const word = u32(value, at);
  let nic = index;
  if (index !== 0) {
    if (s.network.interfaceByIndex(index) === undefined) return -EADDRNOTAVAIL;
  } else if (word !== 0) {
    nic = interfaceOfAddress(s, word);
    if (nic === 0) return -EADDRNOTAVAIL;
  }
  s.ownIp.multicastIndex = nic;
  s.ownIp.multicastSource = word;
  return 0;
}
