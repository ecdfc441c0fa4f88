// Ethernet II (RFC 894). No 802.3 length frames; 802.1Q tags: vlan.ts.
//
//    0       6       12     14
//   | dst   | src   | type | payload ...

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import type { IpAddr } from "../ip-addr.ts";

export const ETH_DST = 0;
export const ETH_SRC = 6;
export const ETH_TYPE = 12;
export const ETH_HEADER = 14;
export const MAC_BYTES = 6;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;

export const BROADCAST_MAC: Uint8Array = new Uint8Array([255, 255, 255, 255, 255, 255]);

export const checkEthernet = (_b: Uint8Array, _o: number, length: number): boolean =>
  length >= ETH_HEADER;

export const ethType = (b: Uint8Array, o: number): number => u16(b, o + ETH_TYPE);

/** The group bit: broadcast or multicast. */
export const isGroupMac = (b: Uint8Array, o: number): boolean => (b[o] & 1) !== 0;

export function macEquals(a: Uint8Array, ao: number, b: Uint8Array, bo: number): boolean {
  return (
    a[ao] === b[bo] &&
    a[ao + 1] === b[bo + 1] &&
    a[ao + 2] === b[bo + 2] &&
    a[ao + 3] === b[bo + 3] &&
    a[ao + 4] === b[bo + 4] &&
    a[ao + 5] === b[bo + 5]
  );
}

export function isBroadcastMac(b: Uint8Array, o: number): boolean {
  return macEquals(b, o, BROADCAST_MAC, 0);
}

export function isZeroMac(b: Uint8Array, o: number): boolean {
  return (b[o] | b[o + 1] | b[o + 2] | b[o + 3] | b[o + 4] | b[o + 5]) === 0;
}

export function copyMac(dst: Uint8Array, to: number, src: Uint8Array, from: number): void {
  dst[to] = src[from];
  dst[to + 1] = src[from + 1];
  dst[to + 2] = src[from + 2];
  dst[to + 3] = src[from + 3];
  dst[to + 4] = src[from + 4];
  dst[to + 5] = src[from + 5];
}

export function writeEthernet(
  b: Uint8Array,
  o: number,
  dst: Uint8Array,
  src: Uint8Array,
  type: number,
): void {
  copyMac(b, o + ETH_DST, dst, 0);
  copyMac(b, o + ETH_SRC, src, 0);
  setU16(b, o + ETH_TYPE, type);
}

/** The group MAC of an IPv4 multicast address word (RFC 1112 6.4). */
export function multicastMacV4(out: Uint8Array, group: number): void {
  out[0] = 0x01;
  out[1] = 0x00;
  out[2] = 0x5e;
  out[3] = (group >>> 16) & 0x7f;
  out[4] = group >>> 8;
  out[5] = group;
}

/** The group MAC of an IPv6 multicast address (RFC 2464 7). */
export function multicastMacV6(out: Uint8Array, group: IpAddr): void {
  out[0] = 0x33;
  out[1] = 0x33;
  setU32(out, 2, group.w3);
}

export function formatMac(b: Uint8Array, o = 0): string {
  let s = "";
  for (let i = 0; i < MAC_BYTES; i++)
    s += (i > 0 ? ":" : "") + b[o + i].toString(16).padStart(2, "0");
  return s;
}
