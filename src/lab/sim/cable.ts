// A cable of the simulation: two ends, and between them one Impairment each way, with faults in front of it.
// Nothing to pump: frames arrive by the world's timers.

import type { Clock } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import { type Conditions, Impairment, PERFECT } from "../../link/index.ts";
import type { LinkEndpoint, LinkSink, PacketBuffer } from "../../netstack/index.ts";
import type { Fault } from "./faults.ts";
import { FaultyWay } from "./faulty-way.ts";

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
  readonly way: FaultyWay;
  #sink: LinkSink | null = null;

  constructor(mac: Uint8Array, config: CableConfig, out: Impairment, context: CableContext) {
    this.mac = mac;
    this.mtu = config.mtu ?? DEFAULT_MTU;
    this.gsoBytesMax = config.gsoBytesMax ?? 0;
    this.checksumOffload = this.gsoBytesMax > 0;
    this.out = out;
    this.way = new FaultyWay(context.clock, context.timers, out);
  }
  /** For what goes out here, from now on; returns it. */
  addFault<F extends Fault>(fault: F): F {
    this.way.add(fault);
    return fault;
  }
  removeFault(fault: Fault): void {
    this.way.remove(fault);
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  send(pkt: PacketBuffer): boolean {
    return this.way.send(pkt);
  }
  deliver(pkt: PacketBuffer): void {
    this.#sink?.deliver(pkt);
  }
  close(): void {
    this.out.close();
  }
}

export interface Flaps {
  /** Until the first cut; 0: at once. */
  firstNs?: number;
  downNs: number;
  upNs: number;
  /** How often; for ever when not given. */
  times?: number;
}

export class Cable {
  readonly a: CableEnd;
  readonly b: CableEnd;
  readonly #context: CableContext;

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
    this.a = new CableEnd(macA, config, ab, context);
    this.b = new CableEnd(macB, config, ba, context);
    this.a.way.back = ba;
    this.b.way.back = ab;
    this.#context = context;
  }

  /** Both ways: one fault that counts what passes in either. */
  addFault<F extends Fault>(fault: F): F {
    this.a.addFault(fault);
    return this.b.addFault(fault);
  }
  removeFault(fault: Fault): void {
    this.a.removeFault(fault);
    this.b.removeFault(fault);
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
  /** Cut and mended again and again, by schedule; the timer's disarming ends it. */
  flap({ firstNs = 0, downNs, upNs, times = Number.POSITIVE_INFINITY }: Flaps): Timer {
    const { clock, timers } = this.#context;
    let left = times;
    const timer = new Timer(() => {
      if (this.isCut) {
        this.mend();
        if (--left > 0) timers.arm(timer, clock.monotonicNs() + upNs);
      } else {
        this.cut();
        timers.arm(timer, clock.monotonicNs() + downNs);
      }
    });
    timers.arm(timer, clock.monotonicNs() + firstNs);
    return timer;
  }
  get isCut(): boolean {
    return this.a.out.isDown;
  }
}
