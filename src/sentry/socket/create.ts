// socket(2) and socketpair(2): which families, types and protocols there are, and who makes them.

import { CAP_NET_RAW } from "../../abi/capability.ts";
import {
  EACCES,
  EAFNOSUPPORT,
  EINVAL,
  ENOBUFS,
  EOPNOTSUPP,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from "../../abi/errno.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IP,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../../abi/in.ts";
import { NETLINK_ROUTE, NETLINK_SOCK_DIAG } from "../../abi/netlink.ts";
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_PACKET,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../abi/socket.ts";
import { IPV4, IPV6, NetErr } from "../../netstack/index.ts";
import type { Task } from "../kernel/task.ts";
import { errnoOf } from "./errno-of.ts";
import { DatagramSocket } from "./inet/datagram-socket.ts";
import { InetSocket } from "./inet/inet-socket.ts";
import { inetStackOf } from "./inet/inet-stack.ts";
import { StreamSocket } from "./inet/stream-socket.ts";
import { NetlinkSocket } from "./netlink/netlink-socket.ts";
import { PacketSocket } from "./packet/packet-socket.ts";
import type { Socket } from "./socket.ts";
import { socketTableOf } from "./socket-table.ts";
import { UnixConnectionSocket } from "./unix/connection-socket.ts";
import { UnixDatagramSocket } from "./unix/datagram-socket.ts";

const SOCK_MAX = 11;

/** ping_init_sock(): net.ipv4.ping_group_range holds one of the task's groups. */
function mayPing({ creds, kernel }: Task): boolean {
  const { pingGroupMin: min, pingGroupMax: max } = kernel.socketRights;
  const isIn = (gid: number): boolean => gid >= min && gid <= max;
  return isIn(creds.egid) || creds.groups.some(isIn);
}

/** A new socket, or -errno. flags: O_NONBLOCK. */
export function createSocket(
  t: Task,
  family: number,
  type: number,
  protocol: number,
  flags: number,
): Socket | number {
  const made = create(t, family, type, protocol, flags);
  if (typeof made === "number") return made;
  made.ownerUid = t.creds.euid;
  if (made instanceof InetSocket) made.endpoint.options.uid = made.ownerUid;
  return made;
}

function create(
  t: Task,
  family: number,
  type: number,
  protocol: number,
  flags: number,
): Socket | number {
  if (family < 0 || family >= 46) return -EAFNOSUPPORT;
  if (type < 0 || type >= SOCK_MAX) return -EINVAL;
  const table = socketTableOf(t.kernel);
  if (table.isFull) return -ENOBUFS;
  switch (family) {
    case AF_INET:
    case AF_INET6:
      return createInet(t, family, type, protocol, flags);
    case AF_UNIX:
      if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
      // Linux takes SOCK_RAW for a datagram socket here.
      if (type === SOCK_DGRAM || type === SOCK_RAW) {
        return new UnixDatagramSocket(table, t, flags);
      }
      if (type !== SOCK_STREAM && type !== SOCK_SEQPACKET) return -ESOCKTNOSUPPORT;
      return new UnixConnectionSocket(table, t, type, flags);
    case AF_NETLINK:
      if (type !== SOCK_RAW && type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
      if (protocol !== NETLINK_ROUTE && protocol !== NETLINK_SOCK_DIAG) return -EPROTONOSUPPORT;
      return new NetlinkSocket(inetStackOf(t.kernel), type, protocol, flags);
    case AF_PACKET:
      return createPacket(t, type, protocol, flags);
    default:
      return -EAFNOSUPPORT;
  }
}

function createPacket(t: Task, type: number, protocol: number, flags: number): Socket | number {
  if (!t.creds.hasCapability(CAP_NET_RAW)) return -EPERM;
  // SOCK_PACKET, Linux 2.0's, is not here.
  if (type !== SOCK_DGRAM && type !== SOCK_RAW) return -ESOCKTNOSUPPORT;
  const stack = inetStackOf(t.kernel);
  // The protocol comes in network order.
  const etherType = ((protocol & 0xff) << 8) | ((protocol >>> 8) & 0xff);
  const endpoint = stack.endpoints.packet(type === SOCK_DGRAM, etherType);
  if (typeof endpoint === "number") return refusal(endpoint);
  return new PacketSocket(stack, type, protocol, flags, endpoint);
}

function createInet(
  t: Task,
  family: number,
  type: number,
  protocol: number,
  flags: number,
): Socket | number {
  const stack = inetStackOf(t.kernel);
  const ipFamily = family === AF_INET ? IPV4 : IPV6;
  if (type === SOCK_STREAM) {
    if (protocol !== IPPROTO_IP && protocol !== IPPROTO_TCP) return -EPROTONOSUPPORT;
    const endpoint = stack.endpoints.tcp(ipFamily);
    if (typeof endpoint === "number") return refusal(endpoint);
    return new StreamSocket(stack, family, IPPROTO_TCP, flags, endpoint);
  }
  const echo = family === AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  if (type === SOCK_DGRAM) {
    const isUdp = protocol === IPPROTO_IP || protocol === IPPROTO_UDP;
    if (!isUdp && protocol !== echo) return -EPROTONOSUPPORT;
    if (!isUdp && !mayPing(t)) return -EACCES;
    const endpoint = isUdp ? stack.endpoints.udp(ipFamily) : stack.endpoints.ping(ipFamily);
    if (typeof endpoint === "number") return refusal(endpoint);
    const number = isUdp ? IPPROTO_UDP : echo;
    return new DatagramSocket(stack, family, type, number, flags, endpoint);
  }
  if (type === SOCK_RAW) {
    if (protocol < 0 || protocol > 255) return -EINVAL;
    if (!t.creds.hasCapability(CAP_NET_RAW)) return -EPERM;
    if (protocol === IPPROTO_IP) return -EPROTONOSUPPORT;
    const endpoint = stack.endpoints.raw(ipFamily, protocol);
    if (typeof endpoint === "number") return refusal(endpoint);
    return new DatagramSocket(stack, family, type, protocol, flags, endpoint);
  }
  return -ESOCKTNOSUPPORT;
}

/** A family that the stack does not have is one that this kernel was built without. */
const refusal = (error: number): number =>
  error === NetErr.NotSupported ? -EAFNOSUPPORT : -errnoOf(error);

/** Two connected sockets, or -errno. */
export function createPair(
  t: Task,
  family: number,
  type: number,
  protocol: number,
  flags: number,
): [Socket, Socket] | number {
  const a = createSocket(t, family, type, protocol, flags);
  if (typeof a === "number") return a;
  const b = createSocket(t, family, type, protocol, flags);
  if (typeof b === "number") {
    a.decRef();
    return b;
  }
  let result = -EOPNOTSUPP;
  if (a instanceof UnixConnectionSocket && b instanceof UnixConnectionSocket)
    result = a.pairWith(b, t);
  else if (a instanceof UnixDatagramSocket && b instanceof UnixDatagramSocket) {
    result = a.pairWith(b);
  }
  if (result === 0) return [a, b];
  a.decRef();
  b.decRef();
  return result;
}
