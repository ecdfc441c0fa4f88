// IPv4 in and out (RFC 791, 1122 3.2, 6864). Checks what arrives, decides whether it is ours, reassembles,
// hands to the protocols or on (forwarding.ts); writes headers, fragments, picks IDs.

import { MS } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { ICMP_UNREACHABLE, UNREACHABLE_PROTOCOL } from "../wire/icmp.ts";
import {
  checkIpv4,
  IPV4_DONT_FRAGMENT,
  IPV4_HEADER,
  IPV4_MORE_FRAGMENTS,
  ipv4Dst,
  ipv4HeaderBytes,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4Src,
  ipv4Tos,
  ipv4Total,
  ipv4Ttl,
  PROTO_IGMP,
  writeIpv4,
} from "../wire/ipv4.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import { completeChecksum } from "./checksum-partial.ts";
import { forwardIpv4 } from "./forward-ipv4.ts";
import { Ipv4Options, OPTIONS_DROP, OPTIONS_ONWARD, OPTIONS_TAKE } from "./ipv4-options.ts";
import type { Nic } from "./nic.ts";
import { GSO_NONE, type PacketBuffer, wirePackets } from "./packet-buffer.ts";
import { copyRange } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const IP_MAX = 65_535;
const ID_BUCKETS = 2048;
/** Pairs of addresses remembered as good. A power of two. */
const GOOD_PAIRS = 64;

export class Ipv4 {
  readonly #stack: Stack;
  readonly options: Ipv4Options;
  /** Of the packet being delivered, its longest fragment; 0: it came whole. */
  reassembledBytes = 0;
  readonly #idHash: KeyedHash;
  readonly #ids = new Uint16Array(ID_BUCKETS);
  readonly #idTimesMs = new Uint32Array(ID_BUCKETS);

