// Plays the events of a script against the stack: advances virtual time to each, injects, expects, calls.
// What the stack sends waits in the link until the script looks at it.

import type { ManualClock } from "../../base/clock.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { Stack } from "../../netstack/index.ts";
import type { CallSpec, PacketSpec, Script, ScriptEvent } from "./ast.ts";
import { beginCall, checkResult } from "./calls.ts";
import { type Environment, runCommand } from "./commands.ts";
import { describe, difference, merge, specText } from "./compare.ts";
import { mismatch, type Place } from "./drill-error.ts";
import type { DrillLink } from "./drill-link.ts";
import type { Flow } from "./flow.ts";
import { belongs, Flows, learnIsn } from "./flows.ts";
import type { SeenPacket } from "./frame.ts";
import { inboundFrame } from "./inject.ts";
import type { Call, DrillProcess } from "./process.ts";
import type { Profile } from "./profile.ts";
import { PythonScope } from "./python.ts";
import type { Result } from "./socket.ts";
import { symbols } from "./symbols.ts";
import { tcpInfoVariables } from "./tcp-info.ts";

export interface RunnerRules {
  toleranceUs: number;
  tolerancePercent: number;
  tsTickUs: number;
  tsEcrScaled: boolean;
  strictSegments: boolean;
  /** Inbound payloads are segments of this size, merged by the link; 0: one segment. */
  segmentBytes: number;
  anyOptionOrder: boolean;
  /** Key of `md5 valid`. */
  md5Secret: Uint8Array;
}

export interface RunnerConfig {
  script: Script;
  process: DrillProcess;
  stack: Stack;
  clock: ManualClock;
  timers: TimerQueue;
  link: DrillLink;
  profile: Profile;
  rules: RunnerRules;
  trace: ((line: string) => void) | null;
}

const SECOND = 1_000_000_000;
const US = 1_000;
/** How long after its time an outbound packet is waited for. */
const PACKET_PATIENCE_NS = 2 * SECOND;
/** A call that sleeps longer than this in a script never ends. */
const CALL_PATIENCE_NS = 600 * SECOND;
/** Timers run in one wait: beyond this the stack is in a loop. */
const STEPS_MAX = 1_000_000;

interface Pending {
  spec: CallSpec;
  call: Call;
  wakeNs: number;
  expectedEndNs: number;
  lastEventNs: number;
}

export class Runner {
  readonly #c: RunnerConfig;
  readonly #env: Environment;
  readonly #scope: PythonScope;
  readonly #startNs: number;
  #pending: Pending | null = null;
  /** Time of the previous event as the script has it. */
  #lastEventNs: number;
  readonly #flows: Flows;

