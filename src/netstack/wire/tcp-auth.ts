// The two authentication options of TCP on the wire: MD5 signatures (RFC 2385) and TCP-AO (RFC 5925 2.2), of which a
// segment may have one. What is in them: tcp/md5-signature.ts, tcp/ao-mac.ts.

import { setU32 } from "../../base/bytes.ts";
import { TCP_HEADER_BYTES } from "./tcp.ts";

export const KIND_MD5 = 19;
export const KIND_AO = 29;
const KIND_END = 0;
const KIND_NOP = 1;
export const MD5_OPTION_BYTES = 18;
/** Kind, length, KeyID, RNextKeyID. */
export const AO_HEADER_BYTES = 4;
/** Length of the MD5 signature with its two NOPs, and where in that the digest lies. */
export const MD5_SIGNATURE_BYTES = 20;
export const MD5_DIGEST_AT = 4;

/** TcpOptions.authAt when the segment has no option, and when it has two or one of a wrong length. */
export const AUTH_NONE = 0;
export const AUTH_BROKEN = -1;

/** at: of the option's value. */
export const isAo = (b: Uint8Array, at: number): boolean => b[at - 2] === KIND_AO;
/** Bytes of the code, behind the two IDs. */
export const aoMacBytes = (b: Uint8Array, at: number): number => b[at - 1] - AO_HEADER_BYTES;

/** Where the option's value lies, when `before` is what was found so far (tcp_do_parse_auth_options). */
export function authOption(before: number, at: number, kind: number, length: number): number {
  if (before !== AUTH_NONE) return AUTH_BROKEN;
  const isFit = kind === KIND_MD5 ? length === MD5_OPTION_BYTES : length > AO_HEADER_BYTES;
  return isFit ? at + 2 : AUTH_BROKEN;
}

/** The MD5 signature with an empty digest, to be filled in when the segment is complete. */
export function writeMd5(b: Uint8Array, at: number): number {
  setU32(b, at, 0x01011312);
  b.fill(0, at + MD5_DIGEST_AT, at + MD5_SIGNATURE_BYTES);
  return MD5_SIGNATURE_BYTES;
}

/** TCP-AO with an empty code, padded with NOPs. */
export function writeAo(
  b: Uint8Array,
  at: number,
  keyId: number,
  rnextId: number,
  macBytes: number,
): number {
  const length = AO_HEADER_BYTES + macBytes;
  const padded = (length + 3) & ~3;
  setU32(b, at, (KIND_AO << 24) | (length << 16) | (keyId << 8) | rnextId);
  b.fill(0, at + AO_HEADER_BYTES, at + length);
  b.fill(KIND_NOP, at + length, at + padded);
  return padded;
}

/**
 * Whether nobody can tell if the segment at l4 is signed: such a one gets no RST (tcp_parse_auth_options in
 * tcp_v4_send_reset). What is shorter than the shortest option is not looked at.
 */
export function areOptionsBroken(bytes: Uint8Array, l4: number): boolean {
  let left = ((bytes[l4 + 12] >>> 4) << 2) - TCP_HEADER_BYTES;
  for (let o = l4 + TCP_HEADER_BYTES; left >= AO_HEADER_BYTES; ) {
    const kind = bytes[o];
    if (kind === KIND_END) return false;
    const size = kind === KIND_NOP ? 1 : bytes[o + 1];
    if (size > left || (size < 2 && kind !== KIND_NOP)) return true;
    o += size;
    left -= size;
  }
  return false;
}
