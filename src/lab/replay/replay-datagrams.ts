// Plays one side of a captured exchange of datagrams (UDP, ICMP echo) against our stack: each captured datagram of
// that side goes when those of the other side that came before it in the capture have come. Requests of ICMP echo
// are answered by our stack itself; everything else is sent by an application that has the captured bytes.

import { setU16 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import {
  checksum,
  type DatagramEndpoint,
  newDatagramInfo,
  pseudoSum,
} from "../../netstack/index.ts";
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_UDP } from "../drill/frame.ts";
import {
  type CapturedPacket,
  CLIENT,
  type Conversation,
  conversationName,
  otherSide,
  SERVER,
  type Side,
} from "./conversation.ts";
import {
  type DatagramStep,
  datagramContent,
  datagramProblem,
  datagramSteps,
  isEcho,
  isEchoReply,
} from "./datagrams.ts";
import type { IpPacket } from "./ip-packet.ts";
import { newOutcome, type ReplayOptions, type ReplayOutcome, skipped } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { BENCH_START_NS, StackBench } from "./stack-bench.ts";

const UDP_HEADER = 8;
const MTU = 1500;
/** Datagrams get lost: what never comes is not waited for longer than this. */
const PATIENCE_NS = SECOND;
const DATAGRAM_MAX = 65_536;

export function replayDatagrams(
  conversation: Conversation,
  index: number,
  options: ReplayOptions = {},
): ReplayOutcome {
  const side = options.side === "server" ? SERVER : CLIENT;
  const outcome = newOutcome(index, conversation, conversationName(conversation), side);
  const reason = datagramProblem(conversation);
  if (reason !== "") return skipped(outcome, reason);
  new DatagramReplay(conversation, side, options, outcome).run();
  return outcome;
}

class DatagramReplay {
  readonly #c: Conversation;
  readonly #side: Side;
  readonly #outcome: ReplayOutcome;
  readonly #bench: StackBench;
  readonly #pace: Pace;
  /** By side: what is to be sent, and how far that is. */
  readonly #steps: [DatagramStep[], DatagramStep[]];
  readonly #next = [0, 0];
  readonly #waitNs = [-1, -1];
  /** What came out of our stack, and what our application received. */
  readonly #sent: Uint8Array[] = [];
  readonly #received: Uint8Array[] = [];
  #endpoint: DatagramEndpoint | null = null;
  /** Our stack answers by itself, or has nothing that listens. */
  readonly #hasApp: boolean;
  #hasUnreachable = false;
  readonly #info = newDatagramInfo();
  readonly #buffer = new Uint8Array(DATAGRAM_MAX);

