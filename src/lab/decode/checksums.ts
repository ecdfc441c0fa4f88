// Whether checksums are right, and what they should be: only where all bytes that they cover were captured.

import { checksum, type IpAddr, pseudoSum } from "../../netstack/index.ts";
import type { Dissection } from "./dissection.ts";

export interface Addresses {
  src: IpAddr;
  /** As the header has it. */
  next: IpAddr;
  /** The final one, where a routing header or a source route says that. */
  dst: IpAddr;
}

/** null: not all captured. 0: right. Otherwise what the field should hold is shouldBe(field, result). */
export function transportSum(
  d: Dissection,
  at: number,
  length: number,
  protocol: number,
  { src, dst }: Addresses,
): number | null {
  if (!d.has(at, length)) return null;
  return checksum(d.bytes, at, length, pseudoSum(src, dst, protocol, length));
}

export function plainSum(d: Dissection, at: number, length: number): number | null {
  if (!d.has(at, length)) return null;
  return checksum(d.bytes, at, length);
}

/** The field's right value when the sum over all, the field included, came out as `sum`. */
export function shouldBe(field: number, sum: number): number {
  let value = field + sum;
  value = (value & 0xffff) + (value >>> 16);
  value = (value & 0xffff) + (value >>> 16);
  return value;
}
