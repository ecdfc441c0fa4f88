// Multicast groups and their source filters as setsockopt and getsockopt know them, in both families (ip(7), ipv6(7),
// RFC 3678; Linux's ip_sockglue.c and ipv6_sockglue.c). What a filter does: netstack's memberships.ts.

import { EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV, ENOPROTOOPT, EPROTO } from "../../../abi/errno.ts";
import {
  IP_ADD_MEMBERSHIP,
  IP_ADD_SOURCE_MEMBERSHIP,
  IP_BLOCK_SOURCE,
  IP_DROP_MEMBERSHIP,
  IP_DROP_SOURCE_MEMBERSHIP,
  IP_MSFILTER,
  IP_UNBLOCK_SOURCE,
  IPV6_JOIN_GROUP,
  IPV6_LEAVE_GROUP,
  MCAST_BLOCK_SOURCE,
  MCAST_EXCLUDE,
  MCAST_INCLUDE,
  MCAST_JOIN_GROUP,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_LEAVE_GROUP,
  MCAST_LEAVE_SOURCE_GROUP,
  MCAST_MSFILTER,
  MCAST_UNBLOCK_SOURCE,
} from "../../../abi/in.ts";
import { AF_INET, AF_INET6, SOCK_STREAM } from "../../../abi/socket.ts";
import { i32Le, setU16Le, setU32, setU32Le, u16Le, u32, u32Le } from "../../../base/bytes.ts";
import {
  type DatagramEndpoint,
  type Family,
  IPV4,
  IPV6,
  IpAddr,
  type Memberships,
} from "../../../netstack/index.ts";
import { resultOf } from "../errno-of.ts";
import type { InetSocket } from "./inet-socket.ts";

/** struct group_req, group_source_req, and group_filter and ip_msfilter without sources. */
const GROUP_REQ_BYTES = 136;
const GROUP_SOURCE_REQ_BYTES = 264;
export const GROUP_FILTER_BYTES = 144;
const IP_FILTER_BYTES = 16;
const STORAGE_BYTES = 128;

const group = new IpAddr();
const source = new IpAddr();

export const isGroupOption = (name: number): boolean =>
  (name >= IP_ADD_MEMBERSHIP && name <= IP_DROP_SOURCE_MEMBERSHIP) ||
  (name >= IP_MSFILTER && name <= MCAST_MSFILTER);
export const isGroupOption6 = (name: number): boolean =>
  name === IPV6_JOIN_GROUP ||
  name === IPV6_LEAVE_GROUP ||
  (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER);

/** A stream may join as well, which does nothing for it (Linux refuses only the oldest calls). */
function membershipsOf(s: InetSocket): Memberships {
  if (s.type !== SOCK_STREAM) return (s.endpoint as DatagramEndpoint).memberships;
  s.streamGroups ??= s.network.newMemberships();
  return s.streamGroups;
}

export function setGroupOption(
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  switch (name) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
      return changeMembership(s, name === IP_ADD_MEMBERSHIP, value, length);
    case IP_ADD_SOURCE_MEMBERSHIP:
    case IP_DROP_SOURCE_MEMBERSHIP:
    case IP_BLOCK_SOURCE:
    case IP_UNBLOCK_SOURCE:
      return changeIpSource(s, name, value, length);
    case IP_MSFILTER:
      return setIpFilter(s, value, length);
    default:
      return setAnyFamily(s, IPV4, name, value, length);
  }
}

export function setGroupOption6(
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  if (name !== IPV6_JOIN_GROUP && name !== IPV6_LEAVE_GROUP) {
    return setAnyFamily(s, IPV6, name, value, length);
  }
  // struct ipv6_mreq: address, index.
  if (length < 20) return -EINVAL;
  if (s.type === SOCK_STREAM) return -EPROTO;
  group.read(value, 0, IPV6);
  return changeGroup(s, name === IPV6_JOIN_GROUP, i32Le(value, 16));
}

