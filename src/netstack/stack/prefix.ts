// Prefixes of addresses in the 128-bit form: an IPv4 /24 is 120 bits.

import { IpAddr } from "../ip-addr.ts";

/** A copy with the bits below `bits` (of 128) cleared. */
export function maskAddr(addr: IpAddr, bits: number): IpAddr {
  const out = new IpAddr();
  out.w0 = maskWord(addr.w0, bits);
  out.w1 = maskWord(addr.w1, bits - 32);
  out.w2 = maskWord(addr.w2, bits - 64);
  out.w3 = maskWord(addr.w3, bits - 96);
  return out;
}

const wordMask = (bits: number): number => (bits >= 32 ? -1 : bits <= 0 ? 0 : -1 << (32 - bits));
const maskWord = (word: number, bits: number): number => word & wordMask(bits);

/** Whether addr lies in net/bits (of 128); net has its low bits clear. */
export function inPrefix(addr: IpAddr, net: IpAddr, bits: number): boolean {
  return (
    maskWord(addr.w3, bits - 96) === net.w3 &&
    maskWord(addr.w2, bits - 64) === net.w2 &&
    maskWord(addr.w1, bits - 32) === net.w1 &&
    maskWord(addr.w0, bits) === net.w0
  );
}

/** As their bytes in order. */
export function compareAddr(a: IpAddr, b: IpAddr): number {
  if (a.w0 !== b.w0) return (a.w0 >>> 0) - (b.w0 >>> 0);
  if (a.w1 !== b.w1) return (a.w1 >>> 0) - (b.w1 >>> 0);
  if (a.w2 !== b.w2) return (a.w2 >>> 0) - (b.w2 >>> 0);
  return (a.w3 >>> 0) - (b.w3 >>> 0);
}
