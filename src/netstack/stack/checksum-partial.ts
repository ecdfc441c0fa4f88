// Finishes in software a transport checksum that was left to the link (PacketBuffer.checksumPartial).

import { setU16, u16 } from "../../base/bytes.ts";
import { finish, sum16 } from "../wire/checksum.ts";
import { PROTO_UDP } from "../wire/ipv4.ts";
import { GSO_UDP_L4, type PacketBuffer } from "./packet-buffer.ts";

/** The field holds the pseudo-header sum; all headers have even length, so the pieces add up. */
export function completeChecksum(pkt: PacketBuffer): void {
  if (!pkt.checksumPartial) return;
  const field = pkt.l4 + pkt.checksumOffset;
  let sum = sum16(pkt.bytes, pkt.l4, pkt.end - pkt.l4, 0, pkt.slabAt);
  if (pkt.fragBytes !== null) {
    sum = sum16(pkt.fragBytes, pkt.fragOffset, pkt.fragLength, sum, pkt.fragSlabAt);
  }
  let value = finish(sum);
  // RFC 768: a computed zero is sent as all ones; zero means "none".
  if (value === 0 && (pkt.protocol === PROTO_UDP || pkt.gsoType === GSO_UDP_L4)) value = 0xffff;
  setU16(pkt.bytes, field, value);
  pkt.checksumPartial = false;
}

/**
 * Before an inbound packet is quoted in an ICMP error: the one who sent it will look at what we return. Where
 * its checksum lies was the link's word, and may be nonsense.
 */
export function completeQuoted(pkt: PacketBuffer): void {
  if (pkt.l4 + pkt.checksumOffset + 2 <= pkt.end) completeChecksum(pkt);
}

/** For tests and captures: whether the field already holds something. */
export const partialField = (pkt: PacketBuffer): number =>
  u16(pkt.bytes, pkt.l4 + pkt.checksumOffset);