/** MCAST_*: addresses are sockaddr_storage. */
function setAnyFamily(
  s: InetSocket,
  family: Family,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  switch (name) {
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP:
      if (length < GROUP_REQ_BYTES) return -EINVAL;
      if (!readAddress(value, 8, family, group)) return family === IPV4 ? -EINVAL : -EADDRNOTAVAIL;
      return changeGroup(s, name === MCAST_JOIN_GROUP, i32Le(value, 0));
    case MCAST_JOIN_SOURCE_GROUP:
    case MCAST_LEAVE_SOURCE_GROUP:
    case MCAST_BLOCK_SOURCE:
    case MCAST_UNBLOCK_SOURCE: {
      if (length < GROUP_SOURCE_REQ_BYTES) return -EINVAL;
      const isFit = readAddress(value, 8, family, group) && readAddress(value, 136, family, source);
      if (!isFit) return -EADDRNOTAVAIL;
      const include = name === MCAST_JOIN_SOURCE_GROUP || name === MCAST_LEAVE_SOURCE_GROUP;
      const add = name === MCAST_JOIN_SOURCE_GROUP || name === MCAST_BLOCK_SOURCE;
      return changeSource(s, i32Le(value, 0), include, add);
    }
    case MCAST_MSFILTER:
      return setGroupFilter(s, family, value, length);
    default:
      return -ENOPROTOOPT;
  }
}

/** A sockaddr of this family. */
function readAddress(b: Uint8Array, at: number, family: Family, out: IpAddr): boolean {
  if (u16Le(b, at) !== (family === IPV4 ? AF_INET : AF_INET6)) return false;
  out.read(b, at + (family === IPV4 ? 4 : 8), family);
  return true;
}

/** struct ip_mreq (group, address) or ip_mreqn (group, address, index). */
function changeMembership(s: InetSocket, join: boolean, value: Uint8Array, length: number): number {
  if (s.type === SOCK_STREAM) return -EPROTO;
  if (length < 8) return -EINVAL;
  group.read(value, 0, IPV4);
  const index = length >= 12 ? i32Le(value, 8) : 0;
  const byAddress = u32(value, 4);
  let nic = index;
  if (index === 0 && byAddress !== 0) {
    nic = interfaceOfAddress(s, byAddress);
    if (nic === 0) return join ? -ENODEV : -EADDRNOTAVAIL;
  }
  return changeGroup(s, join, nic);
}

/** Of `group`. */
function changeGroup(s: InetSocket, join: boolean, index: number): number {
  if (join && !group.isMulticast) return -EINVAL;
  if (index !== 0 && s.network.interfaceByIndex(index) === undefined) return -ENODEV;
  const memberships = membershipsOf(s);
  return resultOf(join ? memberships.join(group, index) : memberships.leave(group, index));
}

/** struct ip_mreq_source: group, interface's address, source. */
function changeIpSource(s: InetSocket, name: number, value: Uint8Array, length: number): number {
  if (length !== 12) return -EINVAL;
  const byAddress = u32(value, 4);
  const nic = byAddress === 0 ? 0 : interfaceOfAddress(s, byAddress);
  group.read(value, 0, IPV4);
  source.read(value, 8, IPV4);
  if (!group.isMulticast) return -EINVAL;
  if (byAddress !== 0 && nic === 0) return -ENODEV;
  const include = name === IP_ADD_SOURCE_MEMBERSHIP || name === IP_DROP_SOURCE_MEMBERSHIP;
  const add = name === IP_ADD_SOURCE_MEMBERSHIP || name === IP_BLOCK_SOURCE;
  return changeSource(s, nic, include, add);
}

/** Of `group` and `source`. */
function changeSource(s: InetSocket, index: number, include: boolean, add: boolean): number {
  return resultOf(membershipsOf(s).changeSource(group, index, source, include, add));
}

/** struct ip_msfilter: group, interface's address, mode, count, sources. */
function setIpFilter(s: InetSocket, value: Uint8Array, length: number): number {
  if (length < IP_FILTER_BYTES) return -EINVAL;
  const count = u32Le(value, 12);
  if (count > s.network.sourcesMax(IPV4)) return -ENOBUFS;
  if (IP_FILTER_BYTES + 4 * count > length) return -EINVAL;
  const sources = Array.from({ length: count }, (_, i) =>
    new IpAddr().read(value, IP_FILTER_BYTES + 4 * i, IPV4),
  );
  const byAddress = u32(value, 4);
  const nic = byAddress === 0 ? 0 : interfaceOfAddress(s, byAddress);
  group.read(value, 0, IPV4);
  if (!group.isMulticast) return -EINVAL;
  if (byAddress !== 0 && nic === 0) return -ENODEV;
  return setFilter(s, nic, u32Le(value, 8), sources);
}

