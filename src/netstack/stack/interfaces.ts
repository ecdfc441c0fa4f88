// The interfaces of a stack and what changes of them: new ones, addresses with the routes that they bring, MTU, up and
// down. Not what passes through them (nic.ts), nor how an IPv6 address comes about (ipv6-interface.ts).
// Linux's devinet.c, addrconf.c and fib_frontend.c.

import { type Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { IPV6_MIN_MTU } from "../wire/ipv6.ts";
import { FOREVER, type Ipv6Config, Ipv6Interface } from "./ipv6-interface.ts";
import type { LinkEndpoint } from "./link-endpoint.ts";
import { LOOPBACK_MTU } from "./loopback.ts";
import { type NeighborEntry, NeighborState } from "./neighbor-entry.ts";
import type { HopOracle, NextHop } from "./next-hops.ts";
import { Nic } from "./nic.ts";
import { NicAddress } from "./nic-address.ts";
import type { RouteConfig } from "./route-entry.ts";
import type { Stack } from "./stack.ts";
import { VLAN_DEPTH_MAX, VlanLink, Vlans } from "./vlan.ts";

export interface AddressConfig {
  addr: IpAddr;
  prefixBits: number;
}

export interface AttachConfig {
  name: string;
  addresses: readonly AddressConfig[];
  /** Besides the on-link route that each address brings. dst and gateway; the NIC is this one. */
  routes?: readonly Omit<RouteConfig, "nicId">[];
  /** Takes packets to any address and may send from any: a gateway's inside. */
  promiscuous?: boolean;
  /** Default: static when an IPv6 address is among the addresses, otherwise off. */
  ipv6?: Ipv6Config;
}

export interface VlanConfig {
  name: string;
  /** 0 to VID_MAX. */
  vid: number;
  /** ETHERTYPE_8021Q or ETHERTYPE_8021AD. */
  protocol: number;
  isLoose?: boolean;
}

const ROUTE_ORIGIN_KERNEL = 2;
/** ff00::/8. */
const ALL_GROUPS6 = new IpAddr();
ALL_GROUPS6.w0 = 0xff00_0000 | 0;
const MULTICAST_METRIC = 256;
const IPV4_MIN_MTU = 68;

const parentOf = ({ link }: Nic): Nic | null => (link instanceof VlanLink ? link.parent : null);

export class Interfaces implements HopOracle {
  readonly list: Nic[] = [];
  readonly #stack: Stack;
  #nextNicId = 1;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** link null: the loopback. */
  add(name: string, link: LinkEndpoint | null, mtu: number, promiscuous = false): Nic {
    const nic = new Nic(this.#stack, this.#nextNicId++, name, link, mtu, promiscuous);
    this.#added(nic);
    return nic;
  }

  #added(nic: Nic): void {
    this.list.push(nic);
    this.#bindRules();
    this.#stack.observer?.onLink(nic, true);
  }

  /** A new interface, down, for frames of one VLAN of `parent`. */
  addVlan(parent: Nic, config: VlanConfig): Nic | NetError {
    const { name, vid, protocol, isLoose = false } = config;
    if (this.list.length >= this.#stack.limits.interfaces) return NetErr.NoBuffers;
    // What the loopback carries bears no Ethernet header.
    if (parent.isLoopback) return NetErr.NotSupported;
    if (parent.vlans?.find((protocol << 16) | vid)) return NetErr.AddressInUse;
    const link = new VlanLink(parent, protocol, vid, isLoose);
    if (link.depth > VLAN_DEPTH_MAX) return NetErr.NotSupported;
    parent.vlans ??= new Vlans();
    const nic = new Nic(this.#stack, this.#nextNicId++, name, link, parent.mtu, false);
    nic.isUp = false;
    parent.vlans.add(protocol, vid, nic);
    this.#added(nic);
    return nic;
  }

  /** With its VLANs, addresses and routes; whoever is bound to it hears of it (unregister_netdevice). */
  remove(nic: Nic): void {
    const stack = this.#stack;
    for (const vlan of nic.vlans?.all ?? []) this.remove(vlan);
    this.setUp(nic, false);
    for (const { addr } of [...nic.addresses]) this.removeAddress(nic, addr);
    stack.routes.removeNic(nic.id, true);
    nic.ipv6?.close();
    nic.igmp?.reporter.close();
    this.list.splice(this.list.indexOf(nic), 1);
    nic.link?.close();
    stack.taps.nicGone(nic.id);
    this.#bindRules();
    stack.observer?.onLink(nic, false);
  }

  #bindRules(): void {
    const stack = this.#stack;
    stack.routes.rules.bind((name) => stack.nicByName(name)?.id ?? -1);
  }

  // @rfc 8200 5
  /** From here on the NIC speaks IPv6: a link-local address first. Once per NIC. */
  enableIpv6(nic: Nic, config: Ipv6Config): void {
    if (config.mode === "off" || nic.isLoopback || nic.ipv6 !== null) return;
    // RFC 8200 5: a link that cannot carry 1280 bytes cannot carry IPv6.
    if (nic.mtu < IPV6_MIN_MTU) return;
    nic.ipv6 = new Ipv6Interface(nic, config);
    nic.ipv6.start();
  }

  /** Groups of every scope are reached by any NIC with IPv6. */
  addMulticastRoute(nic: Nic): void {
    this.#stack.routes.add({
      dst: ALL_GROUPS6,
      prefixBits: 8,
      gateway: null,
      nicId: nic.id,
      metric: MULTICAST_METRIC,
      origin: ROUTE_ORIGIN_KERNEL,
    });
  }

  /** With the on-link route of its prefix. An IPv6 address may be used once nobody else claims it. */
  addAddress(nic: Nic, addr: IpAddr, prefixBits: number): NetError | 0 {
    if (prefixBits < 0 || prefixBits > (addr.isV4 ? 32 : 128)) return NetErr.InvalidArgument;
    if (nic.hasAddress(addr)) return NetErr.AddressInUse;
    if (addr.isV4 || nic.isLoopback) return this.own(nic, new NicAddress(addr, prefixBits), true);
    this.enableIpv6(nic, parentOf(nic)?.ipv6?.config ?? { mode: "static" });
    if (nic.ipv6 === null) return NetErr.InvalidArgument;
    const begun = nic.ipv6.assign(addr, prefixBits, FOREVER);
    return begun ? 0 : NetErr.AddressInUse;
  }

  /** The address is ours from now on. */
  own(nic: Nic, owned: NicAddress, onLink: boolean): NetError | 0 {
    nic.addresses.push(owned);
    this.#stack.routes.generation++;
    this.#stack.observer?.onAddress(nic, owned, true);
    return onLink && nic.isUp ? this.#addOnLinkRoute(nic, owned) : 0;
  }

  #addOnLinkRoute(nic: Nic, { addr, prefixBits }: NicAddress): NetError | 0 {
    return this.#stack.routes.add({
      dst: addr,
      prefixBits,
      gateway: null,
      nicId: nic.id,
      // IPv6 chooses among all addresses of the NIC (RFC 6724).
      src: addr.isV4 ? addr : null,
      metric: addr.isV4 || nic.isLoopback ? 0 : MULTICAST_METRIC,
      origin: ROUTE_ORIGIN_KERNEL,
    });
  }

  removeAddress(nic: Nic, addr: IpAddr): NetError | 0 {
    const at = nic.addresses.findIndex((a) => a.addr.equals(addr));
    if (!addr.isV4) nic.ipv6?.release(addr);
    if (at < 0) return NetErr.AddressNotAvailable;
    const [gone] = nic.addresses.splice(at, 1);
    this.#stack.observer?.onAddress(nic, gone, false);
    const shared = nic.addresses.some((a) => a.bits === gone.bits && a.net.equals(gone.net));
    for (const entry of this.#stack.routes.tables.flatMap((t) => [
      ...this.#stack.routes.entriesOf(t),
    ])) {
      if (entry.nicId !== nic.id) continue;
      const brought =
        !addr.isV4 &&
        !shared &&
        entry.origin === ROUTE_ORIGIN_KERNEL &&
        entry.bits === gone.bits &&
        entry.dst.equals(gone.net);
      if (brought || entry.src?.equals(addr)) this.#stack.routes.remove(entry);
    }
    this.#stack.routes.generation++;
    return 0;
  }

  /** Not more than the link carries, nor less than IPv4's least (RFC 791), nor IPv6's where it is spoken. */
  setMtu(nic: Nic, mtu: number): NetError | 0 {
    const max = nic.link === null ? LOOPBACK_MTU : nic.link.mtu;
    const min = nic.ipv6 === null ? IPV4_MIN_MTU : IPV6_MIN_MTU;
    if (mtu < min || mtu > max) return NetErr.InvalidArgument;
    nic.mtu = mtu;
    if (nic.ipv6 !== null) nic.ipv6.mtu = mtu;
    this.#stack.routes.generation++;
    this.#stack.observer?.onLink(nic, true);
    // vlan_device_event, NETDEV_CHANGEMTU.
    for (const vlan of nic.vlans?.all ?? []) if (vlan.mtu > mtu) this.setMtu(vlan, mtu);
    return 0;
  }

  /** Down: its routes and neighbours go (fib_disable_ip). Up: the routes of its addresses come back. */
  setUp(nic: Nic, up: boolean): NetError | 0 {
    const { link } = nic;
    if (nic.isUp === up) return 0;
    // vlan_dev_open.
    const isBound = link instanceof VlanLink && !link.isLoose;
    if (up && isBound && !link.parent.isUp) return NetErr.NetworkDown;
    nic.isUp = up;
    this.#stack.routes.generation++;
    this.#stack.observer?.onLink(nic, true);
    if (up) this.#wake(nic);
    else {
      this.#stack.routes.removeNic(nic.id);
      nic.neighbors.clear();
      nic.neighbors6.clear();
    }
    // vlan_device_event: VLANs follow, down and up.
    for (const vlan of nic.vlans?.all ?? []) {
      if (!(vlan.link as VlanLink).isLoose) this.setUp(vlan, up);
    }
    return 0;
  }

  #wake(nic: Nic): void {
    this.#stack.routes.reviveNic(nic.id);
    for (const owned of nic.addresses) this.#addOnLinkRoute(nic, owned);
    if (nic.ipv6 !== null) this.addMulticastRoute(nic);
    // A VLAN speaks what its parent speaks.
    else {
      const config = parentOf(nic)?.ipv6?.config;
      if (config !== undefined) this.enableIpv6(nic, config);
    }
  }

  /** As isLocalAddress, and also the groups and broadcasts that a datagram endpoint may bind. */
  mayBindAddress(addr: IpAddr, nicId: number): boolean {
    if (this.#stack.isLocalAddress(addr) || addr.isMulticast) return true;
    for (const nic of this.list) {
      if ((nicId === 0 || nic.id === nicId) && nic.isBroadcastAddress(addr)) return true;
    }
    return false;
  }

  /** Where a group is joined: by its index, or where the routes lead (ip_mc_find_dev). */
  groupNic(group: IpAddr, nicId: number): Nic | null {
    if (nicId !== 0) return this.#stack.nicById(nicId);
    const entry = this.#stack.routes.lookup(group, 0);
    return entry === null ? null : this.#stack.nicById(entry.nicId);
  }

  // --- What a choice among several next hops asks ---

  /** IPv6 too, where Linux would hash anew once the source is known, and leave by a link that does not have it. */
  isSourceOf(hop: NextHop, src: IpAddr): boolean {
    const nic = this.#stack.nicById(hop.nicId);
    if (!src.isV4) return nic?.hasAddress(src) === true;
    return nic?.sourceFor(hop.gateway ?? src)?.equals(src) === true;
  }

  /** IPv4's rule is a setting; IPv6 leaves who failed (RFC 4861 6.3.6). */
  isAlive(hop: NextHop, family: Family): boolean {
    if (hop.gateway === null || (family === 4 && !this.#stack.routes.multipath.usesNeighbors)) {
      return true;
    }
    const entry = this.#stack.nicById(hop.nicId)?.neighborsOf(family).find(hop.gateway) ?? null;
    if (entry === null) return true;
    return family === 4 ? entry.hasMac : entry.state !== NeighborState.Failed;
  }

  /** A neighbour answers no more, or again: who goes by one of several hops chooses anew (ipv4_link_failure). */
  neighborChanged(entry: NeighborEntry): void {
    const { routes } = this.#stack;
    if (routes.multipath.count === 0) return;
    const says = NeighborState.Failed | NeighborState.Reachable | NeighborState.Stale;
    if ((entry.state & says) !== 0) routes.generation++;
  }

  close(): void {
    for (const nic of this.list) {
      nic.ipv6?.close();
      nic.igmp?.reporter.close();
      nic.neighbors.clear();
      nic.neighbors6.clear();
      nic.link?.close();
    }
  }
}
