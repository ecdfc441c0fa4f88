// The tag of IEEE 802.1Q (and of 802.1ad, outside of it) between the addresses of an Ethernet frame and its type. Taken off
// and put on in place: the addresses move, what follows stays where it is.
//
//    0       6       12             14                 16     18
//   | dst   | src   | 0x8100       | PCP DEI VID       | type | ...

import { setU16, u16 } from "../../base/bytes.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";

export const ETHERTYPE_8021Q = 0x8100;
export const ETHERTYPE_8021AD = 0x88a8;
export const VLAN_TAG_BYTES = 4;
export const VID_MASK = 0xfff;
/** 4095 is reserved. */
export const VID_MAX = 4094;
const MACS_BYTES = 12;
const TYPE_BYTES = 2;

export const isTagType = (type: number): boolean =>
  type === ETHERTYPE_8021Q || type === ETHERTYPE_8021AD;

/**
 * Takes the tag off a frame whose EtherType says that there is one: the protocol in the upper half, the rest (priority,
 * number) in the lower, as int32. 0: cut short.
 */
export function takeTag(pkt: PacketBuffer): number {
  const { bytes, start } = pkt;
  if (pkt.end - start < MACS_BYTES + VLAN_TAG_BYTES + TYPE_BYTES) return 0;
  const tag = (u16(bytes, start + MACS_BYTES) << 16) | u16(bytes, start + MACS_BYTES + 2);
  bytes.copyWithin(start + VLAN_TAG_BYTES, start, start + MACS_BYTES);
  pkt.start = start + VLAN_TAG_BYTES;
  return tag;
}

/** Puts a tag in front of the type; there must be room. */
export function putTag(pkt: PacketBuffer, tag: number): void {
  const { bytes } = pkt;
  const start = pkt.start - VLAN_TAG_BYTES;
  bytes.copyWithin(start, start + VLAN_TAG_BYTES, start + VLAN_TAG_BYTES + MACS_BYTES);
  setU16(bytes, start + MACS_BYTES, tag >>> 16);
  setU16(bytes, start + MACS_BYTES + 2, tag & 0xffff);
  pkt.start = start;
}
