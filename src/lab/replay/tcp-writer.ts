// Writes what a played side of a TCP connection sends: captured segments with the numbers of this connection, and
// segments that the capture does not have. Not when they go: tcp-peer.ts.

import { u32 } from "../../base/bytes.ts";
import { ACK, RST, SYN } from "../drill/frame.ts";
import { CLIENT, otherSide, type Side } from "./conversation.ts";
import type { TcpHeard } from "./tcp-heard.ts";
import { OPTION_TIMESTAMPS, readTcpOptions } from "./tcp-options.ts";
import { made, notAgreed, type PlayedPath, rewritten } from "./tcp-rewrite.ts";
import type { TcpSaid } from "./tcp-said.ts";
import { SynthesisedOptions } from "./tcp-synthesis.ts";
import type { TcpSegment, TcpSideTrace, TcpTrace } from "./tcp-trace.ts";
import { liveSegment, type WireSegment } from "./wire-segment.ts";

export interface TcpWriterConfig {
  trace: TcpTrace;
  /** Whom we play. */
  side: Side;
  path: PlayedPath;
  /** The other end may say more or less than the captured one: what acknowledged all then does so now. */
  isAdaptive?: boolean;
  /** The connection is played as if nobody had asked for timestamps. */
  withoutTimestamps?: boolean;
  /** Sends a segment; `like` is the captured one it was made from. */
  send: (tcp: Uint8Array, like: TcpSegment | null) => void;
  /** Everything that passes, both ways. */
  record: (segment: WireSegment) => void;
}

const NO_DATA = new Uint8Array(0);

export class TcpWriter {
  sent = 0;
  readonly #c: TcpWriterConfig;
  readonly #heard: TcpHeard;
  readonly #said: TcpSaid;
  readonly #own: TcpSideTrace;
  readonly #other: TcpSideTrace;
  readonly #without: ReadonlySet<number>;
  readonly #made: SynthesisedOptions;

  constructor(config: TcpWriterConfig, heard: TcpHeard, said: TcpSaid) {
    this.#c = config;
    this.#heard = heard;
    this.#said = said;
    const { trace, side } = config;
    this.#own = trace.sides[side];
    this.#other = trace.sides[otherSide(side)];
    const isPlain = config.withoutTimestamps === true;
    const kinds =
      side === CLIENT ? notAgreed(this.#own.syn, this.#other.syn) : notAgreed(null, null);
    this.#without = isPlain ? new Set([...kinds, OPTION_TIMESTAMPS]) : kinds;
    this.#made = new SynthesisedOptions(trace, side, isPlain);
    if (!trace.hasHandshake) said.window = 0xffff;
  }

  /** What must have come before a captured segment makes sense. */
  needs(frame: TcpSegment): number {
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
    const { fin } = this.#heard;
    if (captured < 0 || fin < 0 || captured === fin) return ack;
    return ack > captured ? fin + 1 : Math.min(ack, fin);
  }

  /** A captured segment, as it goes now. */
  play(frame: TcpSegment, nowNs: number): void {
    const heard = this.#heard;
    const isAll = this.#c.isAdaptive === true && frame.acksAll;
    const ack = isAll ? heard.end : Math.min(this.#mapAck(frame.ack), heard.end);
    // Data in a SYN needs a cookie that the other end never gave to us: it comes right behind.
    const length = (frame.flags & SYN) !== 0 ? 0 : frame.length;
    const hasEcho = (frame.flags & ACK) !== 0 && frame.options.tsVal !== null;
    const tcp = rewritten(frame, this.#c.path, {
      seq: (this.#own.isn + 1 + frame.at) >>> 0,
      ack: ((heard.isn ?? -1) + 1 + ack) >>> 0,
      otherDelta: ((heard.isn ?? this.#other.isn) - this.#other.isn) | 0,
      tsEcr: hasEcho ? heard.tsRecent : null,
      without: this.#without,
      clearFlags: this.#clearFlags(frame),
      length,
      stream: this.#own.stream.bytes,
    });
    if (frame.ack >= 0) this.#said.noteAck(ack);
    this.#made.tsVal = frame.options.tsVal ?? this.#made.tsVal;
    if ((frame.flags & RST) === 0) this.#said.window = frame.window;
    this.#said.note(frame.at, length, frame.flags, this.#own.stream.length);
    this.#emit(tcp, frame, { at: frame.at, length, ack }, nowNs);
  }

  /** ECN that the captured answer did not take up is not asked for. */
  #clearFlags(frame: TcpSegment): number {
    const answer = this.#other.syn;
    const isOpening = (frame.flags & (SYN | ACK)) === SYN;
    return isOpening && answer !== null && (answer.flags & 0x1c0) === 0 ? 0xc0 : 0;
  }

  /** A segment that the capture does not have, with bytes of our stream that were sent before, or none. */
  make(at: number, flags: number, nowNs: number, data: Uint8Array = NO_DATA): void {
    const heard = this.#heard;
    const ack = heard.end;
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) this.#said.hasSyn = true;
    const options = isSyn ? this.#made.syn(heard.tsRecent) : this.#made.plain(heard.tsRecent);
    const tcp = made(this.#c.path, {
      seq: (this.#own.isn + 1 + at) >>> 0,
      ack: (flags & ACK) === 0 ? 0 : ((heard.isn ?? -1) + 1 + ack) >>> 0,
      flags,
      window: this.#said.window,
      options,
      data,
    });
    if ((flags & ACK) !== 0) this.#said.noteAck(ack);
    this.#emit(tcp, null, { at, length: data.length, ack }, nowNs);
  }

  #emit(
    tcp: Uint8Array,
    like: TcpSegment | null,
    { at, length, ack }: { at: number; length: number; ack: number },
    timeNs: number,
  ): void {
    this.sent++;
    const heard = this.#heard;
    heard.answered(timeNs);
    const options = readTcpOptions(tcp, (tcp[12] >>> 4) * 4);
    const isn = heard.isn ?? 0;
    this.#c.record(
      liveSegment(tcp, options, {
        ...{ timeNs, from: this.#c.side, at, length },
        ack: (tcp[13] & ACK) !== 0 ? ack : -1,
        sacks: options.sacks.map((edge) => ack + ((edge - (isn + 1 + ack)) | 0)),
        number: like?.packet.number ?? 0,
        isRepeat: like?.isRepeat ?? false,
      }),
    );
    this.#c.send(tcp, like);
  }
}
