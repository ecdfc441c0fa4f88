// The virtio-net header (virtio 1.2, 5.1.6) in front of frames on TAP devices and on our own sockets: what
// is left to the other side (checksum, segmentation). Ten bytes, little-endian.
//
//    0       1          2         4          6            8             10
//   | flags | gso type | hdr len | gso size | csum start | csum offset | Ethernet frame ...

import { setU16Le, u16Le } from "../base/bytes.ts";
import {
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  type PacketBuffer,
} from "../netstack/index.ts";

export const VNET_HEADER = 10;
const FLAG_NEEDS_CSUM = 1;
const FLAG_DATA_VALID = 2;
const GSO_ECN = 0x80;
const ETH_HEADER = 14;
const IP_MAX = 65_535;
/** The largest frame: Ethernet with one VLAN tag, and the largest IP packet. */
export const FRAME_MAX = IP_MAX + ETH_HEADER + 4;

/** Writes the header for pkt's frame at [o, o + VNET_HEADER). Does not move pkt.start. */
export function writeVirtioNet(b: Uint8Array, o: number, pkt: PacketBuffer): void {
  b[o] = pkt.checksumPartial ? FLAG_NEEDS_CSUM : 0;
  b[o + 1] = pkt.gsoType;
  setU16Le(b, o + 2, pkt.gsoType === GSO_NONE ? 0 : pkt.end - pkt.start);
  setU16Le(b, o + 4, pkt.gsoSize);
  setU16Le(b, o + 6, pkt.checksumPartial ? pkt.l4 - pkt.start : 0);
  setU16Le(b, o + 8, pkt.checksumPartial ? pkt.checksumOffset : 0);
}

/**
 * Checks the header at o against the frame [pkt.start, pkt.end) that follows it, and tells pkt what it
 * says. False: it lies, and the frame must be dropped. UDP segments are never asked for, so never taken.
 */
export function readVirtioNet(b: Uint8Array, o: number, pkt: PacketBuffer): boolean {
  const length = pkt.end - pkt.start;
  if (length < ETH_HEADER || length > FRAME_MAX) return false;
  const flags = b[o];
  const gsoType = b[o + 1] & ~GSO_ECN;
  const gsoSize = u16Le(b, o + 4);
  const csumStart = u16Le(b, o + 6);
  const csumOffset = u16Le(b, o + 8);
  if ((flags & FLAG_NEEDS_CSUM) !== 0) {
    if (csumStart < ETH_HEADER || csumStart + csumOffset + 2 > length) return false;
    pkt.checksumPartial = true;
    pkt.l4 = pkt.start + csumStart;
    pkt.checksumOffset = csumOffset;
  }
  pkt.checksumValid = (flags & (FLAG_NEEDS_CSUM | FLAG_DATA_VALID)) !== 0;
  if (gsoType === GSO_NONE) return true;
  if (gsoType === GSO_UDP_L4 || (gsoType !== GSO_TCPV4 && gsoType !== GSO_TCPV6)) return false;
  if (gsoSize === 0 || (flags & FLAG_NEEDS_CSUM) === 0 || u16Le(b, o + 2) > length) return false;
  pkt.gsoType = gsoType;
  pkt.gsoSize = gsoSize;
  return true;
}
