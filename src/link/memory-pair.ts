// Two link endpoints joined back to back in memory. Nothing moves by itself: whoever owns the pair pumps
// it, so tests and simulations decide when a frame arrives; with a delay, frames are due by the clock.

import type { Clock } from "../base/clock.ts";
import { copyPacket, type LinkEndpoint, type LinkSink, PacketBuffer } from "../netstack/index.ts";

export interface MemoryLinkConfig {
  clock: Clock;
  mtu?: number;
  delayNs?: number;
  checksumOffload?: boolean;
  gsoBytesMax?: number;
  /** Frames in flight one way; more are dropped. */
  queueFrames?: number;
}

const DEFAULT_MTU = 1500;
const DEFAULT_QUEUE = 4096;

export class MemoryLink implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  dropped = 0;
  /** Sees every frame that is sent; false: it is lost. For tests. */
  filter: ((pkt: PacketBuffer) => boolean) | null = null;
  /** Frames on their way to us. */
  readonly inbound: PacketBuffer[] = [];
  peer: MemoryLink | null = null;
  readonly #clock: Clock;
  readonly #delayNs: number;
  readonly #queueFrames: number;
  readonly #free: PacketBuffer[] = [];
  #sink: LinkSink | null = null;

  constructor(mac: Uint8Array, config: MemoryLinkConfig) {
    this.mac = mac;
    this.mtu = config.mtu ?? DEFAULT_MTU;
    this.checksumOffload = config.checksumOffload ?? false;
    this.gsoBytesMax = config.gsoBytesMax ?? 0;
    this.#clock = config.clock;
    this.#delayNs = config.delayNs ?? 0;
    this.#queueFrames = config.queueFrames ?? DEFAULT_QUEUE;
  }

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }

  send(pkt: PacketBuffer): boolean {
    const peer = this.peer;
    if (this.filter !== null && !this.filter(pkt)) return true;
    if (peer === null || peer.inbound.length >= this.#queueFrames) {
      this.dropped++;
      return false;
    }
    const copy = peer.#free.pop() ?? new PacketBuffer();
    copyPacket(copy, pkt);
    copy.timeNs = this.#clock.monotonicNs() + this.#delayNs;
    // What a NIC with offload says of a frame whose checksum it finishes or has checked.
    copy.checksumValid = copy.checksumPartial;
    peer.inbound.push(copy);
    return true;
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
    return this.inbound.length > 0 ? this.inbound[0].timeNs : Number.POSITIVE_INFINITY;
  }

  /** Delivers what is due; how many frames. */
  pump(): number {
    const nowNs = this.#clock.monotonicNs();
    let count = 0;
    while (this.inbound.length > 0 && this.inbound[0].timeNs <= nowNs) {
      const pkt = this.inbound.shift() as PacketBuffer;
      this.#sink?.deliver(pkt);
      this.#free.push(pkt);
      count++;
    }
    return count;
  }

  close(): void {
    if (this.peer !== null) this.peer.peer = null;
    this.peer = null;
    this.inbound.length = 0;
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
