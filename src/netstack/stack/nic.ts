// A network interface of the stack: one link, its addresses, its neighbours. Parses and writes the
// Ethernet header; ARP is answered here (arp.ts); IP goes to the stack. The loopback NIC has no link:
// the stack queues its packets.

import type { IpAddr } from "../ip-addr.ts";
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
  writeEthernet,
} from "../wire/ethernet.ts";
import { ArpProtocol } from "./arp.ts";
import { completeChecksum } from "./checksum-partial.ts";
import type { LinkEndpoint, LinkSink } from "./link-endpoint.ts";
import { type NeighborEntry, type NeighborResolver, NeighborTable } from "./neighbors.ts";
import { GSO_NONE, type PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import { inPrefix, maskAddr } from "./routes.ts";
import type { Stack } from "./stack.ts";

export class NicAddress {
  readonly addr: IpAddr;
  readonly prefixBits: number;
  /** Bits of the 128-bit form. */
  readonly bits: number;
  readonly net: IpAddr;
  /** IPv4 subnet broadcast word; 0 when the prefix has none. */
  readonly broadcast: number;

  constructor(addr: IpAddr, prefixBits: number) {
    this.addr = addr.clone();
    this.prefixBits = prefixBits;
    this.bits = addr.isV4 ? prefixBits + 96 : prefixBits;
    this.net = maskAddr(addr, this.bits);
    const hasBroadcast = addr.isV4 && prefixBits > 0 && prefixBits < 31;
    this.broadcast = hasBroadcast ? this.net.w3 | (0xffff_ffff >>> prefixBits) : 0;
  }
  contains(addr: IpAddr): boolean {
    return addr.isV4 === this.addr.isV4 && inPrefix(addr, this.net, this.bits);
  }
}

export interface NicCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
  multicast: number;
}

export class Nic implements LinkSink, NeighborResolver {
  readonly id: number;
  readonly name: string;
  readonly stack: Stack;
  /** null: the loopback. */
  readonly link: LinkEndpoint | null;
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly addresses: NicAddress[] = [];
  readonly neighbors: NeighborTable;
  readonly arp: ArpProtocol;
  /** Takes packets for any destination, and may send from any source: a gateway's inside. */
  readonly promiscuous: boolean;
  isUp = true;
  readonly counters: NicCounters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
    multicast: 0,
  };
  /** Multicast groups joined, with how often (address words of IPv4; IPv6 with its own protocol). */
  readonly groups = new Map<number, number>();
  readonly #groupMac = new Uint8Array(6);

  constructor(
    stack: Stack,
    id: number,
    name: string,
    link: LinkEndpoint | null,
    mtu: number,
    promiscuous: boolean,
  ) {
    this.stack = stack;
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
    this.arp = new ArpProtocol(this);
    link?.attach(this);
  }

  get isLoopback(): boolean {
    return this.link === null;
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
  /** The address to send from towards `addr`: one of the same prefix first. */
  sourceFor(addr: IpAddr): IpAddr | null {
    let first: IpAddr | null = null;
    for (const a of this.addresses) {
      if (a.addr.isV4 !== addr.isV4) continue;
      if (a.contains(addr)) return a.addr;
      first ??= a.addr;
    }
    return first;
  }

  deliver(pkt: PacketBuffer): void {
    this.stack.enter();
    this.#input(pkt);
    this.stack.leave();
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
    const group = isGroupMac(pkt.bytes, pkt.start + ETH_DST);
    if (group) this.counters.multicast++;
    else if (!macEquals(pkt.bytes, pkt.start + ETH_DST, this.mac, 0)) {
      this.counters.rxDropped++;
      counters.dropNotForUs++;
      return;
    }
    pkt.linkBroadcast = group;
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
      default:
        this.counters.rxDropped++;
        counters.dropUnknownEtherType++;
    }
  }

  /** Sends an IP packet (start at its header) along a path of this NIC. Takes the packet. */
  output(path: Path, pkt: PacketBuffer): void {
    if (path.isBroadcast) this.transmit(pkt, BROADCAST_MAC, ETHERTYPE_IPV4);
    else if (path.isMulticast) {
      multicastMacV4(this.#groupMac, path.dst.w3);
      this.transmit(pkt, this.#groupMac, ETHERTYPE_IPV4);
    } else {
      let entry = path.neighbor;
      if (entry === null || entry.removed) {
        entry = this.neighbors.obtain(path.nextHop);
        path.neighbor = entry;
      }
      if (entry !== null && this.neighbors.use(entry, pkt)) {
        this.transmit(pkt, entry.mac, path.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
      } else this.stack.freePacket(pkt);
    }
  }

  /** Puts the Ethernet header in front and hands the frame to the link. Takes the packet. */
  transmit(pkt: PacketBuffer, dstMac: Uint8Array, etherType: number): void {
    const link = this.link;
    pkt.start -= ETH_HEADER;
    writeEthernet(pkt.bytes, pkt.start, dstMac, this.mac, etherType);
    if (link === null || !this.isUp) {
      this.stack.counters.dropNicDown++;
    } else {
      if (pkt.checksumPartial && !link.checksumOffload && pkt.gsoType === GSO_NONE) {
        completeChecksum(pkt);
      }
      this.counters.txPackets++;
      this.counters.txBytes += pkt.length;
      if (!link.send(pkt)) {
        this.counters.txDropped++;
        this.stack.counters.dropLinkFull++;
      }
    }
    this.stack.freePacket(pkt);
  }

  sendProbe(entry: NeighborEntry, unicast: boolean): void {
    this.arp.request(entry, unicast);
  }
  sendResolved(entry: NeighborEntry, pkt: PacketBuffer): void {
    this.transmit(pkt, entry.mac, entry.addr.isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  }
  resolutionFailed(pkt: PacketBuffer): void {
    this.stack.icmp.localUnreachable(pkt);
    this.stack.freePacket(pkt);
  }
}
