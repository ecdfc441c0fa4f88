// The other end of connections with the stack under test: sends segments named by where they lie beside the right
// place ("20 bytes past what is due", "acknowledges 5 too many"), and holds every segment of the stack against what
// an honest and complete record of both streams allows. Hostile in what it sends, exact in what it demands.
//
// What it sends at a position of its stream is always the same (peerByte), so the stack's application can tell
// every byte it reads.

import { i32, setU16, setU32, u16 } from "../../base/bytes.ts";
import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import type { Way } from "../arbitraries/place.ts";
import { ipFrame } from "../arbitraries/plain.ts";
import { TCP } from "../arbitraries/transport.ts";
import { appByte, peerByte, STREAM_PERIOD } from "./app.ts";
import { BrokenLaw } from "./target.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;

/** Bits of a segment's options. */
export const OPT_MSS = 1;
export const OPT_SCALE = 2;
export const OPT_SACK_OK = 4;
export const OPT_TIMESTAMPS = 8;
export const OPT_SACK = 16;
export const OPT_SMALL_MSS = 32;
export const OPT_OLD_TIMESTAMP = 64;

export interface SegmentStep {
  do: "segment";
  /** Which of the peers. */
  peer: number;
  flags: number;
  /** Distance from the next byte that is due; of a SYN: which incarnation. */
  seq: number;
  /** Distance from the acknowledgment that is due. */
  ack: number;
  length: number;
  window: number;
  urgent: number;
  options: number;
}

const SCALE = 3;
const ISS = 0x10_0000;
const INCARNATION = STREAM_PERIOD;

interface Range {
  from: number;
  to: number;
}

export class Peer {
  readonly way: Way;
  sport: number;
  dport: number;
  /** Ours: the first number, and the next byte that is due. */
  #iss = ISS;
  #next = ISS;
  /** Everything ever sent, SYNs and FINs with their own numbers. */
  readonly #sent: Range[] = [];
  readonly #syns: number[] = [];
  #synWindow = 0;
  #scaled = false;

  // What the stack has said on the connection of its last SYN.
  #isKnown = false;
  #theirIss = 0;
  #theirEnd = 0;
  #theirScale = 0;
  #theirRight = 0;
  #theirAck = 0;
  #hasAck = false;
  /** The largest window that was ever announced to it. */
  #ourRight = 0;
  #tsEcho = 0;
  #now = 0;

  constructor(way: Way, sport: number, dport: number) {
    this.way = way;
    this.sport = sport;
    this.dport = dport;
  }

  /** The frame of a step. */
  segment(step: SegmentStep, nowMs: number): Uint8Array {
    this.#now = nowMs;
    const isSyn = (step.flags & SYN) !== 0;
    if (isSyn && (step.flags & ACK) === 0) this.#begin(step);
    const seq = isSyn ? this.#iss : seqAdd(this.#next, step.seq);
    const ack = (step.flags & ACK) === 0 ? 0 : seqAdd(this.#theirEnd, step.ack);
    const options = this.#options(step, isSyn);
    const header = 20 + options.length;
    const b = new Uint8Array(header + step.length);
    setU16(b, 0, this.sport);
    setU16(b, 2, this.dport);
    setU32(b, 4, seq);
    setU32(b, 8, ack);
    b[12] = (header >> 2) << 4;
    b[13] = step.flags;
    setU16(b, 14, step.window);
    setU16(b, 18, step.urgent);
    b.set(options, 20);
    const first = seqAdd(seq, isSyn ? 1 : 0);
    for (let i = 0; i < step.length; i++) b[header + i] = peerByte(first + i - ISS - 1);
    this.#note(step, seq, ack, isSyn);
    return ipFrame(this.way, { protocol: TCP, bytes: b, checksumAt: 16, checksumOff: 0 });
  }

  #begin(step: SegmentStep): void {
    this.#iss = seqAdd(ISS, (step.seq & 3) * INCARNATION);
    this.#next = this.#iss;
    this.#syns.push(this.#iss);
    this.#synWindow = Math.max(this.#synWindow, step.window);
    if ((step.options & OPT_SCALE) !== 0) this.#scaled = true;
  }

