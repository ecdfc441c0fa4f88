// NETLINK_ROUTE answers: links, addresses, routes and neighbours of the stack as rtnetlink messages
// (rtnetlink(7)). Reading only.

import { EHOSTUNREACH, EINVAL, ENODEV, EOPNOTSUPP } from "../../../abi/errno.ts";
import { IF_OPER_DOWN, IF_OPER_UNKNOWN, IF_OPER_UP, IFF_UP } from "../../../abi/netdevice.ts";
import {
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_CACHEINFO,
  IFA_F_PERMANENT,
  IFA_FLAGS,
  IFA_LABEL,
  IFA_LOCAL,
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  IFLA_ADDRESS,
  IFLA_BROADCAST,
  IFLA_CARRIER,
  IFLA_GROUP,
  IFLA_IFNAME,
  IFLA_LINKMODE,
  IFLA_MTU,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  IFLA_OPERSTATE,
  IFLA_PROMISCUITY,
  IFLA_QDISC,
  IFLA_STATS,
  IFLA_STATS64,
  IFLA_TXQLEN,
  NDA_DST,
  NDA_LLADDR,
  NDMSG_BYTES,
  NLM_F_MULTI,
  NLMSGHDR_BYTES,
  NTF_ROUTER,
  NUD_FAILED,
  NUD_INCOMPLETE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_COMPAT,
  RT_TABLE_LOCAL,
  RTA_DST,
  RTA_GATEWAY,
  RTA_IIF,
  RTA_MARK,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_SRC,
  RTA_TABLE,
  RTM_F_CLONED,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTMSG_BYTES,
  RTN_LOCAL,
  RTN_UNICAST,
} from "../../../abi/netlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../../../abi/socket.ts";
import {
  byteString,
  i32Le,
  setU16Le,
  setU32,
  setU32Le,
  setU64Le,
  u32Le,
} from "../../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, NetErr } from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import { isLinkLocalV6 } from "../inet/inet-address.ts";
import { hardwareType, interfaceFlags, txQueueLength } from "../inet/inet-ioctl.ts";
import type {
  AddressView,
  InterfaceView,
  NeighborView,
  NetworkView,
  RouteView,
} from "../inet/network-view.ts";
import { attributesOf, type NetlinkWriter } from "./netlink-message.ts";

const IFA_F_TEMPORARY = 1;
const BROADCAST_MAC = new Uint8Array(6).fill(0xff);

const familyOf = (addr: IpAddr): number => (addr.isV4 ? AF_INET : AF_INET6);
const wants = (filter: number, family: number): boolean =>
  filter === AF_UNSPEC || filter === family;

function bytesOf(addr: IpAddr): Uint8Array {
  const bytes = new Uint8Array(addr.isV4 ? 4 : 16);
  addr.write(bytes, 0, addr.isV4 ? IPV4 : IPV6);
  return bytes;
}

export function dumpLinks(w: NetlinkWriter, network: NetworkView): void {
  for (const nic of network.interfaces()) putLink(w, nic, NLM_F_MULTI);
  w.done();
}

/** RTM_GETLINK of one: by index, or by IFLA_IFNAME. 0 or -errno. */
export function getLink(w: NetlinkWriter, network: NetworkView, request: Uint8Array): number {
  if (request.length < NLMSGHDR_BYTES + IFINFOMSG_BYTES) return -EINVAL;
  const index = i32Le(request, NLMSGHDR_BYTES + 4);
  let nic = index > 0 ? network.interfaceByIndex(index) : undefined;
  if (index <= 0) {
    for (const a of attributesOf(request, NLMSGHDR_BYTES + IFINFOMSG_BYTES, request.length)) {
      if (a.type !== IFLA_IFNAME) continue;
      nic = network.interfaceByName(byteString(request, a.offset, a.length).replace(/\0.*$/s, ""));
    }
  }
  if (nic === undefined) return -ENODEV;
  putLink(w, nic, 0);
  w.flush();
  return 0;
}

