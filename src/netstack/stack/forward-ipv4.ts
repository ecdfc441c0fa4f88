// One IPv4 packet onward (RFC 1812 5; Linux's ip_forward and ip_fragment): TTL, options, the redirect to who took a
// detour, and cutting up what the next link does not carry.

import { setU16, u16 } from "../../base/bytes.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { updateChecksum } from "../wire/checksum.ts";
import {
  EXCEEDED_TTL,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  UNREACHABLE_ADMIN,
  UNREACHABLE_FRAG_NEEDED,
  UNREACHABLE_HOST,
  UNREACHABLE_NET,
  UNREACHABLE_SOURCE_ROUTE,
} from "../wire/icmp.ts";
import {
  IPV4_DONT_FRAGMENT,
  IPV4_HEADER,
  IPV4_MORE_FRAGMENTS,
  ipv4DontFragment,
  ipv4FragOffset,
  ipv4IsFragment,
  ipv4MoreFragments,
  resizeIpv4,
} from "../wire/ipv4.ts";
import { blankUncopied } from "../wire/ipv4-options.ts";
import { completeChecksum } from "./checksum-partial.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { copyRange } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const REDIRECT_HOST = 1;
const TTL = 8;
const CHECKSUM = 10;
/** 169.254.0.0/16: "MUST NOT forward" (RFC 3927 7). Linux leaves it to its routes. */
const isLinkLocal = (word: number): boolean => word >>> 16 === 0xa9fe;

/** `nextHop`: where a source route leads that names us; otherwise it goes to its destination. */
export function forwardIpv4(
  stack: Stack,
  nic: Nic,
  pkt: PacketBuffer,
  nextHop: IpAddr | null = null,
): void {
  const { counters, forwarding } = stack;
  const hasOptions = pkt.l4 - pkt.l3 > IPV4_HEADER;
  const { marks } = stack.ipv4.options;
  if (hasOptions && marks.hasRouterAlert && isAlertTaken(stack, pkt)) return;
  // A frame to all that has somebody's address in it: answered by nobody (RFC 1122 3.3.6).
  if (pkt.linkBroadcast || isLinkLocal(pkt.src.w3) || isLinkLocal(pkt.dst.w3)) {
    counters.ipInAddrErrors++;
    counters.dropForwardScope++;
    return;
  }
  const path = forwarding.find(nic, pkt, nextHop ?? pkt.dst);
  if (typeof path === "number" || path.isBroadcast) {
    refuse(stack, pkt, typeof path === "number" ? path : NetErr.InvalidArgument);
    return;
  }
  if (pkt.ttl <= 1) {
    counters.ipInHdrErrors++;
    counters.dropForwardTtl++;
    stack.icmp.sendError(pkt, ICMP_TIME_EXCEEDED, EXCEEDED_TTL, 0);
    return;
  }
  if (hasOptions && marks.isStrict && !path.nextHop.equals(path.dst)) {
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_SOURCE_ROUTE, 0);
    return;
  }
  const mtu = path.linkMtu;
  if (forwarding.ipBytes(pkt) > mtu && ipv4DontFragment(pkt.bytes, pkt.l3)) {
    counters.ipFragFails++;
    counters.dropTooBig++;
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_FRAG_NEEDED, mtu);
    return;
  }
  const isRouted = hasOptions && marks.sourceRoute >= 0;
  if (path.nic === nic && !isRouted && isNeighborOf(nic, pkt, path)) {
    stack.icmp.sendError(pkt, ICMP_REDIRECT, REDIRECT_HOST, path.nextHop.w3);
  }
  counters.ipForwDatagrams++;
  const onward = forwarding.copyOf(pkt);
  decrementTtl(onward.bytes, onward.l3);
  if (hasOptions) {
    const own = path.nic.sourceFor(path.nextHop)?.w3 ?? 0;
    stack.ipv4.options.stampOnward(onward, own, nextHop !== null);
  }
  counters.ipOutOctets += onward.length;
  if (forwarding.ipBytes(onward) > mtu) sendFragments(stack, path, onward, mtu);
  else path.nic.output(path, onward);
}

/** ip_call_ra_chain, of whole packets: who has asked for those of this protocol gets it instead. */
const isAlertTaken = (stack: Stack, pkt: PacketBuffer): boolean =>
  !ipv4IsFragment(pkt.bytes, pkt.l3) && stack.raw.alerts.deliver(pkt, pkt.protocol);

/** ip_error. */
function refuse(stack: Stack, pkt: PacketBuffer, error: number): void {
  const { counters } = stack;
  counters.dropForwardNoRoute++;
  if (error === NetErr.NetworkUnreachable) {
    counters.ipInNoRoutes++;
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
  } else if (error === NetErr.HostUnreachable) {
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
  } else if (error === NetErr.AccessDenied) {
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_ADMIN, 0);
  }
}

/** Out by where it came in, from a station that is on that link as the next hop is (__mkroute_input). */
function isNeighborOf(nic: Nic, pkt: PacketBuffer, path: Path): boolean {
  if (ipv4FragOffset(pkt.bytes, pkt.l3) !== 0) return false;
  const onLink = nic.addresses.some((a) => a.contains(pkt.src) && a.contains(path.nextHop));
  return onLink && nic.stack.forwarding.mayAdvise(pkt.src);
}

/** RFC 1624, as ip_decrease_ttl. */
function decrementTtl(b: Uint8Array, l3: number): void {
  const before = u16(b, l3 + TTL);
  b[l3 + TTL]--;
  setU16(b, l3 + CHECKSUM, updateChecksum(u16(b, l3 + CHECKSUM), before, u16(b, l3 + TTL)));
}

/** ip_do_fragment, of what may be a fragment itself. Takes the packet. */
function sendFragments(stack: Stack, path: Path, pkt: PacketBuffer, mtu: number): void {
  const header = pkt.l4 - pkt.l3;
  const b = pkt.bytes;
  const total = pkt.end - pkt.l4;
  const pieceMax = (mtu - header) & ~7;
  const base = ipv4FragOffset(b, pkt.l3);
  const isLast = !ipv4MoreFragments(b, pkt.l3);
  const id = u16(b, pkt.l3 + 4);
  completeChecksum(pkt);
  const linear = pkt.end - pkt.start;
  for (let at = 0; at < total; at += pieceMax) {
    const n = Math.min(pieceMax, total - at);
    const piece = stack.allocPacket();
    copyRange(piece, pkt, linear, header + at, n);
    piece.start -= header;
    piece.bytes.set(b.subarray(pkt.l3, pkt.l4), piece.start);
    piece.l3 = piece.start;
    piece.l4 = piece.l3 + header;
    piece.protocol = pkt.protocol;
    piece.src.set(pkt.src);
    piece.dst.set(pkt.dst);
    piece.nicId = pkt.nicId;
    if (base + at > 0) blankUncopied(piece.bytes, piece.l3 + IPV4_HEADER, piece.l4);
    const more = at + n < total || !isLast ? IPV4_MORE_FRAGMENTS : 0;
    // DF is clear: such a packet was refused.
    const word = (more | ((base + at) >>> 3)) & ~IPV4_DONT_FRAGMENT;
    resizeIpv4(piece.bytes, piece.l3, header + n, id, word);
    stack.counters.ipFragCreates++;
    path.nic.output(path, piece);
  }
  stack.counters.ipFragOKs++;
  stack.freePacket(pkt);
}
