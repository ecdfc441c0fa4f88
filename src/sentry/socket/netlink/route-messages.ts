// NETLINK_ROUTE answers about routes: a dump of the tables, and where one destination leads (rtnetlink(7);
// fib_dump_info, rt_fill_info, rt6_fill_node). Reading only.

import { EHOSTUNREACH, EINVAL, ENODEV, EOPNOTSUPP } from "../../../abi/errno.ts";
import * as nl from "../../../abi/netlink.ts";
import { setU16Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { IpAddr, NetErr } from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { HopView, NetworkView, RouteQuestion, RouteView } from "../inet/network-view.ts";
import {
  addressIn,
  attributesOf,
  bytesOf,
  familyOf,
  ipFamily,
  type NetlinkWriter,
  wantsFamily,
} from "./netlink-message.ts";

/** Of struct rtmsg. */
const SRC_BITS = 2;
const TOS = 3;
const FLAGS = 8;
const UNSPECIFIED = new IpAddr();
const BODY = nl.NLMSGHDR_BYTES;

export function dumpRoutes(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const route of network.routes()) {
    if (wantsFamily(family, familyOf(route.dst))) {
      putRoute(w, network, route, nl.RTM_NEWROUTE, nl.NLM_F_MULTI);
    }
  }
  w.done();
}

