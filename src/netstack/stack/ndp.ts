// Neighbour Discovery on one NIC (RFC 4861): answers and asks who has an address, believes answers by the
// rules of 7.2.5 (NeighborTable.advertised), follows redirects of the router in use, finds duplicates.
// Everything with another hop limit than 255, in fragments (RFC 6980), or with an option of length 0 is
// dropped whole. Router advertisements go to router-discovery.ts.

import { setU32 } from "../../base/bytes.ts";
import { IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { copyMac, isGroupMac } from "../wire/ethernet.ts";
import {
  finishIcmp6,
  NDP_NEIGHBOR_ADVERT,
  NDP_NEIGHBOR_SOLICIT,
  NDP_REDIRECT,
  NDP_ROUTER_ADVERT,
  NDP_ROUTER_SOLICIT,
} from "../wire/icmpv6.ts";
import { PROTO_ICMPV6 } from "../wire/ipv4.ts";
import { IPV6_HEADER, IPV6_MIN_MTU } from "../wire/ipv6.ts";
import {
  checkNdpOptions,
  findNdpOption,
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  NDP_DESTINATION,
  NDP_TARGET,
  NS_BYTES,
  OPTION_NONCE,
  OPTION_REDIRECTED,
  OPTION_SOURCE_LINK,
  OPTION_TARGET_LINK,
  RA_BYTES,
  REDIRECT_BYTES,
  RS_BYTES,
} from "../wire/ndp.ts";
import type { Ipv6Interface, TentativeAddress } from "./ipv6-interface.ts";
import { ALL_NODES, isLinkLocal, solicitedNode } from "./multicast-groups.ts";
import type { NeighborEntry } from "./neighbor-entry.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** RFC 4861 3.1: what came over a router has less. */
const NDP_HOP_LIMIT = 255;
const UNSPECIFIED = new IpAddr();
const LINK_OPTION_BYTES = 8;
/** Length and type, then six bytes. */
const NONCE_BYTES = 6;

export class Ndp {
  readonly #if: Ipv6Interface;
  readonly #target = new IpAddr();
  readonly #group = new IpAddr();
  readonly #destination = new IpAddr();
  readonly #mac = new Uint8Array(6);

  constructor(iface: Ipv6Interface) {
    this.#if = iface;
  }

  // @rfc 6980 5
  /** A message with a good checksum at [pkt.l4, pkt.end). */
  input(pkt: PacketBuffer, type: number): void {
    const stack = this.#if.stack;
    const fixed = fixedBytes(type);
    const ok =
      pkt.ttl === NDP_HOP_LIMIT &&
      pkt.bytes[pkt.l4 + 1] === 0 &&
      !stack.ipv6.fromFragments &&
      pkt.end - pkt.l4 >= fixed &&
      checkNdpOptions(pkt.bytes, pkt.l4 + fixed, pkt.end) &&
      this.#dispatch(pkt, type, pkt.l4 + fixed);
    if (!ok) stack.counters.dropNdpBad++;
  }

  #dispatch(pkt: PacketBuffer, type: number, options: number): boolean {
    const counters = this.#if.stack.counters;
    switch (type) {
      case NDP_NEIGHBOR_SOLICIT:
        counters.icmp6InNeighborSolicits++;
        return this.#onSolicit(pkt, options);
      case NDP_NEIGHBOR_ADVERT:
        counters.icmp6InNeighborAdvertisements++;
        return this.#onAdvert(pkt, options);
      case NDP_ROUTER_ADVERT:
        counters.icmp6InRouterAdvertisements++;
        return this.#onRouterAdvert(pkt, options);
      case NDP_REDIRECT:
        counters.icmp6InRedirects++;
        return this.#onRedirect(pkt, options);
      default:
        // We advertise nothing, also as a router.
        counters.icmp6InRouterSolicits++;
        return true;
    }
  }

  /** Offset of the MAC in a link-layer address option, or -1. */
  #mac6(pkt: PacketBuffer, options: number, type: number): number {
    const at = findNdpOption(pkt.bytes, options, pkt.end, type, LINK_OPTION_BYTES);
    return at < 0 || isGroupMac(pkt.bytes, at + 2) ? -1 : at + 2;
  }

  // @rfc 4862 5.4.3
  // @rfc 4861 7.1.1
  #onSolicit(pkt: PacketBuffer, options: number): boolean {
    const iface = this.#if;
    const b = pkt.bytes;
    const target = this.#target.read(b, pkt.l4 + NDP_TARGET, IPV6);
    const probe = pkt.src.isUnspecified;
    const mac = this.#mac6(pkt, options, OPTION_SOURCE_LINK);
    if (target.isMulticast) return false;
    if (probe && (mac >= 0 || !pkt.dst.equals(solicitedNode(this.#group, target)))) return false;
    const tentative = iface.findTentative(target);
    if (tentative !== null) {
      if (probe && !this.#isOurNonce(pkt, options, tentative)) iface.onDuplicate(tentative);
      return true;
    }
    if (!iface.nic.hasAddress(target)) return true;
    if (probe) {
      this.#advertise(target, ALL_NODES, null, NA_OVERRIDE);
      return true;
    }
    if (mac >= 0) iface.nic.neighbors6.heardFrom(pkt.src, b, mac, true);
    const entry = iface.nic.neighbors6.find(pkt.src);
    if (mac >= 0) {
      copyMac(this.#mac, 0, b, mac);
      this.#advertise(target, pkt.src, this.#mac, NA_OVERRIDE | NA_SOLICITED);
    } else if (entry?.hasMac) {
      this.#advertise(target, pkt.src, entry.mac, NA_OVERRIDE | NA_SOLICITED);
    } else {
      // Unicast by a neighbour that we do not know: back where the frame came from.
      copyMac(this.#mac, 0, b, pkt.start + 6);
      this.#advertise(target, pkt.src, this.#mac, NA_OVERRIDE | NA_SOLICITED);
    }
    return true;
  }

  // @rfc 7527 4
  #isOurNonce(pkt: PacketBuffer, options: number, tentative: TentativeAddress): boolean {
    const at = findNdpOption(pkt.bytes, options, pkt.end, OPTION_NONCE, 2 + NONCE_BYTES);
    if (at < 0) return false;
    for (let i = 0; i < NONCE_BYTES; i++) {
      if (pkt.bytes[at + 2 + i] !== tentative.nonce[i]) return false;
    }
    return true;
  }

  // @rfc 4862 5.4.4
  // @rfc 4861 7.1.2
  #onAdvert(pkt: PacketBuffer, options: number): boolean {
    const iface = this.#if;
    const b = pkt.bytes;
    const flags = b[pkt.l4 + 4];
    const target = this.#target.read(b, pkt.l4 + NDP_TARGET, IPV6);
    const solicited = (flags & NA_SOLICITED) !== 0;
    if (target.isMulticast || (solicited && pkt.dst.isMulticast)) return false;
    const tentative = iface.findTentative(target);
    if (tentative !== null) {
      iface.onDuplicate(tentative);
      return true;
    }
    if (iface.nic.hasAddress(target)) {
      iface.stack.counters.ndpConflicts++;
      return true;
    }
    const mac = this.#mac6(pkt, options, OPTION_TARGET_LINK);
    const router = (flags & NA_ROUTER) !== 0;
    const override = (flags & NA_OVERRIDE) !== 0;
    const retired = iface.nic.neighbors6.advertised(target, b, mac, solicited, override, router);
    if (retired) iface.routers.forget(target);
    return true;
  }

  // @rfc 4861 6.1.2
  #onRouterAdvert(pkt: PacketBuffer, options: number): boolean {
    const iface = this.#if;
    if (!isLinkLocal(pkt.src)) return false;
    // accept_ra 1: not by a router.
    if (!iface.acceptsAdvertisements || iface.stack.forwarding.v6) return true;
    const mac = this.#mac6(pkt, options, OPTION_SOURCE_LINK);
    iface.routers.onAdvertisement(pkt, options);
    if (mac >= 0) iface.nic.neighbors6.heardFrom(pkt.src, pkt.bytes, mac, true);
    const entry = iface.nic.neighbors6.find(pkt.src);
    if (entry !== null) entry.isRouter = true;
    return true;
  }

  /** RFC 4861 8.1, 8.3: only the router that we use for it may send us elsewhere. */
  #onRedirect(pkt: PacketBuffer, options: number): boolean {
    const iface = this.#if;
    const target = this.#target.read(pkt.bytes, pkt.l4 + NDP_TARGET, IPV6);
    const dst = this.#destination.read(pkt.bytes, pkt.l4 + NDP_DESTINATION, IPV6);
    const onLink = target.equals(dst);
    if (!isLinkLocal(pkt.src) || dst.isMulticast || !(onLink || isLinkLocal(target))) return false;
    if (!iface.acceptsAdvertisements || iface.stack.forwarding.v6) return true;
    if (iface.stack.isLocalAddress(target)) return true;
    const mac = this.#mac6(pkt, options, OPTION_TARGET_LINK);
    const followed = iface.routers.redirects.follow(
      iface.nic.id,
      pkt.src,
      dst,
      onLink ? null : target,
    );
    if (followed && mac >= 0) iface.nic.neighbors6.heardFrom(target, pkt.bytes, mac, true);
    return true;
  }

  /** Asks for a neighbour. */
  solicit(entry: NeighborEntry, unicast: boolean): void {
    const src = this.#if.nic.sourceFor(entry.addr);
    if (src === null) return;
    const dst = unicast ? entry.addr : solicitedNode(this.#group, entry.addr);
    const pkt = this.#message(NDP_NEIGHBOR_SOLICIT, 0, entry.addr);
    this.#linkOption(pkt, OPTION_SOURCE_LINK);
    this.#if.stack.counters.icmp6OutNeighborSolicits++;
    this.#if.sendNdp(pkt, src, dst, unicast ? entry.mac : null);
  }

  /** RFC 4862 5.4.2 with the nonce of RFC 7527, by which we know our own probe when the link loops it. */
  sendDuplicateProbe(t: TentativeAddress): void {
    const pkt = this.#message(NDP_NEIGHBOR_SOLICIT, 0, t.addr);
    pkt.bytes[pkt.end] = OPTION_NONCE;
    pkt.bytes[pkt.end + 1] = 1;
    copyMac(pkt.bytes, pkt.end + 2, t.nonce, 0);
    pkt.end += 8;
    this.#if.stack.counters.icmp6OutNeighborSolicits++;
    this.#if.sendNdp(pkt, UNSPECIFIED, solicitedNode(this.#group, t.addr), null);
  }

  sendRouterSolicit(src: IpAddr, allRouters: IpAddr): void {
    const stack = this.#if.stack;
    const pkt = stack.allocPacket();
    setU32(pkt.bytes, pkt.start, NDP_ROUTER_SOLICIT << 24);
    setU32(pkt.bytes, pkt.start + 4, 0);
    pkt.end = pkt.start + RS_BYTES;
    this.#linkOption(pkt, OPTION_SOURCE_LINK);
    stack.counters.icmp6OutRouterSolicits++;
    this.#if.sendNdp(pkt, src, allRouters, null);
  }

  // @rfc 4861 7.2.4
  #advertise(target: IpAddr, dst: IpAddr, mac: Uint8Array | null, flags: number): void {
    const role = this.#if.stack.forwarding.v6 ? NA_ROUTER : 0;
    const pkt = this.#message(NDP_NEIGHBOR_ADVERT, flags | role, target);
    this.#linkOption(pkt, OPTION_TARGET_LINK);
    this.#if.stack.counters.icmp6OutNeighborAdvertisements++;
    this.#if.sendNdp(pkt, target, dst, mac);
  }

  /** RFC 4861 8.2: tells the sender of a packet (at pkt.l3) who is nearer to its destination: ndisc_send_redirect. */
  sendRedirect(pkt: PacketBuffer, target: IpAddr): void {
    const { nic, stack, linkLocal } = this.#if;
    const route =
      linkLocal === null ? NetErr.NoDevice : stack.findRoute(linkLocal, pkt.src, nic.id);
    if (typeof route === "number") return;
    const message = this.#message(NDP_REDIRECT, 0, target);
    const b = message.bytes;
    pkt.dst.write(b, message.start + NDP_DESTINATION, IPV6);
    message.end = message.start + REDIRECT_BYTES;
    const entry = nic.neighbors6.find(target);
    if (entry?.hasMac) this.#linkOption(message, OPTION_TARGET_LINK, entry.mac);
    const room = IPV6_MIN_MTU - IPV6_HEADER - (message.end - message.start) - 8;
    const quoted = Math.min(pkt.end - pkt.l3, room) & ~7;
    b.fill(0, message.end, message.end + 8);
    b[message.end] = OPTION_REDIRECTED;
    b[message.end + 1] = 1 + (quoted >>> 3);
    b.set(pkt.bytes.subarray(pkt.l3, pkt.l3 + quoted), message.end + 8);
    message.end += 8 + quoted;
    stack.counters.icmp6OutRedirects++;
    stack.counters.icmp6OutMsgs++;
    finishIcmp6(b, message.start, message.end - message.start, route.src, pkt.src);
    message.l4 = message.start;
    message.protocol = PROTO_ICMPV6;
    message.ttl = NDP_HOP_LIMIT;
    stack.sendPacket(route, message, false);
  }

  #message(type: number, flags: number, target: IpAddr): PacketBuffer {
    const pkt = this.#if.stack.allocPacket();
    setU32(pkt.bytes, pkt.start, type << 24);
    setU32(pkt.bytes, pkt.start + 4, flags << 24);
    target.write(pkt.bytes, pkt.start + NDP_TARGET, IPV6);
    pkt.end = pkt.start + NS_BYTES;
    return pkt;
  }

  #linkOption(pkt: PacketBuffer, type: number, mac: Uint8Array = this.#if.nic.mac): void {
    pkt.bytes[pkt.end] = type;
    pkt.bytes[pkt.end + 1] = 1;
    copyMac(pkt.bytes, pkt.end + 2, mac, 0);
    pkt.end += LINK_OPTION_BYTES;
  }
}

function fixedBytes(type: number): number {
  if (type === NDP_ROUTER_ADVERT) return RA_BYTES;
  if (type === NDP_REDIRECT) return REDIRECT_BYTES;
  return type === NDP_ROUTER_SOLICIT ? RS_BYTES : NS_BYTES;
}
