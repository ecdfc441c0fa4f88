// What a route may depend on besides addresses, interfaces and the mark: protocol, ports, owner and class of a flow
// (Linux's flowi). Rules ask for it (rules.ts) and the choice among several next hops (next-hops.ts). As long as neither
// does nobody looks at it. The one object here is filled anew for each question: it holds during the question only.

import { u16, u32 } from "../../base/bytes.ts";
import { IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { IPV4_HEADER, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { IPV6_HEADER } from "../wire/ipv6.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const PROTO_IPIP = 4;
const PROTO_IPV6 = 41;
const PROTO_GRE = 47;
const GRE_HEADER = 4;
/** RFC 2784, 2890: checksum, key, sequence number follow, of four bytes each. */
const GRE_CHECKSUM = 0x80;
const GRE_KEY = 0x20;
const GRE_SEQUENCE = 0x10;
const GRE_ROUTING = 0x40;
const ICMP_HEADER = 8;
/** Of IPv4: unreachable, source quench, redirect, time exceeded, parameter problem quote a packet (icmp_is_err). */
const ICMP_ERRORS = new Set([3, 4, 5, 11, 12]);
const ICMP6_ERROR_MAX = 127;
const ECN_MASK = 3;
const LABEL_MASK = 0xf_ffff;

export class FlowKey {
  protocol = 0;
  srcPort = 0;
  dstPort = 0;
  uid = 0;
  tos = 0;
  /** Of a packet on its way through: the addresses of what an error quotes or a tunnel carries; null: no such packet. */
  isQuote = false;
  /** IPv6's, of what is passed on; our own flows are hashed before they have one. */
  flowLabel = 0;
  innerSrc: IpAddr | null = null;
  innerDst: IpAddr | null = null;

  /** What rules and hashes of our own flows go by. */
  set(other: FlowKey): this {
    this.protocol = other.protocol;
    this.srcPort = other.srcPort;
    this.dstPort = other.dstPort;
    this.uid = other.uid;
    this.tos = other.tos;
    return this;
  }
  equals(other: FlowKey): boolean {
    return (
      this.protocol === other.protocol &&
      this.srcPort === other.srcPort &&
      this.dstPort === other.dstPort &&
      this.uid === other.uid &&
      this.tos === other.tos
    );
  }
}

export const NO_FLOW: Readonly<FlowKey> = new FlowKey();

const key = new FlowKey();
const innerSrc = new IpAddr();
const innerDst = new IpAddr();

export function flowKey(
  protocol: number,
  srcPort: number,
  dstPort: number,
  uid: number,
  tos: number,
): FlowKey {
  key.protocol = protocol;
  key.srcPort = srcPort;
  key.dstPort = dstPort;
  key.uid = uid;
  // Above the class of what goes stands its flow label.
  key.tos = tos & 0xff & ~ECN_MASK;
  key.isQuote = false;
  key.flowLabel = 0;
  key.innerSrc = key.innerDst = null;
  return key;
}

const hasPorts = (pkt: PacketBuffer): boolean =>
  (pkt.protocol === PROTO_TCP || pkt.protocol === PROTO_UDP) && pkt.end - pkt.l4 >= 4;

/** Of an answer to pkt, or of an ICMP error about it. */
export function replyKey(pkt: PacketBuffer, uid: number, isError: boolean): FlowKey {
  if (isError) return flowKey(PROTO_ICMP, 0, 0, uid, 0);
  if (!hasPorts(pkt)) return flowKey(pkt.protocol, 0, 0, uid, 0);
  return flowKey(pkt.protocol, u16(pkt.bytes, pkt.l4 + 2), u16(pkt.bytes, pkt.l4), uid, 0);
}

/** Of a packet on its way through, with l4 set. A later fragment has no ports. */
export function forwardKey(pkt: PacketBuffer, isFragment: boolean): FlowKey {
  if (!isFragment && hasPorts(pkt)) {
    flowKey(pkt.protocol, u16(pkt.bytes, pkt.l4), u16(pkt.bytes, pkt.l4 + 2), 0, pkt.tos);
    key.flowLabel = labelOf(pkt);
    return key;
  }
  flowKey(pkt.protocol, 0, 0, 0, pkt.tos);
  if (!isFragment) findInner(pkt);
  if (key.innerSrc === null) key.flowLabel = labelOf(pkt);
  return key;
}

const labelOf = (pkt: PacketBuffer): number =>
  pkt.src.isV4 ? 0 : u32(pkt.bytes, pkt.l3) & LABEL_MASK;

/** ip_multipath_l3_keys: an error goes the way of what it quotes; and, for policy 2, what a tunnel carries counts. */
function findInner(pkt: PacketBuffer): void {
  const { bytes: b, l4, end } = pkt;
  switch (pkt.protocol) {
    case PROTO_ICMP:
      key.isQuote = end - l4 >= ICMP_HEADER && ICMP_ERRORS.has(b[l4]);
      if (key.isQuote) readInner(pkt, l4 + ICMP_HEADER);
      return;
    case PROTO_ICMPV6:
      key.isQuote = end - l4 >= ICMP_HEADER && b[l4] <= ICMP6_ERROR_MAX;
      if (key.isQuote) readInner(pkt, l4 + ICMP_HEADER);
      return;
    case PROTO_IPIP:
    case PROTO_IPV6:
      readInner(pkt, l4);
      return;
    case PROTO_GRE: {
      if (end - l4 < GRE_HEADER || (b[l4] & GRE_ROUTING) !== 0 || (b[l4 + 1] & 7) !== 0) return;
      let at = l4 + GRE_HEADER;
      for (const bit of [GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE]) if ((b[l4] & bit) !== 0) at += 4;
      readInner(pkt, at);
    }
  }
}

function readInner(pkt: PacketBuffer, at: number): void {
  const { bytes: b, end } = pkt;
  const version = at < end ? b[at] >>> 4 : 0;
  if (version === 4 && end - at >= IPV4_HEADER) {
    key.innerSrc = innerSrc.read(b, at + 12, IPV4);
    key.innerDst = innerDst.read(b, at + 16, IPV4);
  } else if (version === 6 && end - at >= IPV6_HEADER) {
    key.flowLabel = u32(b, at) & LABEL_MASK;
    key.innerSrc = innerSrc.read(b, at + 8, IPV6);
    key.innerDst = innerDst.read(b, at + 24, IPV6);
  }
}
