// The target `tcp`: two honest stacks and one connection between them, on a line where anything may happen to any
// frame, under programs that write, read, dawdle and close as they like. Whatever was written must arrive as it was
// written, in the end all of it; both stacks keep every promise to each other and leave nothing behind.

import fc from "fast-check";
import { u16 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import type { SeededRng } from "../../base/rng.ts";
import { type Conditions, PERFECT } from "../../link/index.ts";
import {
  IpAddr,
  newTcpInfo,
  PacketBuffer,
  Ready,
  type Stack,
  TCP_STATE_NAMES,
  TCP_TRANSITIONS,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { conditions, type Fault, faultSchedule } from "../arbitraries/schedules.ts";
import type { Cable, CableEnd } from "../sim/cable.ts";
import { World } from "../sim/world.ts";
import { appByte } from "./app.ts";
import { Outgoing } from "./outgoing.ts";
import { PairWatch } from "./pair-watch.ts";
import { failureOf } from "./stack-target.ts";
import { BrokenLaw, type Failure, type Target, type Verdict, type Watch } from "./target.ts";

type Side = 0 | 1;

export type TcpStep =
  | ({ do: "fault" } & Fault)
  | { do: "line"; conditions: Conditions }
  | { do: "setting"; name: "cubic" | "reno" | "bbr" | "small buffer" | "no sack" }
  | { do: "write"; side: Side; length: number }
  | { do: "read"; side: Side; length: number }
  | { do: "shutdown"; side: Side }
  | { do: "wait"; milliseconds: number };

const PORT = 5_001;
const PIECE_MAX = 64 * 1024;
/** Of one direction: more would only be more of the same. */
const STREAM_MAX = 400_000;
const HELD_MAX = 64;
const INITIAL_CWND = 10;
const WINDOW_SLACK = 4;

const side = fc.constantFrom<Side[]>(0, 1);
const length = fc.oneof(fc.nat(3_000), fc.constantFrom(1, 536, 1_448, 20_000, 100_000));

const steps: fc.Arbitrary<TcpStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: faultSchedule(1)
      .filter((list) => list.length === 1)
      .map(([fault]) => ({ do: "fault" as const, ...fault })),
  },
  {
    weight: 1,
    arbitrary: conditions({ lossMax: 15 }).map((c) => ({ do: "line" as const, conditions: c })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("setting" as const),
      name: fc.constantFrom("cubic" as const, "reno", "bbr", "small buffer", "no sack"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("write" as const), side, length }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), side, length }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("shutdown" as const), side }) },
  {
    weight: 4,
    arbitrary: fc
      .oneof(fc.nat(50), fc.nat(3_000), fc.nat(60_000))
      .map((milliseconds) => ({ do: "wait" as const, milliseconds })),
  },
);

export interface TcpTargetOptions {
  /** For planted faults: sees both stacks before the connection is opened. */
  plant?: (client: Stack, server: Stack, cable: Cable) => void;
}

export class TcpTarget implements Target<TcpStep> {
  readonly name = "tcp";
  readonly steps = steps;
  readonly #options: TcpTargetOptions;

  constructor(options: TcpTargetOptions = {}) {
    this.#options = options;
  }

