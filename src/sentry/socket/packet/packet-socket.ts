// AF_PACKET sockets (packet(7)): frames as they are on an interface, or (SOCK_DGRAM) without their link header.
// The work is the stack's PacketEndpoint; a mapped ring is packet-ring.ts.

import {
  EAGAIN,
  EBUSY,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENODEV,
  ENOMEM,
  ENOPROTOOPT,
  ENXIO,
  EOPNOTSUPP,
} from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import * as packet from "../../../abi/packet.ts";
import { POLLIN, POLLRDNORM } from "../../../abi/poll.ts";
import {
  AF_PACKET,
  MSG_ERRQUEUE,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_DGRAM,
  SOL_PACKET,
} from "../../../abi/socket.ts";
import { i32Le, setU16, setU16Le, setU32Le, u16, u32Le } from "../../../base/bytes.ts";
import { newPacketInfo, type PacketEndpoint } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable } from "../../mm/mappable.ts";
import { PAGE_MASK } from "../../mm/page.ts";
import { SharedMemory } from "../../mm/shared-memory.ts";
import type { Io } from "../../vfs/io.ts";
import { errnoOf, resultOf } from "../errno-of.ts";
import { putTimestamps } from "../inet/inet-control.ts";
import { hardwareType, interfaceIoctl } from "../inet/inet-ioctl.ts";
import type { InetStack } from "../inet/inet-stack.ts";
import type { NetworkView } from "../inet/network-view.ts";
import { pollMaskOf } from "../inet/poll-mask.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import { type FilterTarget, Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import { PacketRing, putSockaddrLl } from "./packet-ring.ts";

const FRAME_MAX = 65_536 + 14;
const RING_BYTES_MAX = 64 * 1024 * 1024;
const BUFFER_BYTES = 212_992;
/** For frames that lie in several pieces of memory. */
const gathered = new Uint8Array(FRAME_MAX);
const nothing = new Uint8Array(0);
const info = newPacketInfo();
const auxdata = new Uint8Array(packet.TPACKET_AUXDATA_BYTES);
const mac = new Uint8Array(6);
/** st_dev of sockfs, for /proc/PID/maps. */
const RING_DEVICE = 8;

export class PacketSocket extends Socket {
  readonly endpoint: PacketEndpoint;
  readonly network: NetworkView;
  #ring: PacketRing | null = null;
  #reserve = 0;
  #version = packet.TPACKET_V1;
  #reportsAux = false;
  sendBufferBytes = BUFFER_BYTES;

  constructor(stack: InetStack, type: number, protocol: number, flags: number, e: PacketEndpoint) {
    super(stack.table, AF_PACKET, type, protocol, flags);
    this.network = stack.network;
    this.endpoint = e;
    e.onReadiness = (ready) => this.waiters.notify(pollMaskOf(ready));
  }

  override poll(): number {
    const mask = pollMaskOf(this.endpoint.readiness());
    return this.#ring?.isReadable ? mask | POLLIN | POLLRDNORM : mask;
  }
  override get filterTarget(): FilterTarget {
    return this.endpoint;
  }
  override takeError(): number {
    return errnoOf(this.endpoint.takeError());
  }

  override bind(_t: Task, address: SocketAddress): number {
    if (address.length < packet.SOCKADDR_LL_BYTES || address.family !== AF_PACKET) return -EINVAL;
    const index = i32Le(address.bytes, packet.SLL_IFINDEX);
    return resultOf(this.endpoint.bind(index, u16(address.bytes, packet.SLL_PROTOCOL)));
  }
  override connect(_t: Task, _address: SocketAddress): number {
    return -EOPNOTSUPP;
  }
  override shutdown(_t: Task, _how: number): number {
    return -EOPNOTSUPP;
  }
  override localName(out: SocketAddress): number {
    const b = out.bytes;
    const nic = this.network.interfaceByIndex(this.endpoint.boundNicId);
    b.fill(0, 0, packet.SOCKADDR_LL_BYTES);
    setU16Le(b, 0, AF_PACKET);
    setU16(b, packet.SLL_PROTOCOL, this.endpoint.protocol);
    setU32Le(b, packet.SLL_IFINDEX, this.endpoint.boundNicId);
    out.length = packet.SLL_ADDR;
    if (nic === undefined) return 0;
    setU16Le(b, packet.SLL_HATYPE, hardwareType(nic));
    b[packet.SLL_HALEN] = nic.mac.length;
    b.set(nic.mac, packet.SLL_ADDR);
    out.length = packet.SLL_ADDR + nic.mac.length;
    return 0;
  }
  override peerName(_out: SocketAddress): number {
    return -EOPNOTSUPP;
  }

