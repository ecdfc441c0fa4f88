// One side of a captured exchange of UDP datagrams, played against a program: each captured datagram goes at its time,
// but not before those of the other side that came before it have come, or have been waited for. No stack, no judge.
// Time comes in with each call.

import { SECOND } from "../../base/clock.ts";
import { type CapturedPacket, type Conversation, otherSide, type Side } from "./conversation.ts";
import { type DatagramStep, datagramContent, datagramSteps, udpDatagram } from "./datagrams.ts";
import type { Pace } from "./pace.ts";
import type { PlayedPath } from "./tcp-rewrite.ts";

export interface DatagramPeerConfig {
  conversation: Conversation;
  /** Whom we play. */
  side: Side;
  path: PlayedPath;
  pace: Pace;
  /** Sends a UDP datagram, from its header on; `like` is the captured one. */
  send: (udp: Uint8Array, like: CapturedPacket) => void;
}

/** Datagrams get lost: what never comes is not waited for longer than this. */
const PATIENCE_NS = 2 * SECOND;
/** More than this from a program is no answer any more. */
const RECEIVED_MAX = 65_536;

export class DatagramPeer {
  /** What the program sent. */
  readonly received: Uint8Array[] = [];
  /** The program's machine said that nobody listens at the port. */
  isRefused = false;
  readonly #c: DatagramPeerConfig;
  readonly #steps: DatagramStep[];
  readonly #expected: number;
  #next = 0;
  #waitNs = -1;

  constructor(config: DatagramPeerConfig) {
    this.#c = config;
    const steps = datagramSteps(config.conversation);
    this.#steps = steps[config.side];
    this.#expected = steps[otherSide(config.side)].length;
  }

  get playedPath(): PlayedPath {
    return this.#c.path;
  }
  get sent(): number {
    return this.#next;
  }
  /** All has been said, and all that was captured of the other side has come. */
  get isDone(): boolean {
    return this.hasSentAll && this.received.length >= this.#expected;
  }
  get hasSentAll(): boolean {
    return this.#next === this.#steps.length;
  }

  /** A datagram of the program, behind its header. */
  receive(content: Uint8Array): void {
    if (this.received.length < RECEIVED_MAX) this.received.push(content.slice());
    this.#waitNs = -1;
  }

  nextNs(): number {
    if (this.hasSentAll) return Number.POSITIVE_INFINITY;
    if (this.#waitNs >= 0) return this.#waitNs + PATIENCE_NS;
    return this.#c.pace.dueNs(this.#steps[this.#next].packet.timeNs);
  }

  /** Sends what is due and may go; true when something went. */
  step(nowNs: number): boolean {
    if (this.hasSentAll || this.isRefused) return false;
    const { packet, after } = this.#steps[this.#next];
    if (this.#c.pace.dueNs(packet.timeNs) > nowNs) return false;
    if (this.received.length < after) {
      if (this.#waitNs < 0) this.#waitNs = nowNs;
      if (nowNs < this.#waitNs + PATIENCE_NS) return false;
    }
    this.#waitNs = -1;
    this.#next++;
    this.#c.pace.happened(packet.timeNs, nowNs);
    this.#send(packet);
    return true;
  }

  /** The program is known to do nothing more before it is sent something: what was waited for does not come. */
  goOn(nowNs: number): boolean {
    if (this.#waitNs < 0) return false;
    this.#waitNs = nowNs - PATIENCE_NS;
    return this.step(nowNs);
  }

  #send(packet: CapturedPacket): void {
    const { conversation, path } = this.#c;
    const content = datagramContent(conversation, packet);
    const { peerAddr, peerPort, otherAddr, otherPort } = path;
    this.#c.send(udpDatagram(peerAddr, peerPort, otherAddr, otherPort, content), packet);
  }
}
