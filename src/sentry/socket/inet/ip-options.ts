// setsockopt and getsockopt at level SOL_IP (ip(7)). What is kept here steers control messages; what
// steers packets is set on the endpoint. An option without effect in netcell is refused (ENOPROTOOPT).

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import { EADDRNOTAVAIL, EINVAL, ENOPROTOOPT, ENOTCONN, EPERM } from "../../../abi/errno.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_HDRINCL,
  IP_LOCAL_PORT_RANGE,
  IP_MINTTL,
  IP_MSFILTER,
  IP_MTU,
  IP_MTU_DISCOVER,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_OPTIONS,
  IP_PKTINFO,
  IP_PROTOCOL,
  IP_RECVERR,
  IP_RECVERR_RFC4884,
  IP_RECVFRAGSIZE,
  IP_RECVOPTS,
  IP_RECVORIGDSTADDR,
  IP_RECVTOS,
  IP_RECVTTL,
  IP_RETOPTS,
  IP_TOS,
  IP_TRANSPARENT,
  IP_TTL,
  IP_UNICAST_IF,
  MCAST_MSFILTER,
} from "../../../abi/in.ts";
import { SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from "../../../abi/socket.ts";
import { i32Le, setU32, setU32Le, u32 } from "../../../base/bytes.ts";
import { type DatagramEndpoint, IPV4 } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import {
  getGroupFilter,
  getIpFilter,
  interfaceOfAddress,
  isGroupOption,
  setGroupOption,
} from "./group-options.ts";
import { getHeaderOptions, setHeaderOptions } from "./header-options.ts";
import type { InetSocket } from "./inet-socket.ts";

/** What the IP levels keep per socket. */
export class IpState {
  receivePktInfo = false;
  receiveTtl = false;
  receiveTos = false;
  /** IP_RECVOPTS: as they came; IP_RETOPTS: as an answer would carry them. */
  receiveOptions = false;
  returnOptions = false;
  receivePktInfo6 = false;
  receiveHopLimit = false;
  receiveTclass = false;
  receiveOrigDstAddr = false;
  receiveOrigDstAddr6 = false;
  /** IP_RECVERR_RFC4884 and IP_RECVFRAGSIZE: kept; nothing is to tell of either. */
  receiveErrorRfc4884 = false;
  receiveFragSize = false;
  includeHeader = false;
  bindAddressNoPort = false;
  multicastAll = true;
  /** Interface for multicast sends; 0: by route. */
  multicastIndex = 0;
  multicastSource = 0;
  /** IP_UNICAST_IF, IPV6_UNICAST_IF. */
  unicastIndex = 0;
}

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
  }
  if (length < 1) return -EINVAL;
  return setInteger(t, s, name, length >= 4 ? i32Le(value, 0) : value[0]);
}

