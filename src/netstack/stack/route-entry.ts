// One route: where to, by what way or ways, of which table. The tables and who is asked first: routes.ts.

import type { IpAddr } from "../ip-addr.ts";
import { type NextHopConfig, NextHops } from "./next-hops.ts";
import { maskAddr } from "./prefix.ts";

/** RT_TABLE_*. Local is not kept: an address is local when an interface has it. */
export const TABLE_DEFAULT = 253;
export const TABLE_MAIN = 254;
export const TABLE_LOCAL = 255;

/** RTN_*: what becomes of packets to there. */
export const RouteType = {
  Unicast: 1,
  /** Dropped without a word. */
  Blackhole: 6,
  Unreachable: 7,
  Prohibit: 8,
  /** As if the table had no route: the next rule decides. */
  Throw: 9,
} as const;

export interface RouteConfig {
  dst: IpAddr;
  prefixBits: number;
  /** null: on the link. */
  gateway: IpAddr | null;
  nicId: number;
  /** Two or more: several ways, and gateway and nicId are the first one's. */
  hops?: readonly NextHopConfig[];
  /** RTNH_F_ONLINK: for reports only. */
  isOnLink?: boolean;
  metric?: number;
  /** Preferred source address. */
  src?: IpAddr | null;
  mtu?: number;
  advmss?: number;
  table?: number;
  type?: number;
  /** RTPROT_*: who made it (kernel 2, boot 3, static 4, dhcp 16). For reports only. */
  origin?: number;
}

export class RouteEntry {
  readonly dst: IpAddr;
  /** Bits of the 128-bit form: an IPv4 /24 is 120. */
  readonly bits: number;
  readonly prefixBits: number;
  readonly gateway: IpAddr | null;
  readonly nicId: number;
  /** Null: the one that gateway and nicId say; else these are the first one's. */
  readonly hops: NextHops | null;
  readonly isOnLink: boolean;
  readonly metric: number;
  readonly src: IpAddr | null;
  readonly mtu: number;
  readonly advmss: number;
  readonly origin: number;
  readonly table: number;
  readonly type: number;

  constructor(config: RouteConfig) {
    this.prefixBits = config.prefixBits;
    this.bits = config.dst.isV4 ? config.prefixBits + 96 : config.prefixBits;
    this.dst = maskAddr(config.dst, this.bits);
    this.gateway = config.gateway?.clone() ?? null;
    this.nicId = config.nicId;
    const { hops = [] } = config;
    this.hops = hops.length > 1 ? new NextHops(hops) : null;
    this.isOnLink = config.isOnLink ?? false;
    this.metric = config.metric ?? 0;
    this.src = config.src?.clone() ?? null;
    this.mtu = config.mtu ?? 0;
    this.advmss = config.advmss ?? 0;
    this.origin = config.origin ?? 3;
    this.table = config.table ?? TABLE_MAIN;
    this.type = config.type ?? RouteType.Unicast;
  }

  /** What it counts for against the limit. */
  get ways(): number {
    return this.hops === null ? 1 : this.hops.list.length;
  }
  leadsBy(nicId: number): boolean {
    return this.nicId === nicId || this.hops?.leadsBy(nicId) === true;
  }
  hasGateway(gateway: IpAddr): boolean {
    return this.gateway?.equals(gateway) === true || this.hops?.hasGateway(gateway) === true;
  }
}
