// What UDP, ping and raw endpoints have in common: options, a receive queue, a pending error, the
// connected peer, and the path of the last send kept for the next.

import type { CommonOptions, DatagramEndpoint, DatagramInfo } from "../endpoints.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { type OnReadiness, Ready } from "../readiness.ts";
import { DatagramQueue } from "./datagram-queue.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

/** net.core.rmem_default and wmem_default. */
const BUFFER_BYTES = 212_992;

export function defaultOptions(): CommonOptions {
  return {
    reuseAddress: false,
    reusePort: false,
    broadcast: false,
    boundNicId: 0,
    ttl: 64,
    multicastTtl: 1,
    tos: 0,
    mtuDiscover: 1,
    v6Only: false,
    sendBufferBytes: BUFFER_BYTES,
    receiveBufferBytes: BUFFER_BYTES,
    sendBufferLocked: false,
    receiveBufferLocked: false,
    receiveErrors: false,
  };
}

const MTU_DISCOVER_DONT = 0;
const MTU_DISCOVER_WANT = 1;

interface Membership {
  group: IpAddr;
  nicId: number;
}

export abstract class DatagramBase implements DatagramEndpoint {
  readonly family: Family;
  readonly options: CommonOptions = defaultOptions();
  readonly localAddr = new IpAddr();
  localPort = 0;
  readonly remoteAddr = new IpAddr();
  remotePort = 0;
  onReadiness: OnReadiness | null = null;
  /** Datagrams only from the peer, and sends without an address go there. */
  isConnected = false;
  readonly isListening = false;
  protected readonly stack: Stack;
  protected isClosed = false;
  protected readonly queue = new DatagramQueue();
  #error: NetError | 0 = 0;
  #readShut = false;
  #writeShut = false;
  sendSource: IpAddr | null = null;
  #path: Path | null = null;
  /** What #path was found with. */
  #pathNicId = 0;
  readonly #memberships: Membership[] = [];

  constructor(stack: Stack, family: Family) {
    this.stack = stack;
    this.family = family;
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

  readiness(): number {
    let mask = this.#writeShut ? 0 : Ready.Write;
    if (this.queue.count > 0 || this.#readShut) mask |= Ready.Read;
    if (this.#error !== 0) mask |= Ready.Error;
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

  protected announce(): void {
    this.onReadiness?.(this.readiness());
  }

  get nextBytes(): number {
    return this.queue.nextBytes;
  }
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

  /** Queues payload [from, to) of pkt; false: no room (counted). */
  protected enqueue(pkt: PacketBuffer, from: number, to: number, port: number): boolean {
    const length = to - from;
    const stack = this.stack;
    if (
      this.#readShut ||
      !this.queue.hasRoom(length, this.options.receiveBufferBytes) ||
      stack.socketMemoryBytes > stack.limits.socketMemoryBytes
    ) {
      stack.counters.dropReceiveQueueFull++;
      return false;
    }
    const before = this.queue.chargedBytes;
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
    stack.socketMemoryBytes += this.queue.chargedBytes - before;
    this.announce();
    return true;
  }

  shutdown(read: boolean, write: boolean): NetError | 0 {
    if (!this.isConnected) return NetErr.NotConnected;
    this.#readShut ||= read;
    this.#writeShut ||= write;
    this.announce();
    return 0;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.unregister();
    for (const m of this.#memberships) this.stack.leaveGroup(m.group, m.nicId);
    this.#memberships.length = 0;
    this.stack.socketMemoryBytes -= this.queue.chargedBytes;
    this.stack.endpointCount--;
    this.queue.clear();
    this.onReadiness = null;
  }

  joinGroup(group: IpAddr, nicId: number): NetError | 0 {
    if (!group.isMulticast) return NetErr.InvalidArgument;
    for (const m of this.#memberships) {
      if (m.group.equals(group) && m.nicId === nicId) return NetErr.AddressInUse;
    }
    if (this.#memberships.length >= 20) return NetErr.NoBuffers;
    const result = this.stack.joinGroup(group, nicId);
    if (result < 0) return result;
    this.#memberships.push({ group: group.clone(), nicId });
    return 0;
  }

  leaveGroup(group: IpAddr, nicId: number): NetError | 0 {
    const at = this.#memberships.findIndex((m) => m.group.equals(group) && m.nicId === nicId);
    if (at < 0) return NetErr.AddressNotAvailable;
    this.#memberships.splice(at, 1);
    this.stack.leaveGroup(group, nicId);
    return 0;
  }

  protected isMember(group: IpAddr): boolean {
    for (const m of this.#memberships) if (m.group.equals(group)) return true;
    return false;
  }

  /** What every send checks first: 0, or the NetError. */
  protected sendCheck(addr: IpAddr | null): NetError | 0 {
    if (this.isClosed) return NetErr.Closed;
    if (this.#writeShut) return NetErr.BrokenPipe;
    if (this.#error !== 0) return this.takeError();
    if (addr === null && !this.isConnected) return NetErr.DestinationRequired;
    if (addr === null) return 0;
    if (this.family === IPV4 && !addr.isV4) return NetErr.NotSupported;
    if (this.family === IPV6 && addr.isV4 && this.options.v6Only) return NetErr.NetworkUnreachable;
    return 0;
  }

  /** The path to dst: the kept one when it still fits. Null with the reason in pathError. */
  protected pathTo(dst: IpAddr): Path | null {
    const kept = this.#path;
    const nicId = this.options.boundNicId;
    const chosen = this.sendSource;
    if (chosen === null && kept?.isValid && this.#pathNicId === nicId && kept.dst.equals(dst)) {
      return kept;
    }
    let src = chosen;
    if (src === null && !this.localAddr.isUnspecified && !this.localAddr.isMulticast) {
      src = this.localAddr;
    }
    const found = this.stack.findRoute(src, dst, nicId);
    if (typeof found === "number") {
      this.pathError = found;
      return null;
    }
    if (chosen === null) {
      this.#path = found;
      this.#pathNicId = nicId;
    }
    return found;
  }
  protected pathError: NetError | 0 = 0;

  protected dropPath(): void {
    this.#path = null;
  }

  /** DF as IP_MTU_DISCOVER asks: "want" fragments what does not fit, and sets DF on the rest. */
  protected dontFragment(path: Path, ipBytes: number): boolean {
    const mode = this.options.mtuDiscover;
    if (mode === MTU_DISCOVER_DONT) return false;
    if (mode === MTU_DISCOVER_WANT) return ipBytes <= path.mtu;
    return true;
  }

  protected clearAddr(addr: IpAddr): void {
    if (this.family === IPV6) addr.w0 = addr.w1 = addr.w2 = addr.w3 = 0;
    else addr.setV4(0);
  }
}
