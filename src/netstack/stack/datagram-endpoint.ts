// What UDP, ping and raw endpoints have in common: options, a receive queue, a pending error, the
// connected peer, and the path of the last send kept for the next.

import type {
  CommonOptions,
  DatagramEndpoint,
  DatagramInfo,
  ReceivedOptions,
} from "../endpoints.ts";
import { icmpErrorOf, isHardError } from "../icmp/icmp-kind.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { runFilter } from "../packet/filter.ts";
import { type OnReadiness, Ready } from "../readiness.ts";
import { IPV4_HEADER } from "../wire/ipv4.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import { DatagramQueue } from "./datagram-queue.ts";
import { type ErrorEntry, ErrorQueue, errorAfterTake, TimestampKind } from "./error-queue.ts";
import { FlowKey, flowKey } from "./flow-key.ts";
import { hasIpOptions } from "./ipv4-options.ts";
import { Memberships } from "./memberships.ts";
import type { PacketBuffer, TransmitObserver } from "./packet-buffer.ts";
import { wholeBytes } from "./packet-pool.ts";
import type { Path } from "./path.ts";
import type { PortOwner } from "./ports.ts";
import type { Stack } from "./stack.ts";
import { ICMP_KIND_PACKET_TOO_BIG, type IcmpError } from "./transport.ts";

/** net.core.rmem_default and wmem_default. */
const BUFFER_BYTES = 212_992;

export function defaultOptions(): CommonOptions {
  return {
    reuseAddress: false,
    reusePort: false,
    broadcast: false,
    boundNicId: 0,
    mark: 0,
    uid: 0,
    portRange: 0,
    ttl: 64,
    multicastTtl: 1,
    tos: 0,
    mtuDiscover: 1,
    v6Only: false,
    dontFragment: false,
    minTtl: 0,
    bindNoPort: false,
    freeBind: false,
    multicastLoop: true,
    multicastAll: true,
    sendBufferBytes: BUFFER_BYTES,
    receiveBufferBytes: BUFFER_BYTES,
    sendBufferLocked: false,
    receiveBufferLocked: false,
    receiveErrors: false,
    timestamps: 0,
    timestampKeys: false,
    timestampsOnly: false,
    filter: null,
  };
}

const MTU_DISCOVER_DONT = 0;
const MTU_DISCOVER_WANT = 1;
const MTU_DISCOVER_DO = 2;
const MTU_DISCOVER_PROBE = 3;

export abstract class DatagramBase implements DatagramEndpoint, TransmitObserver {
  readonly family: Family;
  readonly options: CommonOptions = defaultOptions();
  readonly localAddr = new IpAddr();
  localPort = 0;
  /** What it sends, as routing rules see it. */
  protected abstract readonly flowProtocol: number;
  readonly remoteAddr = new IpAddr();
  remotePort = 0;
  onReadiness: OnReadiness | null = null;
  /** Datagrams only from the peer, and sends without an address go there. */
  isConnected = false;
  readonly isListening = false;
  nextOnPort: PortOwner | null = null;
  protected readonly stack: Stack;
  protected isClosed = false;
  protected readonly queue: DatagramQueue;
  /** Made when first needed. */
  #errors: ErrorQueue | null = null;
  /** The key of the next datagram with a timestamp (SOF_TIMESTAMPING_OPT_ID). */
  #timestampKey = 0;
  #error: NetError | 0 = 0;
  #readShut = false;
  #writeShut = false;
  sendSource: IpAddr | null = null;
  unicastNicId = 0;
  merges = false;
  ipOptions: IpOptions | null = null;
  #path: Path | null = null;
  /** What #path was found with. */
  #pathNicId = 0;
  #pathMark = 0;
  #pathKey: FlowKey | null = null;
  #memberships: Memberships | null = null;

  constructor(stack: Stack, family: Family) {
    this.stack = stack;
    this.family = family;
    this.queue = new DatagramQueue(stack.spareDatagramMemory);
    this.clearAddr(this.localAddr);
    this.clearAddr(this.remoteAddr);
  }

  abstract bind(addr: IpAddr, port: number): NetError | 0;
  abstract connect(addr: IpAddr, port: number): NetError | 0;
  abstract send(
    src: Uint8Array,
    offset: number,
    length: number,
    addr: IpAddr | null,
    port: number,
  ): number;
  abstract disconnect(): void;
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
    if (this.#readShut && this.#writeShut) mask |= Ready.Hangup;
    return mask;
  }

  takeError(): NetError | 0 {
    const error = this.#error;
    this.#error = 0;
    return error;
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
    if (asked) this.errors.pushIcmp(e, error, port, payload, this.stack.clock.realtimeNs());
    this.setError(error);
  }

