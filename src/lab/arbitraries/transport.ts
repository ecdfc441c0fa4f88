// What an IP packet carries, before its checksum is known (TCP, UDP and ICMPv6 sum up the addresses too).

import { setU16 } from "../../base/bytes.ts";
import { type IpAddr, pseudoSum, sum16 } from "../../netstack/index.ts";

export const ICMP = 1;
export const IGMP = 2;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

export interface Transport {
  protocol: number;
  bytes: Uint8Array;
  /** Offset of the checksum field, -1: none. */
  checksumAt: number;
  /** Added to the right checksum: 0 leaves it right. */
  checksumOff: number;
  /** A Neighbour Discovery message must come with hop limit 255 (RFC 4861). */
  hopLimit?: number;
  /** Its source is a link-local address (RFC 3810 6.2). */
  isLinkLocal?: boolean;
}

/** The bytes with their checksum. */
export function summed(t: Transport, src: IpAddr, dst: IpAddr): Uint8Array {
  const b = t.bytes.slice();
  const at = t.checksumAt;
  if (at < 0 || at + 2 > b.length) return b;
  setU16(b, at, 0);
  const seed =
    t.protocol === ICMP || t.protocol === IGMP ? 0 : pseudoSum(src, dst, t.protocol, b.length);
  const right = ~sum16(b, 0, b.length, seed) & 0xffff;
  // UDP's zero means none (RFC 768).
  const sum = right === 0 && t.protocol === UDP ? 0xffff : right;
  setU16(b, at, (sum + t.checksumOff) & 0xffff);
  return b;
}
