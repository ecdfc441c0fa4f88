// NETLINK_ROUTE requests that change the stack (rtnetlink(7)): here addresses and neighbours, as `ip addr` and `ip neigh` send
// them; links: link-changes.ts, routes: route-requests.ts, rules: rule-changes.ts. Who asks must have CAP_NET_ADMIN, which the
// caller has checked.

import { EADDRNOTAVAIL, EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP } from "../../../abi/errno.ts";
import * as nl from "../../../abi/netlink.ts";
import { i32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { IPV4, type IpAddr, NetErr } from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { NetworkChanges, NetworkView } from "../inet/network-view.ts";
import { changeLink, removeLink } from "./link-changes.ts";
import { addressIn, attributesOf, ipFamily } from "./netlink-message.ts";
import { changeRoute } from "./route-requests.ts";
import { changeRule } from "./rule-changes.ts";

const BODY = nl.NLMSGHDR_BYTES;
const NLM_F_REPLACE = 0x100;

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
      return changeLink(network, flags, request);
    case nl.RTM_DELLINK:
      return removeLink(network, request);
    case nl.RTM_NEWNEIGH:
    case nl.RTM_DELNEIGH:
      return changeNeighbor(network, type === nl.RTM_NEWNEIGH, request);
    default:
      return undefined;
  }
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