export function putLink(w: NetlinkWriter, nic: InterfaceView, flags: number): void {
  const at = w.begin(RTM_NEWLINK, flags, IFINFOMSG_BYTES);
  const ifFlags = interfaceFlags(nic);
  setU16Le(w.bytes, at + 2, hardwareType(nic));
  setU32Le(w.bytes, at + 4, nic.index);
  setU32Le(w.bytes, at + 8, ifFlags);
  w.attributeString(IFLA_IFNAME, nic.name);
  w.attributeU32(IFLA_TXQLEN, txQueueLength(nic));
  const isUp = (ifFlags & IFF_UP) !== 0;
  w.attributeU8(
    IFLA_OPERSTATE,
    nic.isLoopback ? IF_OPER_UNKNOWN : isUp ? IF_OPER_UP : IF_OPER_DOWN,
  );
  w.attributeU8(IFLA_LINKMODE, 0);
  w.attributeU32(IFLA_MTU, nic.mtu);
  w.attributeU32(IFLA_GROUP, 0);
  w.attributeU32(IFLA_PROMISCUITY, 0);
  w.attributeU32(IFLA_NUM_TX_QUEUES, 1);
  w.attributeU32(IFLA_NUM_RX_QUEUES, 1);
  w.attributeU8(IFLA_CARRIER, Number(isUp));
  w.attributeString(IFLA_QDISC, "noqueue");
  w.attribute(IFLA_ADDRESS, nic.mac);
  w.attribute(IFLA_BROADCAST, nic.isLoopback ? new Uint8Array(6) : BROADCAST_MAC);
  putStats(w, nic);
  w.finish();
}

/** struct rtnl_link_stats and rtnl_link_stats64: the same fields in 4 and 8 bytes. */
function putStats(w: NetlinkWriter, nic: InterfaceView): void {
  const c = nic.counters;
  const fields = [
    c.rxPackets,
    c.txPackets,
    c.rxBytes,
    c.txBytes,
    0,
    0,
    c.rxDropped,
    c.txDropped,
    c.multicast,
  ];
  const narrow = new Uint8Array(24 * 4);
  const wide = new Uint8Array(25 * 8);
  fields.forEach((value, i) => {
    setU32Le(narrow, 4 * i, value >>> 0);
    setU64Le(wide, 8 * i, value);
  });
  w.attribute(IFLA_STATS64, wide);
  w.attribute(IFLA_STATS, narrow);
}

export function dumpAddresses(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const nic of network.interfaces()) {
    for (const address of nic.addresses) {
      if (!wants(family, familyOf(address.addr))) continue;
      putAddress(w, nic, address, RTM_NEWADDR, NLM_F_MULTI);
    }
  }
  w.done();
}

export function putAddress(
  w: NetlinkWriter,
  nic: InterfaceView,
  a: AddressView,
  type: number,
  flags: number,
): void {
  const at = w.begin(type, flags, IFADDRMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(a.addr);
  b[at + 1] = a.prefixBits;
  const ifaFlags = a.isAuto ? (a.temporary ? IFA_F_TEMPORARY : 0) : IFA_F_PERMANENT;
  b[at + 2] = ifaFlags;
  b[at + 3] = nic.isLoopback
    ? RT_SCOPE_HOST
    : isLinkLocalV6(a.addr)
      ? RT_SCOPE_LINK
      : RT_SCOPE_UNIVERSE;
  setU32Le(b, at + 4, nic.index);
  const address = bytesOf(a.addr);
  w.attribute(IFA_ADDRESS, address);
  if (a.addr.isV4) {
    w.attribute(IFA_LOCAL, address);
    if (a.broadcast !== 0 && !nic.isLoopback) {
      const broadcast = new Uint8Array(4);
      setU32(broadcast, 0, a.broadcast);
      w.attribute(IFA_BROADCAST, broadcast);
    }
    w.attributeString(IFA_LABEL, nic.name);
  }
  w.attributeU32(IFA_FLAGS, ifaFlags);
  // Preferred and valid for ever.
  w.attribute(IFA_CACHEINFO, new Uint8Array(16).fill(0xff, 0, 8));
  w.finish();
}

export function dumpRoutes(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const route of network.routes()) {
    if (!wants(family, familyOf(route.dst))) continue;
    putRoute(w, network, route, route.dst, route.prefixBits, NLM_F_MULTI);
  }
  w.done();
}

