// IPv6 in and out (RFC 8200). Checks what arrives, walks its extension headers (ipv6-extensions.ts),
// reassembles, hands to the protocols; writes headers and fragments. What is for others goes to forwarding.ts. Packets without
// extension headers, nearly all, take no detour.

import { NetErr, type NetError } from "../net-error.ts";
import { ICMP6_PARAMETER_PROBLEM, PROBLEM6_NEXT_HEADER } from "../wire/icmpv6.ts";
import { PROTO_ICMP, PROTO_IGMP } from "../wire/ipv4.ts";
import {
  checkIpv6,
  FRAGMENT_HEADER,
  fragmentMore,
  fragmentOffset,
  IPV6_HEADER,
  ipv6HopLimit,
  ipv6Next,
  ipv6Payload,
  ipv6Tos,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  writeFragmentHeader,
  writeIpv6,
} from "../wire/ipv6.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import { completeChecksum } from "./checksum-partial.ts";
import { ExtensionWalk, WALK_DROP, WALK_FRAGMENT, WALK_PROBLEM } from "./ipv6-extensions.ts";
import { isLinkLocal, multicastScope } from "./multicast-groups.ts";
import type { Nic } from "./nic.ts";
import { GSO_NONE, HEADROOM, type PacketBuffer, wirePackets } from "./packet-buffer.ts";
import { copyRange } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const PAYLOAD_MAX = 65_535;
/** In front of extension headers: IPv6's, a fragment's, Ethernet's and what a link puts before it. */
const HEADERS_BEFORE = 96;

export class Ipv6 {
  readonly #stack: Stack;
  readonly #walk = new ExtensionWalk();
  /** The packet being delivered came in fragments: Neighbour Discovery must not (RFC 6980). */
  fromFragments = false;
  /** Its longest fragment; 0: it came whole. */
  reassembledBytes = 0;
  /** Of the packet being sent, how long its fragments may be; 0: as the path allows. */
  fragmentBytesMax = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** A packet at pkt.l3. fromSelf: sent by this stack. */
  input(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): void {
    const counters = this.#stack.counters;
    const b = pkt.bytes;
    const o = pkt.l3;
    counters.ip6InReceives++;
    if (!checkIpv6(b, o, pkt.end - o)) {
      counters.ip6InHdrErrors++;
      counters.dropIpHeader++;
      return;
    }
    pkt.end = o + IPV6_HEADER + ipv6Payload(b, o);
    counters.ip6InOctets += pkt.end - o;
    pkt.src.read(b, o + 8, 6);
    pkt.dst.read(b, o + 24, 6);
    pkt.l4 = o + IPV6_HEADER;
    pkt.protocol = ipv6Next(b, o);
    pkt.ttl = ipv6HopLimit(b, o);
    pkt.tos = ipv6Tos(b, o);
    this.#countMark(pkt);
    if (!this.#sourceOk(pkt, fromSelf) || !this.#isOurs(nic, pkt, fromSelf)) return;
    this.fromFragments = false;
    const protocol = this.#stack.protocols[pkt.protocol];
    if (protocol !== null) this.deliver(pkt);
    else this.#walkOn(pkt, this.#walk.begin(b, o, pkt.end));
  }

  #countMark(pkt: PacketBuffer): void {
    const { counters } = this.#stack;
    const packets = pkt.gsoSize === 0 ? 1 : wirePackets(pkt);
    switch (pkt.tos & 3) {
      case 0:
        counters.ip6InNoECTPkts += packets;
        break;
      case 1:
        counters.ip6InECT1Pkts += packets;
        break;
      case 2:
        counters.ip6InECT0Pkts += packets;
        break;
      default:
        counters.ip6InCEPkts += packets;
    }
  }

