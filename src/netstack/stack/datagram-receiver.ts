// What UDP, ping and raw endpoints do with what comes to them: a receive queue, a pending error and the queue of errors,
// timestamps, groups. How they send: datagram-endpoint.ts.

import type { CommonOptions, DatagramInfo, PathMtuNotice } from "../endpoints.ts";
import { icmpErrorOf, isHardError } from "../icmp/icmp-kind.ts";
import { type Family, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { runFilter } from "../packet/filter.ts";
import { type OnReadiness, Ready } from "../readiness.ts";
import { ipv6FlowLabel } from "../wire/ipv6.ts";
import { defaultOptions } from "./datagram-options.ts";
import { DatagramQueue } from "./datagram-queue.ts";
import { type ErrorEntry, ErrorQueue, errorAfterTake, TimestampKind } from "./error-queue.ts";
import { Memberships } from "./memberships.ts";
import type { PacketBuffer, TransmitObserver } from "./packet-buffer.ts";
import { wholeBytes } from "./packet-pool.ts";
import { isBareHeader, readExtra } from "./received-headers.ts";
import type { Stack } from "./stack.ts";
import { ICMP_KIND_PACKET_TOO_BIG, type IcmpError } from "./transport.ts";

/** IP_PMTUDISC_DONT. */
const MTU_DISCOVER_DONT = 0;

export abstract class DatagramReceiver implements TransmitObserver {
  readonly family: Family;
  readonly options: CommonOptions = defaultOptions();
  readonly localAddr = new IpAddr();
  localPort = 0;
  readonly remoteAddr = new IpAddr();
  remotePort = 0;
  onReadiness: OnReadiness | null = null;
  /** Datagrams only from the peer, and sends without an address go there. */
  isConnected = false;
  merges = false;
  mappedMulticastAll = false;
  receivesPathMtu = false;
  protected readonly stack: Stack;
  protected isClosed = false;
  protected readonly queue: DatagramQueue;
  /** Made when first needed. */
  #errors: ErrorQueue | null = null;
  /** The key of the next datagram with a timestamp (SOF_TIMESTAMPING_OPT_ID). */
  #timestampKey = 0;
  #error: NetError | 0 = 0;
  #readShut = false;
  protected writeShut = false;
  #memberships: Memberships | null = null;
  #pathMtu: PathMtuNotice | null = null;

  constructor(stack: Stack, family: Family) {
    this.stack = stack;
    this.family = family;
    this.queue = new DatagramQueue(stack.spareDatagramMemory);
    this.clearAddr(this.localAddr);
    this.clearAddr(this.remoteAddr);
  }

  /** Leaves the tables. */
  protected abstract unregister(): void;

  /** Made when first needed. */
  get memberships(): Memberships {
    this.#memberships ??= new Memberships(this.stack);
    return this.#memberships;
  }

  readiness(): number {
    // Also when writing is shut down (datagram_poll): a send then tells.
    let mask: number = Ready.Write;
    if (this.queue.count > 0 || this.#readShut) mask |= Ready.Read;
    if (this.#error !== 0) mask |= Ready.Error;
    if (this.#errors !== null && this.#errors.count > 0) mask |= Ready.ErrorQueue;
    if (this.#readShut) mask |= Ready.ReadClosed;
    if (this.#readShut && this.writeShut) mask |= Ready.Hangup;
    return mask;
  }

  takeError(): NetError | 0 {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  protected get hasError(): boolean {
    return this.#error !== 0;
  }

  protected setError(error: NetError): void {
    this.#error = error;
    this.announce();
  }

  get errors(): ErrorQueue {
    this.#errors ??= new ErrorQueue(this.stack, this.options);
    return this.#errors;
  }

  takeErrorEntry(): ErrorEntry | null {
    const entry = this.#errors?.take() ?? null;
    if (entry === null || this.#errors === null) return null;
    const left = errorAfterTake(this.#errors, entry);
    if (left !== undefined) this.#error = left;
    return entry;
  }

  /**
   * An ICMP error about what we sent, quoted from `payload` on for who reads it. A connected endpoint hears of
   * fatal ones, one that asked (receiveErrors) of all, with the error's packet in the queue.
   */
  protected reportIcmp(e: IcmpError, port: number, payload: number): void {
    if (e.kind === ICMP_KIND_PACKET_TOO_BIG && this.options.mtuDiscover === MTU_DISCOVER_DONT)
      return;
    const asked = this.options.receiveErrors;
    if (!asked && !(this.isConnected && isHardError(e, this.options.mtuDiscover))) return;
    const error = icmpErrorOf(e);
    if (asked) {
      const { carrier } = e;
      const isBare = carrier === null || isBareHeader(carrier, this.stack);
      const extra = isBare ? null : readExtra(carrier, this.stack);
      this.errors.pushIcmp(e, error, port, payload, this.stack.clock.realtimeNs(), extra);
    }
    this.setError(error);
  }

  /** A send that does not fit the path's MTU, told as the network would have told it. */
  protected reportTooBig(dst: IpAddr, mtu: number): void {
    // ipv6_local_rxpmtu: only the newest is kept.
    const isTold = this.receivesPathMtu && this.options.dontFragment && !dst.isV4;
    if (isTold) this.#pathMtu = { addr: dst.clone(), mtu };
    if (!this.options.receiveErrors) return;
    const now = this.stack.clock.realtimeNs();
    // The port is the connected one, whatever the send said (inet_dport).
    this.errors.pushLocal(NetErr.MessageTooLong, dst, this.remotePort, mtu, now);
    this.announce();
  }

  takePathMtu(): PathMtuNotice | null {
    const notice = this.#pathMtu;
    this.#pathMtu = null;
    return notice;
  }

  /** Asks for the timestamps of a packet that is about to be sent. */
  protected stamp(pkt: PacketBuffer): void {
    pkt.observer = this;
    pkt.observerKey = this.options.timestampKeys ? this.#timestampKey++ : 0;
    this.#putTimestamp(TimestampKind.Scheduled, pkt);
  }
  onTransmit(pkt: PacketBuffer): void {
    this.#putTimestamp(TimestampKind.Sent, pkt);
  }
  #putTimestamp(kind: number, pkt: PacketBuffer): void {
    const { timestamps, timestampsOnly } = this.options;
    if (this.isClosed || ((timestamps >>> kind) & 1) === 0) return;
    const bytes = timestampsOnly ? undefined : wholeBytes(pkt);
    this.errors.pushTimestamp(kind, pkt.observerKey, this.stack.clock.realtimeNs(), bytes);
    this.announce();
  }

  restartTimestampKeys(): NetError | 0 {
    this.#timestampKey = 0;
    return 0;
  }

  /** Numbers a zero-copy send, whose bytes were copied: it is done with at once. */
  completeZerocopy(): void {
    this.errors.pushZerocopy(this.#zerocopyCount, this.#zerocopyCount, true);
    this.#zerocopyCount = (this.#zerocopyCount + 1) >>> 0;
    this.announce();
  }
  #zerocopyCount = 0;

  protected announce(): void {
    this.onReadiness?.(this.readiness());
  }

  get nextBytes(): number {
    // Who was told a length must find it.
    if (this.merges && this.queue.count === 1) this.queue.seal();
    return this.queue.nextBytes;
  }
  get queuedReceiveBytes(): number {
    return this.queue.chargedBytes;
  }
  receiveDrops = 0;
  /** Sends finish in the call. */
  get queuedSendBytes(): number {
    return 0;
  }

  receive(
    dst: Uint8Array,
    offset: number,
    length: number,
    out: DatagramInfo,
    peek: boolean,
  ): number {
    if (this.#error !== 0) return this.takeError();
    if (this.queue.count === 0) {
      out.length = 0;
      return this.#readShut ? 0 : NetErr.WouldBlock;
    }
    const before = this.queue.chargedBytes;
    const n = this.queue.take(dst, offset, length, out, peek);
    this.stack.socketMemoryBytes -= before - this.queue.chargedBytes;
    return n;
  }

  peekAt(skip: number, dst: Uint8Array, offset: number, length: number, out: DatagramInfo): number {
    if (this.#error !== 0) return this.takeError();
    const n = this.queue.peekAt(skip, dst, offset, length, out);
    if (n >= 0) return n;
    out.length = 0;
    return this.#readShut ? 0 : NetErr.WouldBlock;
  }

  /** Queues payload [from, to) of pkt; false: no room (counted). */
  protected enqueue(pkt: PacketBuffer, from: number, to: number, port: number): boolean {
    const stack = this.stack;
    const { filter, minTtl } = this.options;
    if (minTtl > pkt.ttl) {
      stack.counters.dropSocketFilter++;
      return true;
    }
    let length = to - from;
    if (filter !== null) {
      // What the filter sees and counts begins before UDP's payload.
      const begin = Math.min(from, pkt.l4);
      const keep = runFilter(filter, pkt, begin, to);
      if (keep === 0) {
        stack.counters.dropSocketFilter++;
        return true;
      }
      length = Math.min(length, Math.max(0, keep - (from - begin)));
    }
    // Shut down or not: what comes is kept (udp_queue_rcv_skb).
    if (
      !this.queue.hasRoom(length, this.options.receiveBufferBytes) ||
      stack.socketMemoryBytes > stack.limits.socketMemoryBytes
    ) {
      stack.counters.dropReceiveQueueFull++;
      this.receiveDrops++;
      return false;
    }
    const before = this.queue.chargedBytes;
    const isBare = isBareHeader(pkt, stack);
    if (this.merges && filter === null && isBare && this.#merge(pkt, from, length, port)) {
      stack.socketMemoryBytes += this.queue.chargedBytes - before;
      return true;
    }
    this.queue.put(
      pkt.bytes,
      from,
      length,
      pkt.src,
      port,
      pkt.dst,
      pkt.nicId,
      pkt.ttl,
      classAndLabel(pkt),
      stack.clock.realtimeNs(),
    );
    if (!isBare) this.queue.putExtra(readExtra(pkt, stack));
    stack.socketMemoryBytes += this.queue.chargedBytes - before;
    this.announce();
    return true;
  }

  #merge(pkt: PacketBuffer, from: number, length: number, port: number): boolean {
    const { bytes, src, dst, nicId, ttl } = pkt;
    const tos = classAndLabel(pkt);
    return this.queue.merge(bytes, from, length, src, port, dst, nicId, ttl, tos);
  }

  shutdown(read: boolean, write: boolean): NetError | 0 {
    this.#readShut ||= read;
    this.writeShut ||= write;
    this.announce();
    // Said of one without a peer, and done (inet_shutdown).
    return this.isConnected ? 0 : NetErr.NotConnected;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.unregister();
    this.#memberships?.close();
    this.stack.socketMemoryBytes -= this.queue.chargedBytes;
    this.stack.endpointCount--;
    this.queue.clear();
    this.#errors?.clear();
    this.onReadiness = null;
  }

  /** Whether a packet from src to this group, on this NIC, is for us. */
  protected isMember(group: IpAddr, src: IpAddr, nicId: number): boolean {
    // IP_MULTICAST_ALL and IPV6_MULTICAST_ALL are two; of a socket of IPv6 the first is off (inet6_create).
    const isMapped = this.family === IPV6 && group.isV4;
    const all = isMapped ? this.mappedMulticastAll : this.options.multicastAll;
    return this.#memberships?.accepts(group, src, nicId, all) ?? all;
  }

  protected clearAddr(addr: IpAddr): void {
    if (this.family === IPV6) addr.w0 = addr.w1 = addr.w2 = addr.w3 = 0;
    else addr.setV4(0);
  }
}

/** As the queue keeps them. */
const classAndLabel = (pkt: PacketBuffer): number =>
  pkt.src.isV4 ? pkt.tos : pkt.tos | (ipv6FlowLabel(pkt.bytes, pkt.l3) << 8);
