// Options of segments that the capture does not have: a handshake where it began too late, acknowledgments where
// the other end cuts its stream in other pieces.

import { setU32 } from "../../base/bytes.ts";
import type { Side } from "./conversation.ts";
import {
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK_PERMITTED,
  OPTION_TIMESTAMPS,
  OPTION_WSCALE,
} from "./tcp-options.ts";
import type { TcpTrace } from "./tcp-trace.ts";

/** What Linux offers. The capture does not say what was agreed: too large a window stops nobody. */
const WSCALE = 7;
const MSS = 1460;

export class SynthesisedOptions {
  /** The last timestamp that was sent. */
  tsVal: number;
  readonly #hasTimestamps: boolean;
  readonly #hasSack: boolean;

  constructor(trace: TcpTrace, side: Side, withoutTimestamps: boolean) {
    const own = trace.sides[side];
    const other = trace.sides[side === 0 ? 1 : 0];
    const first = trace.segments.find(
      ({ from, options }) => from === side && options.tsVal !== null,
    );
    this.tsVal = first?.options.tsVal ?? 0;
    const hasTimestamps = own.usesTimestamps && other.usesTimestamps;
    this.#hasTimestamps = hasTimestamps && !withoutTimestamps;
    this.#hasSack = own.usesSack || other.usesSack || hasTimestamps;
  }

  syn(tsEcr: number): Uint8Array {
    const out: number[] = [OPTION_MSS, 4, MSS >>> 8, MSS & 255];
    if (this.#hasSack) out.push(OPTION_NOP, OPTION_NOP, OPTION_SACK_PERMITTED, 2);
    out.push(OPTION_NOP, OPTION_WSCALE, 3, WSCALE);
    return concat(Uint8Array.from(out), this.plain(tsEcr));
  }

  /** Of every segment but a SYN. */
  plain(tsEcr: number): Uint8Array {
    if (!this.#hasTimestamps) return new Uint8Array(0);
    const out = Uint8Array.of(
      OPTION_NOP,
      OPTION_NOP,
      OPTION_TIMESTAMPS,
      10,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    );
    setU32(out, 4, this.tsVal);
    setU32(out, 8, tsEcr);
    return out;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
