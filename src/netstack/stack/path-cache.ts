// The answer of the route table for one (source, destination, interface), kept until a route or an address
// changes: what an endpoint asks for when it connects, and a transport for each packet without a connection. Where
// routes depend on ports, protocol, owner or class of a flow nothing is kept: endpoints have their own.

import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { FlowKey } from "./flow-key.ts";
import type { Nic } from "./nic.ts";
import { Path } from "./path.ts";
import { TABLE_LOCAL, TABLE_MAIN } from "./route-entry.ts";
import { LOCAL_ROUTE } from "./routes.ts";
import type { Stack } from "./stack.ts";

const PATHS_MAX = 1024;
const ANY_V4 = IpAddr.v4(0, 0, 0, 0);
export const LOCALHOST = IpAddr.v4(127, 0, 0, 1);
export const LOCALHOST6 = new IpAddr();
LOCALHOST6.w3 = 1;

/** Whether it still holds, and for what is asked. */
const isFor = (path: Path, dst: IpAddr, nicId: number, mark: number): boolean =>
  path.isValid &&
  path.dst.equals(dst) &&
  (nicId === 0 || path.nicId === nicId) &&
  path.mark === mark;

export class PathCache {
  readonly #stack: Stack;
  readonly #paths = new Map<number, Path>();
  /** Of those whose source the routes chose. */
  readonly #freePaths = new Map<number, Path>();
  /** Found last, of either kind, of those for any interface. measured: half a lookup's time with few destinations. */
  #last: Path | null = null;
  #lastFree: Path | null = null;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  find(
    src: IpAddr | null,
    dst: IpAddr,
    nicId: number,
    mark: number,
    key: Readonly<FlowKey> | null,
  ): Path | NetError {
    if (this.#stack.routes.asksFlow) return this.#makePath(src, dst, nicId, mark, key);
    if (src === null) return this.#findFree(dst, nicId, mark);
    const last = this.#last;
    if (nicId === 0 && last !== null && isFor(last, dst, 0, mark) && last.src.equals(src))
      return last;
    const slot =
      dst.w3 ^ dst.w0 ^ Math.imul(dst.w1, 31) ^ Math.imul(src.w3, 0x9e3779b1) ^ mark ^ nicId;
    let path: Path | NetError | undefined = this.#paths.get(slot);
    if (path === undefined || !isFor(path, dst, nicId, mark) || !path.src.equals(src)) {
      path = this.#makePath(src, dst, nicId, mark, null);
      if (typeof path === "number") return path;
      if (this.#paths.size >= PATHS_MAX) this.#paths.clear();
      this.#paths.set(slot, path);
    }
    if (nicId === 0) this.#last = path;
    return path;
  }

  /** From whatever address the routes choose. IPv6's choice depends on the time as well: it is not kept. */
  #findFree(dst: IpAddr, nicId: number, mark: number): Path | NetError {
    if (!dst.isV4) return this.#makePath(null, dst, nicId, mark, null);
    const last = this.#lastFree;
    if (nicId === 0 && last !== null && isFor(last, dst, 0, mark)) return last;
    const key = dst.w3 ^ nicId ^ mark;
    let path: Path | NetError | undefined = this.#freePaths.get(key);
    if (path === undefined || !isFor(path, dst, nicId, mark)) {
      path = this.#makePath(null, dst, nicId, mark, null);
      if (typeof path === "number") return path;
      if (this.#freePaths.size >= PATHS_MAX) this.#freePaths.clear();
      this.#freePaths.set(key, path);
    }
    if (nicId === 0) this.#lastFree = path;
    return path;
  }

  // @rfc 1122 3.3.6
  #makePath(
    src: IpAddr | null,
    dst: IpAddr,
    nicId: number,
    mark: number,
    key: Readonly<FlowKey> | null,
  ): Path | NetError {
    const stack = this.#stack;
    const fixed = src === null || src.isUnspecified ? null : src;
    // Linux: a connection to 0.0.0.0 goes to this host.
    if (dst.isUnspecified) return this.#localPath(fixed, dst.isV4 ? LOCALHOST : LOCALHOST6, mark);
    if (fixed !== null && fixed.isV4 !== dst.isV4) return NetErr.NetworkUnreachable;
    const isLocal = stack.isLocalAddress(dst);
    const isPlain = stack.routes.rules.of(dst.family) === null;
    if (isLocal && isPlain) return this.#localPath(fixed, dst, mark);
    const flow = { dst, src: fixed, oif: nicId, iif: stack.loopback.id, mark, key };
    const found = stack.routes.resolve(flow, isLocal);
    if (found === LOCAL_ROUTE) return this.#localPath(fixed, dst, mark);
    const isError = typeof found === "number";
    const entry = isError ? null : found;
    const hop = entry === null ? null : stack.routes.hopOf(entry, flow, stack.interfaces);
    const nic = stack.nicById(hop?.nicId ?? nicId);
    if (entry === null && !this.#isOnLink(dst, nic)) {
      stack.counters.ipOutNoRoutes++;
      return isError ? found : NetErr.NetworkUnreachable;
    }
    if (nic === null) return NetErr.NetworkUnreachable;
    // A group has no address to answer from: the interface's.
    if (nic.isLoopback) return this.#localPath(fixed ?? nic.sourceFor(dst), dst, mark);
    if (!nic.isUp) return NetErr.NetworkDown;
    if (fixed !== null && !nic.promiscuous && !stack.isLocalAddress(fixed)) {
      return NetErr.AddressNotAvailable;
    }
    const nextHop = hop?.gateway ?? dst;
    const from = fixed ?? entry?.src ?? nic.sourceFor(dst.isV4 ? nextHop : dst);
    const broadcast = nic.isBroadcastAddress(dst);
    // Without an address yet (DHCP) only broadcasts go out, from 0.0.0.0.
    if (from === null && !broadcast) return NetErr.NetworkUnreachable;
    // measured: as one literal, and not by spreading two, a lookup costs a tenth.
    return new Path(nic, from ?? ANY_V4, dst, nextHop, stack.routes, stack.pathMtu, {
      loopback: false,
      broadcast,
      mark,
      table: entry?.table ?? TABLE_MAIN,
      mtu: entry?.mtu ?? 0,
      advmss: entry?.advmss ?? 0,
    });
  }

  /**
   * What goes out without a route: groups and broadcasts; and for IPv4 whatever is sent by a given interface,
   * "apparently, routing tables are wrong: assume that the destination is on link" (ip_route_output_key_hash_rcu).
   */
  #isOnLink(dst: IpAddr, nic: Nic | null): boolean {
    return nic !== null && (dst.isV4 || dst.isMulticast);
  }

  #localPath(src: IpAddr | null, dst: IpAddr, mark: number): Path | NetError {
    const stack = this.#stack;
    if (!stack.loopback.isUp) return NetErr.NetworkUnreachable;
    return new Path(stack.loopback, src ?? dst, dst, dst, stack.routes, stack.pathMtu, {
      loopback: true,
      broadcast: false,
      mark,
      table: TABLE_LOCAL,
      mtu: 0,
      advmss: 0,
    });
  }
}