  /** A send that does not fit the path's MTU, told as the network would have told it. */
  protected reportTooBig(dst: IpAddr, mtu: number): void {
    if (!this.options.receiveErrors) return;
    const now = this.stack.clock.realtimeNs();
    // The port is the connected one, whatever the send said (inet_dport).
    this.errors.pushLocal(NetErr.MessageTooLong, dst, this.remotePort, mtu, now);
    this.announce();
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
    const hasOptions = hasIpOptions(pkt);
    if (this.merges && filter === null && !hasOptions && this.#merge(pkt, from, length, port)) {
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
      pkt.tos,
      stack.clock.realtimeNs(),
    );
    if (hasOptions) this.queue.putOptions(this.#readOptions(pkt));
    stack.socketMemoryBytes += this.queue.chargedBytes - before;
    this.announce();
    return true;
  }

  #readOptions(pkt: PacketBuffer): ReceivedOptions {
    const echo = this.stack.ipv4.options.echo(pkt);
    const raw = pkt.bytes.slice(pkt.l3 + IPV4_HEADER, pkt.l4);
    return { raw, answer: echo === null ? null : echo.undone() };
  }

  #merge(pkt: PacketBuffer, from: number, length: number, port: number): boolean {
    const { bytes, src, dst, nicId, ttl, tos } = pkt;
    return this.queue.merge(bytes, from, length, src, port, dst, nicId, ttl, tos);
  }

  shutdown(read: boolean, write: boolean): NetError | 0 {
    this.#readShut ||= read;
    this.#writeShut ||= write;
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

  setIpOptions(options: IpOptions | null): NetError | 0 {
    this.ipOptions = options;
    return 0;
  }

  /** Whether a packet from src to this group, on this NIC, is for us. */
  protected isMember(group: IpAddr, src: IpAddr, nicId: number): boolean {
    const { multicastAll } = this.options;
    return this.#memberships?.accepts(group, src, nicId, multicastAll) ?? multicastAll;
  }

  /** What every send checks first: 0, or the NetError. */
  protected sendCheck(addr: IpAddr | null): NetError | 0 {
    if (this.isClosed) return NetErr.Closed;
    if (addr === null && !this.isConnected) return NetErr.DestinationRequired;
    if (this.#error !== 0) return this.takeError();
    if (this.#writeShut) return NetErr.BrokenPipe;
    if (addr === null) return 0;
    if (this.family === IPV4 && !addr.isV4) return NetErr.NotSupported;
    if (this.family === IPV6 && addr.isV4 && this.options.v6Only) return NetErr.NetworkUnreachable;
    return 0;
  }

  #optionsTo(dst: IpAddr): IpOptions | null {
    return dst.isV4 && this.ipOptions?.length !== 0 ? this.ipOptions : null;
  }

  /** The path to dst: the kept one when it still fits. Null with the reason in pathError. */
  protected pathTo(dst: IpAddr, port = 0, connecting = false): Path | null {
    const kept = this.#path;
    const { boundNicId, mark } = this.options;
    const key = this.stack.routes.asksFlow ? this.#keyTo(port) : null;
    const byGroup = dst.isMulticast ? 0 : this.unicastNicId;
    const nicId = boundNicId === 0 ? byGroup : boundNicId;
    const chosen = this.sendSource;
    const options = this.ipOptions === null || connecting ? null : this.#optionsTo(dst);
    if (
      chosen === null &&
      kept?.isValid &&
      this.#pathNicId === nicId &&
      this.#pathMark === mark &&
      (key === null || this.#pathKey?.equals(key) === true) &&
      kept.ipOptions === options &&
      kept.finalDst.equals(dst)
    ) {
      return kept;
    }
    let src = chosen;
    if (src === null && !this.localAddr.isUnspecified && !this.localAddr.isMulticast) {
      src = this.localAddr;
    }
    const { stack } = this;
    const found = connecting
      ? stack.findConnectRoute(src, dst, nicId, mark, key)
      : stack.findOptionRoute(options, src, dst, nicId, mark, key);
    if (typeof found === "number") {
      this.pathError = found;
      return null;
    }
    // ip_sendmsg_scope: the first hop of a strict route must be on the link.
    if (options?.isStrict && !found.nextHop.equals(found.dst)) {
      this.pathError = NetErr.NetworkUnreachable;
      return null;
    }
    if (chosen === null) {
      this.#path = found;
      this.#pathNicId = nicId;
      this.#pathMark = mark;
      this.#pathKey = key === null ? null : new FlowKey().set(key);
    }
    return found;
  }
  #keyTo(port: number): FlowKey {
    const { uid, tos } = this.options;
    return flowKey(this.flowProtocol, port === 0 ? 0 : this.localPort, port, uid, tos);
  }
  protected pathError: NetError | 0 = 0;

  protected dropPath(): void {
    this.#path = null;
  }

  /** DF as IP_MTU_DISCOVER asks: "want" fragments what does not fit, and sets DF on the rest. */
  protected dontFragment(path: Path, ipBytes: number): boolean {
    const mode = this.options.mtuDiscover;
    if (this.options.dontFragment) return true;
    switch (mode) {
      case MTU_DISCOVER_WANT:
        return ipBytes <= path.mtu;
      case MTU_DISCOVER_DO:
      case MTU_DISCOVER_PROBE:
        return true;
      default:
        // Dont, and the modes that ignore what ICMP says of the path (interface, omit).
        return false;
    }
  }

  protected clearAddr(addr: IpAddr): void {
    if (this.family === IPV6) addr.w0 = addr.w1 = addr.w2 = addr.w3 = 0;
    else addr.setV4(0);
  }
}
