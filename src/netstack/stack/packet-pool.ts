// Packet buffers in stock, so that a packet costs no allocation. Keeps at most KEEP free ones: a burst may
// make more, and they go back to the garbage collector.

import { copyBytes } from "../../base/slab.ts";
import {
  HEADROOM,
  MAX_PACKET,
  PacketBuffer as Packet,
  type PacketBuffer,
} from "./packet-buffer.ts";

const KEEP = 64;
/** As many have their bytes in the slab (32 of 64 KiB): those at hand are taken again first. */
const KEEP_IN_SLAB = 32;

export class PacketPool {
  readonly #free: PacketBuffer[] = [];
  #madeInSlab = 0;

  take(): PacketBuffer {
    const pkt = this.#free.pop();
    if (pkt === undefined) return this.#make();
    pkt.reset();
    return pkt;
  }

  #make(): PacketBuffer {
    const isInSlab = this.#madeInSlab < KEEP_IN_SLAB;
    if (isInSlab) this.#madeInSlab++;
    return new Packet(FULL, isInSlab);
  }

  give(pkt: PacketBuffer): void {
    // A right-sized copy (parkedCopy) is not worth keeping.
    if (this.#free.length >= KEEP || pkt.bytes.length < FULL) return;
    pkt.fragBytes = null;
    pkt.observer = null;
    this.#free.push(pkt);
  }
}

const FULL = HEADROOM + MAX_PACKET;

/** Copies what the layers know about a packet, not its bytes. */
function copyMeta(to: PacketBuffer, from: PacketBuffer): void {
  to.src.set(from.src);
  to.dst.set(from.dst);
  to.protocol = from.protocol;
  to.ttl = from.ttl;
  to.tos = from.tos;
  to.nicId = from.nicId;
  to.linkBroadcast = from.linkBroadcast;
  to.checksumValid = from.checksumValid;
  to.checksumPartial = from.checksumPartial;
  to.checksumOffset = from.checksumOffset;
  to.gsoType = from.gsoType;
  to.gsoKeepsCwr = from.gsoKeepsCwr;
  to.gsoSize = from.gsoSize;
  to.timeNs = from.timeNs;
}

/** A copy of everything from the first header on, payload gathered. */
export function wholeBytes(pkt: PacketBuffer): Uint8Array {
  const bytes = new Uint8Array(pkt.length);
  const linear = pkt.end - pkt.start;
  bytes.set(pkt.bytes.subarray(pkt.start, pkt.end));
  if (pkt.fragBytes !== null) {
    bytes.set(pkt.fragBytes.subarray(pkt.fragOffset, pkt.fragOffset + pkt.fragLength), linear);
  }
  return bytes;
}

/** `length` bytes of from's reference, from `skip` on, to to's own bytes at `at`. */
function copyFrag(
  to: PacketBuffer,
  at: number,
  from: PacketBuffer,
  skip: number,
  length: number,
): void {
  const frag = from.fragBytes;
  if (frag === null || length <= 0) return;
  copyBytes(to.bytes, to.slabAt, at, frag, from.fragSlabAt, from.fragOffset + skip, length);
}

/** `to` becomes the same packet with its payload gathered behind the header. `to` must have room. */
export function copyPacket(
  to: PacketBuffer,
  from: PacketBuffer,
  headroom: number = HEADROOM,
): void {
  const linear = from.end - from.start;
  const shift = headroom - from.start;
  to.reset(headroom);
  copyBytes(to.bytes, to.slabAt, headroom, from.bytes, from.slabAt, from.start, linear);
  copyFrag(to, headroom + linear, from, 0, from.fragLength);
  to.end = headroom + linear + from.fragLength;
  to.l3 = from.l3 + shift;
  to.l4 = from.l4 + shift;
  to.payload = from.payload + shift;
  copyMeta(to, from);
}

/** Moves a fragment reference into the packet's own bytes: for whoever must outlive the send call. */
export function gather(pkt: PacketBuffer): void {
  if (pkt.fragBytes === null) return;
  copyFrag(pkt, pkt.end, pkt, 0, pkt.fragLength);
  pkt.end += pkt.fragLength;
  pkt.fragBytes = null;
  pkt.fragOffset = 0;
  pkt.fragLength = 0;
}

/** A copy no larger than needed, for a packet that must wait long (an unresolved neighbour). */
export function parkedCopy(from: PacketBuffer): PacketBuffer {
  const to = new Packet(HEADROOM + from.length);
  copyPacket(to, from);
  to.observer = from.observer;
  to.observerKey = from.observerKey;
  return to;
}

/** Bytes [at, at + n) of `from` (linear part, then frag) behind `to`'s start. */
export function copyRange(
  to: PacketBuffer,
  from: PacketBuffer,
  linear: number,
  at: number,
  n: number,
): void {
  const fromLinear = Math.max(0, Math.min(n, linear - at));
  if (fromLinear > 0) {
    copyBytes(to.bytes, to.slabAt, to.start, from.bytes, from.slabAt, from.start + at, fromLinear);
  }
  copyFrag(to, to.start + fromLinear, from, at + fromLinear - linear, n - fromLinear);
  to.end = to.start + n;
}
