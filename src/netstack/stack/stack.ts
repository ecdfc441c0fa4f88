// The stack: NICs, routes, the network layer and the transports over it, and the order in which they run.
// One thread, no callbacks out but endpoints' onReadiness. Packets come in by a link's deliver(), time by
// runTimers(), calls by endpoints; whatever that made the stack send to itself runs in runPending().
//
// The owner's loop: after every event (frame, timer, call of an endpoint) runPending(); sleep until
// nextDeadlineNs(). Given a shared TimerQueue, its owner may run it instead of runTimers().

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Macs } from "../../base/macs.ts";
import type { Rng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import type { Endpoints } from "../endpoints.ts";
import { IcmpProtocol } from "../icmp/icmp.ts";
import { Icmp6Protocol } from "../icmp/icmp6.ts";
import type { IpAddr } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import { PacketTaps } from "../packet/packet.ts";
import { RawProtocol } from "../raw/raw.ts";
import { TcpProtocol } from "../tcp/tcp.ts";
import { UdpProtocol } from "../udp/udp.ts";
import { EXCEEDED_REASSEMBLY, ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import { EXCEEDED6_REASSEMBLY, ICMP6_TIME_EXCEEDED } from "../wire/icmpv6.ts";
import { Counters } from "./counters.ts";
import { SpareMemory } from "./datagram-queue.ts";
import { Departures } from "./departures.ts";
import { Forwarding } from "./forwarding.ts";
import { Ipv4Reassembler } from "./fragments-ipv4.ts";
import { Ipv6Reassembler } from "./fragments-ipv6.ts";
import { type AttachConfig, Interfaces } from "./interfaces.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import type { LinkEndpoint } from "./link-endpoint.ts";
import { LOOPBACK_MTU, Loopback } from "./loopback.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { copyPacket, PacketPool } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import { LOCALHOST, LOCALHOST6, PathCache } from "./path-cache.ts";
import { PathMtuCache } from "./path-mtu.ts";
import { PathQuestions } from "./path-questions.ts";
import { EphemeralPorts } from "./ports.ts";
import { RouteTables } from "./routes.ts";
import type { StackObserver } from "./stack-observer.ts";
import type { NetworkLayer, Route, TransportProtocol } from "./transport.ts";

export interface StackConfig {
  clock: Clock;
  /** Secure in production: ports, IDs and sequence numbers depend on it. */
  rng: Rng;
  limits: Limits;
  /** What TCP-AO computes with; without there are no algorithms. */
  macs?: Macs;
  /** Shared with the owner's own timers, or the stack's alone. */
  timers?: TimerQueue;
}

export class Stack extends PathQuestions implements NetworkLayer {
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
  readonly interfaces = new Interfaces(this);
  readonly nics: readonly Nic[] = this.interfaces.list;
  readonly loopback: Nic;
  readonly endpoints: Endpoints;
  /** IPv4 redirects of the router in use are followed (accept_redirects). */
  acceptsRedirects = true;
  /** Of one endpoint: groups, and sources of each (igmp_max_memberships, igmp_max_msf, mld_max_msf). */
  readonly groups = { membershipsMax: 20, membershipsMax6: 256, sourcesMax: 10, sourcesMax6: 64 };
  /**
   * IPv4 packets with source routes are taken and passed on (accept_source_route): where both the stack and the
   * interface that they come by have it. Off, as everywhere (RFC 7126); interfaces to come have it.
   */
  acceptsSourceRoutes = false;
  acceptsSourceRoutesByDefault = true;
  /** Called when packets to ourselves wait and no run is under way: see runPending. */
  onPending: (() => void) | null = null;
  /** Told of changes to interfaces, addresses, routes, rules and neighbours. */
  observer: StackObserver | null = null;
  /** Bytes in receive queues of datagram endpoints, against limits.socketMemoryBytes. */
  socketMemoryBytes = 0;
  readonly spareDatagramMemory = new SpareMemory();
  endpointCount = 0;

  readonly #pool = new PacketPool();
  readonly toOurselves = new Loopback(this);
  readonly departures = new Departures(this);
  protected readonly paths = new PathCache(this);
  #depth = 0;

  constructor(config: StackConfig) {
    super();
    this.clock = config.clock;
    this.rng = config.rng;
    this.limits = config.limits;
    this.timers = config.timers ?? new TimerQueue();
    const { clock, rng, limits, timers, counters } = this;
    this.routes = new RouteTables(limits, rng, {
      onRoute: (entry, isThere) => this.observer?.onRoute(entry, isThere),
      onRule: (rule, isThere) => this.observer?.onRule(rule, isThere),
    });
    this.pathMtu = new PathMtuCache(clock, timers);
    this.fragments = new Ipv4Reassembler(this, clock, timers, rng, limits, counters);
    this.fragments6 = new Ipv6Reassembler(this, clock, timers, rng, limits, counters);
    this.ephemeral = new EphemeralPorts(rng);
    this.ipv4 = new Ipv4(this);
    this.ipv6 = new Ipv6(this);
    this.forwarding = new Forwarding(this);
    this.raw = new RawProtocol(this);
    this.taps = new PacketTaps(this);
    this.icmp = new IcmpProtocol(this);
    this.icmp6 = new Icmp6Protocol(this);
    this.udp = new UdpProtocol(this);
    this.tcp = new TcpProtocol(this, { clock, timers, rng, limits, macs: config.macs });
    for (const p of [this.icmp, this.icmp6, this.udp, this.tcp]) this.protocols[p.protocol] = p;
    this.loopback = this.interfaces.add("lo", null, LOOPBACK_MTU);
    this.interfaces.addAddress(this.loopback, LOCALHOST, 8);
    this.interfaces.addAddress(this.loopback, LOCALHOST6, 128);
    this.endpoints = {
      tcp: (family) => this.tcp.newEndpoint(family),
      udp: (family) => this.udp.open(family),
      ping: (family) => this.icmp.pings.open(family),
      raw: (family, protocol) => this.raw.open(family, protocol),
      packet: (cooked, protocol) => this.taps.open(cooked, protocol),
    };
  }

  // --- Interfaces ---

  attach(link: LinkEndpoint, config: AttachConfig): Nic {
    const nic = this.interfaces.add(config.name, link, link.mtu, config.promiscuous);
    if (config.ipv6 !== undefined) this.interfaces.enableIpv6(nic, config.ipv6);
    for (const a of config.addresses) this.interfaces.addAddress(nic, a.addr, a.prefixBits);
    for (const route of config.routes ?? []) this.routes.add({ ...route, nicId: nic.id });
    return nic;
  }
  nicById(id: number): Nic | null {
    for (const nic of this.nics) if (nic.id === id) return nic;
    return null;
  }
  nicByName(name: string): Nic | null {
    for (const nic of this.nics) if (nic.name === name) return nic;
    return null;
  }

  isLocalAddress(addr: IpAddr): boolean {
    if (addr.isLoopback) return true;
    const nics = this.nics;
    for (let i = 0; i < nics.length; i++) if (nics[i].hasAddress(addr)) return true;
    return false;
  }

  /** One more endpoint, unless there are too many. close() gives it back. */
  countEndpoint(): boolean {
    if (this.endpointCount >= this.limits.sockets) return false;
    this.endpointCount++;
    return true;
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

  sendPacketAt(route: Route, pkt: PacketBuffer, noFragments: boolean, ns: number): NetError | 0 {
    return this.departures.hold(route, pkt, noFragments, ns);
  }

  get linkDrops(): number {
    return this.counters.dropLinkFull;
  }

  /** A packet with its IP header at pkt.start: to ourselves, to the link, or both. Takes the packet. */
  output(path: Path, pkt: PacketBuffer): void {
    if (path.isLoopback) {
      this.toOurselves.push(path.nic, pkt);
      return;
    }
    const loops = path.isMulticast && pkt.multicastLoop && path.nic.groups.isMember(path.dst);
    if (path.isBroadcast || loops) {
      const copy = this.allocPacket();
      copyPacket(copy, pkt);
      this.toOurselves.push(path.nic, copy);
    }
    path.nic.output(path, pkt);
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
    if (this.#depth === 0 && this.toOurselves.count > 0) this.runPending();
  }

  get hasPending(): boolean {
    return this.toOurselves.count > 0;
  }

  /** A packet to ourselves was put by: whoever runs us shall know, unless we get to it ourselves. */
  packetWaits(): void {
    if (this.#depth === 0) this.onPending?.();
  }

  /** Handles packets to ourselves, if we are not inside a run already. */
  runPending(): void {
    if (this.#depth > 0) return;
    this.#depth++;
    this.toOurselves.deliver();
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
    this.departures.close();
    this.interfaces.close();
  }
}
