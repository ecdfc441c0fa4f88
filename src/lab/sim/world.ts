// A world of stacks in one process and in virtual time: as many stacks, cables and switches as wanted, one
// clock that jumps from event to event, one seed that decides everything random. The same seed gives the same
// world, frame by frame. Not an application: what the stacks do is decided by whoever holds their endpoints.

import { ManualClock, SECOND } from "../../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { Timer, TimerQueue } from "../../base/timers.ts";
import { CaptureLink, type PcapWriter, Switch } from "../../link/index.ts";
import {
  IPV4,
  IPV6,
  IpAddr,
  type LinkEndpoint,
  NetErr,
  type Nic,
  netErrorName,
  parseIp,
  Stack,
} from "../../netstack/index.ts";
import { Cable, type CableConfig, type CableEnd } from "./cable.ts";
import type { Recording } from "./recording.ts";

export interface WorldConfig {
  /** 1 when not given. */
  seed?: number;
  /** Since 1970, at the beginning. */
  realtimeStartNs?: number;
  /** Real nanoseconds from any start, to measure the run by: see speed. Decides nothing. */
  stopwatch?: () => number;
  /** Writes down every cable's frames. */
  recording?: Recording;
}

export interface JoinConfig extends CableConfig {
  /** Addresses with their prefixes, as "10.0.0.1/24"; chosen from 10.0.0.0/8, one net a cable, when not given. */
  a?: readonly string[];
  b?: readonly string[];
  /** Writes down what passes a's end, both ways. */
  capture?: PcapWriter;
}

export interface PlugConfig extends CableConfig {
  addresses: readonly string[];
  capture?: PcapWriter;
}

interface Plug {
  where: Switch;
  stack: Stack;
  /** The switch's end of the cable. */
  port: CableEnd;
}

/** Events handled in one run(): more is a loop that time does not end. */
const EVENTS_MAX = 1e9;
const NEVER = Number.POSITIVE_INFINITY;

export class World {
  readonly seed: number;
  readonly clock: ManualClock;
  readonly timers = new TimerQueue();
  /** For the experiment's own choices: drawing from it does not move the stacks'. */
  readonly rng: SeededRng;
  readonly stacks: Stack[] = [];
  readonly cables: Cable[] = [];
  readonly #seed: SeededRng;
  readonly #pending: Stack[] = [];
  readonly #plugs: Plug[] = [];
  readonly #stopwatch: (() => number) | null;
  readonly recording: Recording | null;
  #realNs = 0;
  #nextMac = 1;
  #nextNet = 0;
  /** Timers fired since the beginning. */
  events = 0;

  constructor(config: WorldConfig = {}) {
    this.clock = new ManualClock(config.realtimeStartNs);
    this.seed = config.seed ?? 1;
    this.#seed = new SeededRng(this.seed);
    this.rng = this.#fork();
    this.#stopwatch = config.stopwatch ?? null;
    this.recording = config.recording ?? null;
  }

  /** Its own stream of random numbers, so that one more draw here is not another one there. */
  #fork(): SeededRng {
    return new SeededRng(this.#seed.u32());
  }

  get nowNs(): number {
    return this.clock.monotonicNs();
  }

  /** Simulated seconds per real second of all runs so far; null without a stopwatch. */
  get speed(): number | null {
    return this.#stopwatch === null || this.#realNs === 0 ? null : this.nowNs / this.#realNs;
  }

  stack(limits: Partial<Limits> = {}): Stack {
    const stack = new Stack({
      clock: this.clock,
      rng: this.#fork(),
      limits: { ...DEFAULT_LIMITS, ...limits },
      timers: this.timers,
    });
    stack.onPending = () => this.#pending.push(stack);
    this.stacks.push(stack);
    return stack;
  }

  /** A stack that hands on what is not its own, of both families. */
  router(limits: Partial<Limits> = {}): Stack {
    const stack = this.stack(limits);
    stack.forwarding.enable(IPV4, true);
    stack.forwarding.enable(IPV6, true);
    return stack;
  }

  /** "10.1.0.0/16", or "default4" and "default6", by way of a neighbour. */
  route(stack: Stack, to: string, via: string): void {
    const gateway = parseIp(via);
    if (gateway === null) throw new RangeError(`"${via}" is no address`);
    const everywhere = { default4: "0.0.0.0/0", default6: "::/0" }[to];
    const { addr: dst, prefixBits } = parsePrefix(everywhere ?? to);
    const near = stack.routes.lookup(gateway, 0);
    const error =
      near === null
        ? NetErr.NetworkUnreachable
        : stack.routes.add({ dst, prefixBits, gateway, nicId: near.nicId });
    if (error !== 0) throw new Error(`no route to ${to} via ${via}: ${netErrorName(error)}`);
  }

