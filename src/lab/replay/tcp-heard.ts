// What a played side of a TCP connection has heard of the other end: its stream, how far it has acknowledged ours,
// and what it offers to take. Not what is sent to it: tcp-said.ts, tcp-peer.ts.

import { u16, u32 } from "../../base/bytes.ts";
import { ACK, FIN, RST, SYN } from "../drill/frame.ts";
import { otherSide, type Side } from "./conversation.ts";
import { Stream } from "./stream.ts";
import { readTcpOptions } from "./tcp-options.ts";
import type { TcpSaid } from "./tcp-said.ts";
import type { TcpSideTrace, TcpTrace } from "./tcp-trace.ts";
import { liveSegment, type WireSegment } from "./wire-segment.ts";

export interface TcpHeardConfig {
  trace: TcpTrace;
  /** Whom we play. */
  side: Side;
  said: TcpSaid;
  record: (segment: WireSegment) => void;
}

export class TcpHeard {
  readonly stream = new Stream();
  /** Where the other end's FIN stands; -1: none yet. */
  fin = -1;
  hasReset = false;
  /** Of its SYN, on the wire; null: not seen yet. */
  isn: number | null = null;
  /** In our stream: acknowledged and offered by the other end. */
  acked = -1;
  edge = 0;
  tsRecent = 0;
  /** Segments that brought nothing new. */
  repeats = 0;
  /** Since when there is something that said.ackSent does not cover and nothing was sent; -1: it covers all. */
  owedSinceNs = -1;
  readonly #c: TcpHeardConfig;
  readonly #own: TcpSideTrace;
  #shift = 0;

  constructor(config: TcpHeardConfig) {
    this.#c = config;
    this.#own = config.trace.sides[config.side];
  }

  /** In the other end's stream, in order; a FIN counts one. */
  get end(): number {
    const end = this.stream.contiguous;
    return this.fin >= 0 && end >= this.fin ? this.fin + 1 : end;
  }

  /** A segment, from its TCP header on; true when something came that was not there before. */
  receive(b: Uint8Array, nowNs: number): boolean {
    const headerBytes = (b[12] >>> 4) * 4;
    if (b.length < 20 || headerBytes < 20 || headerBytes > b.length) return false;
    const flags = b[13] | ((b[12] & 1) << 8);
    const options = readTcpOptions(b, headerBytes);
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) {
      this.isn ??= u32(b, 4);
      this.#shift = options.wscale ?? 0;
    }
    const isn = this.isn ?? u32(b, 4);
    const near = this.stream.length;
    const at = isSyn ? -1 : near + ((u32(b, 4) - (isn + 1 + near)) | 0);
    const length = b.length - headerBytes;
    const ack = (flags & ACK) === 0 ? -1 : this.#placeOfOwn(u32(b, 8));
    const isRepeat = length > 0 && at + length <= this.stream.contiguous;
    const sacks = options.sacks.map((edge) => this.#placeOfOwn(edge));
    const place = { timeNs: nowNs, from: otherSide(this.#c.side), at, length, ack, sacks };
    this.#c.record(liveSegment(b, options, { ...place, number: 0, isRepeat }));
    if ((flags & RST) !== 0) {
      const { said } = this.#c;
      // Both directions closed and acknowledged: the connection is gone, and whoever still speaks is told so.
      const isOver = said.hasFin && this.acked >= said.end && this.fin >= 0;
      if (!isOver) this.hasReset = true;
      return false;
    }
    if (options.tsVal !== null && at <= Math.max(this.#c.said.ackSent, 0)) {
      this.tsRecent = options.tsVal;
    }
    if (isRepeat) this.repeats++;
    const before = this.#progress;
    if (length > 0 && at >= 0) this.stream.add(at, b, headerBytes, length, length);
    if ((flags & FIN) !== 0 && this.fin < 0) this.fin = at + length;
    if (ack >= 0) this.#noteAck(ack, u16(b, 14), isSyn);
    if (this.owedSinceNs < 0 && this.#isOwed) this.owedSinceNs = nowNs;
    return this.#progress !== before;
  }

  #noteAck(ack: number, window: number, isSyn: boolean): void {
    this.acked = Math.max(this.acked, ack);
    // RFC 7323 2.2: the window of a SYN is never shifted.
    const isScaled = !isSyn && (this.#own.syn === null || this.#own.syn.options.wscale !== null);
    this.edge = Math.max(this.edge, ack + window * 2 ** (isScaled ? this.#shift : 0));
  }

  get #isOwed(): boolean {
    const { ackSent } = this.#c.said;
    return ackSent >= 0 && ackSent < this.end;
  }

  /** Something was sent: what it does not acknowledge has still time. */
  answered(nowNs: number): void {
    this.owedSinceNs = this.#isOwed ? nowNs : -1;
  }

  /** Larger whenever something came that was not there before. */
  get #progress(): number {
    return this.end + this.acked + this.edge;
  }

  #placeOfOwn(seq: number): number {
    const near = this.#c.said.max;
    return near + ((seq - (this.#own.isn + 1 + near)) | 0);
  }
}
