// One side of a captured TCP connection, played against whoever is at the other end: sends the captured segments
// with numbers that fit this connection, each at its time, but not before what it acknowledges has come and not
// beyond the window that is offered now. Where the other end goes another way than the captured one did, the peer
// does what any TCP does: it acknowledges what has come, and sends again what was lost. No stack: what it plays is
// written down. Time comes in with each call.

import { MS, SECOND } from "../../base/clock.ts";
import { ACK, FIN, PSH, RST, SYN } from "../drill/frame.ts";
import { CLIENT } from "./conversation.ts";
import type { Pace } from "./pace.ts";
import { cutSegment, playedFrames } from "./played-frames.ts";
import { FIRST_WAIT_NS, type Patience, Silence } from "./silence.ts";
import type { Stream } from "./stream.ts";
import { TcpHeard } from "./tcp-heard.ts";
import type { PlayedPath } from "./tcp-rewrite.ts";
import { TcpSaid } from "./tcp-said.ts";
import type { TcpSegment, TcpSideTrace } from "./tcp-trace.ts";
import { TcpWriter, type TcpWriterConfig } from "./tcp-writer.ts";

export interface TcpPeerConfig extends TcpWriterConfig {
  pace: Pace;
  patience: Patience;
}

/** What the peer did beyond the capture. */
export interface PeerCounts {
  sent: number;
  /**
   * Acknowledgments that the capture does not have, because the other end sent in other pieces, or because it lost
   * them.
   */
  addedAcks: number;
  /** Stretches of the stream sent again because they had not arrived. */
  repairs: number;
  /** Segments that went before what they acknowledge had come. */
  early: number;
  /** Segments of the other end that brought nothing new. */
  repeatsSeen: number;
}

/** Two segments of an Ethernet, with timestamps. */
const ACK_BYTES = 2 * 1448;
const REPAIR_BYTES = 1400;
/** Longer than any delayed acknowledgment: what is not acknowledged then is lost. */
const REPAIR_NS = 250 * MS;
/** No sender repeats anything sooner (Linux's TCP_RTO_MIN)... */
const REPEAT_NS_MIN = 200 * MS;
/** ...and on all but the slowest paths one would have within this: its acknowledgment was not captured. */
const SURELY_ACKED_NS = 3 * SECOND;
const NEVER = Number.POSITIVE_INFINITY;

export class TcpPeer {
  /** The other end took no notice for so long that there is no point in going on. */
  isStuck = false;
  readonly #c: TcpPeerConfig;
  readonly #own: TcpSideTrace;
  readonly #frames: TcpSegment[];
  /** When the captured other end sent something again; those before #repeat are over. */
  readonly #repeatsNs: number[];
  #repeat = 0;
  readonly #said = new TcpSaid();
  readonly #heard: TcpHeard;
  readonly #writer: TcpWriter;
  readonly #silence = new Silence();
  #next = 0;
  #added = { acks: 0, repairs: 0, early: 0 };
  /** The capture has lost acknowledgments of ours: what they covered was sent again, which it was not then. */
  #lacksAcks = false;
  #nowNs = 0;

  constructor(config: TcpPeerConfig) {
    this.#c = config;
    const { trace, side, record } = config;
    this.#own = trace.sides[side];
    this.#frames = playedFrames(trace, side);
    this.#repeatsNs = trace.segments
      .filter((segment) => segment.from !== side && segment.isRepeat)
      .map(({ packet }) => packet.timeNs);
    this.#heard = new TcpHeard({ trace, side, said: this.#said, record });
    this.#writer = new TcpWriter(config, this.#heard, this.#said);
  }

