// RTM_NEWLINK, RTM_SETLINK and RTM_DELLINK (`ip link`): MTU, up and down; of new kinds of links VLANs, as net/8021q takes
// them. Others are refused, as is what nothing here carries out: maps of priorities, GVRP, MVRP, frames with their tags.

import { EEXIST, EINVAL, ENODEV, EOPNOTSUPP, EPROTONOSUPPORT, ERANGE } from "../../../abi/errno.ts";
import { IFF_UP, IFNAMSIZ } from "../../../abi/netdevice.ts";
import * as nl from "../../../abi/netlink.ts";
import { byteString, i32Le, u16, u16Le, u32Le } from "../../../base/bytes.ts";
import {
  ETHERTYPE_8021AD,
  ETHERTYPE_8021Q,
  NetErr,
  type NetError,
  VID_MAX,
} from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { InterfaceView, NetworkChanges, NetworkView } from "../inet/network-view.ts";
import { attributesOf } from "./netlink-message.ts";

type Network = NetworkView & NetworkChanges;

const BODY = nl.NLMSGHDR_BYTES;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
/** IFLA_ADDRESS, IFLA_MASTER, IFLA_NET_NS_PID, IFLA_NET_NS_FD. */
const UNSUPPORTED = new Set([nl.IFLA_ADDRESS, 10, 19, 28]);
const NAMES_MAX = 10_000;

interface LinkRequest {
  index: number;
  flags: number;
  change: number;
  name: string;
  mtu: number;
  parentIndex: number;
  kind: string;
  vlan: VlanRequest | null;
}

interface VlanRequest {
  id: number;
  protocol: number;
  flags: number;
  mask: number;
}

/** 0 or -errno. */
export function changeLink(network: Network, flags: number, request: Uint8Array): number {
  const r = readLink(request);
  if (typeof r === "number") return r;
  const found = r.index > 0 ? network.interfaceByIndex(r.index) : network.interfaceByName(r.name);
  if (found !== undefined) {
    return (flags & NLM_F_EXCL) !== 0 ? -EEXIST : modify(network, found, r);
  }
  if (r.index > 0 || (flags & NLM_F_CREATE) === 0) return -ENODEV;
  // "Unknown device type".
  if (r.kind !== "vlan") return -EOPNOTSUPP;
  const index = makeVlan(network, r);
  if (index < 0) return index;
  const made = network.interfaceByIndex(index);
  return made === undefined ? -ENODEV : modify(network, made, { ...r, vlan: null, kind: "" });
}

/** 0 or -errno. */
export function removeLink(network: Network, request: Uint8Array): number {
  const r = readLink(request);
  if (typeof r === "number") return r;
  const found = r.index > 0 ? network.interfaceByIndex(r.index) : network.interfaceByName(r.name);
  if (found === undefined) return -ENODEV;
  return -errnoOf(network.removeInterface(found.index));
}

function modify(network: Network, nic: InterfaceView, r: LinkRequest): number {
  if (r.kind !== "" && (r.kind !== "vlan" || nic.vlan === null)) return -EOPNOTSUPP;
  if (r.vlan !== null && nic.vlan !== null) {
    const error = checkFlags(r.vlan);
    if (error !== 0) return error;
    if ((r.vlan.mask & nl.VLAN_FLAG_LOOSE_BINDING) !== 0) {
      network.setLoose(nic.index, (r.vlan.flags & nl.VLAN_FLAG_LOOSE_BINDING) !== 0);
    }
  }
  if (r.mtu >= 0) {
    // vlan_dev_change_mtu.
    const parent = nic.vlan === null ? undefined : network.interfaceByIndex(nic.vlan.parentIndex);
    if (parent !== undefined && r.mtu > parent.mtu) return -ERANGE;
    const result = network.setMtu(nic.index, r.mtu);
    if (result !== 0) return -errnoOf(result);
  }
  if ((r.change & IFF_UP) === 0) return 0;
  return -errnoOf(network.setUp(nic.index, (r.flags & IFF_UP) !== 0));
}

/** vlan_validate, vlan_newlink. The new interface's index, or -errno. */
function makeVlan(network: Network, r: LinkRequest): number {
  const { vlan, parentIndex } = r;
  // "VLAN properties not specified".
  if (vlan === null) return -EINVAL;
  if (vlan.protocol !== ETHERTYPE_8021Q && vlan.protocol !== ETHERTYPE_8021AD) {
    return -EPROTONOSUPPORT;
  }
  if (vlan.id > VID_MAX) return -ERANGE;
  const error = checkFlags(vlan);
  if (error !== 0) return error;
  if (vlan.id < 0 || parentIndex === 0) return -EINVAL;
  const parent = network.interfaceByIndex(parentIndex);
  if (parent === undefined) return -ENODEV;
  if (r.mtu > parent.mtu) return -EINVAL;
  const name = nameFor(network, r.name);
  if (typeof name === "number") return name;
  const isLoose = (vlan.flags & vlan.mask & nl.VLAN_FLAG_LOOSE_BINDING) !== 0;
  const { id, protocol } = vlan;
  const result = network.addVlan({ name, parentIndex, id, protocol, isLoose });
  if (result >= 0) return result;
  return result === NetErr.AddressInUse ? -EEXIST : -errnoOf(result as NetError);
}

