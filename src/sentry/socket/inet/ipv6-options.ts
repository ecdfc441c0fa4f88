// setsockopt and getsockopt at level SOL_IPV6 (ipv6(7), RFC 3542).

import { EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN } from "../../../abi/errno.ts";
import {
  IPV6_DONTFRAG,
  IPV6_FREEBIND,
  IPV6_MINHOPCOUNT,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_RECVERR,
  IPV6_RECVERR_RFC4884,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVORIGDSTADDR,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_UNICAST_IF,
  IPV6_V6ONLY,
  MCAST_MSFILTER,
} from "../../../abi/in.ts";
import { SOCK_STREAM } from "../../../abi/socket.ts";
import { i32Le, setU32Le } from "../../../base/bytes.ts";
import { IPV6 } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { getGroupFilter, isGroupOption6, setGroupOption6 } from "./group-options.ts";
import type { InetSocket } from "./inet-socket.ts";
import { setUnicastInterface, swap } from "./ip-options.ts";

export function setIpv6Option(
  _t: Task,
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  if (isGroupOption6(name)) return setGroupOption6(s, name, value, length);
  if (length < 4) return -EINVAL;
  return setInteger(s, name, i32Le(value, 0));
}

function setInteger(s: InetSocket, name: number, value: number): number {
  const options = s.endpoint.options;
  const on = value !== 0;
  switch (name) {
    case IPV6_V6ONLY:
      if (s.endpoint.localPort !== 0) return -EINVAL;
      options.v6Only = on;
      return 0;
    case IPV6_UNICAST_HOPS:
      if (value < -1 || value > 255) return -EINVAL;
      options.ttl = value === -1 ? 64 : value;
      return 0;
    case IPV6_MULTICAST_HOPS:
      if (s.type === SOCK_STREAM) return -ENOPROTOOPT;
      if (value < -1 || value > 255) return -EINVAL;
      options.multicastTtl = value === -1 ? 1 : value;
      return 0;
    case IPV6_MULTICAST_LOOP:
      if (value !== 0 && value !== 1) return -EINVAL;
      return s.setMulticastLoop(on);
    case IPV6_MULTICAST_ALL:
      s.ip.multicastAll = on;
      options.multicastAll = on;
      return 0;
    case IPV6_MULTICAST_IF:
      if (s.type === SOCK_STREAM) return -ENOPROTOOPT;
      if (value !== 0 && s.network.interfaceByIndex(value) === undefined) {
        return -ENODEV;
      }
      s.ip.multicastIndex = value;
      return 0;
    case IPV6_UNICAST_IF:
      return setUnicastInterface(s, value);
    case IPV6_TCLASS:
      if (value < -1 || value > 255) return -EINVAL;
      options.tos = value === -1 ? 0 : value;
      return 0;
    case IPV6_MTU_DISCOVER:
      if (value < 0 || value > 5) return -EINVAL;
      options.mtuDiscover = value;
      return 0;
    case IPV6_RECVERR:
      options.receiveErrors = on;
      return 0;
    case IPV6_RECVPKTINFO:
      s.ip.receivePktInfo6 = on;
      return 0;
    case IPV6_RECVHOPLIMIT:
      s.ip.receiveHopLimit = on;
      return 0;
    case IPV6_RECVTCLASS:
      s.ip.receiveTclass = on;
      return 0;
    case IPV6_RECVORIGDSTADDR:
      s.ip.receiveOrigDstAddr6 = on;
      return 0;
    case IPV6_RECVERR_RFC4884:
      if (value !== 0 && value !== 1) return -EINVAL;
      s.ip.receiveErrorRfc4884 = on;
      return 0;
    case IPV6_MINHOPCOUNT:
      if (value < 0 || value > 255) return -EINVAL;
      options.minTtl = value;
      return 0;
    case IPV6_DONTFRAG:
      // As IP_PMTUDISC_DO, but for the errors, which stay as they are.
      options.dontFragment = on;
      return 0;
    case IPV6_FREEBIND:
      options.freeBind = on;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

export function getIpv6Option(
  _t: Task,
  s: InetSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  if (name === MCAST_MSFILTER) return getGroupFilter(s, IPV6, out, maxLength);
  const value = getInteger(s, name);
  if (value < 0) return value;
  setU32Le(out, 0, value);
  return 4;
}

function getInteger(s: InetSocket, name: number): number {
  const options = s.endpoint.options;
  switch (name) {
    case IPV6_V6ONLY:
      return Number(options.v6Only);
    case IPV6_UNICAST_HOPS:
      return options.ttl;
    case IPV6_MULTICAST_HOPS:
      return options.multicastTtl;
    case IPV6_MULTICAST_LOOP:
      return Number(s.multicastLoop);
    case IPV6_MULTICAST_ALL:
      return Number(s.ip.multicastAll);
    case IPV6_UNICAST_IF:
      return swap(s.ip.unicastIndex) >>> 0;
    case IPV6_MULTICAST_IF:
      return s.ip.multicastIndex;
    case IPV6_TCLASS:
      return options.tos;
    case IPV6_MTU_DISCOVER:
      return options.mtuDiscover;
    case IPV6_MTU: {
      if (!s.isConnected) return -ENOTCONN;
      const mtu = s.network.mtuTo(s.endpoint.remoteAddr);
      return mtu === 0 ? -ENOTCONN : mtu;
    }
    case IPV6_RECVERR:
      return Number(options.receiveErrors);
    case IPV6_RECVPKTINFO:
      return Number(s.ip.receivePktInfo6);
    case IPV6_RECVHOPLIMIT:
      return Number(s.ip.receiveHopLimit);
    case IPV6_RECVTCLASS:
      return Number(s.ip.receiveTclass);
    case IPV6_RECVORIGDSTADDR:
      return Number(s.ip.receiveOrigDstAddr6);
    case IPV6_RECVERR_RFC4884:
      return Number(s.ip.receiveErrorRfc4884);
    case IPV6_MINHOPCOUNT:
      return options.minTtl;
    case IPV6_DONTFRAG:
      return Number(options.dontFragment);
    case IPV6_FREEBIND:
      return Number(options.freeBind);
    default:
      return -ENOPROTOOPT;
  }
}