  constructor(c: Conversation, side: Side, options: ReplayOptions, outcome: ReplayOutcome) {
    this.#c = c;
    this.#side = side;
    this.#outcome = outcome;
    this.#steps = datagramSteps(c);
    this.#bench = new StackBench({
      family: c.family,
      mtu: MTU,
      seed: options.seed ?? 1,
      pcap: options.pcap,
      onPacket: (packet) => this.#fromStack(packet),
    });
    options.configure?.(this.#bench.stack);
    const start = c.packets[0].timeNs;
    this.#pace = new Pace(options.pace ?? "captured", BENCH_START_NS + MS, start);
    this.#hasApp = c.kind === "udp" ? !this.#isUnreachable() : side === SERVER;
    if (this.#hasApp) this.#open();
  }

  /** The captured other side had nothing at that port. */
  #isUnreachable(): boolean {
    const other = otherSide(this.#side);
    if (this.#steps[other].length > 0) return false;
    return this.#c.packets.some(
      ({ protocol, from, bytes }) =>
        protocol !== PROTO_UDP && from === other && (bytes[0] === 3 || bytes[0] === 1),
    );
  }

  #open(): void {
    const { endpoints } = this.#bench.stack;
    const { family, kind, stations } = this.#c;
    const endpoint = kind === "udp" ? endpoints.udp(family) : endpoints.ping(family);
    if (typeof endpoint === "number") throw new Error("the stack has no endpoint left");
    endpoint.bind(this.#bench.local, stations[otherSide(this.#side)].port);
    this.#endpoint = endpoint;
  }

  run(): void {
    const other = otherSide(this.#side);
    const actor = {
      step: (nowNs: number): boolean => this.#step(nowNs),
      nextNs: (): number => Math.min(this.#nextNs(this.#side), this.#nextNs(other)),
    };
    this.#bench.run([actor], () => this.#isDone(this.#side) && this.#isDone(other));
    this.#outcome.replayNs = this.#bench.nowNs - BENCH_START_NS;
    this.#judge();
    this.#endpoint?.close();
    this.#bench.stack.close();
  }

  #isDone(side: Side): boolean {
    return this.#next[side] === this.#steps[side].length || (side !== this.#side && !this.#hasApp);
  }

  #nextNs(side: Side): number {
    if (this.#isDone(side)) return Number.POSITIVE_INFINITY;
    if (this.#waitNs[side] >= 0) return this.#waitNs[side] + PATIENCE_NS;
    return this.#pace.dueNs(this.#steps[side][this.#next[side]].packet.timeNs);
  }

  #step(nowNs: number): boolean {
    let hasMoved = this.#drain();
    for (const side of [this.#side, otherSide(this.#side)] as const) {
      while (!this.#isDone(side) && this.#mayGo(side, nowNs)) {
        const { packet } = this.#steps[side][this.#next[side]++];
        this.#pace.happened(packet.timeNs, nowNs);
        if (side === this.#side) this.#play(packet);
        else this.#write(packet);
        hasMoved = true;
      }
    }
    return hasMoved;
  }

  #mayGo(side: Side, nowNs: number): boolean {
    const { packet, after } = this.#steps[side][this.#next[side]];
    if (this.#pace.dueNs(packet.timeNs) > nowNs) return false;
    const come = side === this.#side ? this.#sent.length : this.#received.length;
    const isAnswered =
      come >= after || (side === this.#side && !this.#hasApp && this.#c.kind === "udp");
    if (!isAnswered) {
      if (this.#waitNs[side] < 0) this.#waitNs[side] = nowNs;
      if (nowNs < this.#waitNs[side] + PATIENCE_NS) return false;
    }
    this.#waitNs[side] = -1;
    return true;
  }

  /** One of the peer's, to our stack. */
  #play(packet: CapturedPacket): void {
    const { kind, stations } = this.#c;
    const data = datagramContent(this.#c, packet);
    const body = new Uint8Array(UDP_HEADER + data.length);
    body.set(packet.bytes.subarray(0, UDP_HEADER));
    body.set(data, UDP_HEADER);
    const protocol = packet.protocol;
    const o = kind === "udp" ? 6 : 2;
    setU16(body, o, 0);
    if (kind === "udp") {
      setU16(body, 0, stations[this.#side].port);
      setU16(body, 2, stations[otherSide(this.#side)].port);
      setU16(body, 4, body.length);
    }
    const { remote, local } = this.#bench;
    const seed = protocol === PROTO_ICMP ? 0 : pseudoSum(remote, local, protocol, body.length);
    const sum = checksum(body, 0, body.length, seed);
    setU16(body, o, sum === 0 && kind === "udp" ? 0xffff : sum);
    const head = { tos: packet.tos, ttl: Math.max(1, packet.ttl), flowLabel: 0, protocol };
    this.#outcome.counts.replayedPackets++;
    this.#bench.inject(head, body, packet.cuts, 0);
  }

  /** One of the other side's, by its application. */
  #write(packet: CapturedPacket): void {
    const endpoint = this.#endpoint as DatagramEndpoint;
    const data = this.#c.kind === "udp" ? datagramContent(this.#c, packet) : this.#whole(packet);
    const port = this.#c.stations[this.#side].port;
    const sent = endpoint.send(data, 0, data.length, this.#bench.remote, port);
    if (sent < 0)
      this.#outcome.problems.push(`our stack did not send ${data.length} bytes (${sent})`);
  }

  /** An echo with its header, and zeros for what the capture cut off. */
  #whole(packet: CapturedPacket): Uint8Array {
    if (packet.bytes.length === packet.length) return packet.bytes;
    const out = new Uint8Array(packet.length);
    out.set(packet.bytes);
    return out;
  }

  #fromStack(packet: IpPacket): void {
    const { kind } = this.#c;
    const isIcmp = packet.protocol === PROTO_ICMP || packet.protocol === PROTO_ICMPV6;
    this.#outcome.counts.replayedPackets++;
    if (kind === "udp" ? packet.protocol === PROTO_UDP : isIcmp && isEcho(packet.bytes[0])) {
      this.#sent.push(datagramContent(this.#c, packet));
    } else if (isIcmp && (packet.bytes[0] === 3 || packet.bytes[0] === 1))
      this.#hasUnreachable = true;
  }

  #drain(): boolean {
    const endpoint = this.#endpoint;
    if (endpoint === null) return false;
    let hasRead = false;
    for (;;) {
      const n = endpoint.receive(this.#buffer, 0, DATAGRAM_MAX, this.#info, false);
      if (n < 0) return hasRead;
      hasRead = true;
      const from = this.#c.kind === "udp" ? 0 : UDP_HEADER;
      this.#received.push(this.#buffer.slice(from, n));
    }
  }

  #judge(): void {
    const { problems, counts } = this.#outcome;
    const other = otherSide(this.#side);
    const expect = (side: Side): Uint8Array[] =>
      this.#steps[side].map(({ packet }) => datagramContent(this.#c, packet));
    const isAnsweredByStack = this.#c.kind === "echo" && this.#side === CLIENT;
    if (this.#c.kind === "udp" && !this.#hasApp) {
      if (!this.#hasUnreachable) problems.push("our stack did not say that the port is closed");
    } else if (isAnsweredByStack) this.#judgeEcho(expect(this.#side));
    else {
      compare("our application received", "datagram", this.#received, expect(this.#side), problems);
      compare("our stack sent", "datagram", this.#sent, expect(other), problems);
    }
    this.#outcome.received = totals(this.#received, expect(this.#side));
    this.#outcome.sent = totals(this.#sent, expect(other));
    counts.differences = Math.abs(this.#sent.length - this.#steps[other].length);
    this.#outcome.state = problems.length === 0 ? "passed" : "failed";
    this.#outcome.verdict = problems.length === 0 ? this.#praise() : problems.join("; ");
  }

  /** Our stack answers each request with its own bytes, whether or not the captured one did. */
  #judgeEcho(requests: Uint8Array[]): void {
    const asked = this.#steps[this.#side].filter(({ packet }) => !isEchoReply(packet.bytes[0]));
    if (asked.length !== requests.length) return;
    compare("our stack answered", "request", this.#sent, requests, this.#outcome.problems);
  }

  #praise(): string {
    if (this.#c.kind === "udp" && !this.#hasApp) return "answered by port unreachable as captured";
    const kind = this.#c.kind === "udp" ? "datagrams" : "echoes";
    const cut = this.#c.packets.some(({ cuts }) => cuts !== null) ? ", fragments put together" : "";
    return `${this.#sent.length} ${kind} sent and ${this.#steps[this.#side].length} received as captured${cut}`;
  }
}

function compare(
  what: string,
  unit: string,
  got: readonly Uint8Array[],
  wanted: readonly Uint8Array[],
  problems: string[],
): void {
  for (let i = 0; i < Math.min(got.length, wanted.length); i++) {
    if (!isEqual(got[i], wanted[i])) {
      problems.push(`${what} other bytes in ${unit} ${i + 1}`);
      return;
    }
  }
  if (got.length !== wanted.length) {
    problems.push(`${what} ${got.length} of ${wanted.length} ${unit}s`);
  }
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

function totals(got: readonly Uint8Array[], wanted: readonly Uint8Array[]) {
  const sum = (list: readonly Uint8Array[]): number => list.reduce((n, d) => n + d.length, 0);
  return { expectedBytes: sum(wanted), bytes: sum(got), wrongAt: -1, missingInCapture: 0 };
}