function checkFlags({ flags, mask }: VlanRequest): number {
  if ((flags & mask & ~nl.VLAN_FLAGS_ALL) !== 0) return -EINVAL;
  const known = nl.VLAN_FLAG_REORDER_HDR | nl.VLAN_FLAG_LOOSE_BINDING;
  const keepsTags = (mask & ~flags & nl.VLAN_FLAG_REORDER_HDR) !== 0;
  return (flags & mask & ~known) !== 0 || keepsTags ? -EOPNOTSUPP : 0;
}

/** dev_get_valid_name: one %d stands for the first free number. */
function nameFor(network: Network, asked: string): string | number {
  const pattern = asked === "" ? "vlan%d" : asked;
  const [head, ...tails] = pattern.split("%d");
  if (tails.length === 0) return isName(pattern) ? pattern : -EINVAL;
  if (tails.length > 1) return -EINVAL;
  for (let n = 0; n < NAMES_MAX; n++) {
    const name = `${head}${n}${tails[0]}`;
    if (!isName(name)) return -EINVAL;
    if (network.interfaceByName(name) === undefined) return name;
  }
  return -EEXIST;
}

/** dev_valid_name. */
const isName = (name: string): boolean =>
  name !== "" && name !== "." && name !== ".." && name.length < IFNAMSIZ && !/[/:%\s]/.test(name);

const textAt = (b: Uint8Array, offset: number, length: number): string =>
  byteString(b, offset, length).replace(/\0.*$/s, "");

function readLink(request: Uint8Array): LinkRequest | number {
  if (request.length < BODY + nl.IFINFOMSG_BYTES) return -EINVAL;
  const r: LinkRequest = {
    index: i32Le(request, BODY + 4),
    flags: u32Le(request, BODY + 8),
    change: u32Le(request, BODY + 12),
    ...{ name: "", mtu: -1, parentIndex: 0, kind: "", vlan: null },
  };
  for (const { type, offset, length } of attributesOf(
    request,
    BODY + nl.IFINFOMSG_BYTES,
    request.length,
  )) {
    if (UNSUPPORTED.has(type)) return -EOPNOTSUPP;
    if (type === nl.IFLA_IFNAME) r.name = textAt(request, offset, length);
    else if (type === nl.IFLA_MTU || type === nl.IFLA_LINK) {
      if (length < 4) return -EINVAL;
      if (type === nl.IFLA_MTU) r.mtu = u32Le(request, offset);
      else r.parentIndex = i32Le(request, offset);
    } else if (type === nl.IFLA_LINKINFO) {
      const error = readInfo(r, request, offset, offset + length);
      if (error !== 0) return error;
    }
  }
  return r;
}

/** 0 or -errno. */
function readInfo(r: LinkRequest, request: Uint8Array, from: number, end: number): number {
  for (const { type, offset, length } of attributesOf(request, from, end)) {
    if (type === nl.IFLA_INFO_KIND) r.kind = textAt(request, offset, length);
    if (type !== nl.IFLA_INFO_DATA) continue;
    const vlan = readVlan(request, offset, offset + length);
    if (typeof vlan === "number") return vlan;
    r.vlan = vlan;
  }
  // What other kinds say of themselves is not read.
  if (r.kind !== "vlan") r.vlan = null;
  return 0;
}

function readVlan(request: Uint8Array, from: number, end: number): VlanRequest | number {
  const vlan: VlanRequest = { id: -1, protocol: ETHERTYPE_8021Q, flags: 0, mask: 0 };
  for (const { type, offset, length } of attributesOf(request, from, end)) {
    if (type === nl.IFLA_VLAN_EGRESS_QOS || type === nl.IFLA_VLAN_INGRESS_QOS) return -EOPNOTSUPP;
    if (length < (type === nl.IFLA_VLAN_FLAGS ? 8 : 2)) return -EINVAL;
    if (type === nl.IFLA_VLAN_ID) vlan.id = u16Le(request, offset);
    else if (type === nl.IFLA_VLAN_PROTOCOL) vlan.protocol = u16(request, offset);
    else if (type === nl.IFLA_VLAN_FLAGS) {
      vlan.flags = u32Le(request, offset);
      vlan.mask = u32Le(request, offset + 4);
    }
  }
  return vlan;
}
