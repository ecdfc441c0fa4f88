// UDP (RFC 768).
//
//    0          2          4        6          8
//   | src port | dst port | length | checksum | payload

import { setU16, u16 } from "../../base/bytes.ts";

const SRC_PORT = 0;
const DST_PORT = 2;
const LENGTH = 4;
export const UDP_CHECKSUM = 6;
export const UDP_HEADER = 8;

// @rfc 768 1
/** Lengths only; the checksum needs the pseudo header. Bytes past UDP's length are padding. */
export function checkUdp(b: Uint8Array, o: number, length: number): boolean {
  if (length < UDP_HEADER) return false;
  const claimed = u16(b, o + LENGTH);
  return claimed >= UDP_HEADER && claimed <= length;
}

export const udpSrcPort = (b: Uint8Array, o: number): number => u16(b, o + SRC_PORT);
export const udpDstPort = (b: Uint8Array, o: number): number => u16(b, o + DST_PORT);
export const udpLength = (b: Uint8Array, o: number): number => u16(b, o + LENGTH);
export const udpChecksum = (b: Uint8Array, o: number): number => u16(b, o + UDP_CHECKSUM);

/** The checksum field is set to `sum`: 0, or the pseudo-header sum for a link to finish. */
export function writeUdp(
  b: Uint8Array,
  o: number,
  srcPort: number,
  dstPort: number,
  length: number,
  sum: number,
): void {
  setU16(b, o + SRC_PORT, srcPort);
  setU16(b, o + DST_PORT, dstPort);
  setU16(b, o + LENGTH, length);
  setU16(b, o + UDP_CHECKSUM, sum);
}