  /**
   * Unicast sources and destinations that were found good, by NIC and by the generation of the routes and
   * addresses: nearly every packet repeats a pair. measured: 3 % of a small segment's time.
   */
  readonly #goodSrc = new Int32Array(GOOD_PAIRS);
  readonly #goodDst = new Int32Array(GOOD_PAIRS);
  readonly #goodNic = new Int32Array(GOOD_PAIRS);
  #goodGeneration = -1;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.options = new Ipv4Options(stack);
    this.#idHash = new KeyedHash(stack.rng);
    for (let i = 0; i < ID_BUCKETS; i++) this.#ids[i] = stack.rng.u32();
  }

  // @rfc 1122 3.2.1.7a
  /** A packet at pkt.l3. fromSelf: sent by this stack (loopback, or its own broadcast). */
  input(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): void {
    const counters = this.#stack.counters;
    const b = pkt.bytes;
    const o = pkt.l3;
    counters.ipInReceives++;
    if (!checkIpv4(b, o, pkt.end - o)) {
      counters.ipInHdrErrors++;
      counters.dropIpHeader++;
      return;
    }
    pkt.end = o + ipv4Total(b, o);
    counters.ipInOctets += pkt.end - o;
    pkt.src.setV4(ipv4Src(b, o));
    pkt.dst.setV4(ipv4Dst(b, o));
    pkt.l4 = o + ipv4HeaderBytes(b, o);
    pkt.protocol = ipv4Protocol(b, o);
    pkt.ttl = ipv4Ttl(b, o);
    pkt.tos = ipv4Tos(b, o);
    this.#countMark(pkt);
    if (!this.#isKnownGood(nic, pkt) && !this.#judge(nic, pkt, fromSelf)) return;
    if (pkt.l4 - o > IPV4_HEADER && !this.#takeOptions(nic, pkt)) return;
    if (!ipv4IsFragment(b, o)) {
      this.deliver(pkt);
      return;
    }
    const whole = this.#stack.fragments.add(pkt);
    if (whole === null) return;
    whole.src.set(pkt.src);
    whole.dst.set(pkt.dst);
    whole.l4 = whole.l3 + ipv4HeaderBytes(whole.bytes, whole.l3);
    whole.protocol = pkt.protocol;
    whole.ttl = pkt.ttl;
    whole.tos = pkt.tos;
    whole.timeNs = pkt.timeNs;
    this.reassembledBytes = this.#stack.fragments.longestBytes;
    this.deliver(whole);
    this.reassembledBytes = 0;
    this.#stack.freePacket(whole);
  }

  /** IPSTATS_MIB_NOECTPKTS and its neighbours, of the packets on the wire. */
  #countMark(pkt: PacketBuffer): void {
    const { counters } = this.#stack;
    const packets = pkt.gsoSize === 0 ? 1 : wirePackets(pkt);
    switch (pkt.tos & 3) {
      case 0:
        counters.ipInNoECTPkts += packets;
        break;
      case 1:
        counters.ipInECT1Pkts += packets;
        break;
      case 2:
        counters.ipInECT0Pkts += packets;
        break;
      default:
        counters.ipInCEPkts += packets;
    }
  }

  #isKnownGood(nic: Nic, pkt: PacketBuffer): boolean {
    const src = pkt.src.w3;
    const i = (src ^ (src >>> 8) ^ (src >>> 16)) & (GOOD_PAIRS - 1);
    return (
      this.#goodSrc[i] === src &&
      this.#goodDst[i] === pkt.dst.w3 &&
      this.#goodNic[i] === nic.id &&
      this.#goodGeneration === this.#stack.routes.generation
    );
  }

  #judge(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): boolean {
    if (!this.#sourceOk(nic, pkt, fromSelf) || !this.#isOurs(nic, pkt, fromSelf)) return false;
    // What came from ourselves is not asked everything.
    if (fromSelf || pkt.linkBroadcast) return true;
    const { generation } = this.#stack.routes;
    if (generation !== this.#goodGeneration) this.#goodNic.fill(0);
    this.#goodGeneration = generation;
    const src = pkt.src.w3;
    const i = (src ^ (src >>> 8) ^ (src >>> 16)) & (GOOD_PAIRS - 1);
    this.#goodSrc[i] = src;
    this.#goodDst[i] = pkt.dst.w3;
    this.#goodNic[i] = nic.id;
    return true;
  }

  // @rfc 1122 3.2.1.3b 4.1.3.6
  #sourceOk(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): boolean {
    if (fromSelf) return true;
    const src = pkt.src;
    const top = src.w3 >>> 24;
    let bad = src.isMulticast || src.isLoopback || top >= 240;
    // 0.0.0.0 is a source only for who has no address yet (DHCP), and then only to everyone.
    bad ||= top === 0 && !(src.w3 === 0 && (pkt.dst.isLimitedBroadcast || pkt.dst.isMulticast));
    bad ||= nic.isBroadcastAddress(src) || this.#stack.isLocalAddress(src);
    if (bad) {
      this.#stack.counters.ipInAddrErrors++;
      this.#stack.counters.dropIpMartianSource++;
    }
    return !bad;
  }

  // @rfc 1122 3.2.1.3a 3.2.2.2a
  #isOurs(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): boolean {
    const counters = this.#stack.counters;
    const dst = pkt.dst;
    if (dst.isMulticast) {
      pkt.linkBroadcast = true;
      counters.ipInMcastPkts++;
      if (nic.groups.accepts(dst, pkt.src, pkt.protocol)) return true;
      counters.dropIpNotLocal++;
      return false;
    }
    if (nic.isBroadcastAddress(dst)) {
      pkt.linkBroadcast = true;
      counters.ipInBcastPkts++;
      return true;
    }
    if (!fromSelf && (dst.isLoopback || dst.w3 >>> 24 === 0 || dst.w3 >>> 24 >= 240)) {
      counters.ipInAddrErrors++;
      counters.dropIpMartianDestination++;
      return false;
    }
    if (fromSelf || this.#stack.isLocalAddress(dst) || nic.promiscuous) return true;
    if (this.#stack.forwarding.v4) {
      const hasOptions = pkt.l4 - pkt.l3 > IPV4_HEADER;
      if (!hasOptions || this.options.receive(nic, pkt, false) !== OPTIONS_DROP) {
        this.#stack.forwarding.input(nic, pkt);
      }
      return false;
    }
    counters.ipInAddrErrors++;
    counters.dropIpNotLocal++;
    return false;
  }

  /** Of a packet for us. False: it is not delivered, be it that its source route leads on. */
  #takeOptions(nic: Nic, pkt: PacketBuffer): boolean {
    const verdict = this.options.receive(nic, pkt, true);
    if (verdict === OPTIONS_ONWARD) forwardIpv4(this.#stack, nic, pkt, this.options.nextHop);
    return verdict === OPTIONS_TAKE;
  }

  // @rfc 9293 MUST-50
  /** A whole packet for us: raw endpoints first (they get copies), then its protocol. */
  deliver(pkt: PacketBuffer): void {
    const stack = this.#stack;
    const wanted = stack.raw.deliver(pkt);
    const protocol = stack.protocols[pkt.protocol];
    if (protocol !== null) {
      stack.counters.ipInDelivers++;
      protocol.onPacket(pkt);
      return;
    }
    if (pkt.protocol === PROTO_IGMP) {
      stack.counters.ipInDelivers++;
      stack.nicById(pkt.nicId)?.igmp?.input(pkt);
      return;
    }
    if (wanted) {
      stack.counters.ipInDelivers++;
      return;
    }
    stack.counters.ipInUnknownProtos++;
    stack.counters.dropIpUnknownProtocol++;
    stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_PROTOCOL, 0);
  }

  // @rfc 6864 4.1
  /** [pkt.start, pkt.end)+frag is what follows the IP header. Takes the packet. */
  send(path: Path, pkt: PacketBuffer, dontFragment: boolean): NetError | 0 {
    const stack = this.#stack;
    const counters = stack.counters;
    const total = path.headerBytes + pkt.length;
    const df = dontFragment && !path.mtuLocked;
    counters.ipOutRequests++;
    if (path.optionBytes > 0 && isOffRoute(path)) {
      counters.ipOutNoRoutes++;
      stack.freePacket(pkt);
      return NetErr.HostUnreachable;
    }
    if (total > IP_MAX) {
      counters.dropTooBig++;
      stack.freePacket(pkt);
      return NetErr.MessageTooLong;
    }
    if (total > path.mtu && pkt.gsoType === GSO_NONE) {
      if (df) {
        counters.ipFragFails++;
        counters.dropTooBig++;
        stack.freePacket(pkt);
        return NetErr.MessageTooLong;
      }
      this.#sendFragments(path, pkt);
      return 0;
    }
    // RFC 6864: an atomic packet's ID means nothing. It is the path's own, so that none of the shared ones
    // tells how much we send to somebody else.
    const id = df ? path.nextId() : this.nextId(path.src, path.dst);
    this.#finish(path, pkt, df ? IPV4_DONT_FRAGMENT : 0, id);
    return 0;
  }

  /** A raw packet with its own header at pkt.start (IP_HDRINCL), already checked and completed. */
  sendWithHeader(path: Path, pkt: PacketBuffer): void {
    pkt.l3 = pkt.start;
    this.#stack.counters.ipOutRequests++;
    this.#stack.counters.ipOutOctets += pkt.length;
    this.#stack.output(path, pkt);
  }

  // @rfc 1122 3.2.1.7b
  #finish(path: Path, pkt: PacketBuffer, fragWord: number, id: number): void {
    const total = path.headerBytes + pkt.length;
    pkt.start -= path.headerBytes;
    pkt.l3 = pkt.start;
    pkt.src.set(path.src);
    pkt.dst.set(path.dst);
    writeIpv4(
      pkt.bytes,
      pkt.start,
      total,
      pkt.tos,
      id,
      fragWord,
      pkt.ttl,
      pkt.protocol,
      path.src,
      path.dst,
    );
    if (path.optionBytes > 0) this.options.put(path, pkt, (fragWord & 0x1fff) === 0);
    this.#stack.counters.ipOutOctets += total;
    this.#stack.output(path, pkt);
  }

  #sendFragments(path: Path, pkt: PacketBuffer): void {
    const stack = this.#stack;
    const pieceMax = (path.mtu - path.headerBytes) & ~7;
    const total = pkt.length;
    const linear = pkt.end - pkt.start;
    const id = this.nextId(path.src, path.dst);
    completeChecksum(pkt);
    for (let at = 0; at < total; at += pieceMax) {
      const n = Math.min(pieceMax, total - at);
      const piece = stack.allocPacket();
      piece.protocol = pkt.protocol;
      piece.ttl = pkt.ttl;
      piece.tos = pkt.tos;
      piece.l4 = piece.start;
      copyRange(piece, pkt, linear, at, n);
      stack.counters.ipFragCreates++;
      const more = at + n < total ? IPV4_MORE_FRAGMENTS : 0;
      this.#finish(path, piece, more | (at >>> 3), id);
    }
    stack.counters.ipFragOKs++;
    stack.freePacket(pkt);
  }

  // @rfc 6864 4.3
  /**
   * Unpredictable per destination; repeats for one (source, destination) only after some ten thousands of
   * packets. Besides the one, it goes up by a random part of the time since the last, as Linux's
   * ip_idents_reserve: who shares the bucket cannot count another's packets (Alexander-Crandall).
   */
  nextId(src: IpAddr, dst: IpAddr): number {
    const bucket = this.#idHash.begin().add(dst.w3).add(src.w3).end() % ID_BUCKETS;
    const nowMs = Math.floor(this.#stack.clock.monotonicNs() / MS) >>> 0;
    const idleMs = (nowMs - this.#idTimesMs[bucket]) >>> 0;
    if (idleMs > 1) this.#ids[bucket] += this.#stack.rng.below(idleMs);
    this.#idTimesMs[bucket] = nowMs;
    this.#ids[bucket]++;
    return this.#ids[bucket];
  }
}

/** A strict source route whose first hop is not on the link (__ip_queue_xmit). */
const isOffRoute = (path: Path): boolean =>
  (path.headerOptions as IpOptions).isStrict && !path.nextHop.equals(path.dst);
