// A lease: what a DHCP server's answer says, checked, in the stack's words (RFC 2132). Whoever is first on the
// link may be the server: what does not make sense is left out, what could harm a reader is refused.

import { i32, u16, u32 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { IpAddr } from "../ip-addr.ts";
import * as dhcp from "../wire/dhcp.ts";

export interface LeaseRoute {
  dst: IpAddr;
  prefixBits: number;
  /** null: on the link. */
  gateway: IpAddr | null;
}

export interface Lease {
  addr: IpAddr;
  prefixBits: number;
  server: IpAddr;
  routes: LeaseRoute[];
  nameServers: IpAddr[];
  /** "": none. Letters, digits, dots and hyphens only, as the names in search. */
  domain: string;
  search: string[];
  hostName: string;
  /** 0: not said. */
  mtu: number;
  /** Since the request that brought it (RFC 2131 4.4.1). Infinity: for ever. */
  leaseNs: number;
  renewNs: number;
  rebindNs: number;
}

const LIST_MAX = 16;
/** IPv4's least MTU (RFC 791); RFC 2132 5.1 has the same. */
const MTU_MIN = 68;
const FOREVER_S = 0xffff_ffff;
const NAME =
  /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;
const NAME_MAX = 253;

/** Of one station: no group, no broadcast, not "this network" or the loopback. */
function isStation(addr: IpAddr): boolean {
  const top = addr.w3 >>> 24;
  return top !== 0 && top !== 127 && top < 224;
}

const v4 = (word: number): IpAddr => new IpAddr().setV4(word);

function addresses(value: Uint8Array | undefined): IpAddr[] {
  const list: IpAddr[] = [];
  if (value === undefined) return list;
  for (let at = 0; at + 4 <= value.length && list.length < LIST_MAX; at += 4) {
    const addr = v4(i32(value, at));
    if (isStation(addr)) list.push(addr);
  }
  return list;
}

/** Without a mask that is one, the class of the address says it (RFC 950). */
function prefixBits(value: Uint8Array | undefined, addr: IpAddr): number {
  if (value?.length === 4) {
    const mask = i32(value, 0);
    const bits = Math.clz32(~mask);
    const isMask = mask === (bits === 0 ? 0 : -1 << (32 - bits));
    if (isMask && bits > 0) return bits;
  }
  const top = addr.w3 >>> 24;
  return top < 128 ? 8 : top < 192 ? 16 : 24;
}

function name(value: Uint8Array | undefined): string {
  if (value === undefined || value.length > NAME_MAX) return "";
  const text = String.fromCharCode(...value).replace(/[\0.]+$/, "");
  return NAME.test(text) ? text : "";
}

// @rfc 3442 1
/** Width, the significant bytes of the destination, router. Null: nonsense somewhere. */
function classlessRoutes(value: Uint8Array): LeaseRoute[] | null {
  const routes: LeaseRoute[] = [];
  for (let at = 0; at < value.length; ) {
    const bits = value[at++];
    const bytes = (bits + 7) >> 3;
    if (bits > 32 || at + bytes + 4 > value.length || routes.length >= LIST_MAX) return null;
    let dst = 0;
    for (let i = 0; i < bytes; i++) dst |= value[at + i] << (24 - 8 * i);
    const gateway = v4(i32(value, at + bytes));
    at += bytes + 4;
    if (!gateway.isUnspecified && !isStation(gateway)) return null;
    routes.push({
      dst: v4(dst),
      prefixBits: bits,
      gateway: gateway.isUnspecified ? null : gateway,
    });
  }
  return routes;
}

/** RFC 3397 2: names in DNS's form, where a pointer leads back into the same option. */
export function searchNames(value: Uint8Array): string[] {
  const names: string[] = [];
  for (let at = 0; at < value.length && names.length < LIST_MAX; ) {
    const labels: string[] = [];
    let next = -1;
    let p = at;
    let characters = 0;
    for (;;) {
      const length = value[p];
      if (length === undefined) return names;
      if (length === 0) {
        if (next < 0) next = p + 1;
        break;
      }
      if ((length & 0xc0) === 0xc0) {
        const to = ((length & 0x3f) << 8) | (value[p + 1] ?? 0xff);
        // Only backwards, so that it ends.
        if (to >= p || p + 1 >= value.length) return names;
        if (next < 0) next = p + 2;
        p = to;
        characters += 2;
      } else {
        if (length > 63 || p + 1 + length > value.length) return names;
        labels.push(String.fromCharCode(...value.subarray(p + 1, p + 1 + length)));
        p += 1 + length;
        characters += length;
      }
      if (characters > NAME_MAX) return names;
    }
    const text = labels.join(".");
    if (NAME.test(text)) names.push(text);
    at = next;
  }
  return names;
}

/** RFC 2131 4.4.5: T1 and T2 where the server gives none, or some that do not follow each other. */
function times(o: Map<number, Uint8Array>): Pick<Lease, "leaseNs" | "renewNs" | "rebindNs"> | null {
  const seconds = (code: number): number => {
    const value = o.get(code);
    return value?.length === 4 ? u32(value, 0) : -1;
  };
  const lease = seconds(dhcp.DHCP_LEASE_TIME);
  if (lease <= 0) return null;
  if (lease === FOREVER_S) {
    const never = Number.POSITIVE_INFINITY;
    return { leaseNs: never, renewNs: never, rebindNs: never };
  }
  let t1 = seconds(dhcp.DHCP_RENEWAL_TIME);
  let t2 = seconds(dhcp.DHCP_REBINDING_TIME);
  if (t2 <= 0 || t2 >= lease) t2 = lease * 0.875;
  if (t1 <= 0 || t1 >= t2) t1 = Math.min(lease * 0.5, t2);
  return { leaseNs: lease * SECOND, renewNs: t1 * SECOND, rebindNs: t2 * SECOND };
}

export function serverOf(reply: dhcp.DhcpReply): IpAddr | null {
  const value = reply.options.get(dhcp.DHCP_SERVER_ID);
  if (value?.length !== 4) return null;
  const server = v4(i32(value, 0));
  return isStation(server) ? server : null;
}

/** Null: no lease that could be used. */
export function readLease(reply: dhcp.DhcpReply): Lease | null {
  const o = reply.options;
  const addr = v4(reply.yiaddr);
  const server = serverOf(reply);
  const spans = times(o);
  if (server === null || spans === null || !isStation(addr)) return null;
  const bits = prefixBits(o.get(dhcp.DHCP_SUBNET_MASK), addr);
  const classless = o.get(dhcp.DHCP_CLASSLESS_ROUTES);
  let routes = classless === undefined ? null : classlessRoutes(classless);
  // Who reads classless routes ignores the routers.
  routes ??= addresses(o.get(dhcp.DHCP_ROUTERS))
    .slice(0, 1)
    .map((gateway) => ({ dst: v4(0), prefixBits: 0, gateway }));
  const mtu = o.get(dhcp.DHCP_MTU);
  const search = o.get(dhcp.DHCP_DOMAIN_SEARCH);
  return {
    addr,
    prefixBits: bits,
    server,
    routes,
    nameServers: addresses(o.get(dhcp.DHCP_NAME_SERVERS)),
    domain: name(o.get(dhcp.DHCP_DOMAIN)),
    search: search === undefined ? [] : searchNames(search),
    hostName: name(o.get(dhcp.DHCP_HOST_NAME)),
    mtu: mtu?.length === 2 && u16(mtu, 0) >= MTU_MIN ? u16(mtu, 0) : 0,
    ...spans,
  };
}
