// The stack: NICs, routes, the network layer and the transports over it, and the order in which they run.
// One thread, no callbacks out but endpoints' onReadiness. Packets come in by a link's deliver(), time by
// runTimers(), calls by endpoints; whatever that made the stack send to itself runs in runPending().
//
// The owner's loop: after every event (frame, timer, call of an endpoint) runPending(); sleep until
// nextDeadlineNs(). Given a shared TimerQueue, its owner may run it instead of runTimers().

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import type { Endpoints } from "../endpoints.ts";
import { IcmpProtocol } from "../icmp/icmp.ts";
import { Icmp6Protocol } from "../icmp/icmp6.ts";
import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { PacketTaps } from "../packet/packet.ts";
import { RawProtocol } from "../raw/raw.ts";
import { TcpProtocol } from "../tcp/tcp.ts";
import { UdpProtocol } from "../udp/udp.ts";
import {
  ETH_HEADER,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethType,
  writeEthernet,
} from "../wire/ethernet.ts";
import { EXCEEDED_REASSEMBLY, ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import { EXCEEDED6_REASSEMBLY, ICMP6_TIME_EXCEEDED } from "../wire/icmpv6.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import { IPV6_MIN_MTU } from "../wire/ipv6.ts";
import { Counters } from "./counters.ts";
import { SpareMemory } from "./datagram-queue.ts";
import { Forwarding } from "./forwarding.ts";
import { Ipv4Reassembler } from "./fragments-ipv4.ts";
import { Ipv6Reassembler } from "./fragments-ipv6.ts";
import { Ipv4 } from "./ipv4.ts";
import { hasIpOptions } from "./ipv4-options.ts";
import { Ipv6 } from "./ipv6.ts";
import { FOREVER, type Ipv6Config, Ipv6Interface } from "./ipv6-interface.ts";
import type { LinkEndpoint } from "./link-endpoint.ts";
import { LOOPBACK_MTU, LoopbackQueue } from "./loopback.ts";
import { Nic, NicAddress } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { copyPacket, PacketPool } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import { LOCALHOST, LOCALHOST6, PathCache } from "./path-cache.ts";
import { PathMtuCache } from "./path-mtu.ts";
import { EphemeralPorts } from "./ports.ts";
import { type RouteConfig, RouteTables } from "./routes.ts";
import type { StackObserver } from "./stack-observer.ts";
import type { NetworkLayer, Route, TransportProtocol } from "./transport.ts";

export interface StackConfig {
  clock: Clock;
  /** Secure in production: ports, IDs and sequence numbers depend on it. */
  rng: Rng;
  limits: Limits;
  /** Shared with the owner's own timers, or the stack's alone. */
  timers?: TimerQueue;
}

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

/** Packets to ourselves handled in one runPending: the rest waits for the next, so that others run too. */
const PENDING_MAX = 2048;
/** So many of them have one time, where the clock stands still during a turn. */
const PENDING_PER_LOOK = 16;
const ROUTE_ORIGIN_KERNEL = 2;
/** ff00::/8. */
const ALL_GROUPS6 = new IpAddr();
ALL_GROUPS6.w0 = 0xff00_0000 | 0;
const MULTICAST_METRIC = 256;
const IPV4_MIN_MTU = 68;

export class Stack implements NetworkLayer {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limits: Limits;
  readonly timers: TimerQueue;
  readonly counters = new Counters();
  readonly routes: RouteTables;
  readonly pathMtu: PathMtuCache;
  readonly fragments: Ipv4Reassembler;
  readonly fragments6: Ipv6Reassembler;
  readonly ephemeral: EphemeralPorts;
  /** By IP protocol number. */
  readonly protocols: (TransportProtocol | null)[] = new Array(256).fill(null);
  readonly ipv4: Ipv4;
  readonly ipv6: Ipv6;
  readonly forwarding: Forwarding;
  readonly icmp: IcmpProtocol;
  readonly icmp6: Icmp6Protocol;
  readonly udp: UdpProtocol;
  readonly raw: RawProtocol;
  readonly taps: PacketTaps;
  readonly tcp: TcpProtocol;
  readonly loopback: Nic;
  readonly endpoints: Endpoints;
  /** IPv4 redirects of the router in use are followed (accept_redirects). */
  acceptsRedirects = true;
  /** Of one endpoint: groups, and sources of each (igmp_max_memberships, igmp_max_msf, mld_max_msf). */
  readonly groups = { membershipsMax: 20, membershipsMax6: 256, sourcesMax: 10, sourcesMax6: 64 };
  /** IPv4 packets with source routes are taken and passed on (accept_source_route); off, as everywhere (RFC 7126). */
  acceptsSourceRoutes = false;
  /** Called when packets to ourselves wait and no run is under way: see runPending. */
  onPending: (() => void) | null = null;
  /** Told of changes to interfaces, addresses, routes, rules and neighbours. */
  observer: StackObserver | null = null;
  /** Bytes in receive queues of datagram endpoints, against limits.socketMemoryBytes. */
  socketMemoryBytes = 0;
  readonly spareDatagramMemory = new SpareMemory();
  endpointCount = 0;

  readonly #nics: Nic[] = [];
  readonly #pool = new PacketPool();
  readonly #queue: LoopbackQueue;
  readonly #paths = new PathCache(this);
  #nextNicId = 1;
  #depth = 0;

  constructor(config: StackConfig) {
    this.clock = config.clock;
    this.rng = config.rng;
    this.limits = config.limits;
    this.timers = config.timers ?? new TimerQueue();
    const { clock, rng, limits, timers, counters } = this;
    this.routes = new RouteTables(limits, {
      onRoute: (entry, isThere) => this.observer?.onRoute(entry, isThere),
      onRule: (rule, isThere) => this.observer?.onRule(rule, isThere),
    });
    this.pathMtu = new PathMtuCache(clock, timers);
    this.fragments = new Ipv4Reassembler(this, clock, timers, rng, limits, counters);
    this.fragments6 = new Ipv6Reassembler(this, clock, timers, rng, limits, counters);
    this.ephemeral = new EphemeralPorts(rng);
    this.#queue = new LoopbackQueue(counters);
    this.ipv4 = new Ipv4(this);
    this.ipv6 = new Ipv6(this);
    this.forwarding = new Forwarding(this);
    this.raw = new RawProtocol(this);
    this.taps = new PacketTaps(this);
    this.icmp = new IcmpProtocol(this);
    this.icmp6 = new Icmp6Protocol(this);
    this.udp = new UdpProtocol(this);
    this.tcp = new TcpProtocol(this, { clock, timers, rng, limits });
    for (const p of [this.icmp, this.icmp6, this.udp, this.tcp]) this.protocols[p.protocol] = p;
    this.loopback = this.#addNic("lo", null, LOOPBACK_MTU, false);
    this.addAddress(this.loopback, LOCALHOST, 8);
    this.addAddress(this.loopback, LOCALHOST6, 128);
    this.endpoints = {
      tcp: (family) => this.tcp.newEndpoint(family),
      udp: (family) => this.udp.open(family),
      ping: (family) => this.icmp.pings.open(family),
      raw: (family, protocol) => this.raw.open(family, protocol),
      packet: (cooked, protocol) => this.taps.open(cooked, protocol),
    };
  }

  // --- Interfaces, addresses, routes ---

  get nics(): readonly Nic[] {
    return this.#nics;
  }
  nicById(id: number): Nic | null {
    for (const nic of this.#nics) if (nic.id === id) return nic;
    return null;
  }
  nicByName(name: string): Nic | null {
    for (const nic of this.#nics) if (nic.name === name) return nic;
    return null;
  }

  attach(link: LinkEndpoint, config: AttachConfig): Nic {
    const nic = this.#addNic(config.name, link, link.mtu, config.promiscuous ?? false);
    if (config.ipv6 !== undefined) this.enableIpv6(nic, config.ipv6);
    for (const { addr, prefixBits } of config.addresses) this.addAddress(nic, addr, prefixBits);
    for (const route of config.routes ?? []) this.routes.add({ ...route, nicId: nic.id });
    return nic;
  }

  #addNic(name: string, link: LinkEndpoint | null, mtu: number, promiscuous: boolean): Nic {
    const nic = new Nic(this, this.#nextNicId++, name, link, mtu, promiscuous);
    this.#nics.push(nic);
    this.routes.rules.bind((name) => this.nicByName(name)?.id ?? -1);
    this.observer?.onLink(nic);
    return nic;
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
    this.routes.add({
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
    this.enableIpv6(nic, { mode: "static" });
    if (nic.ipv6 === null) return NetErr.InvalidArgument;
    const begun = nic.ipv6.assign(addr, prefixBits, FOREVER);
    return begun ? 0 : NetErr.AddressInUse;
  }

  /** The address is ours from now on. */
  own(nic: Nic, owned: NicAddress, onLink: boolean): NetError | 0 {
    nic.addresses.push(owned);
    this.routes.generation++;
    this.observer?.onAddress(nic, owned, true);
    return onLink && nic.isUp ? this.#addOnLinkRoute(nic, owned) : 0;
  }

  #addOnLinkRoute(nic: Nic, { addr, prefixBits }: NicAddress): NetError | 0 {
    return this.routes.add({
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
    this.observer?.onAddress(nic, gone, false);
    const shared = nic.addresses.some((a) => a.bits === gone.bits && a.net.equals(gone.net));
    for (const entry of this.routes.tables.flatMap((t) => [...this.routes.entriesOf(t)])) {
      if (entry.nicId !== nic.id) continue;
      const brought =
        !addr.isV4 &&
        !shared &&
        entry.origin === ROUTE_ORIGIN_KERNEL &&
        entry.bits === gone.bits &&
        entry.dst.equals(gone.net);
      if (brought || entry.src?.equals(addr)) this.routes.remove(entry);
    }
    this.routes.generation++;
    return 0;
  }

  /** Not more than the link carries, nor less than IPv4's least (RFC 791), nor IPv6's where it is spoken. */
  setMtu(nic: Nic, mtu: number): NetError | 0 {
    const max = nic.link === null ? LOOPBACK_MTU : nic.link.mtu;
    const min = nic.ipv6 === null ? IPV4_MIN_MTU : IPV6_MIN_MTU;
    if (mtu < min || mtu > max) return NetErr.InvalidArgument;
    nic.mtu = mtu;
    this.routes.generation++;
    this.observer?.onLink(nic);
    return 0;
  }

  /** Down: its routes and neighbours go (fib_disable_ip). Up: the routes of its addresses come back. */
  setUp(nic: Nic, up: boolean): void {
    if (nic.isUp === up) return;
    nic.isUp = up;
    this.routes.generation++;
    this.observer?.onLink(nic);
    if (!up) {
      this.routes.removeNic(nic.id);
      nic.neighbors.clear();
      nic.neighbors6.clear();
      return;
    }
    for (const owned of nic.addresses) this.#addOnLinkRoute(nic, owned);
    if (nic.ipv6 !== null) this.addMulticastRoute(nic);
  }

  isLocalAddress(addr: IpAddr): boolean {
    if (addr.isLoopback) return true;
    const nics = this.#nics;
    for (let i = 0; i < nics.length; i++) if (nics[i].hasAddress(addr)) return true;
    return false;
  }

  /** As isLocalAddress, and also the groups and broadcasts that a datagram endpoint may bind. */
  mayBindAddress(addr: IpAddr, nicId: number): boolean {
    if (this.isLocalAddress(addr) || addr.isMulticast) return true;
    for (const nic of this.#nics) {
      if ((nicId === 0 || nic.id === nicId) && nic.isBroadcastAddress(addr)) return true;
    }
    return false;
  }

  /** Where a group is joined: by its index, or where the routes lead (ip_mc_find_dev). */
  groupNic(group: IpAddr, nicId: number): Nic | null {
    if (nicId !== 0) return this.nicById(nicId);
    const entry = this.routes.lookup(group, 0);
    return entry === null ? null : this.nicById(entry.nicId);
  }

  /** One more endpoint, unless there are too many. close() gives it back. */
  countEndpoint(): boolean {
    if (this.endpointCount >= this.limits.sockets) return false;
    this.endpointCount++;
    return true;
  }

  // --- Paths ---

  findRoute(src: IpAddr | null, dst: IpAddr, nicId = 0, mark = 0): Path | NetError {
    return this.#paths.find(src, dst, nicId, mark);
  }

  /** For a connection: with its source known, rules about sources have their say (ip_route_connect). */
  findConnectRoute(src: IpAddr | null, dst: IpAddr, nicId: number, mark: number): Path | NetError {
    const path = this.findRoute(src, dst, nicId, mark);
    if (src !== null || typeof path === "number") return path;
    const isPlain = this.routes.rules.of(dst.family) === null;
    return isPlain ? path : this.findRoute(path.src, dst, nicId, mark);
  }

  findOptionRoute(
    options: IpOptions | null,
    src: IpAddr | null,
    dst: IpAddr,
    nicId = 0,
    mark = 0,
  ): Path | NetError {
    if (options === null || options.length === 0) return this.findRoute(src, dst, nicId, mark);
    const to = options.hasSourceRoute ? new IpAddr().setV4(options.firstHop) : dst;
    const path = this.findRoute(src, to, nicId, mark);
    return typeof path === "number" ? path : path.withOptions(options, dst);
  }

  /** From where pkt went to where it came from; IPv4 options are echoed. */
  findReplyRoute(
    pkt: PacketBuffer,
    nicId = 0,
    mark = 0,
    from: IpAddr | null = pkt.dst,
  ): Path | NetError {
    if (!hasIpOptions(pkt)) return this.findRoute(from, pkt.src, nicId, mark);
    const echo = this.ipv4.options.echo(pkt);
    if (echo === null) return NetErr.InvalidArgument;
    return this.findOptionRoute(echo, from, pkt.src, nicId, mark);
  }

  // --- Packets ---

  allocPacket(): PacketBuffer {
    return this.#pool.take();
  }
  freePacket(pkt: PacketBuffer): void {
    this.#pool.give(pkt);
  }

  sendPacket(route: Route, pkt: PacketBuffer, dontFragment: boolean): NetError | 0 {
    const path = route as Path;
    if (path.family === 4) return this.ipv4.send(path, pkt, dontFragment);
    return this.ipv6.send(path, pkt, dontFragment);
  }

  get linkDrops(): number {
    return this.counters.dropLinkFull;
  }

  /** A packet with its IP header at pkt.start: to ourselves, to the link, or both. Takes the packet. */
  output(path: Path, pkt: PacketBuffer): void {
    if (path.isLoopback) {
      this.#toOurselves(path.nic, pkt);
      return;
    }
    const loops = path.isMulticast && pkt.multicastLoop && path.nic.groups.isMember(path.dst);
    if (path.isBroadcast || loops) {
      const copy = this.allocPacket();
      copyPacket(copy, pkt);
      this.#toOurselves(path.nic, copy);
    }
    path.nic.output(path, pkt);
  }

  #toOurselves(nic: Nic, pkt: PacketBuffer): void {
    nic.counters.txPackets++;
    nic.counters.txBytes += pkt.length;
    if (pkt.observer !== null || this.taps.count > 0) this.#showLoopback(nic, pkt, true);
    if (!this.#queue.push(nic, pkt)) {
      this.freePacket(pkt);
      return;
    }
    if (this.#depth === 0) this.onPending?.();
  }

  /** What a packet to ourselves looks like to observers and packet endpoints: behind a header of zeros. */
  #showLoopback(nic: Nic, pkt: PacketBuffer, isOutgoing: boolean): void {
    // Our own copy of a broadcast never crosses a link (Linux's PACKET_LOOPBACK is not shown either).
    if (!nic.isLoopback) return;
    const type = pkt.bytes[pkt.start] >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    pkt.start -= ETH_HEADER;
    writeEthernet(pkt.bytes, pkt.start, nic.mac, nic.mac, type);
    if (!isOutgoing) this.taps.incoming(nic, pkt);
    else {
      if (this.taps.count > 0) this.taps.outgoing(nic, pkt);
      pkt.observer?.onTransmit(pkt);
    }
    pkt.start += ETH_HEADER;
  }

  /** A frame made by a packet endpoint, l3 behind its Ethernet header. Takes the packet. */
  sendFrame(nic: Nic, pkt: PacketBuffer): void {
    if (!nic.isLoopback) {
      nic.transmitFrame(pkt);
      return;
    }
    const type = ethType(pkt.bytes, pkt.start);
    if (pkt.length > ETH_HEADER && (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6)) {
      pkt.start = pkt.l3;
      this.#toOurselves(nic, pkt);
    } else {
      this.counters.dropUnknownEtherType++;
      this.freePacket(pkt);
    }
  }

  confirmReachable(route: Route): void {
    const path = route as Path;
    if (path.neighbor !== null && !path.neighbor.removed) {
      path.nic.neighborsOf(path.family).confirm(path.neighbor);
    }
  }

  sendPortUnreachable(pkt: PacketBuffer): void {
    if (pkt.src.isV4) this.icmp.sendPortUnreachable(pkt);
    else this.icmp6.sendPortUnreachable(pkt);
  }

  reassemblyTimedOut(pkt: PacketBuffer): void {
    if (pkt.src.isV4) this.icmp.sendError(pkt, ICMP_TIME_EXCEEDED, EXCEEDED_REASSEMBLY, 0);
    else this.icmp6.sendError(pkt, ICMP6_TIME_EXCEEDED, EXCEEDED6_REASSEMBLY, 0);
  }

  // --- Order of running ---

  /** Around everything that comes from outside; the outermost leave() handles packets to ourselves. */
  enter(): void {
    this.#depth++;
  }
  leave(): void {
    this.#depth--;
    if (this.#depth === 0 && this.#queue.count > 0) this.runPending();
  }

  get hasPending(): boolean {
    return this.#queue.count > 0;
  }

  /** Handles packets to ourselves, if we are not inside a run already. */
  runPending(): void {
    if (this.#depth > 0) return;
    this.#depth++;
    const { context } = this.tcp;
    for (let i = 0; i < PENDING_MAX && this.#queue.count > 0; i++) {
      const nic = this.#queue.headNic as Nic;
      const pkt = this.#queue.shift() as PacketBuffer;
      nic.counters.rxPackets++;
      nic.counters.rxBytes += pkt.length;
      pkt.nicId = nic.id;
      pkt.linkBroadcast = false;
      if (i % PENDING_PER_LOOK === PENDING_PER_LOOK - 1) this.clock.refresh?.();
      context.arrivalNs = pkt.timeNs = this.clock.monotonicNs();
      if (this.taps.count > 0) this.#showLoopback(nic, pkt, false);
      if (pkt.bytes[pkt.l3] >>> 4 === 6) this.ipv6.input(nic, pkt, true);
      else this.ipv4.input(nic, pkt, true);
      this.freePacket(pkt);
    }
    context.arrivalNs = 0;
    this.#depth--;
  }

  /** Infinity when nothing is to be done. */
  nextDeadlineNs(): number {
    return this.timers.nextDeadlineNs();
  }

  runTimers(nowNs: number): void {
    this.enter();
    this.timers.runDue(nowNs);
    this.leave();
  }

  /** Everything is dropped; links are closed. */
  close(): void {
    this.tcp.close();
    for (const nic of this.#nics) {
      nic.ipv6?.close();
      nic.igmp?.reporter.close();
      nic.neighbors.clear();
      nic.neighbors6.clear();
      nic.link?.close();
    }
  }
}
