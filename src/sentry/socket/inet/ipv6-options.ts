// setsockopt at level SOL_IPV6 (ipv6(7), RFC 3493, RFC 3542; Linux's do_ipv6_setsockopt). Extension headers:
// extension-options.ts. Reading them: ipv6-options-read.ts.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import { EADDRNOTAVAIL, EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN, EPERM } from "../../../abi/errno.ts";
import {
  IPPROTO_ICMPV6,
  IPPROTO_RAW,
  IPV6_2292PKTOPTIONS,
  IPV6_ADDR_PREFERENCES,
  IPV6_ADDRFORM,
  IPV6_AUTOFLOWLABEL,
  IPV6_CHECKSUM,
  IPV6_DONTFRAG,
  IPV6_FLOWLABEL_MGR,
  IPV6_FREEBIND,
  IPV6_HDRINCL,
  IPV6_IPSEC_POLICY,
  IPV6_JOIN_ANYCAST,
  IPV6_LEAVE_ANYCAST,
  IPV6_MINHOPCOUNT,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_PKTINFO,
  IPV6_PREFER_SRC_CGA,
  IPV6_PREFER_SRC_COA,
  IPV6_PREFER_SRC_HOME,
  IPV6_PREFER_SRC_NONCGA,
  IPV6_PREFER_SRC_PUBLIC,
  IPV6_PREFER_SRC_PUBTMP_DEFAULT,
  IPV6_PREFER_SRC_TMP,
  IPV6_RECVERR,
  IPV6_RECVERR_RFC4884,
  IPV6_RECVFRAGSIZE,
  IPV6_RECVPATHMTU,
  IPV6_ROUTER_ALERT,
  IPV6_TCLASS,
  IPV6_TRANSPARENT,
  IPV6_UNICAST_HOPS,
  IPV6_UNICAST_IF,
  IPV6_V6ONLY,
  IPV6_XFRM_POLICY,
} from "../../../abi/in.ts";
import { AF_INET, SOCK_RAW, SOCK_STREAM } from "../../../abi/socket.ts";
import { i32Le } from "../../../base/bytes.ts";
import type { DatagramEndpoint } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { resultOf } from "../errno-of.ts";
import { mayMark } from "../socket-options.ts";
import { isExtensionOption, setExtensionOption } from "./extension-options.ts";
import { setFlowLabel } from "./flow-label-manager.ts";
import { isGroupOption6, setGroupOption6 } from "./group-options.ts";
import type { InetSocket } from "./inet-socket.ts";
import { bindingChanged, keepEcn, setPolicy, setUnicastInterface } from "./ip-options.ts";
import { IPV6_FLAGS } from "./ip-state.ts";
import { setChecksum } from "./raw-options.ts";
import { setPacketOptions } from "./send-choices.ts";

const IPV6_MIN_MTU = 1280;
const PKTINFO_BYTES = 20;
const MREQ_BYTES = 20;
/** Those that take less than an int, for 0. */
const MAY_BE_SHORT = new Set([IPV6_DONTFRAG, IPV6_RECVFRAGSIZE, IPV6_AUTOFLOWLABEL]);

export function setIpv6Option(
  t: Task,
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  if (isGroupOption6(name)) return setGroupOption6(s, name, value, length);
  if (isExtensionOption(name)) return setExtensionOption(t, s, name, value, length);
  switch (name) {
    case IPV6_2292PKTOPTIONS:
      return setPacketOptions(t, s, value, length);
    case IPV6_IPSEC_POLICY:
    case IPV6_XFRM_POLICY:
      return setPolicy(t, name === IPV6_XFRM_POLICY, length);
    case IPV6_FLOWLABEL_MGR:
      return setFlowLabel(t, s, value, length);
    case IPV6_PKTINFO:
      return setPacketInfo(s, value, length);
    case IPV6_UNICAST_IF:
      return length === 4 ? setUnicastInterface(s, i32Le(value, 0)) : -EINVAL;
    case IPV6_JOIN_ANYCAST:
    case IPV6_LEAVE_ANYCAST:
      return anycastError(t, length);
  }
  const number = length < 4 ? 0 : i32Le(value, 0);
  if (IPV6_FLAGS.has(name)) return setFlag(t, s, name, number, length);
  const isShort = length < 4 && !MAY_BE_SHORT.has(name);
  return setInteger(s, name, number, isShort);
}

