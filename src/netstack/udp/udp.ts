// UDP (RFC 768, RFC 1122 4.1): from a packet to the endpoint it belongs to. The endpoint itself is in
// udp-endpoint.ts. Demultiplexing scores as Linux's compute_score: the most specific endpoint wins, and
// equals that share by SO_REUSEPORT are chosen among by a keyed hash of the flow.

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { GSO_NONE, type PacketBuffer } from "../stack/packet-buffer.ts";
import type { Path } from "../stack/path.ts";
import { type PortOwner, PortTable } from "../stack/ports.ts";
import type { Stack } from "../stack/stack.ts";
import type { IcmpError, TransportProtocol } from "../stack/transport.ts";
import { pseudoSum, sum16 } from "../wire/checksum.ts";
import { IPV4_HEADER, PROTO_UDP, writeIpv4 } from "../wire/ipv4.ts";
import { IPV6_HEADER, writeIpv6 } from "../wire/ipv6.ts";
import {
  checkUdp,
  UDP_CHECKSUM,
  UDP_HEADER,
  udpChecksum,
  udpDstPort,
  udpLength,
  udpSrcPort,
  writeUdp,
} from "../wire/udp.ts";
import { UdpEndpoint } from "./udp-endpoint.ts";

/** Takes datagrams that no endpoint wants: a gateway. */
export interface UdpForwarder {
  /** Payload at [pkt.payload, pkt.end). False: nobody here, answer port unreachable. */
  onDatagram(pkt: PacketBuffer, srcPort: number, dstPort: number): boolean;
}

