// One frame on its way in or out: bytes with headroom, plus what the layers learn about it.
//
//   bytes: | headroom ....... | l2 | l3 | l4 | payload | slack |
//          0              start ^    ^l3  ^l4  ^payload  ^ end
//
// Outbound headers are pushed in front (start moves down); inbound headers are consumed by setting the
// offsets. An outbound packet may carry its payload as a reference (frag*): the bytes stay where they
// are (a send ring) and the link gathers them; they are valid only until LinkEndpoint.send returns.
// Owned by whoever holds it; pooled by the stack (allocPacket/free); nothing here allocates per packet.

import { NO_SLAB, slabBytes, slabOffset } from "../../base/slab.ts";
import { IpAddr } from "../ip-addr.ts";

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;

/** Room in front for virtio-net header, Ethernet with VLAN, IPv6 with options, TCP with options. */
export const HEADROOM = 192;
const UDP_HEADER = 8;
const TCP_DATA_OFFSET = 12;
/** The largest packet a link hands over in one piece (GSO). */
export const MAX_PACKET = 65_535 + 18;

/** Wants to know when a packet of its own leaves (SO_TIMESTAMPING). */
export interface TransmitObserver {
  /** The frame is whole, checksums aside; on the loopback it begins at the IP header. */
  onTransmit(pkt: PacketBuffer): void;
}

export class PacketBuffer {
  readonly bytes: Uint8Array;
  /** Where `bytes` and fragBytes lie in the slab, for copyBytes. */
  readonly slabAt: number;
  fragSlabAt = NO_SLAB;
  start = HEADROOM;
  end = HEADROOM;

  l3 = 0;
  l4 = 0;
  payload = 0;

  fragBytes: Uint8Array | null = null;
  fragOffset = 0;
  fragLength = 0;

  readonly src = new IpAddr();
  readonly dst = new IpAddr();
  /** IP protocol number of what starts at l4. */
  protocol = 0;
  ttl = 64;
  /** Outbound over IPv6: above its 8 bits the flow label. */
  tos = 0;
  /** Interface it arrived on or leaves by. */
  nicId = 0;
  /** Arrived as link-layer broadcast or multicast: no ICMP error, no RST may answer it. */
  linkBroadcast = false;

  /** Inbound: the link vouches for the transport checksum (virtio DATA_VALID or NEEDS_CSUM). */
  checksumValid = false;
  /** Outbound: l4 checksum field holds the pseudo-header sum; the link (or its software fallback) finishes it. */
  checksumPartial = false;
  /** Offset of the checksum field from l4, when checksumPartial. */
  checksumOffset = 0;
  /** GSO_*: the packet stands for several of gsoSize payload bytes each. Inbound: merged by the link. */
  gsoType = GSO_NONE;
  /** Cutting keeps CWR in all pieces: it is part of a count (AccECN), not said once. */
  gsoKeepsCwr = false;
  gsoSize = 0;

  /** Outbound to a group: members here get a copy. */
  multicastLoop = true;
  /** Monotonic arrival or departure time. */
  timeNs = 0;
  /** Outbound: told when the packet leaves, with a number of its own. */
  observer: TransmitObserver | null = null;
  observerKey = 0;

  /** `isKept`: it will be used again and again, by a pool or a link, and has its bytes in the slab. */
  constructor(capacity: number = HEADROOM + MAX_PACKET, isKept = false) {
    this.bytes = isKept ? slabBytes(capacity) : new Uint8Array(capacity);
    this.slabAt = isKept ? slabOffset(this.bytes) : NO_SLAB;
  }

  /** Back to an empty packet with `headroom` bytes in front. */
  reset(headroom: number = HEADROOM): void {
    this.start = headroom;
    this.end = headroom;
    this.l3 = headroom;
    this.l4 = headroom;
    this.payload = headroom;
    this.fragBytes = null;
    this.fragSlabAt = NO_SLAB;
    this.fragOffset = 0;
    this.fragLength = 0;
    this.protocol = 0;
    this.ttl = 64;
    this.tos = 0;
    this.nicId = 0;
    this.linkBroadcast = false;
    this.checksumValid = false;
    this.checksumPartial = false;
    this.checksumOffset = 0;
    this.gsoType = GSO_NONE;
    this.gsoKeepsCwr = false;
    this.gsoSize = 0;
    this.multicastLoop = true;
    this.timeNs = 0;
    this.observer = null;
    this.observerKey = 0;
  }

  /** Whole length on the wire, gathered payload included. */
  get length(): number {
    return this.end - this.start + this.fragLength;
  }
}

/** How many packets on the wire an inbound one of a link or of GRO stands for. Precondition: l4 is set. */
export function wirePackets(pkt: PacketBuffer): number {
  const header =
    pkt.gsoType === GSO_UDP_L4 ? UDP_HEADER : (pkt.bytes[pkt.l4 + TCP_DATA_OFFSET] >>> 4) << 2;
  const payload = pkt.end - pkt.l4 - header;
  return pkt.gsoSize > 0 && payload > pkt.gsoSize ? Math.ceil(payload / pkt.gsoSize) : 1;
}
