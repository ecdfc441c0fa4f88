// A cable of the simulation: two ends, and between them one Impairment each way. Nothing to pump: frames
// arrive by the world's timers.

import type { Clock } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import { type Conditions, Impairment, PERFECT } from "../../link/index.ts";
import type { LinkEndpoint, LinkSink, PacketBuffer } from "../../netstack/index.ts";

export interface CableConfig {
  /** Layer-3 bytes of a frame; 1500. */
  mtu?: number;
  /** Both ways; what is not named is perfect. */
  conditions?: Partial<Conditions>;
  /** From b to a, where that way is different. */
  backConditions?: Partial<Conditions>;
  /** Larger than the MTU: TCP hands over several segments as one frame, as to a card that cuts them up. */
  gsoBytesMax?: number;
}

export interface CableContext {
  clock: Clock;
  timers: TimerQueue;
  rng: Rng;
}

const DEFAULT_MTU = 1500;

export class CableEnd implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  /** The way from here to the other end. */
  readonly out: Impairment;
  #sink: LinkSink | null = null;

  constructor(mac: Uint8Array, config: CableConfig, out: Impairment) {
    this.mac = mac;
    this.mtu = config.mtu ?? DEFAULT_MTU;
    this.gsoBytesMax = config.gsoBytesMax ?? 0;
    this.checksumOffload = this.gsoBytesMax > 0;
    this.out = out;
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  send(pkt: PacketBuffer): boolean {
    return this.out.send(pkt);
  }
  deliver(pkt: PacketBuffer): void {
    this.#sink?.deliver(pkt);
  }
  close(): void {
    this.out.close();
  }
}

export class Cable {
  readonly a: CableEnd;
  readonly b: CableEnd;

  constructor(context: CableContext, macA: Uint8Array, macB: Uint8Array, config: CableConfig) {
    const there = { ...PERFECT, ...config.conditions };
    const back = { ...there, ...config.backConditions };
    const ab = new Impairment({
      ...context,
      conditions: there,
      deliver: (pkt) => this.b.deliver(pkt),
    });
    const ba = new Impairment({
      ...context,
      conditions: back,
      deliver: (pkt) => this.a.deliver(pkt),
    });
    this.a = new CableEnd(macA, config, ab);
    this.b = new CableEnd(macB, config, ba);
  }

  /** Both ways, from now on. */
  set(conditions: Partial<Conditions>): void {
    for (const way of [this.a.out, this.b.out]) {
      way.conditions = { ...way.conditions, ...conditions };
    }
  }
  cut(): void {
    this.a.out.isDown = true;
    this.b.out.isDown = true;
  }
  mend(): void {
    this.a.out.isDown = false;
    this.b.out.isDown = false;
  }
  get isCut(): boolean {
    return this.a.out.isDown;
  }
}
