// NETLINK_ROUTE requests that change the stack: addresses, routes, links and neighbours (rtnetlink(7)), as
// `ip addr`, `ip route`, `ip link` and `ip neigh` send them. New kinds of links are refused. Rules: rule-changes.ts. Who asks must have CAP_NET_ADMIN, which the caller has checked.

import {
  EADDRNOTAVAIL,
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
import { IFF_UP } from "../../../abi/netdevice.ts";
import * as nl from "../../../abi/netlink.ts";
import { AF_INET, AF_INET6 } from "../../../abi/socket.ts";
import { byteString, i32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, NetErr } from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { NetworkChanges, NetworkView } from "../inet/network-view.ts";
import { attributesOf } from "./netlink-message.ts";
import { changeRule } from "./rule-changes.ts";

const BODY = nl.NLMSGHDR_BYTES;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;

type Network = NetworkView & NetworkChanges;

/** 0 or -errno; undefined: not a request of this kind. */
export function changeNetwork(
  network: Network,
  type: number,
  flags: number,
  request: Uint8Array,
): number | undefined {
  switch (type) {
    case nl.RTM_NEWADDR:
    case nl.RTM_DELADDR:
      return changeAddress(network, type === nl.RTM_NEWADDR, flags, request);
    case nl.RTM_NEWROUTE:
    case nl.RTM_DELROUTE:
      return changeRoute(network, type === nl.RTM_NEWROUTE, flags, request);
    case nl.RTM_NEWRULE:
    case nl.RTM_DELRULE:
      return changeRule(network, type === nl.RTM_NEWRULE, flags, request);
    case nl.RTM_NEWLINK:
    case nl.RTM_SETLINK:
      return changeLink(network, request);
    case nl.RTM_NEWNEIGH:
    case nl.RTM_DELNEIGH:
      return changeNeighbor(network, type === nl.RTM_NEWNEIGH, request);
    default:
      return undefined;
  }
}

/** The family at the start of the body as ours, or 0. */
function ipFamily(request: Uint8Array): 0 | 4 | 6 {
  if (request[BODY] === AF_INET) return IPV4;
  return request[BODY] === AF_INET6 ? IPV6 : 0;
}
function addressIn(
  request: Uint8Array,
  offset: number,
  length: number,
  family: 4 | 6,
): IpAddr | null {
  return length < (family === IPV4 ? 4 : 16) ? null : new IpAddr().read(request, offset, family);
}

function changeAddress(network: Network, add: boolean, flags: number, request: Uint8Array): number {
  if (request.length < BODY + nl.IFADDRMSG_BYTES) return -EINVAL;
  const family = ipFamily(request);
  if (family === 0) return -EOPNOTSUPP;
  const prefixBits = request[BODY + 1];
  const index = u32Le(request, BODY + 4);
  let local: IpAddr | null = null;
  let address: IpAddr | null = null;
  for (const a of attributesOf(request, BODY + nl.IFADDRMSG_BYTES, request.length)) {
    if (a.type === nl.IFA_LOCAL) local = addressIn(request, a.offset, a.length, family);
    else if (a.type === nl.IFA_ADDRESS) address = addressIn(request, a.offset, a.length, family);
  }
  const addr = local ?? address;
  if (addr === null || prefixBits > (family === IPV4 ? 32 : 128)) return -EINVAL;
  if (network.interfaceByIndex(index) === undefined) return -ENODEV;
  if (!add) {
    const result = network.removeAddress(index, addr);
    return result === NetErr.AddressNotAvailable ? -EADDRNOTAVAIL : -errnoOf(result);
  }
  const result = network.addAddress(index, addr, prefixBits);
  // `ip addr replace` of an address that is there changes only what we do not keep: its lifetime.
  if (result === NetErr.AddressInUse) return (flags & NLM_F_REPLACE) !== 0 ? 0 : -EEXIST;
  return -errnoOf(result);
}

/** What an RTM_*ROUTE says. */
interface RouteRequest {
  dst: IpAddr;
  prefixBits: number;
  gateway: IpAddr | null;
  index: number;
  metric: number;
  src: IpAddr | null;
  mtu: number;
  advmss: number;
  origin: number;
  table: number;
  type: number;
}

function readRoute(request: Uint8Array, family: 4 | 6): RouteRequest | number {
  const any = new IpAddr();
  if (family === IPV4) any.setV4(0);
  const r: RouteRequest = {
    dst: any,
    prefixBits: request[BODY + 1],
    gateway: null,
    index: 0,
    // IP6_RT_PRIO_USER.
    metric: family === IPV6 ? 1024 : 0,
    src: null,
    mtu: 0,
    advmss: 0,
    origin: request[BODY + 5],
    table: request[BODY + 4],
    type: request[BODY + 7],
  };
  for (const a of attributesOf(request, BODY + nl.RTMSG_BYTES, request.length)) {
    const isAddress =
      a.type === nl.RTA_DST || a.type === nl.RTA_GATEWAY || a.type === nl.RTA_PREFSRC;
    const addr = isAddress ? addressIn(request, a.offset, a.length, family) : null;
    if ((isAddress && addr === null) || a.length < 4) return -EINVAL;
    if (a.type === nl.RTA_DST) r.dst = addr ?? any;
    else if (a.type === nl.RTA_GATEWAY) r.gateway = addr;
    else if (a.type === nl.RTA_PREFSRC) r.src = addr;
    else if (a.type === nl.RTA_OIF) r.index = u32Le(request, a.offset);
    else if (a.type === nl.RTA_PRIORITY) r.metric = u32Le(request, a.offset);
    else if (a.type === nl.RTA_TABLE) r.table = u32Le(request, a.offset);
    // Several next hops: one is chosen by a hash of the flow, which paths do not have.
    else if (a.type === nl.RTA_MULTIPATH) return -EOPNOTSUPP;
    else if (a.type === nl.RTA_METRICS) {
      for (const m of attributesOf(request, a.offset, a.offset + a.length)) {
        if (m.type === nl.RTAX_MTU && m.length >= 4) r.mtu = u32Le(request, m.offset);
        else if (m.type === nl.RTAX_ADVMSS && m.length >= 4) r.advmss = u32Le(request, m.offset);
      }
    }
  }
  if (r.prefixBits > (family === IPV4 ? 32 : 128)) return -EINVAL;
  if (r.table === nl.RT_TABLE_UNSPEC) r.table = nl.RT_TABLE_MAIN;
  return r;
}

function changeRoute(network: Network, add: boolean, flags: number, request: Uint8Array): number {
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
    if (r.gateway !== null || (r.index !== 0 && family === IPV4)) return -EINVAL;
    r.index = 0;
    return installRoute(network, r, flags);
  }
  if (r.type !== nl.RTN_UNICAST) return r.type === 0 ? -EINVAL : -EOPNOTSUPP;
  if (r.index !== 0 && network.interfaceByIndex(r.index) === undefined) return -ENODEV;
  if (r.gateway !== null) {
    const towards = network.onLinkTo(r.gateway, r.index);
    // fib_check_nh: the gateway must be a neighbour.
    if (towards === 0) return family === IPV4 ? -ENETUNREACH : -EHOSTUNREACH;
    r.index = towards;
  }
  if (r.index === 0) return -ENODEV;
  if (network.interfaceByIndex(r.index)?.isUp !== true) return -ENETDOWN;
  return installRoute(network, r, flags);
}
const REFUSING = new Set([nl.RTN_BLACKHOLE, nl.RTN_UNREACHABLE, nl.RTN_PROHIBIT, nl.RTN_THROW]);