  override send(_t: Task, io: Io, message: SendMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const to = message.address;
    let index = this.endpoint.boundNicId;
    let protocol = this.endpoint.protocol;
    mac.fill(0);
    if (to.length > 0) {
      if (to.length < packet.SLL_ADDR || to.family !== AF_PACKET) return -EINVAL;
      index = i32Le(to.bytes, packet.SLL_IFINDEX);
      protocol = u16(to.bytes, packet.SLL_PROTOCOL);
      if (this.endpoint.cooked && to.length < packet.SLL_ADDR + mac.length) return -EINVAL;
      mac.set(to.bytes.subarray(packet.SLL_ADDR, packet.SLL_ADDR + mac.length));
    } else if (this.type === SOCK_DGRAM) return -EDESTADDRREQ;
    if (index === 0 || this.network.interfaceByIndex(index) === undefined) return -ENXIO;
    const length = io.remaining;
    if (length > FRAME_MAX) return -EMSGSIZE;
    if (io.copyIn(gathered, 0, length) !== length) return -EFAULT;
    return resultOf(this.endpoint.send(gathered, 0, length, index, mac, protocol));
  }

  override receive(_t: Task, io: Io, message: ReceiveMessage): number {
    const flags = message.flags;
    if ((flags & MSG_ERRQUEUE) !== 0) return -EAGAIN;
    if ((flags & MSG_OOB) !== 0) return -EINVAL;
    const e = this.endpoint;
    const wanted = Math.min(io.remaining, e.nextBytes);
    const into = wanted === 0 ? nothing : gathered;
    const n = e.receive(into, 0, wanted, info, (flags & MSG_PEEK) !== 0);
    if (n < 0) return resultOf(n);
    if (n > 0 && io.copyOut(gathered, 0, n) !== n) return -EFAULT;
    putSockaddrLl(message.address.bytes, 0, info);
    message.address.length = packet.SOCKADDR_LL_BYTES;
    putTimestamps(this, info.timeNs, true, message.control);
    if (this.#reportsAux) this.#putAuxdata(message);
    if (info.length <= n) return n;
    message.resultFlags |= MSG_TRUNC;
    return (flags & MSG_TRUNC) !== 0 ? info.length : n;
  }

  #putAuxdata(message: ReceiveMessage): void {
    let status = packet.TP_STATUS_USER;
    if (info.checksumPartial) status |= packet.TP_STATUS_CSUMNOTREADY;
    else if (info.checksumValid) status |= packet.TP_STATUS_CSUM_VALID;
    if (info.vlan !== 0) status |= packet.TP_STATUS_VLAN_VALID | packet.TP_STATUS_VLAN_TPID_VALID;
    auxdata.fill(0);
    setU32Le(auxdata, 0, status);
    setU32Le(auxdata, 4, info.wireLength);
    setU32Le(auxdata, 8, info.length);
    setU16Le(auxdata, 14, info.networkOffset);
    setU16Le(auxdata, 16, info.vlan & 0xffff);
    setU16Le(auxdata, 18, info.vlan >>> 16);
    message.control.put(SOL_PACKET, packet.PACKET_AUXDATA, auxdata, 0, auxdata.length);
  }

  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) return t.mm.writeU32(arg, this.endpoint.nextBytes);
    return interfaceIoctl(t, this, request, arg);
  }

  override setProtocolOption(
    t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level !== SOL_PACKET) return -ENOPROTOOPT;
    switch (name) {
      case packet.PACKET_ADD_MEMBERSHIP:
      case packet.PACKET_DROP_MEMBERSHIP:
        return this.#changeMembership(name === packet.PACKET_ADD_MEMBERSHIP, value, length);
      case packet.PACKET_RX_RING:
        return this.#setRing(t, value, length);
    }
    if (length < 4) return -EINVAL;
    const v = i32Le(value, 0);
    switch (name) {
      case packet.PACKET_AUXDATA:
        this.#reportsAux = v !== 0;
        return 0;
      case packet.PACKET_VERSION:
        if (this.#ring !== null) return -EBUSY;
        if (v !== packet.TPACKET_V2) return -EINVAL;
        this.#version = v;
        return 0;
      case packet.PACKET_RESERVE:
        if (this.#ring !== null) return -EBUSY;
        if (v < 0 || v > 0xffff) return -EINVAL;
        this.#reserve = v;
        return 0;
      case packet.PACKET_TIMESTAMP:
        // The software clock is the only one.
        return 0;
      case packet.PACKET_IGNORE_OUTGOING:
        if (v !== 0 && v !== 1) return -EINVAL;
        this.endpoint.ignoresOutgoing = v === 1;
        return 0;
      default:
        return -ENOPROTOOPT;
    }
  }

  #changeMembership(add: boolean, value: Uint8Array, length: number): number {
    if (length < packet.PACKET_MREQ_BYTES) return -EINVAL;
    const index = i32Le(value, 0);
    const kind = value[4] | (value[5] << 8);
    if (add && this.network.interfaceByIndex(index) === undefined) return -ENODEV;
    switch (kind) {
      case packet.PACKET_MR_PROMISC:
        if (add) return resultOf(this.endpoint.addPromiscuous(index));
        return resultOf(this.endpoint.dropPromiscuous(index));
      case packet.PACKET_MR_MULTICAST:
      case packet.PACKET_MR_ALLMULTI:
      case packet.PACKET_MR_UNICAST:
        // Group frames are always shown; there is no hardware that filters them.
        return 0;
      default:
        return -EINVAL;
    }
  }

  /** packet_set_ring. A ring of zero blocks takes the ring away. */
  #setRing(t: Task, value: Uint8Array, length: number): number {
    if (length < packet.TPACKET_REQ_BYTES) return -EINVAL;
    const shape = {
      blockBytes: u32Le(value, 0),
      blockCount: u32Le(value, 4),
      frameBytes: u32Le(value, 8),
      frameCount: u32Le(value, 12),
    };
    if (this.#ring !== null && this.#ring.memory.attachCount > 0) return -EBUSY;
    if (shape.blockCount === 0) {
      if (shape.frameCount !== 0) return -EINVAL;
      this.#dropRing();
      return 0;
    }
    if (this.#ring !== null) return -EBUSY;
    // The first version's layout is not known here.
    if (this.#version !== packet.TPACKET_V2) return -EINVAL;
    const { blockBytes, blockCount, frameBytes, frameCount } = shape;
    if (blockBytes === 0 || (blockBytes & PAGE_MASK) !== 0) return -EINVAL;
    const min = packet.TPACKET2_HDRLEN + this.#reserve;
    if (frameBytes < min || frameBytes % packet.TPACKET_ALIGNMENT !== 0) return -EINVAL;
    const perBlock = Math.floor(blockBytes / frameBytes);
    if (perBlock === 0 || perBlock * blockCount !== frameCount) return -EINVAL;
    const bytes = blockBytes * blockCount;
    if (bytes > RING_BYTES_MAX) return -ENOMEM;
    const memory = new SharedMemory(
      t.kernel.memoryFile,
      bytes,
      this.describe(),
      RING_DEVICE,
      this.ino,
    );
    this.#ring = new PacketRing(memory, shape, this.endpoint.cooked, this.#reserve);
    this.endpoint.sink = this.#ring;
    return 0;
  }

  #dropRing(): void {
    this.endpoint.sink = null;
    this.#ring?.release();
    this.#ring = null;
  }

  override mappable(_t: Task): Mappable | number {
    return this.#ring?.memory ?? -EINVAL;
  }

  override getProtocolOption(
    _t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level !== SOL_PACKET) return -ENOPROTOOPT;
    const e = this.endpoint;
    switch (name) {
      case packet.PACKET_STATISTICS:
        setU32Le(out, 0, e.packets);
        setU32Le(out, 4, e.drops);
        e.packets = e.drops = 0;
        return 8;
      case packet.PACKET_HDRLEN:
        // The version is asked with the value: V3 is not there, so libpcap goes on with V2.
        if (maxLength < 4) return -EINVAL;
        if (i32Le(out, 0) !== packet.TPACKET_V2) return -EINVAL;
        setU32Le(out, 0, packet.TPACKET2_HDR_BYTES);
        return 4;
    }
    let v: number;
    if (name === packet.PACKET_AUXDATA) v = Number(this.#reportsAux);
    else if (name === packet.PACKET_VERSION) v = this.#version;
    else if (name === packet.PACKET_RESERVE) v = this.#reserve;
    else if (name === packet.PACKET_IGNORE_OUTGOING) v = Number(e.ignoresOutgoing);
    else if (name === packet.PACKET_TIMESTAMP) v = 0;
    else return -ENOPROTOOPT;
    setU32Le(out, 0, v);
    return 4;
  }

  get receiveBufferBytes(): number {
    return this.endpoint.receiveBufferBytes;
  }
  set receiveBufferBytes(bytes: number) {
    this.endpoint.receiveBufferBytes = bytes;
  }

  override release(): void {
    this.endpoint.close();
    this.#dropRing();
    super.release();
  }
}