  run(seed: number, list: readonly TcpStep[], watch?: Watch): Verdict {
    const run = new Run(seed, list, this.#options, watch);
    let at = 0;
    let failure: Failure | null = null;
    try {
      run.open();
      for (; at < list.length; at++) run.step(list[at]);
      run.finish();
    } catch (error) {
      failure = failureOf(error, at);
    }
    return { failure, features: run.features, frames: run.frames, virtualNs: run.world.nowNs };
  }

  mutate(step: TcpStep, rng: SeededRng): TcpStep {
    switch (step.do) {
      case "fault":
        return {
          ...step,
          frame: Math.max(0, step.frame + rng.below(9) - 4),
          amount: 1 + rng.below(300),
        };
      case "write":
      case "read":
        return {
          ...step,
          length: rng.below(4) === 0 ? rng.below(60_000) : step.length + rng.below(5),
        };
      case "wait":
        return { do: "wait", milliseconds: rng.below(2_000) };
      default:
        return step;
    }
  }

  *simpler(step: TcpStep): Iterable<TcpStep> {
    const numbers = (n: number): number[] =>
      [...fc.nat(1e9).shrink(n, undefined)].map((value) => value.value_);
    if (step.do === "wait") {
      for (const milliseconds of numbers(step.milliseconds)) yield { ...step, milliseconds };
    } else if (step.do === "write" || step.do === "read") {
      for (const n of numbers(step.length)) yield { ...step, length: n };
    } else if (step.do === "fault") {
      if (step.fate !== "drop") yield { ...step, fate: "drop", amount: 1 };
      for (const frame of numbers(step.frame)) yield { ...step, frame };
      for (const amount of numbers(step.amount)) yield { ...step, amount };
    } else if (step.do === "line") {
      for (const [key, value] of Object.entries(PERFECT)) {
        if (step.conditions[key as keyof Conditions] === value) continue;
        yield { do: "line", conditions: { ...step.conditions, [key]: value } };
      }
    }
  }
}

const ALLOWED = new Set<number>();
for (const [from, list] of TCP_TRANSITIONS) for (const to of list) ALLOWED.add((from << 4) | to);

/** What is on its way of one direction, and the faults that wait for its frames. */
class Line {
  sent = 0;
  readonly faults = new Map<number, Fault>();
  /** Frames held back until this many more have gone by. */
  readonly held: { pkt: Uint8Array; left: number }[] = [];
}

class Run {
  readonly world: World;
  readonly features: number[] = [];
  frames = 0;
  readonly #stacks: [Stack, Stack];
  readonly #cable: Cable;
  readonly #lines = [new Line(), new Line()];
  readonly #watch: Watch | undefined;
  readonly #pair = new PairWatch();
  readonly #outgoing: Outgoing[];
  readonly #ends: (TcpEndpoint | null)[] = [null, null];
  readonly #written = [0, 0];
  readonly #read = [0, 0];
  readonly #isShut = [false, false];
  readonly #buffer = new Uint8Array(PIECE_MAX);
  readonly #bytes = new Uint8Array(2_048);
  readonly #settings = new Set<string>();
  readonly #info = newTcpInfo();
  #isMended = false;