function setInteger(t: Task, s: InetSocket, name: number, value: number): number {
  const options = s.endpoint.options;
  const on = value !== 0;
  switch (name) {
    case IP_TTL:
      if (value !== -1 && (value < 1 || value > 255)) return -EINVAL;
      options.ttl = value === -1 ? 64 : value;
      return 0;
    case IP_TOS:
      // The two ECN bits of a stream are the stack's own.
      options.tos = s.type === SOCK_STREAM ? (value & 0xfc) | (options.tos & 3) : value & 0xff;
      return 0;
    case IP_MTU_DISCOVER:
      if (value < 0 || value > 5) return -EINVAL;
      options.mtuDiscover = value;
      return 0;
    case IP_RECVERR:
      options.receiveErrors = on;
      return 0;
    case IP_PKTINFO:
      s.ip.receivePktInfo = on;
      return 0;
    case IP_RECVTTL:
      s.ip.receiveTtl = on;
      return 0;
    case IP_RECVTOS:
      s.ip.receiveTos = on;
      return 0;
    case IP_RECVOPTS:
      s.ip.receiveOptions = on;
      return 0;
    case IP_RETOPTS:
      s.ip.returnOptions = on;
      return 0;
    case IP_RECVORIGDSTADDR:
      s.ip.receiveOrigDstAddr = on;
      return 0;
    case IP_RECVERR_RFC4884:
      if (value !== 0 && value !== 1) return -EINVAL;
      s.ip.receiveErrorRfc4884 = on;
      return 0;
    case IP_RECVFRAGSIZE:
      if (s.type !== SOCK_RAW && s.type !== SOCK_DGRAM) return -EINVAL;
      s.ip.receiveFragSize = on;
      return 0;
    case IP_MINTTL:
      if (value < 0 || value > 255) return -EINVAL;
      options.minTtl = value;
      return 0;
    case IP_HDRINCL:
      if (s.type !== SOCK_RAW) return -ENOPROTOOPT;
      return s.setIncludeHeader(on);
    case IP_BIND_ADDRESS_NO_PORT:
      s.ip.bindAddressNoPort = on;
      options.bindNoPort = on;
      return 0;
    case IP_MULTICAST_TTL:
      if (s.type === SOCK_STREAM) return -EINVAL;
      if (value !== -1 && (value < 0 || value > 255)) return -EINVAL;
      options.multicastTtl = value === -1 ? 1 : value;
      return 0;
    case IP_MULTICAST_LOOP:
      return s.setMulticastLoop(on);
    case IP_MULTICAST_ALL:
      if (value !== 0 && value !== 1) return -EINVAL;
      s.ip.multicastAll = on;
      options.multicastAll = on;
      return 0;
    case IP_FREEBIND:
      options.freeBind = on;
      return 0;
    case IP_UNICAST_IF:
      return setUnicastInterface(s, value);
    case IP_LOCAL_PORT_RANGE:
      return setPortRange(s, value);
    case IP_TRANSPARENT:
      if (on && !t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      return on ? -ENOPROTOOPT : 0;
    default:
      return -ENOPROTOOPT;
  }
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
  s.ip.unicastIndex = index;
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
  s.ip.multicastIndex = nic;
  s.ip.multicastSource = word;
  return 0;
}

export function getIpOption(
  _t: Task,
  s: InetSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  if (name === IP_MULTICAST_IF) {
    setU32(out, 0, s.ip.multicastSource);
    return 4;
  }
  if (name === IP_MSFILTER) return getIpFilter(s, out, maxLength);
  if (name === MCAST_MSFILTER) return getGroupFilter(s, IPV4, out, maxLength);
  if (name === IP_OPTIONS) return getHeaderOptions(s, out);
  const value = getInteger(s, name);
  // An index in network order may look negative.
  if (value < 0 && name !== IP_UNICAST_IF) return value;
  setU32Le(out, 0, value);
  // A short buffer gets the value as one byte, as old programs expect.
  return maxLength < 4 && maxLength > 0 && value <= 255 ? 1 : 4;
}

function getInteger(s: InetSocket, name: number): number {
  const options = s.endpoint.options;
  switch (name) {
    case IP_TTL:
      return options.ttl;
    case IP_TOS:
      return options.tos;
    case IP_MTU_DISCOVER:
      return options.mtuDiscover;
    case IP_MTU: {
      if (!s.isConnected) return -ENOTCONN;
      const mtu = s.network.mtuTo(s.endpoint.remoteAddr);
      return mtu === 0 ? -ENOTCONN : mtu;
    }
    case IP_RECVERR:
      return Number(options.receiveErrors);
    case IP_PKTINFO:
      return Number(s.ip.receivePktInfo);
    case IP_RECVTTL:
      return Number(s.ip.receiveTtl);
    case IP_RECVTOS:
      return Number(s.ip.receiveTos);
    case IP_RECVOPTS:
      return Number(s.ip.receiveOptions);
    case IP_RETOPTS:
      return Number(s.ip.returnOptions);
    case IP_RECVORIGDSTADDR:
      return Number(s.ip.receiveOrigDstAddr);
    case IP_RECVERR_RFC4884:
      return Number(s.ip.receiveErrorRfc4884);
    case IP_RECVFRAGSIZE:
      return Number(s.ip.receiveFragSize);
    case IP_MINTTL:
      return options.minTtl;
    case IP_HDRINCL:
      return Number(s.ip.includeHeader);
    case IP_BIND_ADDRESS_NO_PORT:
      return Number(s.ip.bindAddressNoPort);
    case IP_MULTICAST_TTL:
      return options.multicastTtl;
    case IP_MULTICAST_LOOP:
      return Number(s.multicastLoop);
    case IP_MULTICAST_ALL:
      return Number(s.ip.multicastAll);
    case IP_FREEBIND:
      return Number(options.freeBind);
    case IP_TRANSPARENT:
      return 0;
    case IP_UNICAST_IF:
      return swap(s.ip.unicastIndex);
    case IP_LOCAL_PORT_RANGE:
      return options.portRange;
    case IP_PROTOCOL:
      // Linux shows inet_num's protocol only of raw sockets.
      return s.type === SOCK_RAW ? s.protocol : 0;
    default:
      return -ENOPROTOOPT;
  }
}
