// Forwarding: what arrives for somebody else goes on to where the routes lead (RFC 1812, RFC 8200; Linux's ip_forward
// and ip6_forward). Off unless asked for, each family by itself. Not a router's other duties: no advertisements, no
// groups, no directed broadcasts, no NAT. Here is what both families share; their headers: forward-ipv4.ts, -ipv6.ts.

import { MS } from "../../base/clock.ts";
import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { ipv4FragOffset } from "../wire/ipv4.ts";
import { type FlowKey, forwardKey } from "./flow-key.ts";
import { forwardIpv4 } from "./forward-ipv4.ts";
import { forwardIpv6 } from "./forward-ipv6.ts";
import { ALL_ROUTERS } from "./multicast-groups.ts";
import type { Nic } from "./nic.ts";
import { GSO_NONE, GSO_UDP_L4, type PacketBuffer } from "./packet-buffer.ts";
import { copyPacket } from "./packet-pool.ts";
import { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

const PATHS_MAX = 1024;
const SOURCES_MAX = 1024;
/** ip_rt_redirect_number, _load and _silence. */
const REDIRECTS_MAX = 9;
const REDIRECT_LOAD_NS = 20 * MS;
const REDIRECT_SILENCE_NS = 20_480 * MS;
const UDP_HEADER = 8;

interface Advised {
  count: number;
  lastNs: number;
}

interface Onward {
  readonly path: Path;
  readonly iif: number;
  readonly src: IpAddr;
  /** Which of several next hops its flows take; -1: there is one. */
  readonly hash: number;
}

export class Forwarding {
  readonly #stack: Stack;
  readonly #paths = new Map<number, Onward>();
  /** Who was told of a better router, by source. */
  readonly #advised = new Map<string, Advised>();
  #v4 = false;
  #v6 = false;
  sendsRedirects = true;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** net.ipv4.ip_forward and net.ipv6.conf.all.forwarding. */
  get v4(): boolean {
    return this.#v4;
  }
  get v6(): boolean {
    return this.#v6;
  }

  /** A router takes nobody's redirects (inet_forward_change), and listens to what is said to all routers. */
  enable(family: Family, on: boolean): void {
    const stack = this.#stack;
    if (family === 4) {
      if (this.#v4 !== on) stack.acceptsRedirects = !on;
      this.#v4 = on;
      return;
    }
    if (this.#v6 === on) return;
    this.#v6 = on;
    for (const nic of stack.nics) {
      if (nic.ipv6 === null) continue;
      if (on) nic.joinGroup(ALL_ROUTERS);
      else nic.leaveGroup(ALL_ROUTERS);
    }
  }

  /** A packet at pkt.l3 that is for nobody here. */
  input(nic: Nic, pkt: PacketBuffer): void {
    if (pkt.src.isV4) forwardIpv4(this.#stack, nic, pkt);
    else forwardIpv6(this.#stack, nic, pkt);
  }

  /** Where it goes on (to dst, which may be the next address of a source route), or why it does not. */
  find(nic: Nic, pkt: PacketBuffer, dst: IpAddr): Path | NetError {
    const { src } = pkt;
    const { routes } = this.#stack;
    // Rules about ports and the like: nothing of an answer holds for another flow.
    if (routes.rules.asksFlow) return this.#makePath(nic, src, dst, this.#keyOf(pkt), -1);
    const isPlain = !routes.asksSource(dst.family);
    let key = dst.w3 ^ dst.w0 ^ Math.imul(dst.w1, 31) ^ Math.imul(nic.id, 0x85ebca6b);
    let flow: FlowKey | null = null;
    let hash = -1;
    if (!isPlain) {
      key ^= Math.imul(src.w3, 0x9e3779b1);
      if (routes.multipath.count > 0) {
        flow = this.#keyOf(pkt);
        hash = routes.multipath.hash(src, dst, flow);
        key ^= hash;
      }
    }
    const kept = this.#paths.get(key);
    if (
      kept?.path.isValid &&
      kept.path.dst.equals(dst) &&
      kept.iif === nic.id &&
      (isPlain || (kept.src.equals(src) && kept.hash === hash))
    ) {
      return kept.path;
    }
    const path = this.#makePath(nic, src, dst, flow, hash);
    if (typeof path === "number") return path;
    if (this.#paths.size >= PATHS_MAX) this.#paths.clear();
    this.#paths.set(key, { path, iif: nic.id, src: src.clone(), hash });
    return path;
  }

  #keyOf(pkt: PacketBuffer): FlowKey {
    const isLater = pkt.src.isV4 && ipv4FragOffset(pkt.bytes, pkt.l3) !== 0;
    return forwardKey(pkt, isLater);
  }

  #makePath(
    nic: Nic,
    src: IpAddr,
    dst: IpAddr,
    key: FlowKey | null,
    hash: number,
  ): Path | NetError {
    const stack = this.#stack;
    const flow = { dst, src, oif: 0, iif: nic.id, mark: 0, key };
    const found = stack.routes.resolve(flow, false);
    if (typeof found === "number") return found;
    const hop = found === null ? null : stack.routes.hopOf(found, flow, stack.interfaces, hash);
    const out = hop === null ? null : stack.nicById(hop.nicId);
    if (found === null || out === null || out.isLoopback) return NetErr.NetworkUnreachable;
    const nextHop = hop?.gateway ?? dst;
    return new Path(out, src, dst, nextHop, stack.routes, stack.pathMtu, {
      loopback: false,
      broadcast: out.isBroadcastAddress(dst),
      mark: 0,
      table: found.table,
      mtu: found.mtu,
      advmss: found.advmss,
    });
  }

  /** A copy of the packet from its IP header on: what was delivered is the link's. */
  copyOf(pkt: PacketBuffer): PacketBuffer {
    const copy = this.#stack.allocPacket();
    copyPacket(copy, pkt);
    copy.start = copy.l3;
    return copy;
  }

  /** Of the largest single packet that pkt stands for. */
  ipBytes(pkt: PacketBuffer): number {
    if (pkt.gsoType === GSO_NONE) return pkt.end - pkt.l3;
    const b = pkt.bytes;
    const isUdp = pkt.gsoType === GSO_UDP_L4;
    const header = isUdp ? UDP_HEADER : (b[pkt.l4 + 12] >>> 4) << 2;
    return Math.min(pkt.end - pkt.l3, pkt.l4 - pkt.l3 + header + pkt.gsoSize);
  }

  /**
   * Whether a station is to be told that it could have sent to the next hop itself (ip_rt_send_redirect): not more
   * than nine times, ever more rarely, until it has been silent for long.
   */
  mayAdvise(src: IpAddr): boolean {
    if (!this.sendsRedirects) return false;
    const nowNs = this.#stack.clock.monotonicNs();
    const key = src.toString();
    let a = this.#advised.get(key);
    if (a === undefined) {
      if (this.#advised.size >= SOURCES_MAX) this.#advised.clear();
      a = { count: 0, lastNs: Number.NEGATIVE_INFINITY };
      this.#advised.set(key, a);
    }
    if (nowNs - a.lastNs > REDIRECT_SILENCE_NS) a.count = 0;
    // Who does not listen is left alone, and its next packet counts as noise.
    if (a.count >= REDIRECTS_MAX) {
      a.lastNs = nowNs;
      return false;
    }
    if (a.count > 0 && nowNs - a.lastNs < REDIRECT_LOAD_NS * 2 ** a.count) return false;
    a.count++;
    a.lastNs = nowNs;
    return true;
  }
}
