// Well-known IPv6 groups and the questions about addresses that several parts ask (RFC 4291 2.5.6, 2.7.1).

import { IpAddr } from "../ip-addr.ts";

/** ff02::1. */
export const ALL_NODES = new IpAddr();
ALL_NODES.w0 = 0xff02_0000 | 0;
ALL_NODES.w3 = 1;
/** ff02::2. */
export const ALL_ROUTERS = new IpAddr();
ALL_ROUTERS.w0 = 0xff02_0000 | 0;
ALL_ROUTERS.w3 = 2;

/** fe80::/10. */
export const isLinkLocal = (addr: IpAddr): boolean => (addr.w0 & 0xffc0_0000) === (0xfe80_0000 | 0);

/** Of an IPv6 group: 1 this interface, 2 this link, 14 global. */
export const multicastScope = (group: IpAddr): number => (group.w0 >>> 16) & 15;

/** ff01::1 or ff02::1: every node is in. */
export const isAllNodes = (group: IpAddr): boolean =>
  group.w3 === 1 &&
  group.w2 === 0 &&
  group.w1 === 0 &&
  (group.w0 === (0xff02_0000 | 0) || group.w0 === (0xff01_0000 | 0));

/** Whether listeners report it (RFC 3810 6). */
export const isReportedGroup = (group: IpAddr): boolean =>
  multicastScope(group) > 1 && !isAllNodes(group);

/** ff02::1:ffXX:XXXX of an address. */
export function solicitedNode(out: IpAddr, addr: IpAddr): IpAddr {
  out.w0 = 0xff02_0000 | 0;
  out.w1 = 0;
  out.w2 = 1;
  out.w3 = 0xff00_0000 | (addr.w3 & 0xff_ffff);
  return out;
}
