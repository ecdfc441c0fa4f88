// A listening endpoint's side of connections to come: the half-open ones, and the accept queue. And the
// table in which a SYN finds its listener (most specific address first; SO_REUSEPORT groups share by hash).

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { TcpEndpoint, TcpEndpointOptions } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import { Ready } from "../readiness.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";
import { closeTcb } from "./transitions.ts";

/** What a listener needs of the endpoint that listens. */
export interface ListeningEndpoint {
  readonly localAddr: IpAddr;
  readonly localPort: number;
  readonly options: TcpEndpointOptions;
  /** Its connections bear them, too (tcp_v6_syn_recv_sock). */
  readonly extensions: ExtensionHeaders | null;
  onTcbEvents(mask: number): void;
}

export class Listener {
  readonly endpoint: ListeningEndpoint;
  backlog: number;
  /** Each knows its place: tcb.halfOpenIndex. */
  readonly #halfOpen: Tcb[] = [];
  /** Children made by a SYN with data whose handshake is not over (RFC 7413 5.1). */
  fastOpenCount = 0;
  /** When a SYN was last answered with a cookie. */
  cookieNs = Number.NEGATIVE_INFINITY;
  #queue: TcpEndpoint[] = [];
  #head = 0;

  constructor(endpoint: ListeningEndpoint, backlog: number) {
    this.endpoint = endpoint;
    this.backlog = backlog;
  }

  get options(): TcpEndpointOptions {
    return this.endpoint.options;
  }
  get extensions(): ExtensionHeaders | null {
    return this.endpoint.extensions;
  }
  get queueLength(): number {
    return this.#queue.length - this.#head;
  }
  /** Linux holds one more than the backlog. */
  get isQueueFull(): boolean {
    return this.queueLength > this.backlog;
  }
  get halfOpenLength(): number {
    return this.#halfOpen.length;
  }
  get isHalfOpenFull(): boolean {
    return this.#halfOpen.length > this.backlog;
  }

  addHalfOpen(tcb: Tcb): void {
    tcb.listener = this;
    tcb.halfOpenIndex = this.#halfOpen.length;
    this.#halfOpen.push(tcb);
  }

  #removeHalfOpen(tcb: Tcb): boolean {
    const i = tcb.halfOpenIndex;
    if (i < 0) return false;
    tcb.halfOpenIndex = -1;
    const last = this.#halfOpen.pop() as Tcb;
    if (last === tcb) return true;
    this.#halfOpen[i] = last;
    last.halfOpenIndex = i;
    return true;
  }

  /**
   * TCP_DEFER_ACCEPT: the bare ACK is not taken (tcp_check_req); data, or the answer to the SYN-ACK that is repeated at
   * the end of patience, completes the handshake.
   */
  defers(tcb: Tcb, seg: Segment): boolean {
    if (tcb.retransmits >= this.options.deferAcceptTimeouts || seg.end !== tcb.rcv.nxt)
      return false;
    tcb.isDeferred = true;
    return true;
  }

  /** An early child: into the accept queue before its handshake ends. */
  onEarlyChild(tcb: Tcb): void {
    tcb.listener = this;
    this.fastOpenCount++;
    this.#queue.push(tcb.ctx.wrapChild(tcb));
    this.endpoint.onTcbEvents(Ready.Read);
  }

  onEstablished(tcb: Tcb): void {
    if (!this.#removeHalfOpen(tcb)) {
      this.fastOpenCount--;
      tcb.listener = null;
      return;
    }
    this.#queue.push(tcb.ctx.wrapChild(tcb));
    this.endpoint.onTcbEvents(Ready.Read);
  }

  /** A child died. In the accept queue it stays: accept() returns it, as in Linux. */
  onChildClosed(tcb: Tcb): void {
    if (!this.#removeHalfOpen(tcb) && tcb.isHalfOpen) this.fastOpenCount--;
    tcb.listener = null;
  }

  accept(): TcpEndpoint | null {
    if (this.#head === this.#queue.length) return null;
    const child = this.#queue[this.#head++];
    const { tcb } = child as { tcb?: Tcb | null };
    if (tcb) tcb.isAccepted = true;
    // Compacted now and then, so that a steady queue costs O(1).
    if (this.#head >= 64 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return child;
  }

  /** Connections nobody will accept are reset. */
  close(): void {
    for (const tcb of this.#halfOpen) {
      tcb.listener = null;
      tcb.halfOpenIndex = -1;
      closeTcb(tcb, 0);
    }
    this.#halfOpen.length = 0;
    for (let child = this.accept(); child !== null; child = this.accept()) {
      child.abort();
      child.close();
    }
  }
}

export class ListenerTable {
  readonly #byPort = new Map<number, Listener[]>();
  readonly #hash: KeyedHash;

  constructor(rng: Rng) {
    this.#hash = new KeyedHash(rng);
  }

  add(listener: Listener): void {
    const port = listener.endpoint.localPort;
    const list = this.#byPort.get(port);
    if (list === undefined) this.#byPort.set(port, [listener]);
    else list.push(listener);
  }

  remove(listener: Listener): void {
    const port = listener.endpoint.localPort;
    const list = this.#byPort.get(port);
    if (list === undefined) return;
    const at = list.indexOf(listener);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) this.#byPort.delete(port);
  }

  /** The listener for a segment's destination, or null. */
  find(seg: Segment): Listener | null {
    const list = this.#byPort.get(seg.dstPort);
    if (list === undefined) return null;
    const pkt = seg.pkt as PacketBuffer;
    let best = 0;
    let chosen: Listener | null = null;
    let ties = 0;
    for (const listener of list) {
      const s = score(listener, pkt);
      if (s === 0 || s < best) continue;
      if (s > best) {
        best = s;
        ties = 0;
      }
      ties++;
      if (ties === 1) chosen = listener;
    }
    return ties > 1 ? this.#share(list, pkt, seg, best, ties) : chosen;
  }

  /** Any listener on this address and port. */
  findOnPort(addr: IpAddr, port: number): Listener | null {
    for (const listener of this.#byPort.get(port) ?? []) {
      const { localAddr } = listener.endpoint;
      const isAny = localAddr.isUnspecified && (localAddr.isV4 === addr.isV4 || !localAddr.isV4);
      if (isAny || localAddr.equals(addr)) return listener;
    }
    return null;
  }

  /** Equals (SO_REUSEPORT) share by the hash of the 4-tuple. */
  #share(
    list: readonly Listener[],
    pkt: PacketBuffer,
    seg: Segment,
    best: number,
    ties: number,
  ): Listener | null {
    const h = this.#hash.begin().add(pkt.src.w3).add(pkt.src.w1).add(pkt.dst.w3).add(seg.srcPort);
    let n = h.end() % ties;
    for (const listener of list) if (score(listener, pkt) === best && n-- === 0) return listener;
    return null;
  }
}

/** 0: not for it. More for the exact address, the bound device, the same family. */
function score(listener: Listener, pkt: PacketBuffer): number {
  const { localAddr, options } = listener.endpoint;
  if (options.boundNicId !== 0 && options.boundNicId !== pkt.nicId) return 0;
  let s = options.boundNicId !== 0 ? 2 : 1;
  if (localAddr.isUnspecified) {
    if (localAddr.isV4 !== pkt.dst.isV4) return localAddr.isV4 || options.v6Only ? 0 : s;
    return s + 2;
  }
  s += 4;
  return localAddr.equals(pkt.dst) ? s : 0;
}
