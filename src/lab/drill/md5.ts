// The signature of RFC 2385 as scripts speak of it: `md5 valid` is made for what goes in and asked of what comes out, with
// the key of `--tcp_md5_secret`. The judge's own, as all of its header code.

import { setU16, setU32 } from "../../base/bytes.ts";
import { MD5_BYTES, Md5 } from "../../base/md5.ts";
import { type Family, IPV4, type IpAddr } from "../../netstack/index.ts";
import { PROTO_TCP } from "./frame.ts";

export const KIND_MD5 = 19;

/** Of a whole TCP segment. */
export function md5Digest(
  src: IpAddr,
  dst: IpAddr,
  family: Family,
  segment: Uint8Array,
  secret: Uint8Array,
): Uint8Array {
  const pseudo = new Uint8Array(family === IPV4 ? 12 : 40);
  if (family === IPV4) {
    src.write(pseudo, 0, family);
    dst.write(pseudo, 4, family);
    pseudo[9] = PROTO_TCP;
    setU16(pseudo, 10, segment.length);
  } else {
    src.write(pseudo, 0, family);
    dst.write(pseudo, 16, family);
    setU32(pseudo, 32, segment.length);
    pseudo[39] = PROTO_TCP;
  }
  const header = segment.slice(0, 20);
  setU16(header, 16, 0);
  const data = segment.subarray((segment[12] >>> 4) << 2);
  const md5 = new Md5().begin();
  for (const part of [pseudo, header, data, secret]) md5.add(part, 0, part.length);
  const digest = new Uint8Array(MD5_BYTES);
  md5.end(digest, 0);
  return digest;
}
