// Default source address selection for IPv6 (RFC 6724 5): of the candidates, which to send from. Rules 4
// (home addresses) and 5.5 (prefixes per next hop) do not apply here. Off the packet path: paths keep it.

import type { IpAddr } from "../ip-addr.ts";
import { isLinkLocal } from "./multicast-groups.ts";
import type { NicAddress } from "./nic-address.ts";

export const SCOPE_LINK = 2;
export const SCOPE_SITE = 5;
export const SCOPE_GLOBAL = 14;

/** RFC 6724 3.1, for unicast and multicast. */
export function addressScope(addr: IpAddr): number {
  if (addr.isV4) return addr.isLoopback || addr.w3 >>> 16 === 0xa9fe ? SCOPE_LINK : SCOPE_GLOBAL;
  if (addr.isMulticast) return (addr.w0 >>> 16) & 15;
  if (isLinkLocal(addr) || addr.isLoopback) return SCOPE_LINK;
  return (addr.w0 & 0xffc0_0000) === (0xfec0_0000 | 0) ? SCOPE_SITE : SCOPE_GLOBAL;
}

/** The labels of RFC 6724 2.1's default policy table. */
export function addressLabel(addr: IpAddr): number {
  if (addr.isV4) return 4;
  const top = addr.w0 >>> 0;
  if (top === 0 && addr.w1 === 0 && addr.w2 === 0) return addr.w3 === 1 ? 0 : 3;
  if (top >>> 16 === 0x2002) return 2;
  if (top === 0x2001_0000) return 5;
  if (top >>> 25 === 0xfc >>> 1) return 13;
  if (top >>> 22 === 0xfec0 >>> 6) return 11;
  return top >>> 16 === 0x3ffe ? 12 : 1;
}

const words = (a: IpAddr): number[] => [a.w0, a.w1, a.w2, a.w3];

/** Leading bits that two addresses share, at most `limit`. */
export function commonPrefixBits(a: IpAddr, b: IpAddr, limit: number): number {
  const wa = words(a);
  const wb = words(b);
  for (let i = 0; i < 4; i++) {
    const differing = wa[i] ^ wb[i];
    if (differing !== 0) return Math.min(limit, 32 * i + Math.clz32(differing));
  }
  return limit;
}

export interface SelectionPolicy {
  nowNs: number;
  /** Rule 7: temporary addresses before public ones (RFC 8981 has it so; Linux's default has not). */
  preferTemporary: boolean;
}

/** Whether `a` is a better source than `b` for dst. */
function isBetter(a: NicAddress, b: NicAddress, dst: IpAddr, policy: SelectionPolicy): boolean {
  if (a.addr.equals(dst) !== b.addr.equals(dst)) return a.addr.equals(dst);
  const sa = addressScope(a.addr);
  const sb = addressScope(b.addr);
  const sd = addressScope(dst);
  if (sa !== sb) return sa < sb ? sa >= sd : sb < sd;
  const da = a.preferredUntilNs <= policy.nowNs;
  const db = b.preferredUntilNs <= policy.nowNs;
  if (da !== db) return db;
  const label = addressLabel(dst);
  const la = addressLabel(a.addr) === label;
  const lb = addressLabel(b.addr) === label;
  if (la !== lb) return la;
  if (a.temporary !== b.temporary) return a.temporary === policy.preferTemporary;
  const ca = commonPrefixBits(a.addr, dst, a.prefixBits);
  return ca > commonPrefixBits(b.addr, dst, b.prefixBits);
}

// @rfc 6724 5
// @rfc 4862 5.5.4
/** The best of the IPv6 addresses among `candidates` (those of the outgoing interface), or null. */
export function selectSource(
  candidates: readonly NicAddress[],
  dst: IpAddr,
  policy: SelectionPolicy,
): IpAddr | null {
  let best: NicAddress | null = null;
  for (const candidate of candidates) {
    if (candidate.addr.isV4) continue;
    if (best === null || isBetter(candidate, best, dst, policy)) best = candidate;
  }
  return best?.addr ?? null;
}