function installRoute(network: Network, r: RouteRequest, flags: number): number {
  const exists = network.hasRoute(r);
  if (exists && (flags & NLM_F_REPLACE) !== 0)
    network.removeRoute({ ...r, gateway: null, index: 0, type: 0 });
  else if (exists && ((flags & NLM_F_EXCL) !== 0 || (flags & NLM_F_APPEND) === 0)) return -EEXIST;
  if (!exists && (flags & NLM_F_CREATE) === 0) return -ENOENT;
  return -errnoOf(network.addRoute(r));
}

function changeLink(network: Network, request: Uint8Array): number {
  if (request.length < BODY + nl.IFINFOMSG_BYTES) return -EINVAL;
  let index = i32Le(request, BODY + 4);
  const flags = u32Le(request, BODY + 8);
  const change = u32Le(request, BODY + 12);
  let mtu = -1;
  for (const a of attributesOf(request, BODY + nl.IFINFOMSG_BYTES, request.length)) {
    if (a.type === nl.IFLA_IFNAME && index <= 0) {
      const name = byteString(request, a.offset, a.length).replace(/\0.*$/s, "");
      index = network.interfaceByName(name)?.index ?? 0;
    } else if (a.type === nl.IFLA_MTU && a.length >= 4) mtu = u32Le(request, a.offset);
    // New links, names, addresses and masters: what this kernel has no driver for.
    else if (UNSUPPORTED_LINK.has(a.type)) return -EOPNOTSUPP;
  }
  if (network.interfaceByIndex(index) === undefined) return -ENODEV;
  if (mtu >= 0) {
    const result = network.setMtu(index, mtu);
    if (result !== 0) return -errnoOf(result);
  }
  if ((change & IFF_UP) !== 0) network.setUp(index, (flags & IFF_UP) !== 0);
  return 0;
}
/** IFLA_ADDRESS, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_NET_NS_FD. */
const UNSUPPORTED_LINK = new Set([nl.IFLA_ADDRESS, nl.IFLA_LINK, 10, nl.IFLA_LINKINFO, 19, 28]);

function changeNeighbor(network: Network, add: boolean, request: Uint8Array): number {
  if (request.length < BODY + nl.NDMSG_BYTES) return -EINVAL;
  const family = ipFamily(request);
  if (family === 0) return -EOPNOTSUPP;
  const index = i32Le(request, BODY + 4);
  const state = u16Le(request, BODY + 8);
  let addr: IpAddr | null = null;
  let mac: Uint8Array | null = null;
  for (const a of attributesOf(request, BODY + nl.NDMSG_BYTES, request.length)) {
    if (a.type === nl.NDA_DST) addr = addressIn(request, a.offset, a.length, family);
    else if (a.type === nl.NDA_LLADDR && a.length >= 6) {
      mac = request.slice(a.offset, a.offset + 6);
    }
  }
  if (addr === null) return -EINVAL;
  if (network.interfaceByIndex(index) === undefined) return -ENODEV;
  if (!add) return network.removeNeighbor(index, addr) ? 0 : -ENOENT;
  // Only entries that stay: the others come and go by themselves.
  if (mac === null || (state & nl.NUD_PERMANENT) === 0) return -EOPNOTSUPP;
  return -errnoOf(network.setNeighbor(index, addr, mac));
}
