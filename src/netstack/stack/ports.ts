// Local ports. Which of them a bind may share (Linux's rules for SO_REUSEADDR and SO_REUSEPORT), and which
// one a connect gets: RFC 6056 algorithm 4, a keyed hash of the tuple plus a keyed per-bucket counter, so
// that a stranger can neither predict ports nor learn how many connections others make.

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";

export const EPHEMERAL_FIRST = 32_768;
export const EPHEMERAL_LAST = 60_999;
/** As many as Linux has since CVE-2022-32296: few enough collide that counting through them is hopeless. */
const BUCKETS = 65_536;

const NO_COUNTERS = new Uint32Array(0);

/** What asks whether a port would do: an endpoint with its addresses set. */
export interface PortProbe {
  isPortFree(port: number): boolean;
}

export class EphemeralPorts {
  readonly #rng: Rng;
  readonly #hash: KeyedHash;
  readonly #bucketHash: KeyedHash;
  /** From zero: where a tuple's ports begin is the keyed hash's secret. */
  #counters = NO_COUNTERS;
  /** As net.ipv4.ip_local_port_range. */
  first = EPHEMERAL_FIRST;
  last = EPHEMERAL_LAST;

  constructor(rng: Rng) {
    this.#rng = rng;
    this.#hash = new KeyedHash(rng);
    this.#bucketHash = new KeyedHash(rng);
  }

  // @rfc 6056 3.3.5
  /** A port for this tuple that probe accepts; 0 when every one is taken. */
  pick(local: IpAddr, remote: IpAddr, remotePort: number, probe: PortProbe, own = 0): number {
    const first = this.#first(own);
    const range = this.#last(own) - first + 1;
    const offset = this.#tuple(this.#hash, local, remote, remotePort);
    const bucket = this.#tuple(this.#bucketHash, local, remote, remotePort) % BUCKETS;
    // Made when the first port is picked: measured: 0.1 ms of a stack's start, of which simulations have thousands.
    if (this.#counters.length === 0) this.#counters = new Uint32Array(BUCKETS);
    // A random step (RFC 6056 3.3.5) keeps the counter itself from being read off.
    this.#counters[bucket] += 1 + this.#rng.below(8);
    const start = (offset + this.#counters[bucket]) % range;
    for (let i = 0; i < range; i++) {
      const port = first + ((start + i) % range);
      if (probe.isPortFree(port)) return port;
    }
    return 0;
  }

  /** For a bind to port 0: nothing about the peer is known, so it is plainly random. */
  pickAny(probe: PortProbe, own = 0): number {
    const first = this.#first(own);
    const range = this.#last(own) - first + 1;
    const start = this.#rng.below(range);
    for (let i = 0; i < range; i++) {
      const port = first + ((start + i) % range);
      if (probe.isPortFree(port)) return port;
    }
    return 0;
  }

  /** An endpoint's own bounds, low and high half of `own`, count where they lie within everybody's (IP_LOCAL_PORT_RANGE). */
  #first(own: number): number {
    const low = own & 0xffff;
    return this.first <= low && low <= this.last ? low : this.first;
  }
  #last(own: number): number {
    const high = own >>> 16;
    return this.#first(own) <= high && high <= this.last ? high : this.last;
  }

  #tuple(hash: KeyedHash, local: IpAddr, remote: IpAddr, remotePort: number): number {
    if (remote.isV4) return hash.three(local.w3, remote.w3, remotePort);
    hash.begin().add(local.w3).add(local.w1).add(local.w0);
    return hash.add(remote.w3).add(remote.w1).add(remote.w0).add(remotePort).end();
  }
}

/** A holder of a local port. The fields are read at each check. */
export interface PortOwner {
  readonly localAddr: IpAddr;
  readonly localPort: number;
  readonly options: {
    reuseAddress: boolean;
    reusePort: boolean;
    v6Only: boolean;
    boundNicId: number;
  };
  /** TCP: SO_REUSEADDR does not let anyone share with a listener. UDP: always false. */
  readonly isListening: boolean;
  /** The PortTable's own. */
  nextOnPort: PortOwner | null;
}

/** Whether two local addresses would both be given some packet. */
function overlap(a: PortOwner, addr: IpAddr, v6Only: boolean): boolean {
  if (a.localAddr.equals(addr)) return true;
  const anyA = a.localAddr.isUnspecified;
  const anyB = addr.isUnspecified;
  if (!anyA && !anyB) return false;
  if (a.localAddr.isV4 === addr.isV4) return true;
  // :: takes IPv4 too, unless it is v6-only.
  if (!a.localAddr.isV4) return anyA && !a.options.v6Only;
  return anyB && !v6Only;
}

const PAGE_BITS = 8;
const PAGE_PORTS = 1 << PAGE_BITS;
const EMPTY_PAGE: readonly null[] = new Array(PAGE_PORTS).fill(null);

/** Something for each port, in pages that are made when they are needed. measured: a sixth of a Map's time. */
export class ByPort<T> {
  readonly #pages: (readonly (T | null)[])[] = new Array(0x1_0000 >>> PAGE_BITS).fill(EMPTY_PAGE);

  /** Precondition, as of set(): 0 <= port <= 0xffff. */
  get(port: number): T | null {
    return this.#pages[port >>> PAGE_BITS][port & (PAGE_PORTS - 1)];
  }
  set(port: number, value: T | null): void {
    const i = port >>> PAGE_BITS;
    if (this.#pages[i] === EMPTY_PAGE) {
      if (value === null) return;
      this.#pages[i] = EMPTY_PAGE.slice();
    }
    (this.#pages[i] as (T | null)[])[port & (PAGE_PORTS - 1)] = value;
  }
}

/** Who holds a port, in the order in which they came. The list runs through the holders themselves. */
export class PortTable<T extends PortOwner> {
  readonly #first = new ByPort<T>();

  /** The first on a port, or null; next() leads to the others. */
  at(port: number): T | null {
    return this.#first.get(port);
  }
  next(holder: T): T | null {
    return holder.nextOnPort as T | null;
  }

  /** Whether `who` may have addr:port beside those who hold it (inet_csk_get_port, udp_lib_get_port). */
  mayBind(who: T, addr: IpAddr, port: number): boolean {
    const o = who.options;
    for (let other = this.at(port); other !== null; other = this.next(other)) {
      if (other === who || !overlap(other, addr, o.v6Only)) continue;
      const nic = other.options.boundNicId;
      if (nic !== 0 && o.boundNicId !== 0 && nic !== o.boundNicId) continue;
      if (o.reuseAddress && other.options.reuseAddress && !other.isListening && !who.isListening) {
        continue;
      }
      if (o.reusePort && other.options.reusePort) continue;
      return false;
    }
    return true;
  }

  add(who: T, port: number): NetError | 0 {
    if (port <= 0 || port > 0xffff) return NetErr.InvalidArgument;
    who.nextOnPort = null;
    let last = this.at(port);
    if (last === null) {
      this.#first.set(port, who);
      return 0;
    }
    for (let next = this.next(last); next !== null; next = this.next(last)) last = next;
    last.nextOnPort = who;
    return 0;
  }

  remove(who: T, port: number): void {
    let at = this.at(port);
    if (at === who) this.#first.set(port, this.next(who));
    else {
      while (at !== null && at.nextOnPort !== who) at = this.next(at);
      if (at === null) return;
      at.nextOnPort = who.nextOnPort;
    }
    who.nextOnPort = null;
  }
}
