// PACKET_RX_RING, version TPACKET_V2 (packet_mmap): frames go into memory that the program has mapped, a slot
// for each, handed over and back by a status word. The program may write anything into it at any time: of
// what stands there only the status is read, and only to see whether the slot is ours.

import {
  SLL_ADDR,
  SLL_HALEN,
  SLL_HATYPE,
  SLL_IFINDEX,
  SLL_PKTTYPE,
  SLL_PROTOCOL,
  SOCKADDR_LL_BYTES,
  TP_STATUS_CSUM_VALID,
  TP_STATUS_CSUMNOTREADY,
  TP_STATUS_KERNEL,
  TP_STATUS_LOSING,
  TP_STATUS_TS_SOFTWARE,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  TPACKET_ALIGNMENT,
  TPACKET2_HDR_BYTES,
  TPACKET2_HDRLEN,
} from "../../../abi/packet.ts";
import { AF_PACKET } from "../../../abi/socket.ts";
import { setU16, setU16Le, setU32Le, u32Le } from "../../../base/bytes.ts";
import { SECOND } from "../../../base/clock.ts";
import type { FrameSink, PacketInfo } from "../../../netstack/index.ts";
import type { SharedMemory } from "../../mm/shared-memory.ts";

const align = (n: number): number => (n + TPACKET_ALIGNMENT - 1) & ~(TPACKET_ALIGNMENT - 1);

export interface RingShape {
  blockBytes: number;
  blockCount: number;
  frameBytes: number;
  frameCount: number;
}

export class PacketRing implements FrameSink {
  readonly memory: SharedMemory;
  readonly #shape: RingShape;
  readonly #framesPerBlock: number;
  readonly #cooked: boolean;
  readonly #reserve: number;
  readonly #header = new Uint8Array(TPACKET2_HDR_BYTES + SOCKADDR_LL_BYTES);
  readonly #status = new Uint8Array(4);
  #next = 0;
  #isLosing = false;

  constructor(memory: SharedMemory, shape: RingShape, cooked: boolean, reserve: number) {
    this.memory = memory;
    this.#shape = shape;
    this.#framesPerBlock = Math.floor(shape.blockBytes / shape.frameBytes);
    this.#cooked = cooked;
    this.#reserve = reserve;
  }

  #slot(index: number): number {
    const block = Math.floor(index / this.#framesPerBlock);
    const inBlock = index - block * this.#framesPerBlock;
    return block * this.#shape.blockBytes + inBlock * this.#shape.frameBytes;
  }
  #statusOf(index: number): number {
    this.memory.readAt(this.#slot(index), this.#status, 0, 4);
    return u32Le(this.#status, 0);
  }

  /** The frame filled last is the program's to read. */
  get isReadable(): boolean {
    const last = (this.#next + this.#shape.frameCount - 1) % this.#shape.frameCount;
    return this.#statusOf(last) !== TP_STATUS_KERNEL;
  }

  onFrame(info: PacketInfo, bytes: Uint8Array, offset: number): boolean {
    const slot = this.#slot(this.#next);
    if (this.#statusOf(this.#next) !== TP_STATUS_KERNEL) {
      this.#isLosing = true;
      return false;
    }
    // tpacket_rcv: where the headers begin. The link's header stands right before the network's.
    const linkBytes = this.#cooked ? 0 : info.networkOffset;
    const net = align(align(TPACKET2_HDRLEN) + Math.max(linkBytes, 16)) + this.#reserve;
    const mac = net - linkBytes;
    const room = Math.max(0, this.#shape.frameBytes - mac);
    const length = Math.min(info.length, room);
    if (this.memory.writeAt(slot + mac, bytes, offset, length) !== length) return false;
    this.#fillHeader(info, length, mac, net);
    // The status goes last: from then on the slot is the program's.
    const h = this.#header;
    if (this.memory.writeAt(slot + 4, h, 4, h.length - 4) !== h.length - 4) return false;
    if (this.memory.writeAt(slot, h, 0, 4) !== 4) return false;
    this.#isLosing = false;
    this.#next = (this.#next + 1) % this.#shape.frameCount;
    return true;
  }

  #fillHeader(info: PacketInfo, length: number, mac: number, net: number): void {
    const h = this.#header;
    let status = TP_STATUS_USER | TP_STATUS_TS_SOFTWARE;
    if (this.#isLosing) status |= TP_STATUS_LOSING;
    if (info.checksumPartial) status |= TP_STATUS_CSUMNOTREADY;
    else if (info.checksumValid) status |= TP_STATUS_CSUM_VALID;
    if (info.vlan !== 0) status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
    const seconds = Math.floor(info.timeNs / SECOND);
    setU32Le(h, 0, status);
    setU32Le(h, 4, info.wireLength);
    setU32Le(h, 8, length);
    setU16Le(h, 12, mac);
    setU16Le(h, 14, net);
    setU32Le(h, 16, seconds);
    setU32Le(h, 20, info.timeNs - seconds * SECOND);
    setU16Le(h, 24, info.vlan & 0xffff);
    setU16Le(h, 26, info.vlan >>> 16);
    putSockaddrLl(h, TPACKET2_HDR_BYTES, info);
  }

  release(): void {
    this.memory.decRef();
  }
}

export function putSockaddrLl(b: Uint8Array, at: number, info: PacketInfo): void {
  b.fill(0, at, at + SOCKADDR_LL_BYTES);
  setU16Le(b, at, AF_PACKET);
  setU16(b, at + SLL_PROTOCOL, info.protocol);
  setU32Le(b, at + SLL_IFINDEX, info.nicId);
  setU16Le(b, at + SLL_HATYPE, info.hardwareType);
  b[at + SLL_PKTTYPE] = info.type;
  b[at + SLL_HALEN] = info.mac.length;
  b.set(info.mac, at + SLL_ADDR);
}