/** asked: the answer to a question, no entry of a table. */
export function putRoute(
  w: NetlinkWriter,
  network: NetworkView,
  route: RouteView,
  type: number,
  flags: number,
  asked: RouteQuestion | null = null,
): void {
  const { dst, prefixBits, hops } = route;
  const isLocal = network.interfaceByIndex(route.index)?.isLoopback ?? false;
  const at = w.begin(type, flags, nl.RTMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(dst);
  b[at + 1] = prefixBits;
  const table = isLocal ? nl.RT_TABLE_LOCAL : route.table;
  b[at + 4] = table < 256 ? table : nl.RT_TABLE_COMPAT;
  b[at + 5] = route.origin;
  b[at + 6] = scopeOf(route, isLocal);
  b[at + 7] = isLocal ? nl.RTN_LOCAL : route.type;
  // An IPv6 answer shows the entry itself; only IPv4's is one made for the question.
  const cloned = asked !== null && dst.isV4 ? nl.RTM_F_CLONED : 0;
  setU32Le(b, at + FLAGS, cloned | (route.isOnLink && hops === null ? nl.RTNH_F_ONLINK : 0));
  w.attributeU32(nl.RTA_TABLE, table);
  if (prefixBits > 0) w.attribute(nl.RTA_DST, bytesOf(dst));
  if (dst.isV4) putRest4(w, at, route, asked);
  else putRest6(w, at, route, asked);
  w.finish();
}

/** IPv6 knows scopes of addresses only. */
function scopeOf(route: RouteView, isLocal: boolean): number {
  if (!route.dst.isV4) return nl.RT_SCOPE_UNIVERSE;
  if (isLocal) return nl.RT_SCOPE_HOST;
  const isOnLink = route.gateway === null && route.index !== 0 && route.hops === null;
  return isOnLink ? nl.RT_SCOPE_LINK : nl.RT_SCOPE_UNIVERSE;
}

/** fib_dump_info; rt_fill_info. */
function putRest4(
  w: NetlinkWriter,
  at: number,
  route: RouteView,
  asked: RouteQuestion | null,
): void {
  if (asked === null) {
    if (route.metric !== 0) w.attributeU32(nl.RTA_PRIORITY, route.metric);
    putMetrics(w, route);
    if (route.src !== null) w.attribute(nl.RTA_PREFSRC, bytesOf(route.src));
    putWays(w, route);
    return;
  }
  if (asked.src !== null) {
    w.bytes[at + SRC_BITS] = 32;
    w.attribute(nl.RTA_SRC, bytesOf(asked.src));
  }
  if (route.index !== 0) w.attributeU32(nl.RTA_OIF, route.index);
  const isAsked = asked.src !== null && route.src?.equals(asked.src) === true;
  if (route.src !== null && !isAsked) w.attribute(nl.RTA_PREFSRC, bytesOf(route.src));
  if (route.gateway !== null) w.attribute(nl.RTA_GATEWAY, bytesOf(route.gateway));
  putMetrics(w, route);
  if (asked.mark !== 0) w.attributeU32(nl.RTA_MARK, asked.mark >>> 0);
  w.attributeU32(nl.RTA_UID, asked.uid);
}

/** rt6_fill_node. */
function putRest6(
  w: NetlinkWriter,
  at: number,
  route: RouteView,
  asked: RouteQuestion | null,
): void {
  if (asked !== null) {
    w.bytes[at + SRC_BITS] = 128;
    w.attribute(nl.RTA_SRC, bytesOf(asked.src ?? UNSPECIFIED));
  }
  if (route.src !== null) w.attribute(nl.RTA_PREFSRC, bytesOf(route.src));
  putMetrics(w, route);
  if (route.metric !== 0) w.attributeU32(nl.RTA_PRIORITY, route.metric);
  putWays(w, route);
  if (asked !== null && asked.mark !== 0) w.attributeU32(nl.RTA_MARK, asked.mark >>> 0);
  // Of a router's preference (RFC 4191): medium.
  w.attributeU8(nl.RTA_PREF, 0);
}

function putMetrics(w: NetlinkWriter, { mtu, advmss }: RouteView): void {
  if (mtu === 0 && advmss === 0) return;
  const nest = w.beginNest(nl.RTA_METRICS);
  if (mtu !== 0) w.attributeU32(nl.RTAX_MTU, mtu);
  if (advmss !== 0) w.attributeU32(nl.RTAX_ADVMSS, advmss);
  w.endNest(nest);
}

function putWays(w: NetlinkWriter, { gateway, index, hops }: RouteView): void {
  if (hops !== null) {
    const nest = w.beginNest(nl.RTA_MULTIPATH);
    for (const hop of hops) putHop(w, hop);
    w.endNest(nest);
    return;
  }
  if (gateway !== null) w.attribute(nl.RTA_GATEWAY, bytesOf(gateway));
  if (index !== 0) w.attributeU32(nl.RTA_OIF, index);
}

/** fib_add_nexthop. */
function putHop(w: NetlinkWriter, { gateway, index, weight, isOnLink, isDead }: HopView): void {
  const at = w.raw(nl.RTNEXTHOP_BYTES);
  if (gateway !== null) w.attribute(nl.RTA_GATEWAY, bytesOf(gateway));
  const b = w.bytes;
  setU16Le(b, at, w.lengthSince(at));
  b[at + 2] =
    (isDead ? nl.RTNH_F_DEAD | nl.RTNH_F_LINKDOWN : 0) | (isOnLink ? nl.RTNH_F_ONLINK : 0);
  b[at + 3] = weight - 1;
  setU32Le(b, at + 4, index);
}

/** RTM_GETROUTE of one destination (`ip route get`). 0 or -errno. uid: who asks. */
export function getRoute(
  w: NetlinkWriter,
  network: NetworkView,
  request: Uint8Array,
  uid: number,
): number {
  if (request.length < BODY + nl.RTMSG_BYTES) return -EINVAL;
  const family = ipFamily(request);
  if (family === 0) return -EOPNOTSUPP;
  const isV4 = family === 4;
  let dst: IpAddr | null = null;
  const q = { src: null as IpAddr | null, index: 0, mark: 0, uid };
  const flow = { protocol: 0, srcPort: 0, dstPort: 0, tos: request[BODY + TOS] };
  for (const a of attributesOf(request, BODY + nl.RTMSG_BYTES, request.length)) {
    if (a.type === nl.RTA_IP_PROTO || a.type === nl.RTA_SPORT || a.type === nl.RTA_DPORT) {
      if (a.length < (a.type === nl.RTA_IP_PROTO ? 1 : 2)) return -EINVAL;
      if (a.type === nl.RTA_IP_PROTO) flow.protocol = request[a.offset];
      // In network order.
      else if (a.type === nl.RTA_SPORT) flow.srcPort = swapped(u16Le(request, a.offset));
      else flow.dstPort = swapped(u16Le(request, a.offset));
      continue;
    }
    if (a.type === nl.RTA_DST || a.type === nl.RTA_SRC) {
      const addr = addressIn(request, a.offset, a.length, family);
      if (addr === null) return -EINVAL;
      if (a.type === nl.RTA_DST) dst = addr;
      else q.src = addr;
      continue;
    }
    if (a.length < 4) return -EINVAL;
    if (a.type === nl.RTA_OIF) q.index = u32Le(request, a.offset);
    else if (a.type === nl.RTA_MARK) q.mark = u32Le(request, a.offset) | 0;
    else if (a.type === nl.RTA_UID) q.uid = u32Le(request, a.offset);
    // Another's packet, as it would be forwarded.
    else if (a.type === nl.RTA_IIF) return -EOPNOTSUPP;
  }
  if (dst === null) return -EINVAL;
  if (q.index !== 0 && network.interfaceByIndex(q.index) === undefined) return -ENODEV;
  const question = { ...q, ...flow };
  const found = network.routeTo(dst, question);
  if (typeof found === "number") {
    const isNowhere = found === NetErr.NetworkUnreachable;
    // inet_rtm_getroute: a source that is not ours.
    if (found === NetErr.AddressNotAvailable) return -EINVAL;
    return isNowhere && !isV4 ? -EHOSTUNREACH : -errnoOf(found);
  }
  putRoute(w, network, found, nl.RTM_NEWROUTE, 0, question);
  w.flush();
  return 0;
}

const swapped = (n: number): number => ((n & 0xff) << 8) | (n >>> 8);
