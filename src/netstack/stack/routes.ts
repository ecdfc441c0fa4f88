// The route table: longest prefix, then lowest metric, then the oldest. Kept sorted so that the first
// match wins; lookups are per connection or per new destination (paths are cached), not per packet.

import type { Limits } from "../../base/limits.ts";
import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";

export interface RouteConfig {
  dst: IpAddr;
  prefixBits: number;
  /** null: on the link. */
  gateway: IpAddr | null;
  nicId: number;
  metric?: number;
  /** Preferred source address. */
  src?: IpAddr | null;
  mtu?: number;
  advmss?: number;
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
  readonly metric: number;
  readonly src: IpAddr | null;
  readonly mtu: number;
  readonly advmss: number;
  readonly origin: number;

  constructor(config: RouteConfig) {
    this.prefixBits = config.prefixBits;
    this.bits = config.dst.isV4 ? config.prefixBits + 96 : config.prefixBits;
    this.dst = maskAddr(config.dst, this.bits);
    this.gateway = config.gateway?.clone() ?? null;
    this.nicId = config.nicId;
    this.metric = config.metric ?? 0;
    this.src = config.src?.clone() ?? null;
    this.mtu = config.mtu ?? 0;
    this.advmss = config.advmss ?? 0;
    this.origin = config.origin ?? 3;
  }
}

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

export class RouteTable {
  readonly #limits: Limits;
  readonly #entries: RouteEntry[] = [];
  /** Goes up with every change; a cached path with another number is looked up anew. */
  generation = 1;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get entries(): readonly RouteEntry[] {
    return this.#entries;
  }

  add(config: RouteConfig): NetError | 0 {
    if (config.prefixBits < 0 || config.prefixBits > (config.dst.isV4 ? 32 : 128)) {
      return NetErr.InvalidArgument;
    }
    const entry = this.insert(config);
    return typeof entry === "number" ? entry : 0;
  }

  /** As add, but the entry: for who will take it out again. */
  insert(config: RouteConfig): RouteEntry | NetError {
    if (this.#entries.length >= this.#limits.routes) return NetErr.NoBuffers;
    const entry = new RouteEntry(config);
    let at = 0;
    while (at < this.#entries.length && !before(entry, this.#entries[at])) at++;
    this.#entries.splice(at, 0, entry);
    this.generation++;
    return entry;
  }

  remove(entry: RouteEntry): boolean {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return false;
    this.#entries.splice(at, 1);
    this.generation++;
    return true;
  }

  removeNic(nicId: number): void {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      if (this.#entries[i].nicId === nicId) this.#entries.splice(i, 1);
    }
    this.generation++;
  }

  /** nicId 0: any. */
  lookup(dst: IpAddr, nicId: number): RouteEntry | null {
    const v4 = dst.isV4;
    for (const entry of this.#entries) {
      if (nicId !== 0 && entry.nicId !== nicId) continue;
      if (entry.dst.isV4 !== v4 && (v4 || entry.bits > 0)) continue;
      // An IPv6 default route (bits 0) must not take IPv4: in the mapped form it would match everything.
      if (v4 && entry.bits < 96) continue;
      if (inPrefix(dst, entry.dst, entry.bits)) return entry;
    }
    return null;
  }
}

function before(a: RouteEntry, b: RouteEntry): boolean {
  return a.bits > b.bits || (a.bits === b.bits && a.metric < b.metric);
}