  #options(step: SegmentStep, isSyn: boolean): number[] {
    const o: number[] = [];
    const bits = step.options;
    if (isSyn && (bits & (OPT_MSS | OPT_SMALL_MSS)) !== 0) {
      o.push(2, 4, ...((bits & OPT_SMALL_MSS) !== 0 ? [0, 64] : [5, 180]));
    }
    if (isSyn && (bits & OPT_SCALE) !== 0) o.push(1, 3, 3, SCALE);
    if (isSyn && (bits & OPT_SACK_OK) !== 0) o.push(1, 1, 4, 2);
    if ((bits & OPT_TIMESTAMPS) !== 0) {
      const value = (bits & OPT_OLD_TIMESTAMP) !== 0 ? 1 : this.#now + 100_000;
      const time = new Uint8Array(8);
      setU32(time, 0, value);
      setU32(time, 4, this.#tsEcho);
      o.push(1, 1, 8, 10, ...time);
    }
    if ((bits & OPT_SACK) !== 0) {
      const block = new Uint8Array(8);
      const from = seqAdd(this.#theirEnd, -1_400);
      setU32(block, 0, from);
      setU32(block, 4, this.#theirEnd);
      o.push(1, 1, 5, 10, ...block);
    }
    return o;
  }

  /** Remembers what the stack may from now on have, and what is due next. */
  #note(step: SegmentStep, seq: number, ack: number, isSyn: boolean): void {
    const occupied = step.length + (isSyn ? 1 : 0) + ((step.flags & FIN) !== 0 ? 1 : 0);
    const end = seqAdd(seq, occupied);
    if ((step.flags & RST) !== 0) return;
    if (occupied > 0) {
      this.#sent.push({ from: seq, to: end });
      if (isSyn || (seqDiff(seq, this.#next) <= 0 && seqDiff(end, this.#next) > 0))
        this.#next = end;
    }
    if ((step.flags & ACK) === 0) return;
    const scale = this.#scaled && !isSyn ? SCALE : 0;
    const right = seqAdd(ack, step.window << scale);
    if (seqDiff(right, this.#ourRight) > 0) this.#ourRight = right;
  }

  /** How far the stack can have received without a hole, from the byte behind the SYN `irs` on. */
  #reached(irs: number): number {
    let at = seqAdd(irs, 1);
    for (let isGrowing = true; isGrowing; ) {
      isGrowing = false;
      for (const { from, to } of this.#sent) {
        if (seqDiff(from, at) <= 0 && seqDiff(to, at) > 0) {
          at = to;
          isGrowing = true;
        }
      }
    }
    return at;
  }

  /** As look(), without judging: just enough to send segments that fit. */
  follow(b: Uint8Array, at: number, end: number): void {
    const seq = i32(b, at + 4);
    const occupied = end - at - ((b[at + 12] >>> 4) << 2) + ((b[at + 13] & FIN) !== 0 ? 1 : 0);
    if ((b[at + 13] & SYN) !== 0) this.#theirEnd = seqAdd(seq, 1);
    else if ((b[at + 13] & RST) === 0 && seqDiff(seqAdd(seq, occupied), this.#theirEnd) > 0) {
      this.#theirEnd = seqAdd(seq, occupied);
    }
  }

  /** A segment from the stack to this peer begins at `at`; throws BrokenLaw. */
  look(b: Uint8Array, at: number, end: number): void {
    const flags = b[at + 13];
    const seq = i32(b, at + 4);
    const ack = i32(b, at + 8);
    const data = at + ((b[at + 12] >>> 4) << 2);
    this.#readOptions(b, at + 20, data, (flags & SYN) !== 0);
    if ((flags & RST) !== 0) return;
    if ((flags & SYN) !== 0) this.#greeted(seq, ack, (flags & ACK) !== 0);
    if (!this.#isKnown) return;
    this.#checkData(b, data, end, seq, flags);
    if ((flags & ACK) !== 0) this.#checkAck(ack, u16(b, at + 14), (flags & SYN) !== 0);
  }

  #readOptions(b: Uint8Array, from: number, to: number, isSyn: boolean): void {
    if (isSyn) this.#theirScale = 0;
    for (let o = from; o < to && b[o] !== 0; o += b[o] === 1 ? 1 : b[o + 1]) {
      if (b[o] === 3 && isSyn) this.#theirScale = b[o + 2];
      if (b[o] === 8) this.#tsEcho = i32(b, o + 2);
      if (b[o] === 5) this.#checkSack(b, o + 2, o + b[o + 1]);
    }
  }

  /** A SYN of the stack's: the record of the connection begins anew when its number is new. */
  #greeted(seq: number, ack: number, hasAck: boolean): void {
    if (hasAck && !this.#syns.includes(seqAdd(ack, -1)) && this.#syns.length > 0) {
      throw new BrokenLaw("handshake", "a SYN-ACK acknowledges a SYN that was never sent");
    }
    if (this.#isKnown && seq === this.#theirIss) return;
    this.#isKnown = true;
    this.#theirIss = seq;
    this.#theirEnd = seqAdd(seq, 1);
    this.#hasAck = false;
    this.#ourRight = seqAdd(seq, 1 + this.#synWindow);
  }

  #checkData(b: Uint8Array, data: number, end: number, seq: number, flags: number): void {
    const length = end - data;
    const isFin = (flags & FIN) !== 0;
    if (length === 0 && !isFin) return;
    const offset = seqDiff(seq, this.#theirIss) - 1;
    // Another connection on the same ports: nothing is known of it.
    if (offset < 0 || offset > 1 << 24) return;
    if (seqDiff(seq, this.#theirEnd) > 0)
      throw new BrokenLaw("send hole", "a hole in what it sent");
    for (let i = 0; i < length; i++) {
      if (b[data + i] !== appByte(offset + i)) {
        throw new BrokenLaw("sent stream", `byte ${offset + i} is not what was written`);
      }
    }
    const right = seqAdd(seq, length);
    if (length > 0 && seqDiff(right, this.#ourRight) > 0 && length > 1) {
      throw new BrokenLaw("peer window", `${seqDiff(right, this.#ourRight)} bytes beyond it`);
    }
    const last = seqAdd(right, isFin ? 1 : 0);
    if (seqDiff(last, this.#theirEnd) > 0) this.#theirEnd = last;
  }

  #checkAck(ack: number, window: number, isSyn: boolean): void {
    const irs = this.#irsOf(ack);
    if (irs === null) return;
    if (seqDiff(ack, this.#reached(irs)) > 0) {
      throw new BrokenLaw("acknowledgment", "it acknowledges what was never sent");
    }
    const right = seqAdd(ack, window << (isSyn ? 0 : this.#scaled ? this.#theirScale : 0));
    const isSame = this.#hasAck && Math.abs(seqDiff(ack, this.#theirAck)) < INCARNATION / 2;
    if (isSame && !isSyn) {
      if (seqDiff(ack, this.#theirAck) < 0) throw new BrokenLaw("ack goes back", `to ${ack}`);
      if (seqDiff(right, this.#theirRight) < 0) {
        throw new BrokenLaw("right edge", `retreats by ${seqDiff(this.#theirRight, right)}`);
      }
    }
    this.#hasAck = true;
    this.#theirAck = ack;
    this.#theirRight = right;
  }

  /** The SYN that an acknowledgment belongs to, the nearest below. */
  #irsOf(ack: number): number | null {
    let best: number | null = null;
    for (const syn of this.#syns) {
      const distance = seqDiff(ack, syn);
      if (distance > 0 && (best === null || distance < seqDiff(ack, best))) best = syn;
    }
    return best;
  }

  #checkSack(b: Uint8Array, from: number, to: number): void {
    for (let o = from; o + 8 <= to; o += 8) {
      const left = i32(b, o);
      const right = i32(b, o + 4);
      if (seqDiff(right, left) <= 0) throw new BrokenLaw("sack", "an empty block");
      let at = left;
      for (let isGrowing = true; isGrowing && seqDiff(at, right) < 0; ) {
        isGrowing = false;
        for (const range of this.#sent) {
          if (seqDiff(range.from, at) <= 0 && seqDiff(range.to, at) > 0) {
            at = range.to;
            isGrowing = true;
          }
        }
      }
      if (seqDiff(at, right) < 0) throw new BrokenLaw("sack", "a block of what was never sent");
    }
  }

  /** The stack connects to this peer: it answers for that connection from now on. */
  adopt(b: Uint8Array, at: number): void {
    this.sport = u16(b, at + 2);
    this.dport = u16(b, at);
    this.#syns.length = 0;
    this.#sent.length = 0;
    this.#isKnown = false;
    this.#scaled = true;
    this.#next = this.#iss;
    this.#syns.push(this.#iss);
  }
}