export class UdpProtocol implements TransportProtocol {
  readonly protocol = PROTO_UDP;
  readonly ports = new PortTable<UdpEndpoint & PortOwner>();
  readonly #stack: Stack;
  readonly #flowHash: KeyedHash;
  #forwarder: UdpForwarder | null = null;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#flowHash = new KeyedHash(stack.rng);
  }

  open(family: Family): UdpEndpoint | NetError {
    if (!this.#stack.countEndpoint()) return NetErr.NoBuffers;
    return new UdpEndpoint(this.#stack, family);
  }

  setForwarder(forwarder: UdpForwarder | null): void {
    this.#forwarder = forwarder;
  }

  // @rfc 1122 4.1.3.1
  onPacket(pkt: PacketBuffer): void {
    const counters = this.#stack.counters;
    const b = pkt.bytes;
    const o = pkt.l4;
    if (!checkUdp(b, o, pkt.end - o)) {
      counters.udpInErrors++;
      counters.dropUdpBad++;
      return;
    }
    const length = udpLength(b, o);
    // A GSO datagram's IP length counts every segment, its UDP length too; padding is cut off otherwise.
    if (pkt.gsoType === GSO_NONE) pkt.end = o + length;
    if (!this.#checksumOk(pkt, length)) {
      counters.udpInErrors++;
      counters.udpInCsumErrors++;
      counters.dropUdpChecksum++;
      return;
    }
    pkt.payload = o + UDP_HEADER;
    const srcPort = udpSrcPort(b, o);
    const dstPort = udpDstPort(b, o);
    if (pkt.linkBroadcast && !this.#stack.isLocalAddress(pkt.dst)) {
      this.#deliverToAll(pkt, srcPort, dstPort);
      return;
    }
    const endpoint = this.#lookup(pkt, srcPort, dstPort);
    if (endpoint !== null) {
      if (endpoint.onDatagram(pkt, srcPort)) counters.udpInDatagrams++;
      else {
        counters.udpInErrors++;
        counters.udpRcvbufErrors++;
      }
      return;
    }
    if (this.#forwarder?.onDatagram(pkt, srcPort, dstPort)) {
      counters.udpInDatagrams++;
      return;
    }
    counters.udpNoPorts++;
    counters.dropUdpNoPort++;
    this.#stack.sendPortUnreachable(pkt);
  }

  /** An error about a datagram we sent. */
  onIcmpError(error: IcmpError): void {
    const b = error.bytes;
    if (error.end - error.l4 < UDP_HEADER) return;
    const endpoint = this.#find(
      error.src,
      udpSrcPort(b, error.l4),
      error.dst,
      udpDstPort(b, error.l4),
      0,
    );
    endpoint?.onIcmpError(error);
  }

  /** Whether some endpoint may have sent what this error quotes: only then is its MTU believed. */
  mayHaveSent(error: IcmpError): boolean {
    const b = error.bytes;
    if (error.end - error.l4 < UDP_HEADER) return false;
    const srcPort = udpSrcPort(b, error.l4);
    return this.#find(error.src, srcPort, error.dst, udpDstPort(b, error.l4), 0) !== null;
  }

  /** Sends a datagram from any address: replies in the name of the far side, for a gateway. */
  sendFrom(
    src: IpAddr,
    srcPort: number,
    dst: IpAddr,
    dstPort: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): NetError | 0 {
    const path = this.#stack.findRoute(src, dst);
    if (typeof path === "number") return path;
    const pkt = this.#stack.allocPacket();
    return this.transmit(path, pkt, srcPort, dstPort, bytes, offset, length, false);
  }

  /** Tells the sender of an earlier datagram that nobody is there any more: port unreachable, as from `dst`'s side. */
  answerUnreachable(src: IpAddr, srcPort: number, dst: IpAddr, dstPort: number): void {
    const path = this.#stack.findRoute(dst, src);
    if (typeof path === "number") return;
    const pkt = this.#stack.allocPacket();
    pkt.l3 = pkt.start;
    pkt.l4 = pkt.l3 + (src.isV4 ? IPV4_HEADER : IPV6_HEADER);
    pkt.end = pkt.l4 + UDP_HEADER;
    pkt.nicId = path.nicId;
    pkt.protocol = PROTO_UDP;
    pkt.src.set(src);
    pkt.dst.set(dst);
    if (src.isV4) {
      writeIpv4(pkt.bytes, pkt.l3, IPV4_HEADER + UDP_HEADER, 0, 0, 0, pkt.ttl, PROTO_UDP, src, dst);
    } else writeIpv6(pkt.bytes, pkt.l3, UDP_HEADER, 0, PROTO_UDP, pkt.ttl, src, dst);
    writeUdp(pkt.bytes, pkt.l4, srcPort, dstPort, UDP_HEADER, 0);
    this.#stack.sendPortUnreachable(pkt);
    this.#stack.freePacket(pkt);
  }

  // @rfc 1122 4.1.3.4a
  /** Header in front of a payload that stays where it is. Takes the packet. */
  transmit(
    path: Path,
    pkt: PacketBuffer,
    srcPort: number,
    dstPort: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    dontFragment: boolean,
  ): NetError | 0 {
    const total = UDP_HEADER + length;
    pkt.l4 = pkt.start;
    pkt.end = pkt.start + UDP_HEADER;
    pkt.protocol = PROTO_UDP;
    pkt.fragBytes = length > 0 ? bytes : null;
    pkt.fragOffset = offset;
    pkt.fragLength = length;
    const sum = pseudoSum(path.src, path.finalDst, PROTO_UDP, total);
    writeUdp(pkt.bytes, pkt.l4, srcPort, dstPort, total, sum);
    pkt.checksumPartial = true;
    pkt.checksumOffset = UDP_CHECKSUM;
    this.#stack.counters.udpOutDatagrams++;
    return this.#stack.sendPacket(path, pkt, dontFragment);
  }

  // @rfc 8200 8.1b
  // @rfc 1122 4.1.3.4b
  #checksumOk(pkt: PacketBuffer, length: number): boolean {
    if (pkt.checksumValid) return true;
    // RFC 768: zero means none, in IPv4 only (RFC 8200 8.1).
    if (udpChecksum(pkt.bytes, pkt.l4) === 0) return pkt.src.isV4;
    const pseudo = pseudoSum(pkt.src, pkt.dst, PROTO_UDP, length);
    return sum16(pkt.bytes, pkt.l4, length, pseudo, pkt.slabAt) === 0xffff;
  }

  #lookup(pkt: PacketBuffer, srcPort: number, dstPort: number): UdpEndpoint | null {
    return this.#find(pkt.dst, dstPort, pkt.src, srcPort, pkt.nicId);
  }

  #find(
    local: IpAddr,
    localPort: number,
    remote: IpAddr,
    remotePort: number,
    nicId: number,
  ): UdpEndpoint | null {
    const { ports } = this;
    let best: UdpEndpoint | null = null;
    let bestScore = -1;
    let ties = 0;
    for (let holder = ports.at(localPort); holder !== null; holder = ports.next(holder)) {
      const score = holder.score(local, remote, remotePort, nicId);
      if (score < 0 || score < bestScore) continue;
      if (score > bestScore) {
        best = holder;
        bestScore = score;
        ties = 1;
        continue;
      }
      // A later bind with SO_REUSEADDR takes over; with SO_REUSEPORT they share.
      ties++;
      if (!holder.options.reusePort) {
        best = holder;
        ties = 1;
      }
    }
    if (ties <= 1 || best === null || !best.options.reusePort) return best;
    const h = this.#flowHash.begin().add(remote.w3).add(remotePort).add(local.w3).end() % ties;
    return this.#nthTied(localPort, local, remote, remotePort, nicId, bestScore, h) ?? best;
  }

  #nthTied(
    localPort: number,
    local: IpAddr,
    remote: IpAddr,
    remotePort: number,
    nicId: number,
    score: number,
    n: number,
  ): UdpEndpoint | null {
    const { ports } = this;
    let at = 0;
    for (let holder = ports.at(localPort); holder !== null; holder = ports.next(holder)) {
      if (!holder.options.reusePort) continue;
      if (holder.score(local, remote, remotePort, nicId) !== score) continue;
      if (at++ === n) return holder;
    }
    return null;
  }

  #deliverToAll(pkt: PacketBuffer, srcPort: number, dstPort: number): void {
    const counters = this.#stack.counters;
    const { ports } = this;
    let taken = false;
    for (let holder = ports.at(dstPort); holder !== null; holder = ports.next(holder)) {
      if (!holder.wantsGroup(pkt, srcPort)) continue;
      if (holder.onDatagram(pkt, srcPort)) counters.udpInDatagrams++;
      else counters.udpRcvbufErrors++;
      taken = true;
    }
    if (!taken && this.#forwarder?.onDatagram(pkt, srcPort, dstPort)) taken = true;
    if (!taken) counters.dropUdpNoPort++;
  }
}
