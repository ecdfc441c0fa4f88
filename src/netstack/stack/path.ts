// A path: the answer of the route table for one (source, destination), with everything that sending
// needs at hand: NIC, next hop, neighbour entry, MTU. Endpoints keep theirs; the stack caches the rest.

import { type Family, IpAddr } from "../ip-addr.ts";
import type { NeighborEntry } from "./neighbor-entry.ts";
import type { Nic } from "./nic.ts";
import type { PathMtuCache } from "./path-mtu.ts";
import type { RouteTables } from "./routes.ts";
import type { HeaderOptions, Route } from "./transport.ts";

/** The largest packets there are (jumbograms aside): IPv6's length does not count its header. */
const IPV4_MAX = 65_535;
const IPV6_MAX = 65_575;

export class Path implements Route {
  readonly nic: Nic;
  readonly src = new IpAddr();
  readonly dst = new IpAddr();
  /** dst, or the router in front of it. */
  readonly nextHop = new IpAddr();
  readonly family: Family;
  readonly isLoopback: boolean;
  readonly isBroadcast: boolean;
  readonly isMulticast: boolean;
  readonly advmss: number;
  /** What it was looked up with. */
  readonly mark: number;
  /** Where its route was found, for reports. */
  readonly table: number;
  neighbor: NeighborEntry | null = null;
  /** IPv4 options or extension headers of every packet on it, and their bytes: see withOptions. */
  headerOptions: HeaderOptions | null = null;
  optionBytes = 0;
  /** Of the IP header, options and extension headers included. */
  headerBytes: number;
  /** Where the packets end, which is what checksums cover: dst, unless a source route leads on from there. */
  finalDst: IpAddr;
  #ipId: number;

  readonly #routes: RouteTables;
  #generation: number;
  readonly #pmtu: PathMtuCache;
  readonly #routeMtu: number;
  #pmtuGeneration = 0;
  #mtu = 0;
  #mtuLocked = false;

  constructor(
    nic: Nic,
    src: IpAddr,
    dst: IpAddr,
    nextHop: IpAddr,
    routes: RouteTables,
    pmtu: PathMtuCache,
    kind: {
      loopback: boolean;
      broadcast: boolean;
      mtu: number;
      advmss: number;
      mark: number;
      table: number;
    },
  ) {
    this.#ipId = nic.stack.rng.u32() & 0xffff;
    this.nic = nic;
    this.src.set(src);
    this.dst.set(dst);
    this.nextHop.set(nextHop);
    this.family = dst.family;
    this.headerBytes = this.family === 4 ? 20 : 40;
    this.finalDst = this.dst;
    this.isLoopback = kind.loopback;
    this.isBroadcast = kind.broadcast;
    this.isMulticast = dst.isMulticast;
    this.advmss = kind.advmss;
    this.mark = kind.mark;
    this.table = kind.table;
    this.#routeMtu = kind.mtu;
    this.#routes = routes;
    this.#generation = routes.generation;
    this.#pmtu = pmtu;
  }

  /**
   * The same way for packets with these options; with a source route it leads to the first hop, and the packets on to
   * `dst`.
   */
  withOptions(options: HeaderOptions, dst: IpAddr): Path {
    const path = this.#copy(this.src);
    path.headerOptions = options;
    path.optionBytes = options.length;
    path.headerBytes += options.length;
    if (options.hasSourceRoute) path.finalDst = dst.clone();
    return path;
  }

  /** The same way from another address. */
  withSource(src: IpAddr): Path {
    return this.#copy(src);
  }

  #copy(src: IpAddr): Path {
    const path = new Path(this.nic, src, this.dst, this.nextHop, this.#routes, this.#pmtu, {
      loopback: this.isLoopback,
      broadcast: this.isBroadcast,
      mark: this.mark,
      table: this.table,
      mtu: this.#routeMtu,
      advmss: this.advmss,
    });
    path.#generation = this.#generation;
    return path;
  }

  /** IPv4's ID for packets that are never fragmented. */
  nextId(): number {
    this.#ipId = (this.#ipId + 1) & 0xffff;
    return this.#ipId;
  }
  get nicId(): number {
    return this.nic.id;
  }
  get checksumOffload(): boolean {
    return this.nic.checksumOffload;
  }
  get gsoBytesMax(): number {
    // Who cuts a packet up does not know where a source route ends, nor of extension headers.
    return this.optionBytes > 0 ? 0 : this.nic.gsoBytesMax;
  }
  get isValid(): boolean {
    return this.#generation === this.#routes.generation;
  }
  /** A forged or tiny MTU claim: the packets go without DF. */
  get mtuLocked(): boolean {
    if (this.#pmtuGeneration !== this.#pmtu.generation) this.#readMtu();
    return this.#mtuLocked;
  }
  // @rfc 1122 3.3.3
  get mtu(): number {
    if (this.#pmtuGeneration !== this.#pmtu.generation) this.#readMtu();
    return this.#mtu;
  }

  /** Of the route and its interface, whatever ICMP said: what a router goes by (ip_forward_use_pmtu 0). */
  get linkMtu(): number {
    const { nic } = this;
    const mtu = this.family === 4 ? Math.min(nic.mtu, IPV4_MAX) : Math.min(nic.mtu6, IPV6_MAX);
    return this.#routeMtu > 0 ? Math.min(mtu, this.#routeMtu) : mtu;
  }

  #readMtu(): void {
    this.#pmtuGeneration = this.#pmtu.generation;
    const mtu = this.linkMtu;
    const learned = this.isLoopback ? null : this.#pmtu.find(this.dst);
    this.#mtuLocked = learned?.locked ?? false;
    this.#mtu = learned === null ? mtu : Math.min(mtu, learned.mtu);
  }
}