/** struct group_filter: index, group at 8, mode, count, sources. */
function setGroupFilter(s: InetSocket, family: Family, value: Uint8Array, length: number): number {
  if (length < GROUP_FILTER_BYTES) return -EINVAL;
  const count = u32Le(value, 140);
  if (count > s.network.sourcesMax(family)) return -ENOBUFS;
  if (GROUP_FILTER_BYTES + STORAGE_BYTES * count > length) return -EINVAL;
  if (!readAddress(value, 8, family, group)) return -EADDRNOTAVAIL;
  const sources: IpAddr[] = [];
  for (let i = 0; i < count; i++) {
    const addr = new IpAddr();
    const at = GROUP_FILTER_BYTES + STORAGE_BYTES * i;
    if (!readAddress(value, at, family, addr)) return -EADDRNOTAVAIL;
    sources.push(addr);
  }
  if (!group.isMulticast) return -EINVAL;
  return setFilter(s, i32Le(value, 0), u32Le(value, 136), sources);
}

/** Of `group`. */
function setFilter(s: InetSocket, index: number, mode: number, sources: IpAddr[]): number {
  if (mode !== MCAST_INCLUDE && mode !== MCAST_EXCLUDE) return -EINVAL;
  const filter = { isInclude: mode === MCAST_INCLUDE, sources };
  return resultOf(membershipsOf(s).setFilter(group, index, filter));
}

/** IP_MSFILTER: the program's value is in `out`; what there is goes into it, as many sources as it has room for. */
export function getIpFilter(s: InetSocket, out: Uint8Array, length: number): number {
  if (length < IP_FILTER_BYTES) return -EINVAL;
  const byAddress = u32(out, 4);
  const nic = byAddress === 0 ? 0 : interfaceOfAddress(s, byAddress);
  group.read(out, 0, IPV4);
  if (!group.isMulticast) return -EINVAL;
  if (byAddress !== 0 && nic === 0) return -ENODEV;
  const filter = membershipsOf(s).filterOf(group, nic);
  if (typeof filter === "number") return resultOf(filter);
  const room = (out.length - IP_FILTER_BYTES) >>> 2;
  const count = Math.min(filter.sources.length, u32Le(out, 12), room);
  setU32Le(out, 8, filter.isInclude ? MCAST_INCLUDE : MCAST_EXCLUDE);
  setU32Le(out, 12, filter.sources.length);
  for (let i = 0; i < count; i++) setU32(out, IP_FILTER_BYTES + 4 * i, filter.sources[i].w3);
  return IP_FILTER_BYTES + 4 * count;
}

/** MCAST_MSFILTER, likewise. */
export function getGroupFilter(
  s: InetSocket,
  family: Family,
  out: Uint8Array,
  length: number,
): number {
  if (length < GROUP_FILTER_BYTES) return -EINVAL;
  if (!readAddress(out, 8, family, group) || !group.isMulticast) return -EINVAL;
  const index = i32Le(out, 0);
  if (index === 0) return -EADDRNOTAVAIL;
  const filter = membershipsOf(s).filterOf(group, index);
  if (typeof filter === "number") return -EADDRNOTAVAIL;
  const room = Math.floor((out.length - GROUP_FILTER_BYTES) / STORAGE_BYTES);
  const count = Math.min(filter.sources.length, u32Le(out, 140), room);
  setU32Le(out, 136, filter.isInclude ? MCAST_INCLUDE : MCAST_EXCLUDE);
  setU32Le(out, 140, filter.sources.length);
  for (let i = 0; i < count; i++) {
    const at = GROUP_FILTER_BYTES + STORAGE_BYTES * i;
    out.fill(0, at, at + STORAGE_BYTES);
    setU16Le(out, at, family === IPV4 ? AF_INET : AF_INET6);
    filter.sources[i].write(out, at + (family === IPV4 ? 4 : 8), family);
  }
  return GROUP_FILTER_BYTES + STORAGE_BYTES * count;
}

export function interfaceOfAddress(s: InetSocket, word: number): number {
  for (const nic of s.network.interfaces()) {
    for (const a of nic.addresses) if (a.addr.isV4 && a.addr.v4 === (word | 0)) return nic.index;
  }
  return 0;
}
