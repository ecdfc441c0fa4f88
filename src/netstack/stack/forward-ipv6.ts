// One IPv6 packet onward (RFC 8200 3, RFC 4443; Linux's ip6_forward). Its hop-by-hop options are left unread, as RFC
// 8200 4 lets a router, but for a router alert that somebody here waits for; nothing is fragmented on the way.

import { NetErr } from "../net-error.ts";
import {
  EXCEEDED6_HOP_LIMIT,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  UNREACHABLE6_ADDRESS,
  UNREACHABLE6_ADMIN,
  UNREACHABLE6_NO_ROUTE,
  UNREACHABLE6_SCOPE,
} from "../wire/icmpv6.ts";
import { routerAlertOf } from "./ipv6-extensions.ts";
import { isLinkLocal } from "./multicast-groups.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const HOP_LIMIT = 7;

export function forwardIpv6(stack: Stack, nic: Nic, pkt: PacketBuffer): void {
  const { counters, forwarding } = stack;
  if (stack.raw.alerts.count > 0 && isAlertTaken(stack, pkt)) return;
  // RFC 4291 2.5.6: link-local addresses mean something on their link only.
  if (pkt.linkBroadcast || pkt.src.isUnspecified || isLinkLocal(pkt.dst)) {
    counters.ip6InAddrErrors++;
    counters.dropForwardScope++;
    return;
  }
  if (isLinkLocal(pkt.src)) {
    counters.ip6InAddrErrors++;
    counters.dropForwardScope++;
    stack.icmp6.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_SCOPE, 0);
    return;
  }
  if (pkt.ttl <= 1) {
    counters.ip6InHdrErrors++;
    counters.dropForwardTtl++;
    stack.icmp6.sendError(pkt, ICMP6_TIME_EXCEEDED, EXCEEDED6_HOP_LIMIT, 0);
    return;
  }
  const path = forwarding.find(nic, pkt, pkt.dst);
  if (typeof path === "number" || path.nic.ipv6 === null) {
    refuse(stack, pkt, typeof path === "number" ? path : NetErr.NetworkUnreachable);
    return;
  }
  const mtu = path.linkMtu;
  if (forwarding.ipBytes(pkt) > mtu) {
    counters.ip6InTooBigErrors++;
    counters.ip6FragFails++;
    counters.dropTooBig++;
    stack.icmp6.sendError(pkt, ICMP6_PACKET_TOO_BIG, 0, mtu);
    return;
  }
  if (path.nic === nic) advise(stack, nic, pkt, path);
  counters.ip6OutForwDatagrams++;
  const onward = forwarding.copyOf(pkt);
  onward.bytes[onward.l3 + HOP_LIMIT]--;
  counters.ip6OutOctets += onward.length;
  path.nic.output(path, onward);
}

/** ip6_call_ra_chain: who has asked for alerts of this value gets it instead. */
function isAlertTaken(stack: Stack, pkt: PacketBuffer): boolean {
  const value = routerAlertOf(pkt.bytes, pkt.l3, pkt.end);
  return value >= 0 && stack.raw.alerts.deliver(pkt, value);
}

function refuse(stack: Stack, pkt: PacketBuffer, error: number): void {
  const { counters, icmp6 } = stack;
  counters.dropForwardNoRoute++;
  if (error === NetErr.NetworkUnreachable) {
    counters.ip6InNoRoutes++;
    icmp6.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_NO_ROUTE, 0);
  } else if (error === NetErr.HostUnreachable) {
    icmp6.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_ADDRESS, 0);
  } else if (error === NetErr.AccessDenied) {
    icmp6.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_ADMIN, 0);
  }
}

/** RFC 4861 8.2: the target is the next router's link-local address, or the destination itself. */
function advise(stack: Stack, nic: Nic, pkt: PacketBuffer, path: Path): void {
  const isNeighbor = nic.addresses.some((a) => !isLinkLocal(a.addr) && a.contains(pkt.src));
  const target = path.nextHop;
  if (!isNeighbor || !(isLinkLocal(target) || target.equals(pkt.dst))) return;
  if (stack.forwarding.mayAdvise(pkt.src)) nic.ipv6?.ndp.sendRedirect(pkt, target);
}
