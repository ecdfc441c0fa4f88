// Two protocols joined by a wire with delay and faults, in virtual time. Not part of the product.

import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { IPV4 } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Endpoint } from "./endpoint.ts";
import { TcpProtocol } from "./tcp.ts";
import { FakeNetwork, type HarnessOptions, LOCAL, REMOTE, segmentBytes } from "./testing.ts";

const MS = 1_000_000;

/** What the wire does to a segment: how often it arrives (0 lost, 2 doubled) and with which extra delay. */
export interface Fate {
  copies: number;
  extraMs: number;
  /** Congestion is marked (CE) where the sender's ECT lets it. */
  isMarked?: boolean;
}

interface Arrival {
  at: number;
  order: number;
  to: TcpProtocol;
  bytes: Uint8Array;
  gso: number;
  tos: number;
}

/** Two protocols joined by a wire. */
export class Pair {
  readonly clock = new ManualClock();
  readonly timers = new TimerQueue();
  readonly a: TcpProtocol;
  readonly b: TcpProtocol;
  readonly netA = new FakeNetwork(LOCAL);
  readonly netB = new FakeNetwork(REMOTE);
  fate: () => Fate = () => ({ copies: 1, extraMs: 0 });
  delayMs: number;
  /** What arrives of a segment; other bytes than were sent must be seen by the checksum. */
  mangle: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  /** Sees every segment as it is sent. */
  onSegment: (fromA: boolean, bytes: Uint8Array) => void = () => {};
  #order = 0;
  #wire: Arrival[] = [];

  constructor(options: HarnessOptions & { delayMs?: number } = {}) {
    this.delayMs = options.delayMs ?? 10;
    const make = (net: FakeNetwork, seed: number): TcpProtocol => {
      net.route.mtu = options.mtu ?? 1500;
      net.route.gsoBytesMax = options.gsoBytesMax ?? 0;
      const limits = { ...DEFAULT_LIMITS, ...options.limits };
      const { clock, timers } = this;
      const { macs } = options;
      return new TcpProtocol(net, { clock, timers, rng: new SeededRng(seed), limits, macs });
    };
    this.clock.advanceNs(1_000 * MS);
    this.a = make(this.netA, options.seed ?? 1);
    this.b = make(this.netB, (options.seed ?? 1) + 1);
    this.netA.onSend = (pkt) => this.#send(pkt, true);
    this.netB.onSend = (pkt) => this.#send(pkt, false);
  }

  #send(pkt: PacketBuffer, fromA: boolean): void {
    const bytes = segmentBytes(pkt);
    this.onSegment(fromA, bytes);
    const { copies, extraMs, isMarked } = this.fate();
    const tos = isMarked && (pkt.tos & 3) !== 0 ? pkt.tos | 3 : pkt.tos;
    for (let i = 0; i < copies; i++) {
      const arrives = this.mangle(bytes);
      const at = this.clock.monotonicNs() + (this.delayMs + extraMs * (i + 1)) * MS;
      const to = fromA ? this.b : this.a;
      const order = this.#order++;
      this.#wire.push({ at, order, to, bytes: arrives, gso: pkt.gsoSize, tos });
    }
  }

  /** Runs until `until()` or the time is over; true when until() came true. */
  run(maxMs: number, until: () => boolean = () => false): boolean {
    const end = this.clock.monotonicNs() + maxMs * MS;
    while (!until()) {
      this.#wire.sort((x, y) => x.at - y.at || x.order - y.order);
      const arrival = this.#wire.length > 0 ? this.#wire[0].at : Number.POSITIVE_INFINITY;
      const next = Math.min(arrival, this.timers.nextDeadlineNs());
      if (next > end) {
        this.clock.advanceToNs(end);
        return until();
      }
      this.clock.advanceToNs(next);
      if (arrival <= next) this.#deliver();
      else this.timers.runDue(this.clock.monotonicNs());
    }
    return true;
  }

  #deliver(): void {
    const { to, bytes, gso, tos } = this.#wire.shift() as Arrival;
    const pkt = new PacketBuffer(bytes.length + 256);
    pkt.bytes.set(bytes, pkt.start);
    pkt.l4 = pkt.start;
    pkt.end = pkt.start + bytes.length;
    const toA = to === this.a;
    pkt.src.set(toA ? REMOTE : LOCAL);
    pkt.dst.set(toA ? LOCAL : REMOTE);
    pkt.checksumValid = gso > 0;
    pkt.gsoSize = gso;
    pkt.tos = tos;
    to.onPacket(pkt);
  }

  /** A connected pair of endpoints: [of a, of b]. */
  connect(setup: (ep: TcpEndpoint) => void = () => {}): [Endpoint, Endpoint] {
    const listener = this.b.newEndpoint(IPV4) as Endpoint;
    setup(listener);
    listener.bind(REMOTE, 80);
    listener.listen(8);
    const client = this.a.newEndpoint(IPV4) as Endpoint;
    setup(client);
    if (client.connect(REMOTE, 80) !== NetErr.InProgress) throw new Error("connect failed");
    let child: TcpEndpoint | null = null;
    const done = this.run(600_000, () => {
      child ??= listener.accept();
      return child !== null && client.state === 1;
    });
    if (!done) throw new Error("no connection");
    return [client, child as unknown as Endpoint];
  }
}
