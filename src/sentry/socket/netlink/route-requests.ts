// RTM_NEWROUTE and RTM_DELROUTE (`ip route`): what a request says, whether it can be, and the route that comes of it.
// Linux's fib_create_info and fib_check_nh; ip6_route_info_create and ip6_route_multipath_add.

import {
  EEXIST,
  EHOSTUNREACH,
  EINVAL,
  ENETDOWN,
  ENETUNREACH,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
  ESRCH,
} from "../../../abi/errno.ts";
import * as nl from "../../../abi/netlink.ts";
import { u16Le, u32Le } from "../../../base/bytes.ts";
import { type Family, IPV4, IPV6, IpAddr, NetErr } from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { HopChange, NetworkChanges, NetworkView, RouteChange } from "../inet/network-view.ts";
import { addressIn, attributesOf, ipFamily } from "./netlink-message.ts";

const BODY = nl.NLMSGHDR_BYTES;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;
/** IP6_RT_PRIO_USER. */
const METRIC6 = 1024;
const REFUSING = new Set([nl.RTN_BLACKHOLE, nl.RTN_UNREACHABLE, nl.RTN_PROHIBIT, nl.RTN_THROW]);
/** Realms, gateways of the other family, tunnels and nexthop objects. */
const UNSUPPORTED = new Set([
  nl.RTA_FLOW,
  nl.RTA_VIA,
  nl.RTA_ENCAP,
  nl.RTA_ENCAP_TYPE,
  nl.RTA_NH_ID,
]);

type Network = NetworkView & NetworkChanges;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type RouteRequest = Mutable<RouteChange> & { hops: HopChange[] | null };

/** 0 or -errno. */
export function changeRoute(
  network: Network,
  add: boolean,
  flags: number,
  request: Uint8Array,
): number {
  if (request.length < BODY + nl.RTMSG_BYTES) return -EINVAL;
  const family = ipFamily(request);
  if (family === 0) return -EOPNOTSUPP;
  const r = readRoute(request, family);
  if (typeof r === "number") return r;
  if (!add) return network.removeRoute(r) ? 0 : -ESRCH;
  // What is local is said by the addresses of the interfaces, here.
  if (r.table === nl.RT_TABLE_LOCAL) return -EOPNOTSUPP;
  if (REFUSING.has(r.type)) {
    // fib_create_info: such a route leads nowhere.
    const leads = r.gateway !== null || (r.index !== 0 && family === IPV4) || r.hops !== null;
    if (leads) return -EINVAL;
    r.index = 0;
    return install(network, r, flags);
  }
  if (r.type !== nl.RTN_UNICAST) return r.type === 0 ? -EINVAL : -EOPNOTSUPP;
  const error = checkWays(network, r, family);
  return error !== 0 ? error : install(network, r, flags);
}

function checkWays(network: Network, r: RouteRequest, family: Family): number {
  if (r.hops === null) {
    const index = checkHop(network, r, family);
    if (index < 0) return index;
    r.index = index;
    return 0;
  }
  if (r.hops.length === 0) return -EINVAL;
  for (const hop of r.hops) {
    // "Device only routes can not be added for IPv6 using the multipath API."
    if (family === IPV6 && hop.gateway === null) return -EINVAL;
    const index = checkHop(network, hop, family);
    if (index < 0) return index;
    hop.index = index;
  }
  const [first] = r.hops;
  // "Nexthop device index does not match RTA_OIF", and the same of the gateway.
  if (r.index !== 0 && r.index !== first.index) return -EINVAL;
  if (r.gateway !== null && first.gateway?.equals(r.gateway) !== true) return -EINVAL;
  Object.assign(r, { index: first.index, gateway: first.gateway, isOnLink: first.isOnLink });
  if (r.hops.length === 1) r.hops = null;
  return 0;
}

type Way = Pick<RouteChange, "gateway" | "index" | "isOnLink">;

/** fib_check_nh: the gateway must be a neighbour. The interface, or -errno. */
function checkHop(network: Network, way: Way, family: Family): number {
  let { index } = way;
  if (index !== 0 && network.interfaceByIndex(index) === undefined) return -ENODEV;
  if (way.gateway !== null && !way.isOnLink) {
    index = network.onLinkTo(way.gateway, index);
    if (index === 0) return family === IPV4 ? -ENETUNREACH : -EHOSTUNREACH;
  }
  if (index === 0) return -ENODEV;
  return network.interfaceByIndex(index)?.isUp === true ? index : -ENETDOWN;
}

