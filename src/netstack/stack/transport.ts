// The seam between the network layer and the protocols above it (tcp, udp, icmp echo, raw).

import type { Family, IpAddr } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import type { FlowKey } from "./flow-key.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** What stands between the fixed header and the transport's: options of IPv4, extension headers of IPv6. */
export type HeaderOptions = IpOptions | ExtensionHeaders;

/** A path chosen for a destination: which NIC, which source address, which next hop. Cached by endpoints. */
export interface Route {
  readonly nicId: number;
  readonly src: IpAddr;
  readonly dst: IpAddr;
  readonly family: Family;
  /** IP bytes per packet on this path now (path MTU; changes as ICMP teaches us). */
  readonly mtu: number;
  readonly isLoopback: boolean;
  readonly isBroadcast: boolean;
  /** What the link under it takes: see LinkEndpoint. */
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  /** False once routes, addresses or the NIC changed: find a new one. */
  readonly isValid: boolean;
  /** Advertised MSS cap and initial windows from the route table; 0 = unset. */
  readonly advmss: number;
  /** What every packet on it bears behind its fixed header, and how many bytes. */
  readonly headerOptions: HeaderOptions | null;
  readonly optionBytes: number;
}

/** What ICMP quoted back to us, after the network layer has checked its form. */
export interface IcmpError {
  /** One of ICMP_KIND_*. */
  kind: number;
  type: number;
  code: number;
  /** For packet-too-big: the next hop's MTU. */
  mtu: number;
  /** For a parameter problem: which byte. */
  pointer: number;
  /** Who sent the error, and to which of our addresses; the rest of its IP header that users ask for. */
  from: IpAddr;
  to: IpAddr;
  nicId: number;
  ttl: number;
  tos: number;
  /** That packet, during the call; null: we are the ones who say so. */
  carrier: PacketBuffer | null;
  /** Quoted packet: addresses, protocol, and at least 8 bytes of its transport header at l4. */
  src: IpAddr;
  dst: IpAddr;
  protocol: number;
  bytes: Uint8Array;
  l3: number;
  l4: number;
  end: number;
}

export const ICMP_KIND_NET_UNREACHABLE = 1;
export const ICMP_KIND_HOST_UNREACHABLE = 2;
export const ICMP_KIND_PROTOCOL_UNREACHABLE = 3;
export const ICMP_KIND_PORT_UNREACHABLE = 4;
export const ICMP_KIND_PACKET_TOO_BIG = 5;
export const ICMP_KIND_ADMIN_PROHIBITED = 6;
export const ICMP_KIND_TIME_EXCEEDED = 7;
export const ICMP_KIND_PARAMETER_PROBLEM = 8;

/** Registered with the stack for one IP protocol number. Called synchronously, never re-entered per packet. */
export interface TransportProtocol {
  readonly protocol: number;
  /**
   * A packet for one of our addresses (or any, on a promiscuous NIC with a forwarder): headers parsed,
   * l4 and end set, src/dst filled; transport header not yet checked. pkt is valid during the call only.
   */
  onPacket(pkt: PacketBuffer): void;
  onIcmpError(error: IcmpError): void;
  /**
   * Whether the quoted packet may be one that we sent and still care about (RFC 5927): only then does a
   * packet-too-big lower the path's MTU, before onIcmpError is called.
   */
  mayHaveSent(error: IcmpError): boolean;
}

/** What a transport needs from the stack. Stack implements it; unit tests fake it. */
export interface NetworkLayer {
  /** Whether a route may depend on more than addresses, interface and mark. */
  readonly asksFlow: boolean;
  /**
   * src null: chosen by the stack. nicId 0: any. mark: for rules (SO_MARK). key: what else a route may depend on; null:
   * not known, or asksFlow is false.
   */
  findRoute(
    src: IpAddr | null,
    dst: IpAddr,
    nicId?: number,
    mark?: number,
    key?: FlowKey | null,
  ): Route | NetError;
  /** The same for who will send from the source that was chosen. */
  findConnectRoute(
    src: IpAddr | null,
    dst: IpAddr,
    nicId: number,
    mark: number,
    key?: FlowKey | null,
  ): Route | NetError;
  /**
   * The way of packets with IPv4 options or extension headers: of a source route to its first hop, and on to dst. null
   * or empty: as findRoute.
   */
  findOptionRoute(
    options: HeaderOptions | null,
    src: IpAddr | null,
    dst: IpAddr,
    nicId?: number,
    mark?: number,
    key?: FlowKey | null,
  ): Route | NetError;
  /**
   * The way back of who sent pkt, with the options that an answer bears, or the extension headers of who answers; a
   * NetError when there is none. uid: whose endpoint answers.
   */
  findReplyRoute(
    pkt: PacketBuffer,
    nicId?: number,
    mark?: number,
    uid?: number,
    extensions?: ExtensionHeaders | null,
  ): Route | NetError;
  /** Whether addr is assigned to one of our NICs (and may be bound). */
  isLocalAddress(addr: IpAddr): boolean;
  /** An empty packet with full headroom. Given back by sendPacket, or by freePacket. */
  allocPacket(): PacketBuffer;
  freePacket(pkt: PacketBuffer): void;
  /**
   * Puts the IP header in front of [pkt.start, pkt.end)+frag (which begins with the transport header, l4
   * set) and sends it along the route; resolves the neighbour, fragments if allowed. Takes the packet.
   * pkt.protocol, ttl, tos, checksum*, gso* are read; dontFragment sets DF. 0 or a NetError.
   */
  sendPacket(route: Route, pkt: PacketBuffer, dontFragment: boolean): NetError | 0;
  /** The same, later: not before `ns` of the monotonic clock. */
  sendPacketAt(route: Route, pkt: PacketBuffer, dontFragment: boolean, ns: number): NetError | 0;
  /** Packets so far for which a link had no room: who looks before and after learns of its own. */
  readonly linkDrops: number;
  /** The peer at route.dst has just proven reachable (RFC 4861 7.3.1): refreshes the neighbour entry. */
  confirmReachable(route: Route): void;
  /** Answers an inbound packet with destination unreachable (port), rate-limited. */
  sendPortUnreachable(pkt: PacketBuffer): void;
}