  constructor(seed: number, list: readonly TcpStep[], options: TcpTargetOptions, watch?: Watch) {
    this.#watch = watch;
    this.world = new World({ seed });
    this.#stacks = [this.world.stack(), this.world.stack()];
    const line = list.find((step) => step.do === "line");
    this.#cable = this.world.join(this.#stacks[0], this.#stacks[1], {
      conditions: line?.conditions ?? { delayNs: 5 * MS },
    });
    this.#outgoing = this.#stacks.map((stack, i) => {
      const nic = stack.nics[1];
      const { mac } = i === 0 ? this.#cable.a : this.#cable.b;
      return new Outgoing(mac, (b, at, family) =>
        nic.addresses.some(({ addr }) => addr.isV4 && family === 4 && addr.w3 === word(b, at)),
      );
    });
    for (const step of list) {
      if (step.do === "fault") this.#lines[step.from === "a" ? 0 : 1].faults.set(step.frame, step);
      if (step.do === "setting") this.#settings.add(step.name);
    }
    options.plant?.(this.#stacks[0], this.#stacks[1], this.#cable);
    this.#tap(0, this.#cable.a);
    this.#tap(1, this.#cable.b);
  }

  /** Every frame that an end sends comes by here first. */
  #tap(who: Side, end: CableEnd): void {
    const send = end.send.bind(end);
    end.send = (pkt) => this.#onFrame(who, pkt, send);
  }

  #onFrame(who: Side, pkt: PacketBuffer, send: (pkt: PacketBuffer) => boolean): boolean {
    this.frames++;
    const b = this.#bytes;
    const linear = pkt.end - pkt.start;
    b.set(pkt.bytes.subarray(pkt.start, pkt.end));
    if (pkt.fragBytes !== null) {
      b.set(pkt.fragBytes.subarray(pkt.fragOffset, pkt.fragOffset + pkt.fragLength), linear);
    }
    const { length: size } = pkt;
    this.#watch?.(this.world.nowNs, b, size, who === 1);
    this.#outgoing[who].check(b, size);
    const isTcp = u16(b, 12) === 0x0800 && b[23] === 6;
    if (isTcp && (u16(b, 34) === PORT || u16(b, 36) === PORT)) {
      this.#pair.look(who, b, 14 + ((b[14] & 15) << 2), size);
    }
    // Address resolution is not what this is about.
    if (!isTcp) return send(pkt);
    return this.#suffer(who, b.slice(0, size), send);
  }

  #suffer(who: Side, frame: Uint8Array, send: (pkt: PacketBuffer) => boolean): boolean {
    const line = this.#lines[who];
    const fault = this.#isMended ? undefined : line.faults.get(line.sent);
    line.sent++;
    const give = (bytes: Uint8Array): boolean => send(packetOf(bytes));
    switch (fault?.fate) {
      case "drop":
        break;
      case "duplicate":
        give(frame);
        give(frame);
        break;
      case "delay":
        this.world.after(fault.amount * MS, () => give(frame));
        break;
      case "hold":
        if (line.held.length < HELD_MAX) {
          line.held.push({ pkt: frame, left: 1 + (fault.amount % 8) });
          return true;
        }
        break;
      case "corrupt":
        // Two bits that are no neighbours: no single bit that the line itself turns makes the sum right again.
        frame[Math.max(34, frame.length - 1 - (fault.amount % 40))] ^= 0x50;
        give(frame);
        break;
      default:
        give(frame);
    }
    for (let i = line.held.length - 1; i >= 0; i--) {
      const held = line.held[i];
      if (--held.left > 0) continue;
      line.held.splice(i, 1);
      give(held.pkt);
    }
    return true;
  }

  open(): void {
    const [client, server] = this.#stacks;
    const addr = IpAddr.v4(10, 0, 0, 2);
    const listener = tcp(server);
    const from = tcp(client);
    for (const endpoint of [listener, from]) this.#configure(endpoint);
    if (this.#settings.has("no sack")) client.tcp.settings.sack = 0;
    listener.bind(addr, PORT);
    listener.listen(4);
    from.connect(addr, PORT);
    this.#ends[0] = from;
    this.world.runUntil(() => (this.#ends[1] ??= listener.accept()) !== null, 200 * SECOND);
    listener.close();
  }

  #configure(endpoint: TcpEndpoint): void {
    for (const name of ["cubic", "reno", "bbr"]) {
      if (this.#settings.has(name)) endpoint.options.congestion = name;
    }
    if (!this.#settings.has("small buffer")) return;
    endpoint.options.receiveBufferBytes = 3_000;
    endpoint.options.receiveBufferLocked = true;
  }

  step(step: TcpStep): void {
    switch (step.do) {
      case "write":
        this.#write(step.side, step.length);
        break;
      case "read":
        this.#receive(step.side, step.length);
        break;
      case "shutdown":
        this.#shut(step.side);
        break;
      case "wait":
        this.world.run(step.milliseconds * MS);
        break;
    }
    this.world.run(1 * MS);
    this.#states();
  }

  #write(who: Side, wanted: number): void {
    const end = this.#ends[who];
    if (end === null || this.#isShut[who]) return;
    let left = Math.min(wanted, STREAM_MAX - this.#written[who]);
    while (left > 0) {
      const n = Math.min(left, PIECE_MAX);
      for (let i = 0; i < n; i++) this.#buffer[i] = appByte(this.#written[who] + i);
      const taken = end.write(this.#buffer, 0, n, 0);
      if (taken <= 0) return;
      this.#written[who] += taken;
      left -= taken;
    }
  }

  #receive(who: Side, wanted: number): void {
    const end = this.#ends[who];
    if (end === null) return;
    const from = 1 - who;
    let left = wanted;
    while (left > 0) {
      const n = end.read(this.#buffer, 0, Math.min(left, PIECE_MAX), false);
      if (n <= 0) return;
      for (let i = 0; i < n; i++) {
        if (this.#buffer[i] !== appByte(this.#read[who] + i)) {
          throw new BrokenLaw("stream", `byte ${this.#read[who] + i} is not what was written`);
        }
      }
      this.#read[who] += n;
      if (this.#read[who] > this.#written[from]) {
        throw new BrokenLaw("stream", "more was read than was written");
      }
      left -= n;
    }
  }

  #shut(who: Side): void {
    if (this.#isShut[who]) return;
    this.#isShut[who] = true;
    this.#ends[who]?.shutdown(false, true);
  }

  /** Slow start at its fastest: one segment more for each that was delivered (RFC 5681 3.1). */
  #checkWindows(): void {
    if (this.#settings.has("bbr")) return;
    for (const end of this.#ends) {
      if (end === null || (end.readiness() & Ready.Error) !== 0) continue;
      end.info(this.#info);
      const { sndCwnd, delivered } = this.#info;
      if (sndCwnd > INITIAL_CWND + delivered + WINDOW_SLACK) {
        const message = `a window of ${sndCwnd} segments after ${delivered} were delivered`;
        throw new BrokenLaw("congestion window", message);
      }
    }
  }

  #states(): void {
    this.#checkWindows();
    for (const stack of this.#stacks) {
      const { transitions, rings, connectionCount } = stack.tcp.context;
      for (let i = 0; i < transitions.length; i++) {
        if (transitions[i] === 0) continue;
        if (!ALLOWED.has(i)) {
          const name = `${TCP_STATE_NAMES[i >> 4]} to ${TCP_STATE_NAMES[i & 15]}`;
          throw new BrokenLaw("state diagram", name);
        }
        this.features.push(4_096 + i);
      }
      if (rings.usedBytes > stack.limits.socketMemoryBytes || connectionCount < 0) {
        throw new BrokenLaw("quota", "of socket memory");
      }
      let index = 0;
      let hash = 0;
      for (const value of Object.values(stack.tcp.stats) as number[]) {
        index++;
        if (value === 0) continue;
        const size = Math.min(7, 31 - Math.clz32(value));
        this.features.push((index << 3) | size);
        hash = Math.imul(hash ^ ((index << 3) | size), 0x01000193) | 0;
      }
      this.features.push(8_192 + ((hash >>> 0) % 49_152));
    }
  }

  /** The line is good again: everything that was written must arrive, and then everything go away. */
  finish(): void {
    this.#isMended = true;
    this.#cable.set({ ...PERFECT, delayNs: 5 * MS });
    const [a, b] = this.#ends;
    if (a !== null && b !== null) this.#drain(a, b);
    a?.close();
    b?.close();
    this.world.run(20 * 60 * SECOND);
    this.#states();
    for (const stack of this.#stacks) {
      const { demux, rings, orphanCount, connectionCount, timeWaits } = stack.tcp.context;
      const left = [demux.count, rings.usedBytes, orphanCount, connectionCount, timeWaits.count];
      if (left.some((n) => n !== 0)) {
        throw new BrokenLaw("left behind", `of the connection: ${left.join(", ")}`);
      }
    }
  }

  #drain(a: TcpEndpoint, b: TcpEndpoint): void {
    this.#shut(0);
    this.#shut(1);
    const all = (): boolean => {
      this.#receive(0, STREAM_MAX);
      this.#receive(1, STREAM_MAX);
      return this.#read[1] === this.#written[0] && this.#read[0] === this.#written[1];
    };
    if (this.world.runUntil(all, 900 * SECOND)) return;
    const hasGivenUp = [a, b].some((end) => (end.readiness() & Ready.Error) !== 0);
    if (hasGivenUp) return;
    const what = `${this.#read[1]} of ${this.#written[0]} and ${this.#read[0]} of ${this.#written[1]}`;
    throw new BrokenLaw("delivery", `${what} bytes arrived`);
  }
}

const word = (b: Uint8Array, at: number): number =>
  (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];

function packetOf(frame: Uint8Array): PacketBuffer {
  const pkt = new PacketBuffer(frame.length + 256);
  pkt.bytes.set(frame, pkt.start);
  pkt.end = pkt.start + frame.length;
  return pkt;
}

function tcp(stack: Stack): TcpEndpoint {
  const endpoint = stack.endpoints.tcp(4);
  if (typeof endpoint === "number") throw new Error("no endpoint");
  return endpoint;
}
