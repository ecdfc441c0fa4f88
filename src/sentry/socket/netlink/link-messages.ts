// NETLINK_ROUTE answers about what an interface is and has: links, addresses and neighbours of the stack as rtnetlink
// messages (rtnetlink(7)). Reading only.

import { EINVAL, ENODEV } from "../../../abi/errno.ts";
import { IF_OPER_DOWN, IF_OPER_UNKNOWN, IF_OPER_UP, IFF_UP } from "../../../abi/netdevice.ts";
import * as nl from "../../../abi/netlink.ts";
import { byteString, i32Le, setU16Le, setU32, setU32Le, setU64Le } from "../../../base/bytes.ts";
import { isLinkLocalV6 } from "../inet/inet-address.ts";
import { hardwareType, interfaceFlags, txQueueLength } from "../inet/inet-ioctl.ts";
import type {
  AddressView,
  InterfaceView,
  NeighborView,
  NetworkView,
  VlanView,
} from "../inet/network-view.ts";
import {
  attributesOf,
  bytesOf,
  familyOf,
  type NetlinkWriter,
  wantsFamily,
} from "./netlink-message.ts";

const IFA_F_TEMPORARY = 1;
const VLAN_MTU_MAX = 65_535;
const BROADCAST_MAC = new Uint8Array(6).fill(0xff);

export function dumpLinks(w: NetlinkWriter, network: NetworkView): void {
  for (const nic of network.interfaces()) putLink(w, nic, nl.NLM_F_MULTI);
  w.done();
}

/** nl.RTM_GETLINK of one: by index, or by nl.IFLA_IFNAME. 0 or -errno. */
export function getLink(w: NetlinkWriter, network: NetworkView, request: Uint8Array): number {
  if (request.length < nl.NLMSGHDR_BYTES + nl.IFINFOMSG_BYTES) return -EINVAL;
  const index = i32Le(request, nl.NLMSGHDR_BYTES + 4);
  let nic = index > 0 ? network.interfaceByIndex(index) : undefined;
  if (index <= 0) {
    for (const a of attributesOf(request, nl.NLMSGHDR_BYTES + nl.IFINFOMSG_BYTES, request.length)) {
      if (a.type !== nl.IFLA_IFNAME) continue;
      nic = network.interfaceByName(byteString(request, a.offset, a.length).replace(/\0.*$/s, ""));
    }
  }
  if (nic === undefined) return -ENODEV;
  putLink(w, nic, 0);
  w.flush();
  return 0;
}

export function putLink(
  w: NetlinkWriter,
  nic: InterfaceView,
  flags: number,
  type = nl.RTM_NEWLINK,
): void {
  const { vlan } = nic;
  const at = w.begin(type, flags, nl.IFINFOMSG_BYTES);
  const ifFlags = interfaceFlags(nic);
  setU16Le(w.bytes, at + 2, hardwareType(nic));
  setU32Le(w.bytes, at + 4, nic.index);
  setU32Le(w.bytes, at + 8, ifFlags);
  w.attributeString(nl.IFLA_IFNAME, nic.name);
  w.attributeU32(nl.IFLA_TXQLEN, txQueueLength(nic));
  const isUp = (ifFlags & IFF_UP) !== 0;
  w.attributeU8(
    nl.IFLA_OPERSTATE,
    nic.isLoopback ? IF_OPER_UNKNOWN : isUp ? IF_OPER_UP : IF_OPER_DOWN,
  );
  w.attributeU8(nl.IFLA_LINKMODE, 0);
  w.attributeU32(nl.IFLA_MTU, nic.mtu);
  if (vlan !== null) {
    w.attributeU32(nl.IFLA_MIN_MTU, 0);
    w.attributeU32(nl.IFLA_MAX_MTU, VLAN_MTU_MAX);
  }
  w.attributeU32(nl.IFLA_GROUP, 0);
  w.attributeU32(nl.IFLA_PROMISCUITY, 0);
  w.attributeU32(nl.IFLA_NUM_TX_QUEUES, 1);
  w.attributeU32(nl.IFLA_NUM_RX_QUEUES, 1);
  if (vlan !== null) w.attributeU32(nl.IFLA_LINK, vlan.parentIndex);
  w.attributeU8(nl.IFLA_CARRIER, Number(isUp));
  w.attributeString(nl.IFLA_QDISC, "noqueue");
  w.attribute(nl.IFLA_ADDRESS, nic.mac);
  w.attribute(nl.IFLA_BROADCAST, nic.isLoopback ? new Uint8Array(6) : BROADCAST_MAC);
  putStats(w, nic);
  if (vlan !== null) putVlan(w, vlan);
  w.finish();
}

