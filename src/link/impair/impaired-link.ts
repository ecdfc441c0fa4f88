// A link made worse both ways: what is sent over it and what comes from it passes an Impairment each. For
// `netcell run --impair` and tests; a simulation has its own cables.

import type { Clock } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { LinkEndpoint, LinkSink, PacketBuffer } from "../../netstack/index.ts";
import { type Conditions, gsoBytesOf } from "./conditions.ts";
import { Impairment } from "./impairment.ts";

export interface ImpairedLinkConfig {
  clock: Clock;
  /** Must be run by the owner: frames leave and arrive by its timers. */
  timers: TimerQueue;
  rng: Rng;
  conditions: Conditions;
}

export class ImpairedLink implements LinkEndpoint, LinkSink {
  readonly outwards: Impairment;
  readonly inwards: Impairment;
  /** Where every frame fares for itself none may stand for many. */
  readonly gsoBytesMax: number;
  readonly #inner: LinkEndpoint;
  #sink: LinkSink | null = null;

  constructor(inner: LinkEndpoint, config: ImpairedLinkConfig) {
    this.#inner = inner;
    this.gsoBytesMax = Math.min(inner.gsoBytesMax, gsoBytesOf(config.conditions));
    this.outwards = new Impairment({ ...config, deliver: (pkt) => void this.#inner.send(pkt) });
    this.inwards = new Impairment({ ...config, deliver: (pkt) => this.#sink?.deliver(pkt) });
  }

  get mtu(): number {
    return this.#inner.mtu;
  }
  get mac(): Uint8Array {
    return this.#inner.mac;
  }
  get checksumOffload(): boolean {
    return this.#inner.checksumOffload;
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
    this.#inner.attach(this);
  }
  send(pkt: PacketBuffer): boolean {
    return this.outwards.send(pkt);
  }
  deliver(pkt: PacketBuffer): void {
    this.inwards.send(pkt);
  }
  close(): void {
    this.outwards.close();
    this.inwards.close();
    this.#inner.close();
  }
}