  constructor(config: RunnerConfig) {
    this.#c = config;
    this.#flows = new Flows(config.process);
    const { wmem, rmem } = config.process.config;
    this.#env = {
      stack: config.stack,
      link: config.link,
      process: config.process,
      profile: config.profile,
      wmem: wmem as number[],
      rmem: rmem as number[],
    };
    this.#scope = new PythonScope((line) => config.trace?.(`  print: ${line}`));
    for (const [name, value] of symbols()) this.#scope.variables.set(name, value);
    this.#startNs = config.clock.monotonicNs();
    this.#lastEventNs = this.#startNs;
  }

  run(): void {
    const { script } = this.#c;
    if (script.init !== null) runCommand(script.init, this.#env);
    for (const event of script.events) this.#runEvent(event);
    if (this.#pending !== null) this.#finishPending();
  }

  /** The final command, whatever happened; then the stack is let go. */
  cleanUp(): void {
    const { script, stack } = this.#c;
    try {
      if (script.cleanup !== null) runCommand(script.cleanup, this.#env);
    } finally {
      stack.close();
    }
  }

  get #nowNs(): number {
    return this.#c.clock.monotonicNs();
  }

  #trace(text: string): void {
    this.#c.trace?.(`${((this.#nowNs - this.#startNs) / SECOND).toFixed(6)} ${text}`);
  }

  // --- Time ---

  /** Runs what is due up to `untilNs`; stops early when `done` says so. */
  #advance(untilNs: number, done: () => boolean): void {
    const { clock, stack, timers } = this.#c;
    for (let step = 0; step < STEPS_MAX; step++) {
      this.#resume();
      if (done()) return;
      let next = Math.min(timers.nextDeadlineNs(), untilNs);
      if (this.#pending !== null && this.#pending.wakeNs < next) next = this.#pending.wakeNs;
      if (next > this.#nowNs) clock.advanceToNs(next);
      stack.runTimers(this.#nowNs);
      stack.runPending();
      if (this.#nowNs >= untilNs && timers.nextDeadlineNs() > this.#nowNs) break;
    }
    this.#resume();
  }

  #resume(): void {
    this.#c.process.settle(this.#nowNs - this.#startNs);
    const pending = this.#pending;
    if (pending === null) return;
    const step = pending.call.next();
    if (step.done !== true) {
      pending.wakeNs = step.value > this.#nowNs ? step.value : Number.POSITIVE_INFINITY;
      return;
    }
    this.#pending = null;
    this.#completed(pending, step.value);
  }

  #completed(pending: Pending, result: Result): void {
    const { spec } = pending;
    this.#trace(`${spec.name}() returned ${result}`);
    checkResult(spec, result);
    const at = this.#nowNs;
    const tolerance = this.#toleranceNs(pending.expectedEndNs, pending.lastEventNs);
    if (Math.abs(at - pending.expectedEndNs) > tolerance) {
      throw mismatch(
        spec.place,
        `expected ${spec.name}() to return at ${this.#seconds(pending.expectedEndNs)}, it did at ${this.#seconds(at)}`,
      );
    }
  }

  #finishPending(): void {
    const pending = this.#pending as Pending;
    this.#advance(this.#nowNs + CALL_PATIENCE_NS, () => this.#pending === null);
    if (this.#pending !== null)
      throw mismatch(pending.spec.place, `${pending.spec.name}() never returns`);
  }

  #toleranceNs(expectedNs: number, lastEventNs: number): number {
    const { toleranceUs, tolerancePercent } = this.#c.rules;
    return Math.max(toleranceUs * US, ((expectedNs - lastEventNs) * tolerancePercent) / 100);
  }

  #seconds(ns: number): string {
    return `${((ns - this.#startNs) / SECOND).toFixed(6)} s`;
  }

  // --- Events ---

  #runEvent(event: ScriptEvent): void {
    const { time } = event;
    const baseNs = time.isRelative || time.isAny ? this.#nowNs : this.#startNs;
    const timeNs = baseNs + Math.round(time.startS * SECOND);
    if (event.kind === "packet" && !event.packet.isInbound) {
      const endNs = time.rangeEndS === null ? timeNs : baseNs + Math.round(time.rangeEndS * SECOND);
      this.#expectPacket(event, timeNs, endNs);
      this.#lastEventNs = timeNs;
      return;
    }
    if (timeNs < this.#lastEventNs && !time.isRelative) {
      throw mismatch(event.place, "the event's time lies before that of the one before it");
    }
    if (event.kind === "call" && this.#pending !== null) this.#finishPending();
    this.#advance(timeNs, () => false);
    this.#checkStart(event, timeNs);
    switch (event.kind) {
      case "packet":
        this.#inject(event.packet, event.place);
        break;
      case "call": {
        const end = time.blockingEndS;
        const endNs = end === null ? null : baseNs + Math.round(end * SECOND);
        this.#call(event.call, endNs);
        break;
      }
      case "command":
        this.#trace(`\`${event.command.text}\``);
        runCommand(event.command, this.#env);
        break;
      case "code":
        this.#code(event.text, event.place);
    }
    this.#lastEventNs = timeNs;
  }

  #checkStart(event: ScriptEvent, timeNs: number): void {
    const late = this.#nowNs - timeNs;
    if (late <= this.#toleranceNs(timeNs, this.#lastEventNs)) return;
    throw mismatch(
      event.place,
      `expected at ${this.#seconds(timeNs)}, reached at ${this.#seconds(this.#nowNs)}`,
    );
  }

  #call(spec: CallSpec, endNs: number | null): void {
    this.#trace(`${spec.name}(...)`);
    const call = beginCall(this.#c.process, spec);
    const step = call.next();
    const pending: Pending = {
      spec,
      call,
      wakeNs: Number.POSITIVE_INFINITY,
      expectedEndNs: endNs ?? this.#nowNs,
      lastEventNs: this.#lastEventNs,
    };
    if (step.done === true) {
      if (endNs === null) {
        this.#trace(`${spec.name}() returned ${step.value}`);
        checkResult(spec, step.value);
      } else this.#completed(pending, step.value);
      this.#c.stack.runPending();
      this.#c.process.settle(this.#nowNs - this.#startNs);
      return;
    }
    pending.wakeNs = step.value > this.#nowNs ? step.value : Number.POSITIVE_INFINITY;
    this.#pending = pending;
    if (endNs !== null) return;
    // Written as if it did not sleep: it may, as long as it ends by itself.
    const startNs = this.#nowNs;
    this.#advance(startNs + 10 * SECOND, () => {
      if (this.#pending !== null) pending.expectedEndNs = this.#nowNs;
      return this.#pending === null;
    });
    if (this.#pending === null) return;
    throw mismatch(spec.place, `${spec.name}() sleeps, but is not written as a blocking call`);
  }

  #code(text: string, place: Place): void {
    const tcp = this.#c.process.underTest?.socket?.tcp ?? null;
    if (tcp !== null) {
      for (const [name, value] of tcpInfoVariables(tcp)) this.#scope.variables.set(name, value);
    }
    this.#scope.run(text, place);
  }

  // --- Packets in ---

  #inject(packet: PacketSpec, place: Place): void {
    const { link, rules, stack } = this.#c;
    const flow = this.#flows.ofInbound(packet);
    flow.takePorts();
    this.#trace(`< ${packetText(packet)}`);
    const frame = inboundFrame(
      packet,
      flow,
      { ours: link.mac, peers: link.peerMac },
      { tsEcrScaled: rules.tsEcrScaled, md5Secret: rules.md5Secret },
      place,
    );
    link.inject(frame, packet.body.kind === "tcp" ? rules.segmentBytes : 0);
    stack.runPending();
    this.#resume();
  }

  // --- Packets out ---

  #expectPacket(event: ScriptEvent & { kind: "packet" }, timeNs: number, endNs: number): void {
    const { packet, place, time } = event;
    const flow = this.#flows.ofOutbound(packet, place);
    const patienceNs = time.isAny
      ? CALL_PATIENCE_NS
      : Math.max(endNs, timeNs) - this.#nowNs + PACKET_PATIENCE_NS;
    const parts: SeenPacket[] = [];
    let length = 0;
    const wantedLength = packet.body.kind === "icmp" ? 0 : packet.body.length;
    const untilNs = this.#nowNs + patienceNs;
    do {
      const seen = this.#nextSeen(flow, packet, untilNs);
      if (seen === null) throw this.#missing(packet, parts, flow, place);
      learnIsn(packet, seen, flow);
      parts.push(seen);
      length += seen.payload.length;
    } while (packet.body.kind === "tcp" && length < wantedLength && !this.#c.rules.strictSegments);
    const whole = merge(parts, place);
    this.#trace(`> ${describe(whole, flow)}`);
    const wrong = difference(packet, whole, flow, {
      tsTickUs: this.#c.rules.tsTickUs,
      anyOptionOrder: this.#c.rules.anyOptionOrder,
      md5Secret: this.#c.rules.md5Secret,
      toleranceUs: Math.max(
        this.#c.rules.toleranceUs,
        ((timeNs - this.#startNs) / US) * (this.#c.rules.tolerancePercent / 100),
      ),
    });
    if (wrong !== null) throw mismatch(place, wrong);
    if (!time.isAny) this.#checkTime(whole.timeNs, timeNs, endNs, packet, place);
  }

  #checkTime(atNs: number, fromNs: number, toNs: number, packet: PacketSpec, place: Place): void {
    const tolerance = this.#toleranceNs(fromNs, this.#lastEventNs);
    if (atNs >= fromNs - tolerance && atNs <= toNs + tolerance) return;
    const range = fromNs === toNs ? "" : `~${this.#seconds(toNs)}`;
    throw mismatch(
      place,
      `expected ${packetText(packet)} at ${this.#seconds(fromNs)}${range}, it came at ${this.#seconds(atNs)}`,
    );
  }

  #missing(packet: PacketSpec, parts: SeenPacket[], flow: Flow, place: Place): Error {
    const wanted = packetText(packet);
    if (parts.length === 0) return mismatch(place, `expected ${wanted}, got nothing`);
    const got = describe(merge(parts, place), flow);
    return mismatch(place, `expected ${wanted}, got only ${got}`);
  }

  /** The next packet of the flow; those of others are passed over. null: none by `untilNs`. */
  #nextSeen(flow: Flow, packet: PacketSpec, untilNs: number): SeenPacket | null {
    const { seen } = this.#c.link;
    let at = 0;
    const find = (): boolean => {
      while (at < seen.length && !belongs(seen[at], flow, packet)) at++;
      return at < seen.length;
    };
    if (!find()) this.#advance(untilNs, find);
    if (!find()) return null;
    const found = seen[at];
    seen.splice(0, at + 1);
    return found;
  }
}

function packetText(packet: PacketSpec): string {
  const { body } = packet;
  if (body.kind === "udp") return `udp (${body.length})`;
  if (body.kind === "icmp") return `icmp ${body.type} ${body.code}`.trim();
  return specText(body);
}