/** vlan_fill_info. */
function putVlan(w: NetlinkWriter, { id, protocol, isLoose }: VlanView): void {
  const info = w.beginNest(nl.IFLA_LINKINFO);
  w.attributeString(nl.IFLA_INFO_KIND, "vlan");
  const data = w.beginNest(nl.IFLA_INFO_DATA);
  w.attribute(nl.IFLA_VLAN_PROTOCOL, Uint8Array.of(protocol >>> 8, protocol));
  w.attribute(nl.IFLA_VLAN_ID, Uint8Array.of(id, id >>> 8));
  const flags = new Uint8Array(8).fill(0xff, 4);
  setU32Le(flags, 0, nl.VLAN_FLAG_REORDER_HDR | (isLoose ? nl.VLAN_FLAG_LOOSE_BINDING : 0));
  w.attribute(nl.IFLA_VLAN_FLAGS, flags);
  w.endNest(data);
  w.endNest(info);
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
  w.attribute(nl.IFLA_STATS64, wide);
  w.attribute(nl.IFLA_STATS, narrow);
}

export function dumpAddresses(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const nic of network.interfaces()) {
    for (const address of nic.addresses) {
      if (!wantsFamily(family, familyOf(address.addr))) continue;
      putAddress(w, nic, address, nl.RTM_NEWADDR, nl.NLM_F_MULTI);
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
  const at = w.begin(type, flags, nl.IFADDRMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(a.addr);
  b[at + 1] = a.prefixBits;
  const ifaFlags = a.isAuto ? (a.temporary ? IFA_F_TEMPORARY : 0) : nl.IFA_F_PERMANENT;
  b[at + 2] = ifaFlags;
  b[at + 3] = nic.isLoopback
    ? nl.RT_SCOPE_HOST
    : isLinkLocalV6(a.addr)
      ? nl.RT_SCOPE_LINK
      : nl.RT_SCOPE_UNIVERSE;
  setU32Le(b, at + 4, nic.index);
  const address = bytesOf(a.addr);
  w.attribute(nl.IFA_ADDRESS, address);
  if (a.addr.isV4) {
    w.attribute(nl.IFA_LOCAL, address);
    if (a.broadcast !== 0 && !nic.isLoopback) {
      const broadcast = new Uint8Array(4);
      setU32(broadcast, 0, a.broadcast);
      w.attribute(nl.IFA_BROADCAST, broadcast);
    }
    w.attributeString(nl.IFA_LABEL, nic.name);
  }
  w.attributeU32(nl.IFA_FLAGS, ifaFlags);
  // Preferred and valid for ever.
  w.attribute(nl.IFA_CACHEINFO, new Uint8Array(16).fill(0xff, 0, 8));
  w.finish();
}

export function dumpNeighbors(w: NetlinkWriter, network: NetworkView, family: number): void {
  for (const entry of network.neighbors()) {
    if (wantsFamily(family, familyOf(entry.addr)))
      putNeighbor(w, entry, nl.RTM_NEWNEIGH, nl.NLM_F_MULTI);
  }
  w.done();
}

export function putNeighbor(
  w: NetlinkWriter,
  entry: NeighborView,
  type: number,
  flags: number,
): void {
  const at = w.begin(type, flags, nl.NDMSG_BYTES);
  const b = w.bytes;
  b[at] = familyOf(entry.addr);
  setU32Le(b, at + 4, entry.index);
  setU16Le(b, at + 8, entry.state);
  b[at + 10] = entry.isRouter ? nl.NTF_ROUTER : 0;
  b[at + 11] = nl.RTN_UNICAST;
  w.attribute(nl.NDA_DST, bytesOf(entry.addr));
  if ((entry.state & (nl.NUD_INCOMPLETE | nl.NUD_FAILED)) === 0)
    w.attribute(nl.NDA_LLADDR, entry.mac);
  w.finish();
}
