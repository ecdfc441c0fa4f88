// An address of an interface with its prefix and lifetimes, and what an interface counts. Who makes, renews and
// removes addresses: interfaces.ts, ipv6-interface.ts.

import type { IpAddr } from "../ip-addr.ts";
import { inPrefix, maskAddr } from "./prefix.ts";

export class NicAddress {
  readonly addr: IpAddr;
  readonly prefixBits: number;
  /** Bits of the 128-bit form. */
  readonly bits: number;
  readonly net: IpAddr;
  /** IPv4 subnet broadcast word; 0 when the prefix has none. */
  readonly broadcast: number;
  /** IPv6 (RFC 4862 5.5.4), monotonic: deprecated from the first on, gone at the second. */
  preferredUntilNs = Number.POSITIVE_INFINITY;
  validUntilNs = Number.POSITIVE_INFINITY;
  /** RFC 8981; the caps are what no advertisement prolongs. */
  temporary = false;
  preferredCapNs = Number.POSITIVE_INFINITY;
  validCapNs = Number.POSITIVE_INFINITY;
  /** Made from an advertised prefix. */
  isAuto = false;

  constructor(addr: IpAddr, prefixBits: number) {
    this.addr = addr.clone();
    this.prefixBits = prefixBits;
    this.bits = addr.isV4 ? prefixBits + 96 : prefixBits;
    this.net = maskAddr(addr, this.bits);
    const hasBroadcast = addr.isV4 && prefixBits > 0 && prefixBits < 31;
    this.broadcast = hasBroadcast ? this.net.w3 | (0xffff_ffff >>> prefixBits) : 0;
  }
  contains(addr: IpAddr): boolean {
    return addr.isV4 === this.addr.isV4 && inPrefix(addr, this.net, this.bits);
  }
}

export interface NicCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
  multicast: number;
}
