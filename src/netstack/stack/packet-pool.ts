// Packet buffers in stock, so that a packet costs no allocation. Keeps at most KEEP free ones: a burst may
// make more, and they go back to the garbage collector.

import { HEADROOM, PacketBuffer as Packet, type PacketBuffer } from "./packet-buffer.ts";

const KEEP = 64;

export class PacketPool {
  readonly #free: PacketBuffer[] = [];

  take(): PacketBuffer {
    const pkt = this.#free.pop();
    if (pkt === undefined) return new Packet();
    pkt.reset();
    return pkt;
  }

  give(pkt: PacketBuffer): void {
    // A right-sized copy (parkedCopy) is not worth keeping.
    if (this.#free.length >= KEEP || pkt.bytes.length < FULL) return;
    pkt.fragBytes = null;
    pkt.observer = null;
    this.#free.push(pkt);
  }
}

const FULL = new Packet().bytes.length;

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

/** `to` becomes the same packet with its payload gathered behind the header. `to` must have room. */
export function copyPacket(
  to: PacketBuffer,
  from: PacketBuffer,
  headroom: number = HEADROOM,
): void {
  const linear = from.end - from.start;
  const shift = headroom - from.start;
  to.reset(headroom);
  to.bytes.set(from.bytes.subarray(from.start, from.end), headroom);
  if (from.fragBytes !== null && from.fragLength > 0) {
    to.bytes.set(
      from.fragBytes.subarray(from.fragOffset, from.fragOffset + from.fragLength),
      headroom + linear,
    );
  }
  to.end = headroom + linear + from.fragLength;
  to.l3 = from.l3 + shift;
  to.l4 = from.l4 + shift;
  to.payload = from.payload + shift;
  copyMeta(to, from);
}

/** Moves a fragment reference into the packet's own bytes: for whoever must outlive the send call. */
export function gather(pkt: PacketBuffer): void {
  if (pkt.fragBytes === null) return;
  if (pkt.fragLength > 0) {
    pkt.bytes.set(pkt.fragBytes.subarray(pkt.fragOffset, pkt.fragOffset + pkt.fragLength), pkt.end);
  }
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
    to.bytes.set(from.bytes.subarray(from.start + at, from.start + at + fromLinear), to.start);
  }
  const rest = n - fromLinear;
  if (rest > 0 && from.fragBytes !== null) {
    const begin = from.fragOffset + at + fromLinear - linear;
    to.bytes.set(from.fragBytes.subarray(begin, begin + rest), to.start + fromLinear);
  }
  to.end = to.start + n;
}