  get counts(): PeerCounts {
    const { acks, repairs, early } = this.#added;
    const repeatsSeen = this.#heard.repeats;
    return { sent: this.#writer.sent, addedAcks: acks, repairs, early, repeatsSeen };
  }
  get isDone(): boolean {
    return this.#next === this.#frames.length;
  }
  get playedPath(): PlayedPath {
    return this.#c.path;
  }
  /** What the other end has sent. */
  get received(): Stream {
    return this.#heard.stream;
  }
  get otherFin(): number {
    return this.#heard.fin;
  }
  get hasReset(): boolean {
    return this.#heard.hasReset;
  }
  get receivedEnd(): number {
    return this.#heard.end;
  }
  get otherIsn(): number | null {
    return this.#heard.isn;
  }
  get acked(): number {
    return this.#heard.acked;
  }
  /** All that came has been acknowledged, and all that we sent has been to us; or we have broken it off. */
  get isQuiet(): boolean {
    const said = this.#said;
    if (said.hasReset) return true;
    return said.ackSent >= this.#heard.end && this.#heard.acked >= said.end;
  }

  // --- From the other end ---

  /** A segment of the other end, from its TCP header on. */
  receive(b: Uint8Array, nowNs: number): void {
    this.#nowNs = nowNs;
    const { repeats } = this.#heard;
    // What only repeats itself neither keeps the conversation alive nor puts off what would help it on.
    if (this.#heard.receive(b, nowNs)) this.#silence.end();
    else if (this.#heard.repeats > repeats && this.#isUncapturedSilence()) this.#lacksAcks = true;
  }

  // --- To the other end ---

  /** When step() may have something to do although nothing has come. */
  nextNs(): number {
    if (this.isStuck || this.hasReset) return NEVER;
    const { lookNs } = this.#silence;
    if (lookNs >= 0) return lookNs;
    if (this.isDone) return NEVER;
    return Math.min(this.#dueNs, this.#missingAckNs());
  }

  /** Of the next captured segment. */
  get #dueNs(): number {
    return this.#c.pace.dueNs(this.#frames[this.#next].packet.timeNs);
  }

  /** Sends what is due and may go; true when something went. */
  step(nowNs: number): boolean {
    this.#nowNs = nowNs;
    let hasSent = this.#answerUncaptured();
    while (!this.isDone && !this.hasReset && !this.isStuck) {
      const frame = this.#frames[this.#next];
      if (this.#dueNs > nowNs) {
        this.#silence.end();
        return (this.#missingAckNs() <= nowNs && this.#addAck()) || hasSent;
      }
      if (!this.#mayGo(frame) && !this.#cutToWindow(frame)) break;
      this.#play(this.#frames[this.#next]);
      hasSent = true;
      this.#silence.end();
    }
    if (!this.#isWaiting) {
      this.#silence.end();
      return hasSent;
    }
    // RFC 5681 4.2: two full segments are acknowledged at once.
    const { ackSent } = this.#said;
    if (!this.isDone && this.#heard.end - ackSent >= ACK_BYTES && ackSent >= 0) {
      return this.#addAck();
    }
    const idleNs = this.#silence.look(nowNs);
    this.#silence.goesOn(nowNs);
    return (idleNs >= 0 && this.#helpOn(idleNs)) || hasSent;
  }

  /**
   * The other end is known to do nothing more before it is sent something: what would be tried after some time goes now.
   * False: there is nothing, so there is no point in going on; or it waits for its time.
   */
  goOn(nowNs: number): boolean {
    this.#nowNs = nowNs;
    if (!this.#isWaiting || (!this.isDone && this.#dueNs > nowNs)) return false;
    if (this.#helpOn(this.#c.patience.giveUpNs)) return true;
    this.isStuck = true;
    return false;
  }

  /** For the other end: not all is said and done, and it has begun. */
  get #isWaiting(): boolean {
    const hasNotBegun = this.otherIsn === null && this.#c.side !== CLIENT;
    return !hasNotBegun && !this.hasReset && !this.isStuck && !(this.isDone && this.isQuiet);
  }

  #mayGo(frame: TcpSegment): boolean {
    const isOpening = (frame.flags & (SYN | ACK)) === SYN;
    if (isOpening) return true;
    if (!this.#said.hasSyn && (frame.flags & SYN) === 0 && !this.#isLoneReset(frame)) {
      return this.#openOurselves();
    }
    if ((frame.flags & ACK) !== 0 && this.otherIsn === null) return false;
    if (this.#writer.needs(frame) > this.#heard.end) return false;
    // A SYN goes without its data.
    if (frame.length === 0 || (frame.flags & SYN) !== 0) return true;
    return frame.isBeyondWindow || frame.at + frame.length <= this.#heard.edge;
  }

  /** A captured segment may be larger than the window that is offered now: what fits goes first. */
  #cutToWindow(frame: TcpSegment): boolean {
    const fits = this.#heard.edge - frame.at;
    const isOpen = this.#said.hasSyn && this.otherIsn !== null && (frame.flags & SYN) === 0;
    if (!isOpen || this.#writer.needs(frame) > this.#heard.end) return false;
    if (fits < ACK_BYTES / 2 || fits >= frame.length) return false;
    this.#frames.splice(this.#next, 1, ...cutSegment(frame, fits));
    return true;
  }

  #isLoneReset(frame: TcpSegment): boolean {
    return (frame.flags & RST) !== 0 && this.#own.syn === null && !this.#own.hasSyn;
  }

  #play(frame: TcpSegment): void {
    this.#next++;
    this.#c.pace.happened(frame.packet.timeNs, this.#nowNs);
    this.#writer.play(frame, this.#nowNs);
  }

  // --- Where the capture does not say what to do ---

  /**
   * The capture has no answer to the other end's SYN: it is answered at once, since the first captured segment may be
   * later than any TCP waits for an answer.
   */
  #answerUncaptured(): boolean {
    const isAsked = this.#c.side !== CLIENT && this.otherIsn !== null && !this.#said.hasSyn;
    if (!isAsked || this.#own.hasSyn || this.isDone || this.hasReset) return false;
    if (this.#isLoneReset(this.#frames[this.#next])) return false;
    this.#openOurselves();
    return true;
  }

  /** The connection began before the capture: a handshake of our own. */
  #openOurselves(): boolean {
    const isOpener = this.#c.side === CLIENT;
    if (!isOpener && this.otherIsn === null) return false;
    this.#writer.make(-1, isOpener ? SYN : SYN | ACK, this.#nowNs);
    return false;
  }

  /** Until the next captured segment of ours, in which the captured other end sent nothing again. */
  #isUncapturedSilence(): boolean {
    if (this.isDone || this.#dueNs <= this.#nowNs) return false;
    const to = this.#frames[this.#next].packet.timeNs;
    const from = this.#next === 0 ? 0 : this.#frames[this.#next - 1].packet.timeNs;
    while (this.#repeatsNs[this.#repeat] <= from) this.#repeat++;
    return !(this.#repeatsNs[this.#repeat] <= to);
  }

  /**
   * When what the captured other end never repeated is acknowledged though the capture has no acknowledgment of it for
   * longer than anybody waits: it was lost on its way to the capture, not to the other end.
   */
  #missingAckNs(): number {
    const { owedSinceNs } = this.#heard;
    if (owedSinceNs < 0 || !this.#isUncapturedSilence()) return NEVER;
    const longest = this.#lacksAcks ? REPEAT_NS_MIN : SURELY_ACKED_NS;
    return this.#dueNs - owedSinceNs > longest ? owedSinceNs + FIRST_WAIT_NS : NEVER;
  }

  /** Nothing has happened for a while though something should: true when we did something about it. */
  #helpOn(idleNs: number): boolean {
    const { earlyNs, giveUpNs } = this.#c.patience;
    if (idleNs > giveUpNs) {
      this.isStuck = true;
      return false;
    }
    if (this.otherIsn === null) return false;
    // Before its own SYN an end has nothing to acknowledge with.
    if (!this.#said.hasSyn) return !this.isDone && idleNs >= earlyNs && this.#goEarly();
    if (this.#said.ackSent < this.#heard.end) return this.#addAck();
    if (this.#heard.acked < this.#said.end && idleNs >= REPAIR_NS) return this.#repair();
    return !this.isDone && idleNs >= earlyNs && this.#goEarly();
  }

  #addAck(): true {
    this.#added.acks++;
    this.#writer.make(this.#said.end, ACK, this.#nowNs);
    return true;
  }

  /** The first bytes that the other end has not acknowledged, once more. */
  #repair(): boolean {
    const from = Math.max(0, this.#heard.acked);
    const to = Math.min(this.#said.max, from + REPAIR_BYTES);
    const isLast = to === this.#said.max && this.#said.hasFin;
    if (to === from && !isLast) return false;
    this.#added.repairs++;
    const flags = ACK | PSH | (isLast ? FIN : 0);
    this.#writer.make(from, flags, this.#nowNs, this.#own.stream.bytes.subarray(from, to));
    return true;
  }

  /** What the next segment waits for may come only after it: it goes with what there is. */
  #goEarly(): boolean {
    const frame = this.#frames[this.#next];
    const end = frame.at + frame.length;
    if (frame.length > 0 && !frame.isBeyondWindow && end > this.#heard.edge) return false;
    if (this.#writer.needs(frame) <= this.#heard.end) return false;
    this.#added.early++;
    this.#play(frame);
    return true;
  }
}
