// One packet endpoint (packet(7)): frames of one EtherType, or of all, from one interface or from all, through
// a filter into a queue or into a sink of the owner's (a ring that a program has mapped).

import type { DatagramInfo } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { type OnReadiness, Ready } from "../readiness.ts";
import { DatagramQueue } from "../stack/datagram-queue.ts";
import type { Nic } from "../stack/nic.ts";
import type { Stack } from "../stack/stack.ts";
import { ETH_HEADER, ETH_SRC, MAC_BYTES, writeEthernet } from "../wire/ethernet.ts";
import type { SocketFilter } from "./filter.ts";
import type { TapFrame } from "./packet.ts";

export const ETHERTYPE_ALL = 3;
const BUFFER_BYTES = 212_992;

export interface PacketInfo {
  protocol: number;
  nicId: number;
  /** PacketType. */
  type: number;
  hardwareType: number;
  /** The sender's link address. */
  readonly mac: Uint8Array;
  /** On the wire (of what the endpoint shows: without the link's header when cooked), and what was kept. */
  wireLength: number;
  length: number;
  /** Where the network's header begins in what was kept. */
  networkOffset: number;
  checksumPartial: boolean;
  checksumValid: boolean;
  /** The tag that was taken off (EtherType in the upper half, int32); 0: none. */
  vlan: number;
  timeNs: number;
}

export const newPacketInfo = (): PacketInfo => ({
  protocol: 0,
  nicId: 0,
  type: 0,
  hardwareType: 0,
  mac: new Uint8Array(MAC_BYTES),
  wireLength: 0,
  length: 0,
  networkOffset: 0,
  checksumPartial: false,
  checksumValid: false,
  vlan: 0,
  timeNs: 0,
});

/** Takes the frames in place of the queue. False: no room. */
export interface FrameSink {
  onFrame(info: PacketInfo, bytes: Uint8Array, offset: number): boolean;
}

// What the queue keeps of a frame, in the fields that it has for datagrams.
const packed = new IpAddr();
const packedLocal = new IpAddr();
const unpacked: DatagramInfo = {
  addr: packed,
  port: 0,
  localAddr: packedLocal,
  nicId: 0,
  ttl: 0,
  tos: 0,
  length: 0,
  timeNs: 0,
  segmentBytes: 0,
  flowLabel: 0,
  extra: null,
};
const FLAG_PARTIAL = 1;
const FLAG_VALID = 2;

export class PacketEndpoint {
  readonly cooked: boolean;
  protocol: number;
  boundNicId = 0;
  filter: SocketFilter | null = null;
  ignoresOutgoing = false;
  sink: FrameSink | null = null;
  onReadiness: OnReadiness | null = null;
  receiveBufferBytes = BUFFER_BYTES;
  /** PACKET_STATISTICS: passed the filter, and of these found no room. */
  packets = 0;
  drops = 0;
  readonly #stack: Stack;
  readonly #queue: DatagramQueue;
  readonly #promiscuous: Nic[] = [];
  readonly #info = newPacketInfo();
  #error: NetError | 0 = 0;
  #isClosed = false;

  constructor(stack: Stack, cooked: boolean, protocol: number) {
    this.#stack = stack;
    this.#queue = new DatagramQueue(stack.spareDatagramMemory);
    this.cooked = cooked;
    this.protocol = protocol;
  }

