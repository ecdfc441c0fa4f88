// sockaddr_in and sockaddr_in6 to and from the stack's addresses (ip(7), ipv6(7)). The stack holds IPv4
// mapped into IPv6, so an AF_INET6 socket that talks IPv4 needs nothing special here.

import { EAFNOSUPPORT, EINVAL } from "../../../abi/errno.ts";
import {
  AF_INET,
  AF_INET6,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
  SOCKADDR_IN6_RFC2133_BYTES,
} from "../../../abi/socket.ts";
import { setU16, setU16Le, setU32Le, u16, u32, u32Le } from "../../../base/bytes.ts";
import { IPV4, IPV6, type IpAddr } from "../../../netstack/index.ts";
import type { SocketAddress } from "../socket-address.ts";

/** Class and label (IPV6_FLOWINFO_MASK). */
const FLOW_INFO = 0x0fff_ffff;

/** What parse found besides the address. One per module: read at once. */
export const parsed = { port: 0, scopeId: 0, flowInfo: 0 };

/**
 * Reads an address for a socket of `family` into `out` and `parsed`: 0, -EINVAL when too short,
 * -EAFNOSUPPORT for another family. allowV4: an AF_INET6 datagram socket also takes sockaddr_in.
 */
export function parseInetAddress(
  address: SocketAddress,
  family: number,
  allowV4: boolean,
  out: IpAddr,
): number {
  const bytes = address.bytes;
  if (address.length < 2) return -EINVAL;
  const isV4 = family === AF_INET || (allowV4 && address.family === AF_INET);
  if (address.length < (isV4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_RFC2133_BYTES)) return -EINVAL;
  if (address.family !== (isV4 ? AF_INET : AF_INET6)) return -EAFNOSUPPORT;
  parsed.port = u16(bytes, 2);
  parsed.scopeId = 0;
  parsed.flowInfo = 0;
  if (isV4) {
    out.read(bytes, 4, IPV4);
  } else {
    out.read(bytes, 8, IPV6);
    parsed.flowInfo = u32(bytes, 4) & FLOW_INFO;
    if (address.length >= SOCKADDR_IN6_BYTES) parsed.scopeId = u32Le(bytes, 24);
  }
  return 0;
}

export const isLinkLocalV6 = (addr: IpAddr): boolean => addr.w0 >>> 22 === 0xfe80 >>> 6;

export function formatInetAddress(
  out: SocketAddress,
  family: number,
  addr: IpAddr,
  port: number,
  nicId: number,
): void {
  const bytes = out.bytes;
  setU16Le(bytes, 0, family);
  setU16(bytes, 2, port);
  if (family === AF_INET) {
    addr.write(bytes, 4, IPV4);
    bytes.fill(0, 8, 16);
    out.length = SOCKADDR_IN_BYTES;
    return;
  }
  setU32Le(bytes, 4, 0);
  addr.write(bytes, 8, IPV6);
  setU32Le(bytes, 24, isLinkLocalV6(addr) ? nicId : 0);
  out.length = SOCKADDR_IN6_BYTES;
}
