// What routers advertise (RFC 4861 6.3, 4862 5.5): default routes, on-link prefixes, addresses of our own
// making (stable RFC 7217, temporary RFC 8981), the link's MTU, name servers (RFC 8106; surfaced, not used).
// Everything has a cap and a lifetime: a flood of advertisements holds a few kilobytes, then nothing.

import { u32 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import { IPV6, IpAddr } from "../ip-addr.ts";
import { IPV6_MIN_MTU } from "../wire/ipv6.ts";
import {
  OPTION_MTU,
  OPTION_PREFIX,
  OPTION_RDNSS,
  PREFIX_AUTONOMOUS,
  PREFIX_ON_LINK,
  raHopLimit,
  raLifetime,
  raReachableMs,
  raRetransmitMs,
} from "../wire/ndp.ts";
import type { Ipv6Interface } from "./ipv6-interface.ts";
import { ALL_ROUTERS, isLinkLocal } from "./multicast-groups.ts";
import type { NicAddress } from "./nic-address.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { inPrefix, maskAddr } from "./prefix.ts";
import { Redirects } from "./redirects.ts";
import type { RouteEntry } from "./route-entry.ts";

const ROUTERS_MAX = 16;
const PREFIXES_MAX = 16;
const NAME_SERVERS_MAX = 8;
const SOLICITS = 3;
const SOLICIT_INTERVAL_NS = 4 * SECOND;
const SOLICIT_DELAY_NS = 1 * SECOND;
const TWO_HOURS_NS = 7200 * SECOND;
const FOREVER_S = 0xffff_ffff;
/** As Linux's: worse than a configured route. */
const METRIC = 1024;
const ORIGIN_RA = 9;
/** RFC 8981 3.8. */
const TEMPORARY_PREFERRED_NS = 86_400 * SECOND;
const TEMPORARY_VALID_NS = 2 * TEMPORARY_PREFERRED_NS;
const REGENERATE_ADVANCE_NS = 5 * SECOND;
const ANY = new IpAddr();

interface Learned {
  readonly addr: IpAddr;
  route: RouteEntry | null;
  untilNs: number;
}
interface Prefix extends Learned {
  readonly bits: number;
  /** For temporary addresses: until when the prefix itself is preferred and valid, and the next one's time. */
  preferredUntilNs: number;
  validUntilNs: number;
  regenerateNs: number;
}

export class RouterDiscovery {
  readonly routers: Learned[] = [];
  readonly prefixes: Prefix[] = [];
  readonly nameServers: Learned[] = [];
  readonly redirects: Redirects;
  /** What routers advertise for new connections; 0: nothing said. */
  hopLimit = 0;
  readonly #if: Ipv6Interface;
  readonly #timer = new Timer(() => this.#solicit());
  #solicitsLeft = 0;

  constructor(iface: Ipv6Interface) {
    this.#if = iface;
    this.redirects = new Redirects(iface.stack);
  }

  /** Asks for routers: three times, until one answers. */
  start(): void {
    this.#solicitsLeft = SOLICITS;
    this.#armSolicit(this.#if.stack.rng.below(SOLICIT_DELAY_NS));
  }
  close(): void {
    this.#if.stack.timers.disarm(this.#timer);
  }
  #armSolicit(afterNs: number): void {
    const { timers, clock } = this.#if.stack;
    timers.arm(this.#timer, clock.monotonicNs() + afterNs);
  }
  // @rfc 4861 6.3.7
  #solicit(): void {
    const src = this.#if.linkLocal;
    if (src === null || this.#solicitsLeft <= 0) return;
    this.#solicitsLeft--;
    this.#if.ndp.sendRouterSolicit(src, ALL_ROUTERS);
    if (this.#solicitsLeft > 0) this.#armSolicit(SOLICIT_INTERVAL_NS);
  }

  // @rfc 4861 6.3.4b
  /** A checked advertisement at pkt.l4; its options from `options` on. */
  onAdvertisement(pkt: PacketBuffer, options: number): void {
    const iface = this.#if;
    const b = pkt.bytes;
    const nowNs = iface.stack.clock.monotonicNs();
    this.#solicitsLeft = 0;
    iface.stack.timers.disarm(this.#timer);
    if (raHopLimit(b, pkt.l4) !== 0) this.hopLimit = raHopLimit(b, pkt.l4);
    iface.nic.neighbors6.setTimes(raReachableMs(b, pkt.l4), raRetransmitMs(b, pkt.l4));
    this.#router(pkt.src, raLifetime(b, pkt.l4), nowNs);
    for (let at = options; at < pkt.end; at += b[at + 1] << 3) {
      const length = b[at + 1] << 3;
      if (b[at] === OPTION_PREFIX && length === 32) this.#prefix(b, at, nowNs);
      else if (b[at] === OPTION_MTU && length === 8) this.#mtu(u32(b, at + 4));
      else if (b[at] === OPTION_RDNSS && length >= 24) this.#nameServer(b, at, length, nowNs);
    }
    iface.armExpiry();
  }

  #mtu(mtu: number): void {
    const iface = this.#if;
    if (mtu < IPV6_MIN_MTU || mtu > iface.nic.mtu || mtu === iface.mtu) return;
    iface.mtu = mtu;
    iface.stack.pathMtu.generation++;
  }

  // @rfc 4861 6.3.4a
  #router(addr: IpAddr, lifetimeS: number, nowNs: number): void {
    const known = this.routers.find((r) => r.addr.equals(addr));
    if (lifetimeS === 0) {
      if (known !== undefined) this.#drop(this.routers, known);
      return;
    }
    const untilNs = nowNs + lifetimeS * SECOND;
    if (known !== undefined) {
      known.untilNs = untilNs;
      return;
    }
    if (this.routers.length >= ROUTERS_MAX) return;
    const route = this.#if.stack.routes.insert({
      dst: ANY,
      prefixBits: 0,
      gateway: addr,
      nicId: this.#if.nic.id,
      metric: METRIC,
      origin: ORIGIN_RA,
    });
    if (typeof route !== "number") this.routers.push({ addr: addr.clone(), route, untilNs });
  }

  /** No router any more (its neighbour advertisement says so). */
  forget(addr: IpAddr): void {
    const known = this.routers.find((r) => r.addr.equals(addr));
    if (known !== undefined) this.#drop(this.routers, known);
  }

  #drop<T extends Learned>(from: T[], what: T): void {
    from.splice(from.indexOf(what), 1);
    if (what.route !== null) this.#if.stack.routes.remove(what.route);
  }

  // @rfc 4862 5.5.3b
  #prefix(b: Uint8Array, at: number, nowNs: number): void {
    const bits = b[at + 2];
    const flags = b[at + 3];
    const validS = u32(b, at + 4);
    const preferredS = u32(b, at + 8);
    if (bits > 128 || preferredS > validS) return;
    const net = maskAddr(new IpAddr().read(b, at + 16, IPV6), bits);
    if (isLinkLocal(net) || net.isMulticast) return;
    let prefix = this.prefixes.find((p) => p.bits === bits && p.addr.equals(net));
    if (prefix === undefined) {
      if (this.prefixes.length >= PREFIXES_MAX || validS === 0) return;
      prefix = {
        addr: net,
        bits,
        route: null,
        untilNs: 0,
        preferredUntilNs: 0,
        validUntilNs: 0,
        regenerateNs: Number.POSITIVE_INFINITY,
      };
      this.prefixes.push(prefix);
    }
    prefix.untilNs = after(nowNs, validS);
    if ((flags & PREFIX_ON_LINK) !== 0) this.#onLink(prefix, validS);
    if ((flags & PREFIX_AUTONOMOUS) !== 0 && bits === 64) {
      this.#addresses(prefix, validS, preferredS, nowNs);
    }
  }

  #onLink(prefix: Prefix, validS: number): void {
    const routes = this.#if.stack.routes;
    if (validS === 0) {
      if (prefix.route !== null) routes.remove(prefix.route);
      prefix.route = null;
      return;
    }
    if (prefix.route !== null) return;
    const route = routes.insert({
      dst: prefix.addr,
      prefixBits: prefix.bits,
      gateway: null,
      nicId: this.#if.nic.id,
      metric: 256,
      origin: ORIGIN_RA,
    });
    if (typeof route !== "number") prefix.route = route;
  }

  // @rfc 4862 5.5.3a
  /** RFC 4862 5.5.3: new addresses, or new lifetimes for those there are. */
  #addresses(prefix: Prefix, validS: number, preferredS: number, nowNs: number): void {
    const iface = this.#if;
    const mine = iface.nic.addresses.filter(
      (a) => !a.addr.isV4 && a.isAuto && inPrefix(a.addr, prefix.addr, 64),
    );
    const waiting = iface.tentative.some((t) => inPrefix(t.addr, prefix.addr, 64));
    prefix.preferredUntilNs = after(nowNs, preferredS);
    prefix.validUntilNs = after(nowNs, validS);
    for (const a of mine) refresh(a, validS, prefix.preferredUntilNs, nowNs);
    if (waiting || validS === 0) return;
    if (mine.length > 0) {
      const inUse = mine.some((a) => a.temporary && a.preferredUntilNs > nowNs);
      if (this.#if.temporaryAddresses && !inUse) this.#temporary(prefix, nowNs);
      return;
    }
    iface.assignGenerated(prefix.addr, 64, {
      preferredUntilNs: prefix.preferredUntilNs,
      validUntilNs: prefix.validUntilNs,
      temporary: false,
      onLink: false,
      next: null,
    });
    if (iface.temporaryAddresses) this.#temporary(prefix, nowNs);
  }

  // @rfc 8981 3.4
  /** RFC 8981 3.4: another temporary address, and the time for the one after it. */
  #temporary(prefix: Prefix, nowNs: number): void {
    const { ids, stack } = this.#if;
    const desyncNs = (stack.rng.u32() / 0x1_0000_0000) * 0.4 * TEMPORARY_PREFERRED_NS;
    const preferredCapNs = nowNs + TEMPORARY_PREFERRED_NS - desyncNs;
    const validCapNs = nowNs + TEMPORARY_VALID_NS;
    const preferred = Math.min(prefix.preferredUntilNs, preferredCapNs);
    // A preferred lifetime no longer than the advance would make one address after the other.
    if (preferred <= nowNs + REGENERATE_ADVANCE_NS) return;
    prefix.regenerateNs = preferredCapNs - REGENERATE_ADVANCE_NS;
    let tries = 0;
    const next = (): IpAddr | null => (tries++ > 3 ? null : ids.temporary(prefix.addr));
    const addr = next();
    if (addr === null) return;
    this.#if.assign(addr, 64, {
      preferredUntilNs: preferred,
      validUntilNs: Math.min(prefix.validUntilNs, validCapNs),
      temporary: true,
      preferredCapNs,
      validCapNs,
      onLink: false,
      next,
    });
  }

  #nameServer(b: Uint8Array, at: number, length: number, nowNs: number): void {
    const untilNs = after(nowNs, u32(b, at + 4));
    for (let i = at + 8; i + 16 <= at + length; i += 16) {
      const addr = new IpAddr().read(b, i, IPV6);
      const known = this.nameServers.find((s) => s.addr.equals(addr));
      if (untilNs <= nowNs) {
        if (known !== undefined) this.#drop(this.nameServers, known);
      } else if (known !== undefined) known.untilNs = untilNs;
      else if (this.nameServers.length < NAME_SERVERS_MAX && !addr.isMulticast) {
        this.nameServers.push({ addr, route: null, untilNs });
      }
    }
  }

  nextExpiryNs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const r of this.routers) next = Math.min(next, r.untilNs);
    for (const s of this.nameServers) next = Math.min(next, s.untilNs);
    for (const p of this.prefixes) next = Math.min(next, p.untilNs, p.regenerateNs);
    return next;
  }

  expire(nowNs: number): void {
    for (const r of [...this.routers]) if (r.untilNs <= nowNs) this.#drop(this.routers, r);
    for (const s of [...this.nameServers]) if (s.untilNs <= nowNs) this.#drop(this.nameServers, s);
    for (const p of [...this.prefixes]) {
      if (p.untilNs <= nowNs) this.#drop(this.prefixes, p);
      else if (p.regenerateNs <= nowNs) {
        p.regenerateNs = Number.POSITIVE_INFINITY;
        this.#temporary(p, nowNs);
      }
    }
  }
}

const after = (nowNs: number, seconds: number): number =>
  seconds === FOREVER_S ? Number.POSITIVE_INFINITY : nowNs + seconds * SECOND;

// @rfc 4862 5.5.3c
/** RFC 4862 5.5.3 e: no stranger may end a valid lifetime within two hours. */
function refresh(a: NicAddress, validS: number, preferredUntilNs: number, nowNs: number): void {
  a.preferredUntilNs = Math.min(preferredUntilNs, a.preferredCapNs);
  const untilNs = after(nowNs, validS);
  if (validS * SECOND > TWO_HOURS_NS || untilNs > a.validUntilNs) a.validUntilNs = untilNs;
  else a.validUntilNs = Math.min(a.validUntilNs, nowNs + TWO_HOURS_NS);
  a.validUntilNs = Math.min(a.validUntilNs, a.validCapNs);
}