  readiness(): number {
    let mask: number = Ready.Write;
    if (this.#queue.count > 0) mask |= Ready.Read;
    if (this.#error !== 0) mask |= Ready.Error;
    return mask;
  }
  takeError(): NetError | 0 {
    const error = this.#error;
    this.#error = 0;
    return error;
  }
  get nextBytes(): number {
    return this.#queue.nextBytes;
  }

  /** protocol 0: as it is. An interface that is down is told as a pending error. */
  bind(nicId: number, protocol: number): NetError | 0 {
    const nic = nicId === 0 ? null : this.#stack.nicById(nicId);
    if (nicId !== 0 && nic === null) return NetErr.NoDevice;
    this.boundNicId = nicId;
    if (protocol !== 0) this.protocol = protocol;
    if (nic !== null && !nic.isUp) this.#error = NetErr.NetworkDown;
    return 0;
  }

  /** Called for frames of our protocol and interface; f.start is where we begin to see it. */
  onFrame(f: TapFrame): void {
    const wire = f.end - f.start;
    let keep = wire;
    if (this.filter !== null) {
      const wanted = this.filter.run(f);
      if (wanted === 0) return;
      keep = Math.min(wire, wanted);
    }
    this.packets++;
    const sink = this.sink;
    if (sink !== null) {
      if (!sink.onFrame(this.#describe(f, wire, keep), f.bytes, f.start)) this.drops++;
      else this.onReadiness?.(Ready.Read);
      return;
    }
    this.#enqueue(f, wire, keep);
  }

  #describe(f: TapFrame, wire: number, keep: number): PacketInfo {
    const info = this.#info;
    info.protocol = f.protocol;
    info.nicId = f.nicId;
    info.type = f.type;
    info.hardwareType = f.hardwareType;
    for (let i = 0; i < MAC_BYTES; i++) info.mac[i] = f.bytes[f.link + ETH_SRC + i];
    info.wireLength = wire;
    info.length = keep;
    info.networkOffset = f.network - f.start;
    info.checksumPartial = f.checksumPartial;
    info.checksumValid = f.checksumValid;
    info.vlan = f.vlan;
    info.timeNs = this.#stack.clock.realtimeNs();
    return info;
  }

  #enqueue(f: TapFrame, wire: number, keep: number): void {
    const stack = this.#stack;
    if (
      !this.#queue.hasRoom(keep, this.receiveBufferBytes) ||
      stack.socketMemoryBytes > stack.limits.socketMemoryBytes
    ) {
      this.drops++;
      return;
    }
    const b = f.bytes;
    const mac = f.link + ETH_SRC;
    packed.w0 = (b[mac] << 24) | (b[mac + 1] << 16) | (b[mac + 2] << 8) | b[mac + 3];
    packed.w1 = (b[mac + 4] << 8) | b[mac + 5];
    packed.w2 = wire;
    packed.w3 = f.network - f.start;
    packedLocal.w0 = f.hardwareType;
    packedLocal.w1 = (f.checksumPartial ? FLAG_PARTIAL : 0) | (f.checksumValid ? FLAG_VALID : 0);
    packedLocal.w2 = f.vlan;
    const before = this.#queue.chargedBytes;
    this.#queue.put(
      b,
      f.start,
      keep,
      packed,
      f.protocol,
      packedLocal,
      f.nicId,
      0,
      f.type,
      stack.clock.realtimeNs(),
    );
    stack.socketMemoryBytes += this.#queue.chargedBytes - before;
    this.onReadiness?.(Ready.Read);
  }

  /** Bytes copied of the oldest frame, or a NetError. */
  receive(dst: Uint8Array, offset: number, length: number, out: PacketInfo, peek: boolean): number {
    if (this.#error !== 0) return this.takeError();
    if (this.#queue.count === 0) return NetErr.WouldBlock;
    const before = this.#queue.chargedBytes;
    const n = this.#queue.take(dst, offset, length, unpacked, peek);
    this.#stack.socketMemoryBytes -= before - this.#queue.chargedBytes;
    out.protocol = unpacked.port;
    out.nicId = unpacked.nicId;
    out.type = unpacked.tos | (unpacked.flowLabel << 8);
    out.hardwareType = packedLocal.w0;
    out.mac[0] = packed.w0 >>> 24;
    out.mac[1] = packed.w0 >>> 16;
    out.mac[2] = packed.w0 >>> 8;
    out.mac[3] = packed.w0;
    out.mac[4] = packed.w1 >>> 8;
    out.mac[5] = packed.w1;
    out.wireLength = packed.w2;
    out.networkOffset = packed.w3;
    out.length = unpacked.length;
    out.checksumPartial = (packedLocal.w1 & FLAG_PARTIAL) !== 0;
    out.checksumValid = (packedLocal.w1 & FLAG_VALID) !== 0;
    out.vlan = packedLocal.w2;
    out.timeNs = unpacked.timeNs;
    return n;
  }

  /**
   * Sends a frame by a NIC: with its own header, or (cooked) behind one to dstMac of this protocol.
   * Bytes sent or a NetError.
   */
  send(
    src: Uint8Array,
    offset: number,
    length: number,
    nicId: number,
    dstMac: Uint8Array,
    protocol: number,
  ): number {
    const stack = this.#stack;
    const nic = stack.nicById(nicId !== 0 ? nicId : this.boundNicId);
    if (nic === null) return NetErr.NoDevice;
    if (!nic.isUp) return NetErr.NetworkDown;
    const header = this.cooked ? ETH_HEADER : 0;
    if (!this.cooked && length < ETH_HEADER) return NetErr.InvalidArgument;
    if (length + header > nic.mtu + ETH_HEADER) return NetErr.MessageTooLong;
    const pkt = stack.allocPacket();
    pkt.bytes.set(src.subarray(offset, offset + length), pkt.start);
    pkt.end = pkt.start + length;
    if (this.cooked) {
      pkt.start -= ETH_HEADER;
      writeEthernet(pkt.bytes, pkt.start, dstMac, nic.mac, protocol);
    }
    pkt.l3 = pkt.start + ETH_HEADER;
    if (nic.isLoopback) stack.toOurselves.pushFrame(nic, pkt);
    else nic.transmitFrame(pkt);
    stack.runPending();
    return length;
  }

  /** The interface is gone (packet_notifier): who is bound to it hears of it, and sees nothing any more. */
  nicGone(nicId: number): void {
    const at = this.#promiscuous.findIndex((nic) => nic.id === nicId);
    if (at >= 0) this.#promiscuous.splice(at, 1);
    if (this.boundNicId !== nicId) return;
    this.boundNicId = -1;
    this.#error = NetErr.NetworkDown;
    this.onReadiness?.(Ready.Error);
  }

  addPromiscuous(nicId: number): NetError | 0 {
    const nic = this.#stack.nicById(nicId);
    if (nic === null) return NetErr.NoDevice;
    nic.promiscuity++;
    this.#promiscuous.push(nic);
    return 0;
  }
  dropPromiscuous(nicId: number): NetError | 0 {
    const at = this.#promiscuous.findIndex((nic) => nic.id === nicId);
    if (at < 0) return NetErr.AddressNotAvailable;
    this.#promiscuous[at].promiscuity--;
    this.#promiscuous.splice(at, 1);
    return 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const nic of this.#promiscuous) nic.promiscuity--;
    this.#stack.taps.remove(this);
    this.#stack.socketMemoryBytes -= this.#queue.chargedBytes;
    this.#stack.endpointCount--;
    this.#queue.clear();
    this.onReadiness = null;
  }
}
