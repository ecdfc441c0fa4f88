// One side of a captured TCP connection, played against whoever is at the other end: sends the captured segments
// with numbers that fit this connection, each at its time, but not before what it acknowledges has come and not
// beyond the window that is offered now. Where the other end goes another way than the captured one did, the peer
// does what any TCP does: it acknowledges what has come, and sends again what was lost. No stack: what it plays is
// written down. Time comes in with each call.

import { u16, u32 } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { ACK, FIN, PSH, RST, SYN } from "../drill/frame.ts";
import { CLIENT, otherSide, type Side } from "./conversation.ts";
import type { Pace } from "./pace.ts";
import { cutSegment, playedFrames } from "./played-frames.ts";
import { Stream } from "./stream.ts";
import { OPTION_TIMESTAMPS, readTcpOptions } from "./tcp-options.ts";
import { made, notAgreed, type PlayedPath, rewritten } from "./tcp-rewrite.ts";
import { SynthesisedOptions } from "./tcp-synthesis.ts";
import type { TcpSegment, TcpSideTrace, TcpTrace } from "./tcp-trace.ts";
import type { WireSegment } from "./wire-segment.ts";

export interface TcpPeerConfig {
  trace: TcpTrace;
  /** Whom we play. */
  side: Side;
  path: PlayedPath;
  pace: Pace;
  patience: Patience;
  /** The other end may say more or less than the captured one: what acknowledged all then does so now. */
  isAdaptive?: boolean;
  /** The connection is played as if nobody had asked for timestamps. */
  withoutTimestamps?: boolean;
  /** Sends a segment; `like` is the captured one it was made from. */
  send: (tcp: Uint8Array, like: TcpSegment | null) => void;
  /** Everything that passes, both ways. */
  record: (segment: WireSegment) => void;
}

/** What the peer did beyond the capture. */
export interface PeerCounts {
  sent: number;
  /** Acknowledgments that the capture does not have, because the other end sent in other pieces. */
  addedAcks: number;
  /** Stretches of the stream sent again because they had not arrived. */
  repairs: number;
  /** Segments that went before what they acknowledge had come. */
  early: number;
  /** Segments of the other end that brought nothing new. */
  repeatsSeen: number;
}

export interface Patience {
  /** Silence after which a segment goes although what it acknowledges has not come. */
  earlyNs: number;
  /** Silence after which the conversation is given up. */
  giveUpNs: number;
}

/** For a stack in virtual time. */
export const STACK_PATIENCE: Patience = { earlyNs: 300 * MS, giveUpNs: 60 * SECOND };

/** As long as a TCP may wait with an acknowledgment (Linux's TCP_DELACK_MIN); doubled while nothing happens. */
const FIRST_WAIT_NS = 40 * MS;
const WAIT_NS_MAX = 2 * SECOND;
/** Two segments of an Ethernet, with timestamps. */
const ACK_BYTES = 2 * 1448;
const REPAIR_BYTES = 1400;
/** Longer than any delayed acknowledgment: what is not acknowledged then is lost. */
const REPAIR_NS = 250 * MS;

export class TcpPeer {
  readonly counts: PeerCounts = { sent: 0, addedAcks: 0, repairs: 0, early: 0, repeatsSeen: 0 };
  /** What the other end has sent. */
  readonly received = new Stream();
  /** Where the other end's FIN stands; -1: none yet. */
  otherFin = -1;
  hasReset = false;
  /** The other end took no notice for so long that there is no point in going on. */
  isStuck = false;
  readonly #c: TcpPeerConfig;
  readonly #own: TcpSideTrace;
  readonly #other: TcpSideTrace;
  readonly #frames: TcpSegment[];
  readonly #without: ReadonlySet<number>;
  readonly #made: SynthesisedOptions;
  #next = 0;
  /** On the wire, of the other end's SYN. */
  #otherIsn: number | null = null;
  #otherShift = 0;
  /** In our stream: sent, acknowledged by the other end, and offered by it. */
  #sentMax = 0;
  #acked = -1;
  #edge = 0;
  #hasSynSent = false;
  #hasFinSent = false;
  #hasResetSent = false;
  /** In the other's stream (a FIN counts one): in order, and as far as we have acknowledged. */
  #ackSent = -1;
  #tsRecent = 0;
  #window = 0;
  /** Since when nothing could be done, and when to look again; -1: not idle. */
  #idleSinceNs = -1;
  #lookNs = -1;
  #waitNs = FIRST_WAIT_NS;
  #nowNs = 0;

