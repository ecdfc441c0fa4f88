// IPv6 on one NIC: its addresses from tentative to expired (RFC 4862), its groups, and the parts that speak
// for it: Neighbour Discovery (ndp.ts), router discovery (router-discovery.ts), listener reports (mld.ts).
// Exists only where IPv6 was asked for; a NIC without it sends and takes no IPv6 packet.

import { SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";
import { ETHERTYPE_IPV6, multicastMacV6 } from "../wire/ethernet.ts";
import { finishIcmp6, MLD_QUERY } from "../wire/icmpv6.ts";
import { PROTO_ICMPV6 } from "../wire/ipv4.ts";
import { IPV6_HEADER, NEXT_HOP_BY_HOP, writeIpv6 } from "../wire/ipv6.ts";
import { InterfaceIds } from "./interface-ids.ts";
import { Mld } from "./mld.ts";
import { ALL_ROUTERS, isLinkLocal, solicitedNode } from "./multicast-groups.ts";
import { Ndp } from "./ndp.ts";
import type { Nic } from "./nic.ts";
import { NicAddress } from "./nic-address.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { RouterDiscovery } from "./router-discovery.ts";
import type { Stack } from "./stack.ts";

export interface Ipv6Config {
  /** static: given and link-local addresses only. auto: also what routers advertise. off: no IPv6. */
  mode: "off" | "static" | "auto";
  /** RFC 4862 5.4; default true. False: addresses are usable at once. */
  duplicateAddressDetection?: boolean;
  /** Default: as mode says. */
  acceptRouterAdvertisements?: boolean;
  /** RFC 8981; default false, as in Linux. */
  temporaryAddresses?: boolean;
}

export interface AddressLifetime {
  /** Monotonic ns; Infinity: for ever. */
  preferredUntilNs: number;
  validUntilNs: number;
  /** RFC 8981: its lifetimes then are also caps, whatever its prefix's become. */
  temporary: boolean;
  preferredCapNs?: number;
  validCapNs?: number;
  /** Whether it brings its on-link route. False: made from a prefix that a router advertised. */
  onLink: boolean;
  /** Makes the next address when this one turns out to be taken; null: there is none. */
  next: (() => IpAddr | null) | null;
}

export const FOREVER: AddressLifetime = {
  preferredUntilNs: Number.POSITIVE_INFINITY,
  validUntilNs: Number.POSITIVE_INFINITY,
  temporary: false,
  onLink: true,
  next: null,
};

/** An address whose owner is not known yet. */
export class TentativeAddress {
  readonly addr: IpAddr;
  readonly prefixBits: number;
  readonly lifetime: AddressLifetime;
  readonly nonce = new Uint8Array(6);
  probesLeft = 1;
  readonly timer: Timer;

  constructor(addr: IpAddr, prefixBits: number, lifetime: AddressLifetime, onTimer: () => void) {
    this.addr = addr.clone();
    this.prefixBits = prefixBits;
    this.lifetime = lifetime;
    this.timer = new Timer(onTimer);
  }
}

const UNSPECIFIED = new IpAddr();
const LINK_LOCAL_PREFIX = new IpAddr();
LINK_LOCAL_PREFIX.w0 = 0xfe80_0000 | 0;

const RETRANSMIT_NS = 1 * SECOND;
/** RFC 4862 5.4.2. */
const START_DELAY_NS = 1 * SECOND;
/** RFC 7217 6. */
const ADDRESS_RETRIES = 3;
const ADDRESSES_MAX = 64;
/** Hop-by-hop header with the router alert option, value MLD (RFC 2711). */
const ROUTER_ALERT = [PROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0];

export class Ipv6Interface {
  readonly nic: Nic;
  readonly config: Ipv6Config;
  readonly stack: Stack;
  readonly ndp: Ndp;
  readonly mld: Mld;
  readonly routers: RouterDiscovery;
  readonly ids: InterfaceIds;
  readonly tentative: TentativeAddress[] = [];
  readonly temporaryAddresses: boolean;
  readonly acceptsAdvertisements: boolean;
  /** What a router said, never above the link's. */
  mtu: number;
  readonly #detectsDuplicates: boolean;
  readonly #solicited = new IpAddr();
  readonly #mac = new Uint8Array(6);
  readonly #expiry = new Timer((nowNs) => this.#expire(nowNs));

  constructor(nic: Nic, config: Ipv6Config) {
    this.nic = nic;
    this.config = config;
    this.stack = nic.stack;
    this.mtu = nic.mtu;
    this.#detectsDuplicates = config.duplicateAddressDetection ?? true;
    this.acceptsAdvertisements = config.acceptRouterAdvertisements ?? config.mode === "auto";
    this.temporaryAddresses = config.temporaryAddresses ?? false;
    this.ids = new InterfaceIds(this.stack.rng, nic.mac);
    this.ndp = new Ndp(this);
    this.mld = new Mld(this);
    this.routers = new RouterDiscovery(this);
  }

  /** Gives itself a link-local address; what else there is follows. */
  start(): void {
    this.stack.interfaces.addMulticastRoute(this.nic);
    if (this.stack.forwarding.v6) this.nic.joinGroup(ALL_ROUTERS);
    this.assignGenerated(LINK_LOCAL_PREFIX, 64, FOREVER);
  }

  close(): void {
    const { timers } = this.stack;
    for (const t of this.tentative) timers.disarm(t.timer);
    this.tentative.length = 0;
    timers.disarm(this.#expiry);
    this.mld.reporter.close();
    this.routers.close();
  }

  /** The link-local address, once it is ours. */
  get linkLocal(): IpAddr | null {
    for (const a of this.nic.addresses) if (!a.addr.isV4 && isLinkLocal(a.addr)) return a.addr;
    return null;
  }

  findTentative(addr: IpAddr): TentativeAddress | null {
    for (const t of this.tentative) if (t.addr.equals(addr)) return t;
    return null;
  }

  /** An address of prefix/64 with a stable opaque identifier (RFC 7217), another one if it is taken. */
  assignGenerated(prefix: IpAddr, prefixBits: number, lifetime: AddressLifetime): void {
    let tries = 0;
    const next = (): IpAddr | null =>
      tries > ADDRESS_RETRIES ? null : this.ids.stable(prefix, tries++);
    const addr = next();
    if (addr !== null) this.assign(addr, prefixBits, { ...lifetime, next });
  }

  // @rfc 4862 5.4 5.4.2
  /** Starts to use an address, after asking whether somebody has it. False: too many, or there already. */
  assign(addr: IpAddr, prefixBits: number, lifetime: AddressLifetime): boolean {
    if (this.nic.hasAddress(addr) || this.findTentative(addr) !== null) return false;
    if (this.nic.addresses.length + this.tentative.length >= ADDRESSES_MAX) return false;
    this.nic.joinGroup(solicitedNode(this.#solicited, addr));
    if (!this.#detectsDuplicates) {
      this.#own(addr, prefixBits, lifetime);
      return true;
    }
    const t: TentativeAddress = new TentativeAddress(addr, prefixBits, lifetime, () =>
      this.#probe(t),
    );
    this.stack.rng.fill(t.nonce, 0, t.nonce.length);
    this.tentative.push(t);
    const delay = this.stack.rng.below(START_DELAY_NS);
    this.stack.timers.arm(t.timer, this.stack.clock.monotonicNs() + delay);
    return true;
  }

  #probe(t: TentativeAddress): void {
    if (t.probesLeft > 0) {
      t.probesLeft--;
      this.ndp.sendDuplicateProbe(t);
      this.stack.timers.arm(t.timer, this.stack.clock.monotonicNs() + RETRANSMIT_NS);
      return;
    }
    this.#dropTentative(t);
    this.#own(t.addr, t.prefixBits, t.lifetime);
  }

  // @rfc 4862 5.4.5
  /** Somebody else has it, or wants it at the same moment (RFC 4862 5.4.5). */
  onDuplicate(t: TentativeAddress): void {
    this.stack.counters.ndpConflicts++;
    this.#dropTentative(t);
    this.nic.leaveGroup(solicitedNode(this.#solicited, t.addr));
    const other = t.lifetime.next?.() ?? null;
    if (other !== null) this.assign(other, t.prefixBits, t.lifetime);
  }

  #dropTentative(t: TentativeAddress): void {
    this.stack.timers.disarm(t.timer);
    const at = this.tentative.indexOf(t);
    if (at >= 0) this.tentative.splice(at, 1);
  }

  #own(addr: IpAddr, prefixBits: number, lifetime: AddressLifetime): void {
    const owned = new NicAddress(addr, prefixBits);
    owned.preferredUntilNs = lifetime.preferredUntilNs;
    owned.validUntilNs = lifetime.validUntilNs;
    owned.temporary = lifetime.temporary;
    owned.preferredCapNs = lifetime.preferredCapNs ?? Number.POSITIVE_INFINITY;
    owned.validCapNs = lifetime.validCapNs ?? Number.POSITIVE_INFINITY;
    owned.isAuto = !lifetime.onLink;
    this.stack.interfaces.own(this.nic, owned, lifetime.onLink);
    this.armExpiry();
    if (isLinkLocal(addr) && this.acceptsAdvertisements) this.routers.start();
  }

  /** Takes an address away: removed by its owner, or expired. */
  release(addr: IpAddr): void {
    const t = this.findTentative(addr);
    if (t !== null) this.#dropTentative(t);
    this.nic.leaveGroup(solicitedNode(this.#solicited, addr));
  }

  /** After a lifetime changed. */
  armExpiry(): void {
    let next = this.routers.nextExpiryNs();
    for (const a of this.nic.addresses) if (!a.addr.isV4) next = Math.min(next, a.validUntilNs);
    if (next === Number.POSITIVE_INFINITY) this.stack.timers.disarm(this.#expiry);
    else this.stack.timers.arm(this.#expiry, next);
  }

  #expire(nowNs: number): void {
    for (const a of [...this.nic.addresses]) {
      if (!a.addr.isV4 && a.validUntilNs <= nowNs)
        this.stack.interfaces.removeAddress(this.nic, a.addr);
    }
    this.routers.expire(nowNs);
    this.armExpiry();
  }

  onGroupQuery(pkt: PacketBuffer): void {
    if (pkt.bytes[pkt.l4] === MLD_QUERY) this.mld.onQuery(pkt);
  }

  /** An MLD message [pkt.start, pkt.end): hop limit 1, router alert. Takes the packet. */
  sendGroupMessage(pkt: PacketBuffer, dst: IpAddr): void {
    const src = this.linkLocal ?? UNSPECIFIED;
    finishIcmp6(pkt.bytes, pkt.start, pkt.end - pkt.start, src, dst);
    pkt.start -= ROUTER_ALERT.length;
    for (let i = 0; i < ROUTER_ALERT.length; i++) pkt.bytes[pkt.start + i] = ROUTER_ALERT[i];
    this.#transmit(pkt, src, dst, NEXT_HOP_BY_HOP, 1, null);
  }

  /** A Neighbour Discovery message: hop limit 255. mac null: dst is a group. Takes the packet. */
  sendNdp(pkt: PacketBuffer, src: IpAddr, dst: IpAddr, mac: Uint8Array | null): void {
    finishIcmp6(pkt.bytes, pkt.start, pkt.end - pkt.start, src, dst);
    this.#transmit(pkt, src, dst, PROTO_ICMPV6, 255, mac);
  }

  #transmit(
    pkt: PacketBuffer,
    src: IpAddr,
    dst: IpAddr,
    next: number,
    hopLimit: number,
    mac: Uint8Array | null,
  ): void {
    const payload = pkt.end - pkt.start;
    pkt.start -= IPV6_HEADER;
    pkt.l3 = pkt.start;
    writeIpv6(pkt.bytes, pkt.start, payload, 0, next, hopLimit, src, dst);
    const counters = this.stack.counters;
    counters.icmp6OutMsgs++;
    counters.ip6OutRequests++;
    counters.ip6OutOctets += IPV6_HEADER + payload;
    if (mac === null) multicastMacV6(this.#mac, dst);
    this.nic.transmit(pkt, mac ?? this.#mac, ETHERTYPE_IPV6);
  }
}
