// The pseudo-header (RFC 9293 3.1, RFC 8200 8.1) as bytes, as both signatures cover it; the checksum sums it up
// without (wire/checksum.ts).

import { setU16, setU32 } from "../../base/bytes.ts";
import { IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import { TCP_PROTOCOL } from "../wire/tcp.ts";

export const PSEUDO_HEADER_BYTES_MAX = 40;

/** `length`: of header and data. Bytes written. */
export function writePseudoHeader(
  b: Uint8Array,
  at: number,
  src: IpAddr,
  dst: IpAddr,
  length: number,
): number {
  if (src.isV4) {
    src.write(b, at, IPV4);
    dst.write(b, at + 4, IPV4);
    setU16(b, at + 8, TCP_PROTOCOL);
    setU16(b, at + 10, length);
    return 12;
  }
  src.write(b, at, IPV6);
  dst.write(b, at + 16, IPV6);
  setU32(b, at + 32, length);
  setU32(b, at + 36, TCP_PROTOCOL);
  return 40;
}
