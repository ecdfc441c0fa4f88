// A network interface of the stack: one link, its addresses, its neighbours. Parses and writes the
// Ethernet header; ARP is answered here (arp.ts); IP goes to the stack. The loopback NIC has no link:
// the stack queues its packets.

import type { Family, IpAddr } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import {
  BROADCAST_MAC,
  checkEthernet,
  ETH_DST,
  ETH_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethType,
  isGroupMac,
  macEquals,
  multicastMacV4,
  multicastMacV6,
  writeEthernet,
} from "../wire/ethernet.ts";
import { ICMP_UNREACHABLE, UNREACHABLE_HOST } from "../wire/icmp.ts";
import { ICMP6_UNREACHABLE, UNREACHABLE6_ADDRESS } from "../wire/icmpv6.ts";
import { ETHERTYPE_8021AD, ETHERTYPE_8021Q, isTagType, takeTag, VID_MASK } from "../wire/vlan.ts";
import { ArpProtocol } from "./arp.ts";
import { completeChecksum } from "./checksum-partial.ts";
import { Gro } from "./gro.ts";
import { Igmp } from "./igmp.ts";
import type { Ipv6Interface } from "./ipv6-interface.ts";
import type { LinkEndpoint, LinkSink } from "./link-endpoint.ts";
import type { NeighborEntry, NeighborResolver } from "./neighbor-entry.ts";
import { NeighborTable } from "./neighbors.ts";
import type { NicAddress, NicCounters } from "./nic-address.ts";
import { ANY_SOURCE, NicGroups } from "./nic-groups.ts";
import { GSO_NONE, type PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import { Segmenter } from "./segmenter.ts";
import { selectSource } from "./source-address.ts";
import type { Stack } from "./stack.ts";
import type { Vlans } from "./vlan.ts";

export class Nic implements LinkSink, NeighborResolver {
  readonly id: number;
  readonly name: string;
  readonly stack: Stack;
  /** null: the loopback. */
  readonly link: LinkEndpoint | null;
  /** Bytes of an IP packet: the link's, or less. */
  mtu: number;
  readonly mac: Uint8Array;
  readonly addresses: NicAddress[] = [];
  readonly neighbors: NeighborTable;
  /** Of IPv6. */
  readonly neighbors6: NeighborTable;
  readonly arp: ArpProtocol;
  readonly igmp: Igmp | null;
  /** Null: IPv6 is off here, nothing of it is sent or taken. The loopback needs none for ::1. */
  ipv6: Ipv6Interface | null = null;
  /** Takes packets for any destination, and may send from any source: a gateway's inside. */
  readonly promiscuous: boolean;
  /** Packet endpoints that want frames for other stations too. */
  promiscuity = 0;
  isUp = true;
  /** See Stack.acceptsSourceRoutes. */
  acceptsSourceRoutes: boolean;
  /** VLAN interfaces on it. */
  vlans: Vlans | null = null;
  readonly counters: NicCounters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
    multicast: 0,
  };
  readonly groups = new NicGroups((group) =>
    group.isV4 ? this.igmp?.reporter : this.ipv6?.mld.reporter,
  );
  readonly #groupMac = new Uint8Array(6);
  #segmenter: Segmenter | null = null;
  /** Segments of one batch of the link are merged meanwhile. */
  #isBatch = false;
  #gro: Gro | null = null;

  constructor(
    stack: Stack,
    id: number,
    name: string,
    link: LinkEndpoint | null,
    mtu: number,
    promiscuous: boolean,
  ) {
    this.stack = stack;
    this.acceptsSourceRoutes = stack.acceptsSourceRoutesByDefault;
    this.id = id;
    this.name = name;
    this.link = link;
    this.mtu = mtu;
    this.mac = link === null ? new Uint8Array(6) : link.mac;
    this.promiscuous = promiscuous;
    this.neighbors = new NeighborTable(
      this,
      stack.clock,
      stack.timers,
      stack.rng,
      stack.limits,
      stack.counters,
    );
    this.neighbors6 = new NeighborTable(
      this,
      stack.clock,
      stack.timers,
      stack.rng,
      stack.limits,
      stack.counters,
    );
    this.arp = new ArpProtocol(this);
    this.igmp = link === null ? null : new Igmp(this);
    link?.attach(this);
  }

  get isLoopback(): boolean {
    return this.link === null;
  }
  /** Of IPv6 packets. */
  get mtu6(): number {
    return this.ipv6 === null ? this.mtu : this.ipv6.mtu;
  }
  get checksumOffload(): boolean {
    return this.link === null || this.link.checksumOffload;
  }
  get gsoBytesMax(): number {
    return this.link === null ? 0 : this.link.gsoBytesMax;
  }

  hasAddress(addr: IpAddr): boolean {
    for (const a of this.addresses) if (a.addr.equals(addr)) return true;
    return false;
  }
  /** Subnet broadcast of one of our prefixes, or 255.255.255.255. */
  isBroadcastAddress(addr: IpAddr): boolean {
    if (!addr.isV4) return false;
    if (addr.w3 === -1) return true;
    for (const a of this.addresses) if (a.broadcast !== 0 && a.broadcast === addr.w3) return true;
    return false;
  }
  /** The address to send from towards `addr`: one of the same prefix first. prefersTemporary: null: as the NIC does. */
  sourceFor(addr: IpAddr, prefersTemporary: boolean | null = null): IpAddr | null {
    if (!addr.isV4) {
      const preferTemporary = prefersTemporary ?? this.ipv6?.temporaryAddresses ?? false;
      const nowNs = this.stack.clock.monotonicNs();
      return selectSource(this.addresses, addr, { nowNs, preferTemporary });
    }
    let first: IpAddr | null = null;
    for (const a of this.addresses) {
      if (a.addr.isV4 !== addr.isV4) continue;
      if (a.contains(addr)) return a.addr;
      first ??= a.addr;
    }
    return first;
  }

  joinGroup(group: IpAddr): NetError | 0 {
    return this.groups.change(group, null, ANY_SOURCE);
  }
  leaveGroup(group: IpAddr): void {
    if (this.groups.find(group) !== null) this.groups.change(group, ANY_SOURCE, null);
  }

  deliver(pkt: PacketBuffer): void {
    this.stack.enter();
    this.#input(pkt);
    this.stack.leave();
  }

  /** What is on its way through must stay as it was: no merging there. */
  beginBatch(): void {
    const { forwarding } = this.stack;
    this.#isBatch = !this.promiscuous && !forwarding.v4 && !forwarding.v6;
    if (this.#isBatch) this.#gro ??= new Gro();
  }
  endBatch(): void {
    if (!this.#isBatch) return;
    this.#isBatch = false;
    this.stack.enter();
    this.#releaseHeld();
    this.stack.leave();
  }

  #releaseHeld(): void {
    const held = this.#gro === null ? null : this.#gro.release();
    if (held !== null) this.#inputIp(held);
  }

  #input(pkt: PacketBuffer): void {
    const counters = this.stack.counters;
    const length = pkt.end - pkt.start;
    this.counters.rxPackets++;
    this.counters.rxBytes += length;
    if (!this.isUp) {
      counters.dropNicDown++;
      return;
    }
    if (!checkEthernet(pkt.bytes, pkt.start, length)) {
      this.counters.rxDropped++;
      counters.dropFrameShort++;
      return;
    }
    if (this.stack.taps.count > 0) this.stack.taps.incoming(this, pkt);
    const group = isGroupMac(pkt.bytes, pkt.start + ETH_DST);
    if (group) this.counters.multicast++;
    else if (!macEquals(pkt.bytes, pkt.start + ETH_DST, this.mac, 0)) {
      this.counters.rxDropped++;
      counters.dropNotForUs++;
      return;
    }
    if (this.#isBatch) {
      const gro = this.#gro as Gro;
      if (gro.take(pkt)) return;
      this.#releaseHeld();
      if (!group && gro.begin(pkt)) return;
    }
    pkt.linkBroadcast = group;
    this.#inputIp(pkt);
  }

  #inputIp(pkt: PacketBuffer): void {
    const { counters } = this.stack;
    pkt.nicId = this.id;
    pkt.l3 = pkt.start + ETH_HEADER;
    switch (ethType(pkt.bytes, pkt.start)) {
      case ETHERTYPE_IPV4:
        this.stack.ipv4.input(this, pkt, false);
        return;
      case ETHERTYPE_ARP:
        this.arp.input(pkt);
        return;
      case ETHERTYPE_IPV6:
        if (this.ipv6 !== null) {
          this.stack.ipv6.input(this, pkt, false);
          return;
        }
        this.counters.rxDropped++;
        counters.dropIpv6Off++;
        return;
      case ETHERTYPE_8021Q:
      case ETHERTYPE_8021AD:
        this.#inputTagged(pkt);
        return;
      default:
        this.counters.rxDropped++;
        counters.dropUnknownEtherType++;
    }
  }

  /** vlan_do_receive: to the interface of the VLAN; a tag that has a priority only says nothing here. */
  #inputTagged(pkt: PacketBuffer): void {
    const { counters } = this.stack;
    do {
      const tag = takeTag(pkt);
      if (tag === 0) {
        this.counters.rxDropped++;
        counters.dropFrameShort++;
        return;
      }
      const vlan = this.vlans?.find(tag) ?? null;
      if (vlan !== null) {
        vlan.#input(pkt);
        return;
      }
      if ((tag & VID_MASK) !== 0) {
        this.counters.rxDropped++;
        counters.dropUnknownVlan++;
        return;
      }
    } while (isTagType(ethType(pkt.bytes, pkt.start)));
    this.#inputIp(pkt);
  }

  /** Sends an IP packet (start at its header) along a path of this NIC. Takes the packet. */
  output(path: Path, pkt: PacketBuffer): void {
    if (path.isBroadcast) this.transmit(pkt, BROADCAST_MAC, ETHERTYPE_IPV4);
    else if (path.isMulticast) {
      const v4 = path.family === 4;
      if (v4) multicastMacV4(this.#groupMac, path.dst.w3);
      else multicastMacV6(this.#groupMac, path.dst);
      this.transmit(pkt, this.#groupMac, v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    } else {
      let entry = path.neighbor;
      if (entry === null || entry.removed) {
        entry = this.neighborsOf(path.family).obtain(path.nextHop);
        path.neighbor = entry;
      }
      if (entry !== null && this.neighborsOf(path.family).use(entry, pkt)) {
        this.transmit(pkt, entry.mac, path.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
      } else this.stack.freePacket(pkt);
    }
  }

  neighborsOf(family: Family): NeighborTable {
    return family === 4 ? this.neighbors : this.neighbors6;
  }

  /** Puts the Ethernet header in front and hands the frame to the link. Takes the packet. */
  transmit(pkt: PacketBuffer, dstMac: Uint8Array, etherType: number): void {
    pkt.start -= ETH_HEADER;
    writeEthernet(pkt.bytes, pkt.start, dstMac, this.mac, etherType);
    this.transmitFrame(pkt);
  }

  /** A frame with its Ethernet header. Takes the packet. */
  transmitFrame(pkt: PacketBuffer): void {
    const link = this.link;
    if (link === null || !this.isUp) {
      this.stack.counters.dropNicDown++;
    } else {
      if (pkt.checksumPartial && !link.checksumOffload && pkt.gsoType === GSO_NONE) {
        completeChecksum(pkt);
      }
      this.counters.txPackets++;
      this.counters.txBytes += pkt.length;
      if (pkt.observer !== null) pkt.observer.onTransmit(pkt);
      if (this.stack.taps.count > 0) this.stack.taps.outgoing(this, pkt);
      // Only what is passed on may be more than this link cuts up itself.
      const isWhole = pkt.gsoType === GSO_NONE || pkt.length - ETH_HEADER <= link.gsoBytesMax;
      if (!(isWhole ? link.send(pkt) : this.#sendSegments(link, pkt))) {
        this.counters.txDropped++;
        this.stack.counters.dropLinkFull++;
      }
    }
    this.stack.freePacket(pkt);
  }

  /** A frame of a VLAN on this interface, with its tag. The packet stays the caller's. */
  sendTagged(pkt: PacketBuffer): boolean {
    const { link } = this;
    if (link === null || !this.isUp) return false;
    this.counters.txPackets++;
    this.counters.txBytes += pkt.length;
    if (this.stack.taps.count > 0) this.stack.taps.outgoing(this, pkt);
    const isSent = link.send(pkt);
    if (!isSent) this.counters.txDropped++;
    return isSent;
  }

  #sendSegments(link: LinkEndpoint, pkt: PacketBuffer): boolean {
    this.#segmenter ??= new Segmenter();
    return this.#segmenter.each(pkt, (piece) => link.send(piece));
  }

  sendProbe(entry: NeighborEntry, unicast: boolean): void {
    if (entry.addr.isV4) this.arp.request(entry, unicast);
    else this.ipv6?.ndp.solicit(entry, unicast);
  }
  sendResolved(entry: NeighborEntry, pkt: PacketBuffer): void {
    this.transmit(pkt, entry.mac, entry.addr.isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  }
  neighborChanged(entry: NeighborEntry): void {
    this.stack.interfaces.neighborChanged(entry);
    this.stack.observer?.onNeighbor(this, entry);
  }
  resolutionFailed(pkt: PacketBuffer): void {
    const { stack } = this;
    const isV6 = pkt.bytes[pkt.l3] >>> 4 === 6;
    // Another's packet, that was on its way through.
    if ((isV6 ? stack.forwarding.v6 : stack.forwarding.v4) && !stack.isLocalAddress(pkt.src)) {
      if (isV6) stack.icmp6.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_ADDRESS, 0);
      else stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
    } else if (isV6) this.stack.icmp6.localUnreachable(pkt);
    else this.stack.icmp.localUnreachable(pkt);
    this.stack.freePacket(pkt);
  }
}