  // @rfc 6946 4
  #walkOn(pkt: PacketBuffer, first: number): void {
    const walk = this.#walk;
    let verdict = first;
    while (verdict === WALK_FRAGMENT) {
      const atomic = fragmentOffset(pkt.bytes, walk.at) === 0 && !fragmentMore(pkt.bytes, walk.at);
      if (!atomic) {
        this.#fragment(pkt);
        return;
      }
      this.fromFragments = true;
      walk.skipFragment(pkt.bytes);
      verdict = walk.resume(pkt.bytes, pkt.l3, pkt.end);
    }
    if (verdict === WALK_PROBLEM) this.#problem(pkt);
    else if (verdict === WALK_DROP) {
      this.#stack.counters.ip6InHdrErrors++;
      this.#stack.counters.dropIpOptions++;
    } else {
      pkt.protocol = walk.next;
      pkt.l4 = walk.at;
      this.deliver(pkt, walk.nextField - pkt.l3);
    }
  }

  #fragment(pkt: PacketBuffer): void {
    const walk = this.#walk;
    const whole = this.#stack.fragments6.add(pkt, walk);
    if (whole === null) {
      if (walk.code >= 0) this.#stack.icmp6.sendProblem(pkt, walk.code, walk.pointer, false);
      return;
    }
    whole.src.set(pkt.src);
    whole.dst.set(pkt.dst);
    whole.ttl = pkt.ttl;
    whole.tos = pkt.tos;
    whole.timeNs = pkt.timeNs;
    this.fromFragments = true;
    walk.isFragmented = true;
    const verdict = walk.resume(whole.bytes, whole.l3, whole.end);
    this.reassembledBytes = this.#stack.fragments6.longestBytes;
    // A fragment in a fragment is nobody's honest packet.
    this.#walkOn(whole, verdict);
    this.reassembledBytes = 0;
    this.#stack.freePacket(whole);
  }

  #problem(pkt: PacketBuffer): void {
    const { code, pointer, evenMulticast } = this.#walk;
    this.#stack.counters.ip6InHdrErrors++;
    this.#stack.counters.dropIpOptions++;
    this.#stack.icmp6.sendProblem(pkt, code, pointer, evenMulticast);
  }

  #sourceOk(pkt: PacketBuffer, fromSelf: boolean): boolean {
    if (fromSelf) return true;
    const src = pkt.src;
    let bad = src.isMulticast || src.isLoopback || src.isV4;
    // ::, of who has no address yet (duplicate detection, MLD): only to a group.
    bad ||= src.isUnspecified && !pkt.dst.isMulticast;
    bad ||= this.#stack.isLocalAddress(src);
    if (bad) {
      this.#stack.counters.ip6InAddrErrors++;
      this.#stack.counters.dropIpMartianSource++;
    }
    return !bad;
  }

  #isOurs(nic: Nic, pkt: PacketBuffer, fromSelf: boolean): boolean {
    const counters = this.#stack.counters;
    const dst = pkt.dst;
    if (dst.isMulticast) {
      pkt.linkBroadcast = true;
      counters.ip6InMcastPkts++;
      const scope = multicastScope(dst);
      if (scope >= (fromSelf ? 1 : 2) && nic.groups.accepts(dst, pkt.src, 0)) return true;
      counters.dropIpNotLocal++;
      return false;
    }
    if (!fromSelf && (dst.isLoopback || dst.isUnspecified || dst.isV4)) {
      counters.ip6InAddrErrors++;
      counters.dropIpMartianDestination++;
      return false;
    }
    if (fromSelf || nic.hasAddress(dst) || nic.promiscuous) return true;
    // Another interface's address will do, but not one that means something on that link only.
    if (!isLinkLocal(dst) && this.#stack.isLocalAddress(dst)) return true;
    if (this.#stack.forwarding.v6) {
      this.#stack.forwarding.input(nic, pkt);
      return false;
    }
    counters.ip6InAddrErrors++;
    counters.dropIpNotLocal++;
    return false;
  }

  // @rfc 8200 4b
  /** A whole packet for us: raw endpoints first (they get copies), then its protocol. */
  deliver(pkt: PacketBuffer, nextField = 6): void {
    const stack = this.#stack;
    const wanted = stack.raw.deliver(pkt);
    // ICMP and IGMP are IPv4's own.
    const known = pkt.protocol !== PROTO_ICMP && pkt.protocol !== PROTO_IGMP;
    const protocol = known ? stack.protocols[pkt.protocol] : null;
    if (protocol !== null) {
      stack.counters.ip6InDelivers++;
      protocol.onPacket(pkt);
      return;
    }
    if (wanted) {
      stack.counters.ip6InDelivers++;
      return;
    }
    stack.counters.ip6InUnknownProtos++;
    stack.counters.dropIpUnknownProtocol++;
    stack.icmp6.sendError(pkt, ICMP6_PARAMETER_PROBLEM, PROBLEM6_NEXT_HEADER, nextField);
  }

  /** [pkt.start, pkt.end)+frag is what follows the IP header. Takes the packet. */
  send(path: Path, pkt: PacketBuffer, dontFragment: boolean): NetError | 0 {
    const stack = this.#stack;
    const counters = stack.counters;
    const length = path.optionBytes + pkt.length;
    counters.ip6OutRequests++;
    if (length > PAYLOAD_MAX) {
      counters.dropTooBig++;
      stack.freePacket(pkt);
      return NetErr.MessageTooLong;
    }
    if (IPV6_HEADER + length > path.mtu && pkt.gsoType === GSO_NONE) {
      if (dontFragment) {
        counters.ip6FragFails++;
        counters.dropTooBig++;
        stack.freePacket(pkt);
        return NetErr.MessageTooLong;
      }
      this.#sendFragments(path, pkt);
      return 0;
    }
    if (path.optionBytes > 0) this.#finishExtended(path, pkt);
    else this.#finish(path, pkt, pkt.protocol);
    return 0;
  }

  /** A raw packet with its own header at pkt.start (IPV6_HDRINCL). */
  sendWithHeader(path: Path, pkt: PacketBuffer): void {
    pkt.l3 = pkt.start;
    this.#stack.counters.ip6OutRequests++;
    this.#stack.counters.ip6OutOctets += pkt.length;
    this.#stack.output(path, pkt);
  }

  #finish(path: Path, pkt: PacketBuffer, next: number): void {
    this.#write(path, pkt, next, pkt.length);
    this.#stack.output(path, pkt);
  }

  #write(path: Path, pkt: PacketBuffer, next: number, payload: number): void {
    pkt.start -= IPV6_HEADER;
    pkt.l3 = pkt.start;
    pkt.src.set(path.src);
    pkt.dst.set(path.dst);
    writeIpv6(pkt.bytes, pkt.start, payload, pkt.tos, next, pkt.ttl, path.src, path.dst);
    this.#stack.counters.ip6OutOctets += IPV6_HEADER + payload;
  }

  // @rfc 8200 4.1
  /** With extension headers between the two. */
  #finishExtended(path: Path, pkt: PacketBuffer): void {
    const extensions = path.headerOptions as ExtensionHeaders;
    makeRoom(pkt, extensions.length);
    pkt.start -= extensions.length;
    this.#write(path, pkt, pkt.protocol, pkt.length);
    extensions.write(pkt.bytes, pkt.l3, pkt.protocol, path.finalDst);
    this.#stack.output(path, pkt);
  }

  #sendFragments(path: Path, pkt: PacketBuffer): void {
    const stack = this.#stack;
    const extensions = path.headerOptions as ExtensionHeaders | null;
    const common = extensions === null ? 0 : extensions.unfragmentableBytes;
    const limit = this.fragmentBytesMax;
    const mtu = limit > 0 && limit < path.mtu ? limit : path.mtu;
    const pieceMax = (mtu - IPV6_HEADER - common - FRAGMENT_HEADER) & ~7;
    completeChecksum(pkt);
    let next = pkt.protocol;
    // The last of them is the destination's alone: it is cut up with what follows (RFC 8200 4.5).
    if (extensions !== null && extensions.destinationBytes > 0) {
      makeRoom(pkt, extensions.destinationBytes);
      pkt.start -= extensions.destinationBytes;
      extensions.writeDestination(pkt.bytes, pkt.start, next);
      next = NEXT_DESTINATION;
    }
    const total = pkt.length;
    const linear = pkt.end - pkt.start;
    // RFC 7739: unpredictable; 32 random bits do not come twice within a minute by honest traffic.
    const id = stack.rng.u32();
    for (let at = 0; at < total; at += pieceMax) {
      const n = Math.min(pieceMax, total - at);
      const piece = stack.allocPacket();
      piece.protocol = pkt.protocol;
      piece.ttl = pkt.ttl;
      piece.tos = pkt.tos;
      copyRange(piece, pkt, linear, at, n);
      if (common > 0) makeRoom(piece, common);
      piece.start -= FRAGMENT_HEADER;
      piece.l4 = piece.start + FRAGMENT_HEADER;
      writeFragmentHeader(piece.bytes, piece.start, next, at, at + n < total, id);
      stack.counters.ip6FragCreates++;
      if (extensions === null || common === 0) this.#finish(path, piece, NEXT_FRAGMENT);
      else {
        piece.start -= common;
        this.#write(path, piece, NEXT_FRAGMENT, piece.length);
        extensions.writeUnfragmentable(piece.bytes, piece.l3, NEXT_FRAGMENT, path.finalDst);
        stack.output(path, piece);
      }
    }
    stack.counters.ip6FragOKs++;
    stack.freePacket(pkt);
  }
}

/** Extension headers may be longer than a packet's headroom: what is there moves up then. */
function makeRoom(pkt: PacketBuffer, bytes: number): void {
  if (pkt.start >= bytes + HEADERS_BEFORE) return;
  const by = HEADROOM + bytes - pkt.start;
  pkt.bytes.copyWithin(pkt.start + by, pkt.start, pkt.end);
  pkt.start += by;
  pkt.end += by;
  pkt.l4 += by;
  pkt.payload += by;
}