/** There are no anycast addresses to join: refused as by a kernel that does not know them. */
function anycastError(t: Task, length: number): number {
  if (length < MREQ_BYTES) return -EINVAL;
  return t.creds.hasCapability(CAP_NET_ADMIN) ? -ENOPROTOOPT : -EPERM;
}

function setFlag(t: Task, s: InetSocket, name: number, value: number, length: number): number {
  if (name === IPV6_TRANSPARENT && value !== 0 && !mayMark(t)) return -EPERM;
  if (length < 4 && !MAY_BE_SHORT.has(name)) return -EINVAL;
  if (name === IPV6_RECVERR_RFC4884 && value !== 0 && value !== 1) return -EINVAL;
  const flag = IPV6_FLAGS.get(name);
  if (flag === undefined) return -ENOPROTOOPT;
  s.ownIp[flag] = value !== 0;
  if (name === IPV6_FREEBIND || name === IPV6_TRANSPARENT) bindingChanged(s);
  if (name === IPV6_RECVPATHMTU && s.type !== SOCK_STREAM) {
    (s.endpoint as DatagramEndpoint).receivesPathMtu = value !== 0;
  }
  return 0;
}

/** isShort: less than an int was given, which most refuse. */
function setInteger(s: InetSocket, name: number, value: number, isShort: boolean): number {
  const options = s.endpoint.options;
  const on = value !== 0;
  const isStream = s.type === SOCK_STREAM;
  switch (name) {
    case IPV6_MULTICAST_HOPS:
    case IPV6_MULTICAST_IF:
      if (isStream) return -ENOPROTOOPT;
      break;
    case IPV6_CHECKSUM:
    case IPV6_HDRINCL:
      if (s.type !== SOCK_RAW) return -ENOPROTOOPT;
  }
  if (isShort) return isKnown(name) ? -EINVAL : -ENOPROTOOPT;
  switch (name) {
    case IPV6_ADDRFORM:
      return value === AF_INET ? becomeIpv4(s) : -EINVAL;
    case IPV6_CHECKSUM:
      // ICMPv6's place is given, but at the level of raw sockets.
      return s.protocol === IPPROTO_ICMPV6 ? -EINVAL : setChecksum(s, value);
    case IPV6_HDRINCL:
      return s.setIncludeHeader(on);
    case IPV6_V6ONLY:
      if (s.endpoint.localPort !== 0) return -EINVAL;
      options.v6Only = on;
      return 0;
    case IPV6_UNICAST_HOPS:
      if (value < -1 || value > 255) return -EINVAL;
      options.ttl = value === -1 ? 64 : value;
      return 0;
    case IPV6_MULTICAST_HOPS:
      if (value < -1 || value > 255) return -EINVAL;
      options.multicastTtl = value === -1 ? 1 : value;
      return 0;
    case IPV6_MULTICAST_LOOP:
      if (value !== 0 && value !== 1) return -EINVAL;
      return s.setMulticastLoop(on);
    case IPV6_MULTICAST_ALL:
      s.ownIp.multicastAll6 = on;
      options.multicastAll = on;
      return 0;
    case IPV6_MULTICAST_IF:
      return setMulticastInterface(s, value);
    case IPV6_ROUTER_ALERT:
      return setRouterAlert(s, value);
    case IPV6_TCLASS: {
      if (value < -1 || value > 255) return -EINVAL;
      const wanted = value === -1 ? 0 : value;
      options.tos = isStream ? keepEcn(options.tos, wanted) : wanted;
      return 0;
    }
    case IPV6_MTU_DISCOVER:
      if (value < 0 || value > 5) return -EINVAL;
      options.mtuDiscover = value;
      return 0;
    case IPV6_MTU:
      if (value !== 0 && value < IPV6_MIN_MTU) return -EINVAL;
      if (isStream) return 0;
      // Streams do not send what must be cut up.
      (s.endpoint as DatagramEndpoint).fragmentBytes = value;
      (s.endpoint as DatagramEndpoint).sendingChanged();
      return 0;
    case IPV6_RECVERR:
      options.receiveErrors = on;
      return 0;
    case IPV6_ADDR_PREFERENCES:
      return setPreferences(s, value);
    case IPV6_MINHOPCOUNT:
      if (value < 0 || value > 255) return -EINVAL;
      options.minTtl = value;
      return 0;
    case IPV6_DONTFRAG:
      // As IP_PMTUDISC_DO, but for the errors, which stay as they are.
      options.dontFragment = on;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

const KNOWN = new Set([
  IPV6_ADDRFORM,
  IPV6_CHECKSUM,
  IPV6_HDRINCL,
  IPV6_V6ONLY,
  IPV6_UNICAST_HOPS,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_LOOP,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_IF,
  IPV6_ROUTER_ALERT,
  IPV6_TCLASS,
  IPV6_MTU_DISCOVER,
  IPV6_MTU,
  IPV6_RECVERR,
  IPV6_ADDR_PREFERENCES,
  IPV6_MINHOPCOUNT,
]);
const isKnown = (name: number): boolean => KNOWN.has(name);

/** IPV6_ADDRFORM: a connection to an IPv4 address becomes an IPv4 socket's. */
function becomeIpv4(s: InetSocket): number {
  if (!s.mayBecomeIpv4) return -ENOPROTOOPT;
  if (!s.isEstablished) return -ENOTCONN;
  if (s.endpoint.options.v6Only || !s.endpoint.remoteAddr.isV4) return -EADDRNOTAVAIL;
  s.family = AF_INET;
  return 0;
}

/** ip6_ra_control: packets with the router alert of this value come here; below 0: none. */
function setRouterAlert(s: InetSocket, value: number): number {
  const endpoint = s.endpoint as DatagramEndpoint;
  if (s.protocol !== IPPROTO_RAW || endpoint.setRouterAlert === undefined) return -ENOPROTOOPT;
  const result = resultOf(endpoint.setRouterAlert(value));
  if (result === 0) s.ownIp.routerAlert = value >= 0;
  return result;
}

function setMulticastInterface(s: InetSocket, index: number): number {
  const bound = s.endpoint.options.boundNicId;
  if (index !== 0 && bound !== 0 && bound !== index) return -EINVAL;
  if (index !== 0 && s.network.interfaceByIndex(index) === undefined) return -ENODEV;
  s.ownIp.multicastIndex = index;
  return 0;
}

/** struct in6_pktinfo. Of a socket Linux keeps the address, and sends from another all the same. */
function setPacketInfo(s: InetSocket, value: Uint8Array, length: number): number {
  if (length < PKTINFO_BYTES) return -EINVAL;
  const index = i32Le(value, 16);
  const bound = s.endpoint.options.boundNicId;
  if (bound !== 0 && index !== 0 && bound !== index) return -EINVAL;
  s.ownIp.stickyIndex = index;
  return 0;
}

const TMP_OR_PUBLIC = IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBLIC;

/** RFC 5014, as ip6_sock_set_addr_preferences: each group of bits says one thing, or nothing. */
function setPreferences(s: InetSocket, value: number): number {
  let kept = s.ip.sourcePreferences;
  const age = value & (TMP_OR_PUBLIC | IPV6_PREFER_SRC_PUBTMP_DEFAULT);
  const home = value & (IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA);
  const made = value & (IPV6_PREFER_SRC_CGA | IPV6_PREFER_SRC_NONCGA);
  // At most one bit of each.
  if ((age & (age - 1)) !== 0 || (home & (home - 1)) !== 0 || (made & (made - 1)) !== 0) {
    return -EINVAL;
  }
  if (age !== 0) kept = (kept & ~TMP_OR_PUBLIC) | (age & TMP_OR_PUBLIC);
  if (home !== 0) kept = (kept & ~IPV6_PREFER_SRC_COA) | (home & IPV6_PREFER_SRC_COA);
  s.ownIp.sourcePreferences = kept;
  if (s.type === SOCK_STREAM) return 0;
  const endpoint = s.endpoint as DatagramEndpoint;
  if ((kept & TMP_OR_PUBLIC) === 0) endpoint.prefersTemporary = null;
  else endpoint.prefersTemporary = (kept & IPV6_PREFER_SRC_TMP) !== 0;
  endpoint.sendingChanged();
  return 0;
}