  constructor(config: TcpPeerConfig) {
    this.#c = config;
    const { trace, side } = config;
    this.#own = trace.sides[side];
    this.#other = trace.sides[otherSide(side)];
    this.#frames = playedFrames(trace, side);
    const isOpener = side === CLIENT;
    const isPlain = config.withoutTimestamps === true;
    const kinds = isOpener ? notAgreed(this.#own.syn, this.#other.syn) : notAgreed(null, null);
    this.#without = isPlain ? new Set([...kinds, OPTION_TIMESTAMPS]) : kinds;
    this.#made = new SynthesisedOptions(trace, side, isPlain);
    if (!trace.hasHandshake) this.#window = 0xffff;
  }

  get isDone(): boolean {
    return this.#next === this.#frames.length;
  }
  get playedPath(): PlayedPath {
    return this.#c.path;
  }
  /** In the other's stream; a FIN counts one. */
  get receivedEnd(): number {
    const end = this.received.contiguous;
    return this.otherFin >= 0 && end >= this.otherFin ? this.otherFin + 1 : end;
  }
  /** All that came has been acknowledged, and all that we sent has been to us; or we have broken it off. */
  get isQuiet(): boolean {
    if (this.#hasResetSent) return true;
    return this.#ackSent >= this.receivedEnd && this.#acked >= this.#sentEnd;
  }
  /** Of the other end's SYN, on the wire; null: not seen yet. */
  get otherIsn(): number | null {
    return this.#otherIsn;
  }
  get acked(): number {
    return this.#acked;
  }
  get #sentEnd(): number {
    return this.#sentMax + (this.#hasFinSent ? 1 : 0);
  }

  // --- From the other end ---

  /** A segment of the other end, from its TCP header on. */
  receive(b: Uint8Array, nowNs: number): void {
    this.#nowNs = nowNs;
    const headerBytes = (b[12] >>> 4) * 4;
    if (b.length < 20 || headerBytes < 20 || headerBytes > b.length) return;
    const flags = b[13] | ((b[12] & 1) << 8);
    const options = readTcpOptions(b, headerBytes);
    if ((flags & SYN) !== 0) {
      if (this.#otherIsn === null) this.#otherIsn = u32(b, 4);
      this.#otherShift = options.wscale ?? 0;
    }
    const isn = this.#otherIsn ?? u32(b, 4);
    const isSyn = (flags & SYN) !== 0;
    const near = this.received.length;
    const at = isSyn ? -1 : near + ((u32(b, 4) - (isn + 1 + near)) | 0);
    const length = b.length - headerBytes;
    const ack = (flags & ACK) === 0 ? -1 : this.#placeOfOwn(u32(b, 8));
    const window = u16(b, 14);
    const isRepeat = length > 0 && at + length <= this.received.contiguous;
    this.#c.record({
      timeNs: nowNs,
      from: otherSide(this.#c.side),
      flags,
      at,
      length,
      ack,
      window,
      sacks: options.sacks.map((edge) => this.#placeOfOwn(edge)),
      mss: options.mss,
      wscale: options.wscale,
      sackPermitted: options.sackPermitted,
      hasTimestamps: options.tsVal !== null,
      number: 0,
      isRepeat,
    });
    if ((flags & RST) !== 0) {
      // Both directions closed and acknowledged: the connection is gone, and whoever still speaks is told so.
      const isOver = this.#hasFinSent && this.#acked >= this.#sentEnd && this.otherFin >= 0;
      if (!isOver) this.hasReset = true;
      return;
    }
    if (options.tsVal !== null && at <= Math.max(this.#ackSent, 0)) this.#tsRecent = options.tsVal;
    if (isRepeat) this.counts.repeatsSeen++;
    const before = this.#progress;
    if (length > 0 && at >= 0) this.received.add(at, b, headerBytes, length, length);
    if ((flags & FIN) !== 0 && this.otherFin < 0) this.otherFin = at + length;
    if (ack >= 0) this.#acked = Math.max(this.#acked, ack);
    if (ack >= 0) {
      const shift = isSyn || !this.#isScaled ? 0 : this.#otherShift;
      this.#edge = Math.max(this.#edge, ack + window * 2 ** shift);
    }
    // What only repeats itself neither keeps the conversation alive nor puts off what would help it on.
    if (this.#progress === before) return;
    this.#lookNs = -1;
    this.#idleSinceNs = -1;
  }

  /** Larger whenever something came that was not there before. */
  get #progress(): number {
    return this.receivedEnd + this.#acked + this.#edge;
  }

  get #isScaled(): boolean {
    return this.#own.syn === null || this.#own.syn.options.wscale !== null;
  }

  #placeOfOwn(seq: number): number {
    return this.#sentMax + ((seq - (this.#own.isn + 1 + this.#sentMax)) | 0);
  }

  // --- To the other end ---

  /** When step() may have something to do although nothing has come. */
  nextNs(): number {
    if (this.isStuck || this.hasReset) return Number.POSITIVE_INFINITY;
    if (this.#lookNs >= 0) return this.#lookNs;
    if (this.isDone) return Number.POSITIVE_INFINITY;
    return this.#c.pace.dueNs(this.#frames[this.#next].packet.timeNs);
  }

  /** Sends what is due and may go; true when something went. */
  step(nowNs: number): boolean {
    this.#nowNs = nowNs;
    let hasSent = this.#answerUncaptured();
    while (!this.isDone && !this.hasReset && !this.isStuck) {
      const frame = this.#frames[this.#next];
      if (this.#c.pace.dueNs(frame.packet.timeNs) > nowNs) {
        this.#lookNs = -1;
        this.#idleSinceNs = -1;
        return hasSent;
      }
      const isReady = this.#mayGo(frame);
      if (!isReady && !this.#cutToWindow(frame)) break;
      this.#c.pace.happened(frame.packet.timeNs, nowNs);
      this.#sendFrame(this.#frames[this.#next]);
      hasSent = true;
      this.#lookNs = -1;
      this.#idleSinceNs = -1;
    }
    // Nothing to help on: all said and done, or the other end has not even begun.
    const hasNotBegun = this.#otherIsn === null && this.#c.side !== CLIENT;
    const isAllDone = this.isDone && this.isQuiet;
    if (hasNotBegun || this.hasReset || this.isStuck || isAllDone) {
      this.#lookNs = -1;
      this.#idleSinceNs = -1;
      return hasSent;
    }
    // RFC 5681 4.2: two full segments are acknowledged at once.
    if (!this.isDone && this.receivedEnd - this.#ackSent >= ACK_BYTES && this.#ackSent >= 0) {
      return this.#addAck();
    }
    if (this.#lookNs < 0) {
      if (this.#idleSinceNs < 0) {
        this.#idleSinceNs = nowNs;
        this.#waitNs = FIRST_WAIT_NS;
      }
      this.#lookNs = nowNs + this.#waitNs;
    } else if (nowNs >= this.#lookNs) {
      this.#waitNs = Math.min(this.#waitNs * 2, WAIT_NS_MAX);
      this.#lookNs = nowNs + this.#waitNs;
      hasSent = this.#helpOn(nowNs - this.#idleSinceNs) || hasSent;
    }
    return hasSent;
  }

  #mayGo(frame: TcpSegment): boolean {
    const isOpening = (frame.flags & (SYN | ACK)) === SYN;
    if (isOpening) return true;
    if (!this.#hasSynSent && (frame.flags & SYN) === 0 && !this.#isLoneReset(frame)) {
      return this.#openOurselves();
    }
    if ((frame.flags & ACK) !== 0 && this.#otherIsn === null) return false;
    if (this.#needs(frame) > this.receivedEnd) return false;
    // A SYN goes without its data.
    if (frame.length === 0 || (frame.flags & SYN) !== 0) return true;
    return frame.isBeyondWindow || frame.at + frame.length <= this.#edge;
  }

  /** A captured segment may be larger than the window that is offered now: what fits goes first. */
  #cutToWindow(frame: TcpSegment): boolean {
    const fits = this.#edge - frame.at;
    const isOpen = this.#hasSynSent && this.#otherIsn !== null && (frame.flags & SYN) === 0;
    if (!isOpen || this.#needs(frame) > this.receivedEnd) return false;
    if (fits < ACK_BYTES / 2 || fits >= frame.length) return false;
    this.#frames.splice(this.#next, 1, ...cutSegment(frame, fits));
    return true;
  }

  #isLoneReset(frame: TcpSegment): boolean {
    return (frame.flags & RST) !== 0 && this.#own.syn === null && !this.#own.hasSyn;
  }

  /** What must have come before this makes sense. */
  #needs(frame: TcpSegment): number {
    // What it acknowledges beyond the other SYN were data in that, which come behind it here.
    if ((frame.flags & SYN) !== 0) return 0;
    let needed = this.#mapAck(frame.ack);
    if (frame.options.sacks.length > 0) {
      const captured = u32(frame.packet.bytes, 8);
      for (const edge of frame.options.sacks) {
        needed = Math.max(needed, frame.ack + ((edge - captured) | 0));
      }
    }
    return needed;
  }

  /** Another program may say more or less than the captured one; its end is an end all the same. */
  #mapAck(ack: number): number {
    const captured = this.#other.fin;
    if (captured < 0 || this.otherFin < 0 || captured === this.otherFin) return ack;
    return ack > captured ? this.otherFin + 1 : Math.min(ack, this.otherFin);
  }

  #sendFrame(frame: TcpSegment): void {
    this.#next++;
    const isSyn = (frame.flags & SYN) !== 0;
    if (isSyn) this.#hasSynSent = true;
    const isAll = this.#c.isAdaptive === true && frame.acksAll;
    const ack = isAll ? this.receivedEnd : Math.min(this.#mapAck(frame.ack), this.receivedEnd);
    // Data in a SYN needs a cookie that the other end never gave to us: it comes right behind.
    const length = isSyn ? 0 : frame.length;
    const delta = ((this.#otherIsn ?? this.#other.isn) - this.#other.isn) | 0;
    const tcp = rewritten(frame, this.#c.path, {
      seq: (this.#own.isn + 1 + frame.at) >>> 0,
      ack: ((this.#otherIsn ?? -1) + 1 + ack) >>> 0,
      otherDelta: delta,
      tsEcr: (frame.flags & ACK) !== 0 && frame.options.tsVal !== null ? this.#tsRecent : null,
      without: this.#without,
      clearFlags: this.#clearFlags(frame),
      length,
      stream: this.#own.stream.bytes,
    });
    if (frame.ack >= 0) this.#ackSent = Math.max(this.#ackSent, ack);
    this.#made.tsVal = frame.options.tsVal ?? this.#made.tsVal;
    if ((frame.flags & RST) === 0) this.#window = frame.window;
    this.#sent(frame.at, length, frame.flags);
    this.#emit(tcp, frame, frame.at, length, ack);
  }

  /** ECN that the captured answer did not take up is not asked for. */
  #clearFlags(frame: TcpSegment): number {
    const answer = this.#other.syn;
    const isOpening = (frame.flags & (SYN | ACK)) === SYN;
    return isOpening && answer !== null && (answer.flags & 0x1c0) === 0 ? 0xc0 : 0;
  }

  #sent(at: number, length: number, flags: number): void {
    // What follows a FIN stands one further, but there is no byte there.
    const end = Math.min(at + length, this.#own.stream.length);
    if ((flags & (SYN | RST)) === 0) this.#sentMax = Math.max(this.#sentMax, end);
    if ((flags & FIN) !== 0) this.#hasFinSent = true;
    if ((flags & RST) !== 0) this.#hasResetSent = true;
  }

  #emit(tcp: Uint8Array, like: TcpSegment | null, at: number, length: number, ack: number): void {
    this.counts.sent++;
    const headerBytes = (tcp[12] >>> 4) * 4;
    const options = readTcpOptions(tcp, headerBytes);
    const isn = this.#otherIsn ?? 0;
    this.#c.record({
      timeNs: this.#nowNs,
      from: this.#c.side,
      flags: tcp[13] | ((tcp[12] & 1) << 8),
      at,
      length,
      ack: (tcp[13] & ACK) !== 0 ? ack : -1,
      window: u16(tcp, 14),
      sacks: options.sacks.map((edge) => ack + ((edge - (isn + 1 + ack)) | 0)),
      mss: options.mss,
      wscale: options.wscale,
      sackPermitted: options.sackPermitted,
      hasTimestamps: options.tsVal !== null,
      number: like?.packet.number ?? 0,
      isRepeat: like?.isRepeat ?? false,
    });
    this.#c.send(tcp, like);
  }

  // --- Where the capture does not say what to do ---

  /**
   * The capture has no answer to the other end's SYN: it is answered at once, since the first captured segment may be
   * later than any TCP waits for an answer.
   */
  #answerUncaptured(): boolean {
    const isAsked = this.#c.side !== CLIENT && this.#otherIsn !== null && !this.#hasSynSent;
    if (!isAsked || this.#own.hasSyn || this.isDone || this.hasReset) return false;
    if (this.#isLoneReset(this.#frames[this.#next])) return false;
    this.#openOurselves();
    return true;
  }

  /** The connection began before the capture: a handshake of our own. */
  #openOurselves(): boolean {
    const isOpener = this.#c.side === CLIENT;
    if (!isOpener && this.#otherIsn === null) return false;
    const flags = isOpener ? SYN : SYN | ACK;
    this.#hasSynSent = true;
    this.#makeSegment(-1, flags, this.#made.syn(this.#tsRecent), new Uint8Array(0));
    return false;
  }

  /** Nothing has happened for a while though something should: true when we did something about it. */
  #helpOn(idleNs: number): boolean {
    const { earlyNs, giveUpNs } = this.#c.patience;
    if (idleNs > giveUpNs) {
      this.isStuck = true;
      return false;
    }
    if (this.#otherIsn === null) return false;
    // Before its own SYN an end has nothing to acknowledge with.
    if (!this.#hasSynSent) return !this.isDone && idleNs >= earlyNs && this.#goEarly();
    if (this.#ackSent < this.receivedEnd) return this.#addAck();
    if (this.#acked < this.#sentEnd && idleNs >= REPAIR_NS) return this.#repair();
    return !this.isDone && idleNs >= earlyNs && this.#goEarly();
  }

  #addAck(): true {
    this.counts.addedAcks++;
    this.#makeSegment(this.#sentEnd, ACK, this.#made.plain(this.#tsRecent), new Uint8Array(0));
    return true;
  }

  /** The first bytes that the other end has not acknowledged, once more. */
  #repair(): boolean {
    const from = Math.max(0, this.#acked);
    const to = Math.min(this.#sentMax, from + REPAIR_BYTES);
    const isLast = to === this.#sentMax && this.#hasFinSent;
    if (to === from && !isLast) return false;
    this.counts.repairs++;
    const flags = ACK | PSH | (isLast ? FIN : 0);
    this.#makeSegment(
      from,
      flags,
      this.#made.plain(this.#tsRecent),
      this.#own.stream.bytes.subarray(from, to),
    );
    return true;
  }

  /** What the next segment waits for may come only after it: it goes with what there is. */
  #goEarly(): boolean {
    const frame = this.#frames[this.#next];
    const end = frame.at + frame.length;
    if (frame.length > 0 && !frame.isBeyondWindow && end > this.#edge) return false;
    if (this.#needs(frame) <= this.receivedEnd) return false;
    this.counts.early++;
    this.#c.pace.happened(frame.packet.timeNs, this.#nowNs);
    this.#sendFrame(frame);
    return true;
  }

  #makeSegment(at: number, flags: number, options: Uint8Array, data: Uint8Array): void {
    const ack = this.receivedEnd;
    const tcp = made(this.#c.path, {
      seq: (this.#own.isn + 1 + at) >>> 0,
      ack: (flags & ACK) === 0 ? 0 : ((this.#otherIsn ?? -1) + 1 + ack) >>> 0,
      flags,
      window: this.#window,
      options,
      data,
    });
    if ((flags & ACK) !== 0) this.#ackSent = Math.max(this.#ackSent, ack);
    this.#emit(tcp, null, at, data.length, ack);
  }
}