export function putRoute(
  w: NetlinkWriter,
  network: NetworkView,
  route: RouteView,
  dst: IpAddr,
  prefixBits: number,
  flags: number,
  asked: { src: IpAddr | null; mark: number } | null = null,
  type = RTM_NEWROUTE,
): void {
  const isLocal = network.interfaceByIndex(route.index)?.isLoopback ?? false;
  const at = w.begin(type, flags, RTMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(dst);
  b[at + 1] = prefixBits;
  const table = isLocal ? RT_TABLE_LOCAL : route.table;
  b[at + 4] = table < 256 ? table : RT_TABLE_COMPAT;
  b[at + 5] = route.origin;
  const isOnLink = route.gateway === null && route.index !== 0;
  b[at + 6] = isLocal ? RT_SCOPE_HOST : isOnLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  b[at + 7] = isLocal ? RTN_LOCAL : route.type;
  // The answer to a question, no entry of a table.
  if (asked !== null) setU32Le(b, at + 8, RTM_F_CLONED);
  w.attributeU32(RTA_TABLE, table);
  if (prefixBits > 0) w.attribute(RTA_DST, bytesOf(dst));
  if (route.metric !== 0) w.attributeU32(RTA_PRIORITY, route.metric);
  if (route.gateway !== null) w.attribute(RTA_GATEWAY, bytesOf(route.gateway));
  const asksFrom = asked?.src ?? null;
  if (asksFrom !== null) {
    b[at + 2] = asksFrom.isV4 ? 32 : 128;
    w.attribute(RTA_SRC, bytesOf(asksFrom));
  }
  const isAsked = asksFrom !== null && route.src?.equals(asksFrom) === true;
  if (route.src !== null && !isAsked) w.attribute(RTA_PREFSRC, bytesOf(route.src));
  if (route.index !== 0) w.attributeU32(RTA_OIF, route.index);
  if (asked !== null && asked.mark !== 0) w.attributeU32(RTA_MARK, asked.mark >>> 0);
  w.finish();
}

/** RTM_GETROUTE of one destination (`ip route get`). 0 or -errno. */
export function getRoute(w: NetlinkWriter, network: NetworkView, request: Uint8Array): number {
  if (request.length < NLMSGHDR_BYTES + RTMSG_BYTES) return -EINVAL;
  const isV4 = request[NLMSGHDR_BYTES] === AF_INET;
  if (!isV4 && request[NLMSGHDR_BYTES] !== AF_INET6) return -EOPNOTSUPP;
  let dst: IpAddr | null = null;
  let src: IpAddr | null = null;
  let index = 0;
  let mark = 0;
  for (const a of attributesOf(request, NLMSGHDR_BYTES + RTMSG_BYTES, request.length)) {
    const isAddress = a.type === RTA_DST || a.type === RTA_SRC;
    if (a.length < (isAddress && !isV4 ? 16 : 4)) return -EINVAL;
    const addr = isAddress ? new IpAddr().read(request, a.offset, isV4 ? IPV4 : IPV6) : null;
    if (a.type === RTA_DST) dst = addr;
    else if (a.type === RTA_SRC) src = addr;
    else if (a.type === RTA_OIF) index = u32Le(request, a.offset);
    else if (a.type === RTA_MARK) mark = u32Le(request, a.offset) | 0;
    // Another's packet, as it would be forwarded.
    else if (a.type === RTA_IIF) return -EOPNOTSUPP;
  }
  if (dst === null) return -EINVAL;
  if (index !== 0 && network.interfaceByIndex(index) === undefined) return -ENODEV;
  const found = network.routeTo(dst, { src, index, mark });
  if (typeof found === "number") {
    const isNowhere = found === NetErr.NetworkUnreachable;
    // inet_rtm_getroute: a source that is not ours.
    if (found === NetErr.AddressNotAvailable) return -EINVAL;
    return isNowhere && !isV4 ? -EHOSTUNREACH : -errnoOf(found);
  }
  putRoute(w, network, found, dst, isV4 ? 32 : 128, 0, { src, mark });
  w.flush();
  return 0;
}

export function dumpNeighbors(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const entry of network.neighbors()) {
    if (wants(family, familyOf(entry.addr))) putNeighbor(w, entry, RTM_NEWNEIGH, NLM_F_MULTI);
  }
  w.done();
}

export function putNeighbor(
  w: NetlinkWriter,
  entry: NeighborView,
  type: number,
  flags: number,
): void {
  const at = w.begin(type, flags, NDMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(entry.addr);
  setU32Le(b, at + 4, entry.index);
  setU16Le(b, at + 8, entry.state);
  b[at + 10] = entry.isRouter ? NTF_ROUTER : 0;
  b[at + 11] = RTN_UNICAST;
  w.attribute(NDA_DST, bytesOf(entry.addr));
  if ((entry.state & (NUD_INCOMPLETE | NUD_FAILED)) === 0) w.attribute(NDA_LLADDR, entry.mac);
  w.finish();
}