function install(network: Network, r: RouteRequest, flags: number): number {
  const exists = network.hasRoute(r);
  if (exists && (flags & NLM_F_REPLACE) !== 0) {
    return -errnoOf(network.replaceRoute(r));
  }
  if (exists && ((flags & NLM_F_EXCL) !== 0 || (flags & NLM_F_APPEND) === 0)) {
    return -EEXIST;
  } else if (exists && !r.dst.isV4) {
    const result = network.appendHop(r);
    if (result !== null) return result === NetErr.AddressInUse ? -EEXIST : -errnoOf(result);
  }
  if (!exists && (flags & NLM_F_CREATE) === 0) return -ENOENT;
  return -errnoOf(network.addRoute(r));
}

function readRoute(request: Uint8Array, family: Family): RouteRequest | number {
  const any = new IpAddr();
  if (family === IPV4) any.setV4(0);
  const r: RouteRequest = {
    dst: any,
    prefixBits: request[BODY + 1],
    gateway: null,
    index: 0,
    isOnLink: (u32Le(request, BODY + 8) & nl.RTNH_F_ONLINK) !== 0,
    hops: null,
    metric: family === IPV6 ? METRIC6 : 0,
    ...{ src: null, mtu: 0, advmss: 0 },
    origin: request[BODY + 5],
    table: request[BODY + 4],
    type: request[BODY + 7],
  };
  for (const a of attributesOf(request, BODY + nl.RTMSG_BYTES, request.length)) {
    const error = takeAttribute(r, request, a.type, a.offset, a.length, family);
    if (error !== 0) return error;
  }
  if (r.prefixBits > (family === IPV4 ? 32 : 128)) return -EINVAL;
  if (r.table === nl.RT_TABLE_UNSPEC) r.table = nl.RT_TABLE_MAIN;
  return r;
}

/** 0 or -errno. */
function takeAttribute(
  r: RouteRequest,
  request: Uint8Array,
  type: number,
  offset: number,
  length: number,
  family: Family,
): number {
  if (UNSUPPORTED.has(type)) return -EOPNOTSUPP;
  if (type === nl.RTA_DST || type === nl.RTA_GATEWAY || type === nl.RTA_PREFSRC) {
    const addr = addressIn(request, offset, length, family);
    if (addr === null) return -EINVAL;
    if (type === nl.RTA_DST) r.dst = addr;
    else if (type === nl.RTA_GATEWAY) r.gateway = addr;
    else r.src = addr;
    return 0;
  }
  if (type === nl.RTA_MULTIPATH) {
    const hops = readHops(request, offset, offset + length, family);
    if (typeof hops === "number") return hops;
    r.hops = hops;
    return 0;
  }
  if (type === nl.RTA_PREF) return length < 1 ? -EINVAL : 0;
  if (length < 4) return -EINVAL;
  if (type === nl.RTA_OIF) r.index = u32Le(request, offset);
  else if (type === nl.RTA_PRIORITY) r.metric = u32Le(request, offset);
  else if (type === nl.RTA_TABLE) r.table = u32Le(request, offset);
  else if (type === nl.RTA_METRICS) {
    for (const m of attributesOf(request, offset, offset + length)) {
      if (m.type === nl.RTAX_MTU && m.length >= 4) r.mtu = u32Le(request, m.offset);
      else if (m.type === nl.RTAX_ADVMSS && m.length >= 4) r.advmss = u32Le(request, m.offset);
    }
  }
  return 0;
}

/** fib_get_nhs. */
function readHops(
  request: Uint8Array,
  from: number,
  end: number,
  family: Family,
): HopChange[] | number {
  const hops: HopChange[] = [];
  let at = from;
  while (end - at >= nl.RTNEXTHOP_BYTES) {
    const size = u16Le(request, at);
    if (size < nl.RTNEXTHOP_BYTES || size > end - at) break;
    const flags = request[at + 2];
    // "Invalid flags for nexthop - can not contain DEAD or LINKDOWN".
    if ((flags & (nl.RTNH_F_DEAD | nl.RTNH_F_LINKDOWN)) !== 0) return -EINVAL;
    let gateway: IpAddr | null = null;
    for (const a of attributesOf(request, at + nl.RTNEXTHOP_BYTES, at + size)) {
      if (UNSUPPORTED.has(a.type)) return -EOPNOTSUPP;
      if (a.type !== nl.RTA_GATEWAY) continue;
      gateway = addressIn(request, a.offset, a.length, family);
      if (gateway === null) return -EINVAL;
    }
    const isOnLink = (flags & nl.RTNH_F_ONLINK) !== 0;
    hops.push({ gateway, index: u32Le(request, at + 4), weight: request[at + 3] + 1, isOnLink });
    at += nl.nlAlign(size);
  }
  // "Invalid nexthop configuration - extra data after nexthops".
  return at < end || hops.length === 0 ? -EINVAL : hops;
}
