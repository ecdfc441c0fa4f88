// getsockopt at level SOL_IP (ip(7), Linux's do_ip_getsockopt). Setting them: ip-options.ts.

import { ENOPROTOOPT, ENOTCONN } from "../../../abi/errno.ts";
import {
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
  IP_PKTOPTIONS,
  IP_PROTOCOL,
  IP_RECVERR,
  IP_ROUTER_ALERT,
  IP_TOS,
  IP_TTL,
  IP_UNICAST_IF,
  MCAST_MSFILTER,
} from "../../../abi/in.ts";
import { SOCK_RAW, SOCK_STREAM, SOL_IP } from "../../../abi/socket.ts";
import { setU32, setU32Le } from "../../../base/bytes.ts";
import { IPV4 } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { ControlWriter } from "../control.ts";
import { getGroupFilter, getIpFilter } from "./group-options.ts";
import { getHeaderOptions } from "./header-options.ts";
import type { InetSocket } from "./inet-socket.ts";
import { swap } from "./ip-options.ts";
import { IP_FLAGS } from "./ip-state.ts";

/** An IPv4 packet's length is a number of 16 bits (ip_skb_dst_mtu). */
const IP_MTU_MAX = 65_535;

export function getIpOption(
  _t: Task,
  s: InetSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  switch (name) {
    case IP_MULTICAST_IF:
      setU32(out, 0, s.ip.multicastSource);
      return 4;
    case IP_MSFILTER:
      return getIpFilter(s, out, maxLength);
    case MCAST_MSFILTER:
      return getGroupFilter(s, IPV4, out, maxLength);
    case IP_OPTIONS:
      return getHeaderOptions(s, out);
    case IP_PKTOPTIONS:
      return getPacketOptions(s, out, maxLength);
  }
  const flag = IP_FLAGS.get(name);
  const value = flag === undefined ? getInteger(s, name) : Number(s.ip[flag]);
  // An index in network order, and two ports, may look negative.
  if (value < 0 && name !== IP_UNICAST_IF && name !== IP_LOCAL_PORT_RANGE) return value;
  setU32Le(out, 0, value);
  // A short buffer gets the value as one byte, as old programs expect.
  return maxLength < 4 && maxLength > 0 && value >= 0 && value <= 255 ? 1 : 4;
}

function getInteger(s: InetSocket, name: number): number {
  const options = s.endpoint.options;
  switch (name) {
    case IP_TTL:
      return options.ttl;
    case IP_TOS:
      return options.tos & 0xff;
    case IP_MTU_DISCOVER:
      return options.mtuDiscover;
    case IP_MTU: {
      if (!s.isConnected) return -ENOTCONN;
      const mtu = s.network.mtuTo(s.endpoint.remoteAddr);
      if (mtu === 0) return -ENOTCONN;
      return s.endpoint.remoteAddr.isV4 ? Math.min(mtu, IP_MTU_MAX) : mtu;
    }
    case IP_RECVERR:
      return Number(options.receiveErrors);
    case IP_MINTTL:
      return options.minTtl;
    case IP_HDRINCL:
      return Number(s.ip.includeHeader);
    case IP_ROUTER_ALERT:
      return Number(s.ip.routerAlert);
    case IP_MULTICAST_TTL:
      return options.multicastTtl;
    case IP_MULTICAST_LOOP:
      return Number(s.multicastLoop);
    case IP_MULTICAST_ALL:
      return Number(s.ip.multicastAll);
    case IP_UNICAST_IF:
      return swap(s.ip.unicastIndex);
    case IP_LOCAL_PORT_RANGE:
      return options.portRange | 0;
    case IP_PROTOCOL:
      // inet_num: of a raw socket its protocol, of others their port.
      return s.type === SOCK_RAW ? s.protocol : s.endpoint.localPort;
    default:
      return -ENOPROTOOPT;
  }
}

const packetOptions = new ControlWriter();

/**
 * IP_PKTOPTIONS of a stream: what control messages would tell, as one buffer of them. Of its segments a connection
 * keeps neither interface nor TOS; the TTL is that of multicasting in Linux, too.
 */
function getPacketOptions(s: InetSocket, out: Uint8Array, maxLength: number): number {
  if (s.type !== SOCK_STREAM) return -ENOPROTOOPT;
  packetOptions.reset(maxLength);
  if (s.ip.receivePktInfo) {
    const info = new Uint8Array(12);
    setU32Le(info, 0, s.ip.multicastIndex);
    s.endpoint.localAddr.write(info, 4, IPV4);
    s.endpoint.localAddr.write(info, 8, IPV4);
    packetOptions.put(SOL_IP, IP_PKTINFO, info, 0, info.length);
  }
  if (s.ip.receiveTtl) packetOptions.putInt(SOL_IP, IP_TTL, s.endpoint.options.multicastTtl);
  if (s.ip.receiveTos) packetOptions.putInt(SOL_IP, IP_TOS, 0);
  out.set(packetOptions.bytes.subarray(0, packetOptions.length));
  return packetOptions.length;
}