  /** Joins two stacks by a cable of their own; their new interfaces are eth0, eth1, ... */
  join(a: Stack, b: Stack, config: JoinConfig = {}): Cable {
    const cable = this.cable(config);
    const net = this.#nextNet++;
    const prefix = `10.${(net >>> 8) & 255}.${net & 255}`;
    this.attach(a, this.#recorded(cable.a, config.capture), config.a ?? [`${prefix}.1/24`]);
    this.attach(b, cable.b, config.b ?? [`${prefix}.2/24`]);
    return cable;
  }

  /** A learning switch; plug() stacks into it. */
  switch(): Switch {
    return new Switch(this.clock);
  }

  plug(where: Switch, stack: Stack, config: PlugConfig): Cable {
    const cable = this.cable(config);
    this.attach(stack, this.#recorded(cable.a, config.capture), config.addresses);
    where.plug(cable.b);
    this.#plugs.push({ where, stack, port: cable.b });
    return cable;
  }

  /** Parts a switch: stacks of one group hear each other only; those in none are one more group. */
  part(where: Switch, ...groups: readonly (readonly Stack[])[]): void {
    const portsOf = (stacks: readonly Stack[]): LinkEndpoint[] =>
      this.#plugs.filter((p) => p.where === where && stacks.includes(p.stack)).map((p) => p.port);
    where.part(groups.map(portsOf));
  }

  /** The end that the stack gets: captured, if anyone wants that. */
  #recorded(end: CableEnd, capture: PcapWriter | undefined): LinkEndpoint {
    let link: LinkEndpoint = end;
    if (this.recording !== null) {
      link = this.recording.around(link, this.clock, `cable ${this.cables.length}`);
    }
    return capture === undefined ? link : new CaptureLink(link, capture, this.clock);
  }

  attach(stack: Stack, link: LinkEndpoint, addresses: readonly string[]): Nic {
    const parsed = addresses.map(parsePrefix);
    const hasIpv6 = parsed.some(({ addr }) => !addr.isV4);
    return stack.attach(link, {
      name: `eth${stack.nics.length - 1}`,
      addresses: parsed,
      // Nobody else is on these cables: addresses are usable at once.
      ipv6: hasIpv6 ? { mode: "static", duplicateAddressDetection: false } : undefined,
    });
  }

  /** With nothing at its ends yet: join() and plug() put stacks and switches there, attach() whatever it is given. */
  cable(config: CableConfig = {}): Cable {
    const context = { clock: this.clock, timers: this.timers, rng: this.#fork() };
    const cable = new Cable(context, this.#mac(), this.#mac(), config);
    this.cables.push(cable);
    return cable;
  }

  #mac(): Uint8Array {
    const n = this.#nextMac++;
    return new Uint8Array([2, 0x6e, 0x63, n >>> 16, (n >>> 8) & 255, n & 255]);
  }

  /** Calls `what` once, `delayNs` from now. */
  after(delayNs: number, what: () => void): Timer {
    const timer = new Timer(what);
    this.timers.arm(timer, this.nowNs + delayNs);
    return timer;
  }

  /** Until `forNs` have passed, or nothing more is to come. */
  run(forNs: number): void {
    this.#runTo(this.nowNs + forNs, null);
  }

  /** True as soon as `done` is; false when `limitNs` passed first. Asked after every event. */
  runUntil(done: () => boolean, limitNs: number = 600 * SECOND): boolean {
    return this.#runTo(this.nowNs + limitNs, done);
  }

  #runTo(endNs: number, done: (() => boolean) | null): boolean {
    if (this.#stopwatch === null) return this.#simulate(endNs, done);
    const begin = this.#stopwatch();
    const isDone = this.#simulate(endNs, done);
    this.#realNs += this.#stopwatch() - begin;
    return isDone;
  }

  #simulate(endNs: number, done: (() => boolean) | null): boolean {
    this.#settle();
    for (let i = 0; i < EVENTS_MAX; i++) {
      if (done?.()) return true;
      const next = this.timers.nextDeadlineNs();
      if (next > endNs || next === NEVER) {
        this.clock.advanceToNs(endNs);
        return false;
      }
      this.step();
    }
    return false;
  }

  /** To the next event, and all that is due then; false when nothing is to come. */
  step(): boolean {
    this.#settle();
    const next = this.timers.nextDeadlineNs();
    if (next === NEVER) return false;
    this.clock.advanceToNs(next);
    this.events += this.timers.runDue(this.nowNs);
    this.#settle();
    return true;
  }

  /** What stacks sent to themselves. */
  #settle(): void {
    for (let stack = this.#pending.pop(); stack !== undefined; stack = this.#pending.pop()) {
      stack.runPending();
      if (stack.hasPending) this.#pending.unshift(stack);
    }
  }

  close(): void {
    for (const stack of this.stacks) stack.close();
  }
}

function parsePrefix(text: string): { addr: IpAddr; prefixBits: number } {
  const [address, bits] = text.split("/");
  const addr = parseIp(address);
  const prefixBits = Number(bits);
  if (!(addr instanceof IpAddr) || !(prefixBits >= 0)) {
    throw new RangeError(`"${text}" is no address with a prefix; write for example 10.0.0.1/24`);
  }
  return { addr, prefixBits };
}
