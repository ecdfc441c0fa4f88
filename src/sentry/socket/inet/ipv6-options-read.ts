// getsockopt at level SOL_IPV6 (ipv6(7), RFC 3542; Linux's do_ipv6_getsockopt). Setting them: ipv6-options.ts.

import { EINVAL, ENOPROTOOPT, ENOTCONN } from "../../../abi/errno.ts";
import {
  IPV6_2292HOPLIMIT,
  IPV6_2292PKTINFO,
  IPV6_2292PKTOPTIONS,
  IPV6_ADDR_PREFERENCES,
  IPV6_ADDRFORM,
  IPV6_CHECKSUM,
  IPV6_DONTFRAG,
  IPV6_FLOWLABEL_MGR,
  IPV6_HDRINCL,
  IPV6_HOPLIMIT,
  IPV6_MINHOPCOUNT,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_PATHMTU,
  IPV6_PKTINFO,
  IPV6_PREFER_SRC_COA,
  IPV6_PREFER_SRC_HOME,
  IPV6_PREFER_SRC_PUBLIC,
  IPV6_PREFER_SRC_PUBTMP_DEFAULT,
  IPV6_PREFER_SRC_TMP,
  IPV6_RECVERR,
  IPV6_ROUTER_ALERT,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_UNICAST_IF,
  IPV6_V6ONLY,
  MCAST_MSFILTER,
} from "../../../abi/in.ts";
import { AF_INET6, SOCK_RAW, SOCK_STREAM, SOL_IPV6 } from "../../../abi/socket.ts";
import { setU32Le } from "../../../base/bytes.ts";
import { type DatagramEndpoint, IPV6 } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { ControlWriter } from "../control.ts";
import { getExtensionOption, isExtensionOption } from "./extension-options.ts";
import { readFlowLabel } from "./flow-label-manager.ts";
import { getGroupFilter } from "./group-options.ts";
import type { InetSocket } from "./inet-socket.ts";
import { swap } from "./ip-options.ts";
import { IPV6_FLAGS } from "./ip-state.ts";

/** struct ip6_mtuinfo: a sockaddr_in6 and the MTU. */
export const MTU_INFO_BYTES = 32;
export const MTU_INFO_MTU = 28;
const IP_MTU_MAX = 65_535;

export function getIpv6Option(
  _t: Task,
  s: InetSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  if (isExtensionOption(name)) return getExtensionOption(s, name, out, maxLength);
  switch (name) {
    case MCAST_MSFILTER:
      return getGroupFilter(s, IPV6, out, maxLength);
    case IPV6_2292PKTOPTIONS:
      return getPacketOptions(s, out, maxLength);
    case IPV6_PATHMTU: {
      if (maxLength < MTU_INFO_BYTES) return -EINVAL;
      const mtu = pathMtu(s);
      if (mtu < 0) return mtu;
      out.fill(0, 0, MTU_INFO_BYTES);
      setU32Le(out, MTU_INFO_MTU, mtu);
      return MTU_INFO_BYTES;
    }
    case IPV6_FLOWLABEL_MGR:
      return readFlowLabel(s, out, maxLength);
    case IPV6_CHECKSUM:
      // -1 where there is none; not an errno.
      if (s.type !== SOCK_RAW) return -ENOPROTOOPT;
      setU32Le(out, 0, (s.endpoint as DatagramEndpoint).checksumAt ?? -1);
      return 4;
  }
  const flag = IPV6_FLAGS.get(name);
  const value = flag === undefined ? getInteger(s, name) : Number(s.ip[flag]);
  if (value < 0) return value;
  setU32Le(out, 0, value);
  return 4;
}

function pathMtu(s: InetSocket): number {
  if (!s.isConnected) return -ENOTCONN;
  const { remoteAddr } = s.endpoint;
  const mtu = s.network.mtuTo(remoteAddr);
  if (mtu === 0) return -ENOTCONN;
  return remoteAddr.isV4 ? Math.min(mtu, IP_MTU_MAX) : mtu;
}

function getInteger(s: InetSocket, name: number): number {
  const options = s.endpoint.options;
  switch (name) {
    case IPV6_ADDRFORM:
      if (!s.mayBecomeIpv4) return -ENOPROTOOPT;
      return s.isEstablished ? AF_INET6 : -ENOTCONN;
    case IPV6_HDRINCL:
      return s.type === SOCK_RAW ? Number(s.ip.includeHeader) : -ENOPROTOOPT;
    case IPV6_V6ONLY:
      return Number(options.v6Only);
    case IPV6_UNICAST_HOPS:
      return options.ttl;
    case IPV6_MULTICAST_HOPS:
      return options.multicastTtl;
    case IPV6_MULTICAST_LOOP:
      return Number(s.multicastLoop);
    case IPV6_MULTICAST_ALL:
      return Number(s.ip.multicastAll6);
    case IPV6_UNICAST_IF:
      return swap(s.ip.unicastIndex) >>> 0;
    case IPV6_MULTICAST_IF:
      return s.ip.multicastIndex;
    case IPV6_ROUTER_ALERT:
      return Number(s.ip.routerAlert);
    case IPV6_TCLASS:
      return options.tos & 0xff;
    case IPV6_MTU_DISCOVER:
      return options.mtuDiscover;
    case IPV6_MTU:
      return pathMtu(s);
    case IPV6_RECVERR:
      return Number(options.receiveErrors);
    case IPV6_ADDR_PREFERENCES:
      return preferences(s.ip.sourcePreferences);
    case IPV6_MINHOPCOUNT:
      return options.minTtl;
    case IPV6_DONTFRAG:
      return Number(options.dontFragment);
    default:
      return -ENOPROTOOPT;
  }
}

/** Linux's own ways have bits, too. */
function preferences(kept: number): number {
  const age = kept & (IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBLIC);
  const home = kept & IPV6_PREFER_SRC_COA;
  return (age || IPV6_PREFER_SRC_PUBTMP_DEFAULT) | (home || IPV6_PREFER_SRC_HOME);
}

const packetOptions = new ControlWriter();

/**
 * IPV6_2292PKTOPTIONS of a stream: what control messages would tell, as one buffer of them. Of its segments a
 * connection keeps none of this: it is what Linux says before one has come since it was asked for.
 */
function getPacketOptions(s: InetSocket, out: Uint8Array, maxLength: number): number {
  if (s.type !== SOCK_STREAM) return -ENOPROTOOPT;
  const { ip } = s;
  packetOptions.reset(maxLength);
  const info = new Uint8Array(20);
  setU32Le(info, 16, ip.multicastIndex || ip.stickyIndex);
  const hops = s.endpoint.options.multicastTtl;
  if (ip.receivePktInfo6) packetOptions.put(SOL_IPV6, IPV6_PKTINFO, info, 0, info.length);
  if (ip.receiveHopLimit) packetOptions.putInt(SOL_IPV6, IPV6_HOPLIMIT, hops);
  if (ip.receiveTclass) packetOptions.putInt(SOL_IPV6, IPV6_TCLASS, 0);
  if (ip.receiveOldPktInfo) packetOptions.put(SOL_IPV6, IPV6_2292PKTINFO, info, 0, info.length);
  if (ip.receiveOldHopLimit) packetOptions.putInt(SOL_IPV6, IPV6_2292HOPLIMIT, hops);
  out.set(packetOptions.bytes.subarray(0, packetOptions.length));
  return packetOptions.length;
}
