// Two link endpoints joined back to back in memory. Nothing moves by itself: whoever owns the pair pumps
// it, so tests and simulations decide when a frame arrives; with a delay, frames are due by the clock.

import type { Clock } from "../base/clock.ts";
import {
  copyPacket,
  HEADROOM,
  type LinkEndpoint,
  type LinkSink,
  MAX_PACKET,
  PacketBuffer,
} from "../netstack/index.ts";

export interface MemoryLinkConfig {
  clock: Clock;
  mtu?: number;
  delayNs?: number;
  checksumOffload?: boolean;
  gsoBytesMax?: number;
  /** Frames in flight one way; more are dropped. */
  queueFrames?: number;
  /** What is due at once arrives as one batch, so that the stacks may merge segments (GRO). */
  batches?: boolean;
}

const DEFAULT_MTU = 1500;
const DEFAULT_QUEUE = 4096;
/** A power of two, and doubled. */
const FIRST_QUEUE = 64;
/** Ethernet with a VLAN tag. */
const LINK_HEADER_BYTES = 18;

export class MemoryLink implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  dropped = 0;
  /** Sees every frame that is sent; false: it is lost. For tests. */
  filter: ((pkt: PacketBuffer) => boolean) | null = null;
  /** Frames on their way to us: a ring, `#count` of them from `#head` on. */
  #inbound: PacketBuffer[] = [];
  #head = 0;
  #count = 0;
  peer: MemoryLink | null = null;
  readonly #clock: Clock;
  readonly #delayNs: number;
  readonly #queueFrames: number;
  readonly #batches: boolean;
  readonly #free: PacketBuffer[] = [];
  /** As large as frames get here: buffers of 64 KiB for 1500 bytes each would be a cache miss each. */
  readonly #bufferBytes: number;
  #sink: LinkSink | null = null;

  constructor(mac: Uint8Array, config: MemoryLinkConfig) {
    this.mac = mac;
    this.mtu = config.mtu ?? DEFAULT_MTU;
    this.checksumOffload = config.checksumOffload ?? false;
    this.gsoBytesMax = config.gsoBytesMax ?? 0;
    this.#clock = config.clock;
    this.#delayNs = config.delayNs ?? 0;
    const frameBytes = this.gsoBytesMax > 0 ? MAX_PACKET : this.mtu + LINK_HEADER_BYTES;
    this.#bufferBytes = HEADROOM + Math.min(frameBytes, MAX_PACKET);
    this.#queueFrames = config.queueFrames ?? DEFAULT_QUEUE;
    this.#batches = config.batches ?? false;
  }

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }

  send(pkt: PacketBuffer): boolean {
    const peer = this.peer;
    if (this.filter !== null && !this.filter(pkt)) return true;
    if (peer === null || peer.#count >= this.#queueFrames) {
      this.dropped++;
      return false;
    }
    const bytes = HEADROOM + pkt.length;
    let copy = peer.#free.pop();
    if (copy === undefined || copy.bytes.length < bytes) {
      copy = new PacketBuffer(Math.max(bytes, peer.#bufferBytes), true);
    }
    copyPacket(copy, pkt);
    copy.timeNs = this.#clock.monotonicNs() + this.#delayNs;
    // What a NIC with offload says of a frame whose checksum it finishes or has checked.
    copy.checksumValid = copy.checksumPartial;
    peer.#push(copy);
    return true;
  }

  #push(pkt: PacketBuffer): void {
    if (this.#count === this.#inbound.length) {
      const old = this.#waiting();
      this.#inbound = old.concat(new Array(Math.max(FIRST_QUEUE, old.length)).fill(pkt));
      this.#head = 0;
    }
    this.#inbound[(this.#head + this.#count) & (this.#inbound.length - 1)] = pkt;
    this.#count++;
  }

  #waiting(): PacketBuffer[] {
    const { length } = this.#inbound;
    return Array.from(
      { length: this.#count },
      (_, i) => this.#inbound[(this.#head + i) & (length - 1)],
    );
  }

  /** What waits arrives in the opposite order. For tests. */
  reverse(): void {
    const waiting = this.#waiting().reverse();
    this.#count = 0;
    for (const pkt of waiting) this.#push(pkt);
  }

  /** Injects a frame as if the peer had sent it. */
  inject(frame: Uint8Array): void {
    const pkt = new PacketBuffer();
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    this.#sink?.deliver(pkt);
  }

  get nextDeadlineNs(): number {
    return this.#count > 0 ? this.#inbound[this.#head].timeNs : Number.POSITIVE_INFINITY;
  }

  /** Delivers what is due; how many frames. */
  pump(): number {
    const nowNs = this.#clock.monotonicNs();
    let count = 0;
    const batch = this.#batches && this.#count > 1 ? this.#sink : null;
    batch?.beginBatch?.();
    while (this.#count > 0 && this.#inbound[this.#head].timeNs <= nowNs) {
      const pkt = this.#inbound[this.#head];
      this.#head = (this.#head + 1) & (this.#inbound.length - 1);
      this.#count--;
      this.#sink?.deliver(pkt);
      this.#free.push(pkt);
      count++;
    }
    batch?.endBatch?.();
    return count;
  }

  close(): void {
    if (this.peer !== null) this.peer.peer = null;
    this.peer = null;
    this.#count = 0;
  }
}

export class MemoryPair {
  readonly a: MemoryLink;
  readonly b: MemoryLink;

  constructor(config: MemoryLinkConfig) {
    this.a = new MemoryLink(new Uint8Array([2, 0, 0, 0, 0, 1]), config);
    this.b = new MemoryLink(new Uint8Array([2, 0, 0, 0, 0, 2]), config);
    this.a.peer = this.b;
    this.b.peer = this.a;
  }

  /** Delivers both ways until nothing more is due; how many frames. */
  pump(): number {
    let total = 0;
    for (;;) {
      const n = this.a.pump() + this.b.pump();
      if (n === 0) return total;
      total += n;
    }
  }

  get nextDeadlineNs(): number {
    return Math.min(this.a.nextDeadlineNs, this.b.nextDeadlineNs);
  }
}
