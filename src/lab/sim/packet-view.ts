// What a fault of the simulation looks at: the headers of one frame as numbers, in one object that is filled
// again for every frame. Reads what is there and believes lengths only as far as bytes go; not a validator,
// and not the decoder that prints (decode/).

import { u16, u32 } from "../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, type PacketBuffer } from "../../netstack/index.ts";

const ETH_HEADER = 14;
const VLAN_BYTES = 4;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const ICMP_HEADER = 4;
const EXTENSIONS_MAX = 8;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_ICMPV6 = 58;

export const TCP_FIN = 1;
export const TCP_SYN = 2;
export const TCP_RST = 4;
export const TCP_PSH = 8;
export const TCP_ACK = 16;
export const TCP_URG = 32;
export const TCP_ECE = 64;
export const TCP_CWR = 128;

export class PacketView {
  /** The whole frame, from its Ethernet header on. */
  frameBytes = 0;
  etherType = 0;
  /** 4, 6, or 0 for what is no IP packet. */
  family = 0;
  readonly src = new IpAddr();
  readonly dst = new IpAddr();
  ttl = 0;
  tos = 0;
  dontFragment = false;
  isFragment = false;
  /** IP protocol of the transport header; -1 where there is none: no IP, a later fragment, cut off. */
  protocol = -1;
  sport = 0;
  dport = 0;
  /** TCP: the low eight flags. */
  flags = 0;
  seq = 0;
  ack = 0;
  window = 0;
  icmpType = -1;
  icmpCode = -1;
  /** Behind the transport header. */
  payloadBytes = 0;
  /** Offsets into the bytes that were read; -1 where the header is not there. */
  l3 = -1;
  l4 = -1;

  readPacket(pkt: PacketBuffer): this {
    return this.read(pkt.bytes, pkt.start, pkt.end, pkt.length);
  }

  /** Headers from bytes[start, end); frameBytes is more when the payload lies elsewhere. */
  read(bytes: Uint8Array, start: number, end: number, frameBytes: number = end - start): this {
    this.#reset();
    this.frameBytes = frameBytes;
    if (end - start < ETH_HEADER) return this;
    let l3 = start + ETH_HEADER;
    this.etherType = u16(bytes, l3 - 2);
    if (this.etherType === ETHERTYPE_VLAN && end - l3 >= VLAN_BYTES) {
      l3 += VLAN_BYTES;
      this.etherType = u16(bytes, l3 - 2);
    }
    this.l3 = l3;
    const packetBytes = frameBytes - (l3 - start);
    if (this.etherType === ETHERTYPE_IPV4) this.#ipv4(bytes, l3, end, packetBytes);
    else if (this.etherType === ETHERTYPE_IPV6) this.#ipv6(bytes, l3, end, packetBytes);
    return this;
  }

  #reset(): void {
    this.etherType = 0;
    this.family = 0;
    this.ttl = 0;
    this.tos = 0;
    this.dontFragment = false;
    this.isFragment = false;
    this.protocol = -1;
    this.sport = 0;
    this.dport = 0;
    this.flags = 0;
    this.seq = 0;
    this.ack = 0;
    this.window = 0;
    this.icmpType = -1;
    this.icmpCode = -1;
    this.payloadBytes = 0;
    this.l3 = -1;
    this.l4 = -1;
  }

  #ipv4(b: Uint8Array, at: number, end: number, packetBytes: number): void {
    if (end - at < IPV4_HEADER || b[at] >>> 4 !== 4) return;
    const header = (b[at] & 15) * 4;
    if (header < IPV4_HEADER) return;
    this.family = IPV4;
    this.src.read(b, at + 12, IPV4);
    this.dst.read(b, at + 16, IPV4);
    this.tos = b[at + 1];
    this.ttl = b[at + 8];
    const fragment = u16(b, at + 6);
    this.dontFragment = (fragment & 0x4000) !== 0;
    this.isFragment = (fragment & 0x3fff) !== 0;
    const bytes = Math.min(u16(b, at + 2), packetBytes) - header;
    if ((fragment & 0x1fff) !== 0) return;
    this.#transport(b, b[at + 9], at + header, end, bytes);
  }

  #ipv6(b: Uint8Array, at: number, end: number, packetBytes: number): void {
    if (end - at < IPV6_HEADER || b[at] >>> 4 !== 6) return;
    this.family = IPV6;
    this.src.read(b, at + 8, IPV6);
    this.dst.read(b, at + 24, IPV6);
    this.tos = (u16(b, at) >>> 4) & 255;
    this.ttl = b[at + 7];
    // RFC 8200 5: nobody but the sender cuts a packet up.
    this.dontFragment = true;
    let next = b[at + 6];
    let l4 = at + IPV6_HEADER;
    let left = Math.min(u16(b, at + 4), packetBytes - IPV6_HEADER);
    for (let i = 0; i < EXTENSIONS_MAX && end - l4 >= 8; i++) {
      let bytes = 8;
      if (next === FRAGMENT) {
        this.isFragment = (u16(b, l4 + 2) & 0xfff9) !== 0;
        if (u16(b, l4 + 2) >>> 3 !== 0) return;
      } else if (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION) {
        bytes = (b[l4 + 1] + 1) * 8;
      } else break;
      next = b[l4];
      l4 += bytes;
      left -= bytes;
    }
    this.#transport(b, next, l4, end, left);
  }

  #transport(b: Uint8Array, protocol: number, at: number, end: number, bytes: number): void {
    const room = Math.min(end - at, bytes);
    if (protocol === PROTO_TCP && room >= TCP_HEADER) {
      this.seq = u32(b, at + 4);
      this.ack = u32(b, at + 8);
      this.flags = b[at + 13];
      this.window = u16(b, at + 14);
      this.payloadBytes = Math.max(0, bytes - (b[at + 12] >>> 4) * 4);
    } else if (protocol === PROTO_UDP && room >= UDP_HEADER) {
      this.payloadBytes = bytes - UDP_HEADER;
    } else if ((protocol === PROTO_ICMP || protocol === PROTO_ICMPV6) && room >= ICMP_HEADER) {
      this.icmpType = b[at];
      this.icmpCode = b[at + 1];
      this.payloadBytes = bytes - ICMP_HEADER;
    } else {
      this.payloadBytes = Math.max(0, bytes);
      if (protocol === PROTO_TCP || protocol === PROTO_UDP) return;
    }
    this.protocol = protocol;
    this.l4 = at;
    if (protocol === PROTO_TCP || protocol === PROTO_UDP) {
      this.sport = u16(b, at);
      this.dport = u16(b, at + 2);
    }
  }
}
