// The answer of the route table for one (source, destination, interface), kept until a route or an address
// changes: what an endpoint asks for when it connects, and a transport for each packet without a connection.

import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const PATHS_MAX = 1024;
const ANY_V4 = IpAddr.v4(0, 0, 0, 0);
export const LOCALHOST = IpAddr.v4(127, 0, 0, 1);
export const LOCALHOST6 = new IpAddr();
LOCALHOST6.w3 = 1;

export class PathCache {
  readonly #stack: Stack;
  readonly #paths = new Map<number, Path>();
  /** Of those whose source the routes chose. */
  readonly #freePaths = new Map<number, Path>();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  find(src: IpAddr | null, dst: IpAddr, nicId: number): Path | NetError {
    if (src === null && dst.isV4) return this.#findFree(dst, nicId);
    const key =
      dst.w3 ^ dst.w0 ^ Math.imul(dst.w1, 31) ^ Math.imul(src?.w3 ?? 0, 0x9e3779b1) ^ nicId;
    const cached = this.#paths.get(key);
    if (
      cached?.isValid &&
      cached.dst.equals(dst) &&
      (nicId === 0 || cached.nicId === nicId) &&
      src !== null &&
      cached.src.equals(src)
    ) {
      return cached;
    }
    const path = this.#makePath(src, dst, nicId);
    if (typeof path !== "number" && src !== null) {
      if (this.#paths.size >= PATHS_MAX) this.#paths.clear();
      this.#paths.set(key, path);
    }
    return path;
  }

  /** From whatever address the routes choose (IPv6's choice depends on the time as well). */
  #findFree(dst: IpAddr, nicId: number): Path | NetError {
    const key = dst.w3 ^ nicId;
    const cached = this.#freePaths.get(key);
    if (cached?.isValid && cached.dst.equals(dst) && (nicId === 0 || cached.nicId === nicId)) {
      return cached;
    }
    const path = this.#makePath(null, dst, nicId);
    if (typeof path === "number") return path;
    if (this.#freePaths.size >= PATHS_MAX) this.#freePaths.clear();
    this.#freePaths.set(key, path);
    return path;
  }

  // @rfc 1122 3.3.6
  #makePath(src: IpAddr | null, dst: IpAddr, nicId: number): Path | NetError {
    const fixed = src === null || src.isUnspecified ? null : src;
    // Linux: a connection to 0.0.0.0 goes to this host.
    if (dst.isUnspecified) return this.#localPath(fixed, dst.isV4 ? LOCALHOST : LOCALHOST6);
    if (fixed !== null && fixed.isV4 !== dst.isV4) return NetErr.NetworkUnreachable;
    if (this.#stack.isLocalAddress(dst)) return this.#localPath(fixed, dst);
    const entry = this.#stack.routes.lookup(dst, nicId);
    const nic = this.#stack.nicById(entry?.nicId ?? nicId);
    if (nic === null || (entry === null && !dst.isLimitedBroadcast && !dst.isMulticast)) {
      this.#stack.counters.ipOutNoRoutes++;
      return NetErr.NetworkUnreachable;
    }
    // A group has no address to answer from: the interface's.
    if (nic.isLoopback) return this.#localPath(fixed ?? nic.sourceFor(dst), dst);
    if (!nic.isUp) return NetErr.NetworkDown;
    if (fixed !== null && !nic.promiscuous && !this.#stack.isLocalAddress(fixed)) {
      return NetErr.AddressNotAvailable;
    }
    const nextHop = entry?.gateway ?? dst;
    const from = fixed ?? entry?.src ?? nic.sourceFor(dst.isV4 ? nextHop : dst);
    // Without an address yet (DHCP) only broadcasts go out, from 0.0.0.0.
    if (from === null && !nic.isBroadcastAddress(dst)) return NetErr.NetworkUnreachable;
    return new Path(nic, from ?? ANY_V4, dst, nextHop, this.#stack.routes, this.#stack.pathMtu, {
      loopback: false,
      broadcast: nic.isBroadcastAddress(dst),
      mtu: entry?.mtu ?? 0,
      advmss: entry?.advmss ?? 0,
    });
  }

  #localPath(src: IpAddr | null, dst: IpAddr): Path | NetError {
    if (!this.#stack.loopback.isUp) return NetErr.NetworkUnreachable;
    return new Path(
      this.#stack.loopback,
      src ?? dst,
      dst,
      dst,
      this.#stack.routes,
      this.#stack.pathMtu,
      {
        loopback: true,
        broadcast: false,
        mtu: 0,
        advmss: 0,
      },
    );
  }
}
