// A TCP segment as reports show it, captured or replayed: every number counted from the beginning of the streams,
// so that both can be laid side by side.

import { i32, u16 } from "../../base/bytes.ts";
import { ACK, FIN, PSH, RST, SYN, URG } from "../drill/frame.ts";
import type { Side } from "./conversation.ts";
import type { TcpOptions } from "./tcp-options.ts";
import type { TcpSegment } from "./tcp-trace.ts";

export interface WireSegment {
  timeNs: number;
  from: Side;
  flags: number;
  /** Of the first byte; a SYN is at -1. */
  at: number;
  length: number;
  /** -1: none. */
  ack: number;
  window: number;
  /** Left and right edges in the other side's stream. */
  sacks: readonly number[];
  mss: number | null;
  wscale: number | null;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  /** Frame of the capture, 0: made by replay or by the stack. */
  number: number;
  /** Nothing of it was new. */
  isRepeat: boolean;
}

export function wireSegment(segment: TcpSegment): WireSegment {
  const { packet, options, ack } = segment;
  const acknowledgment = i32(packet.bytes, 8);
  return {
    timeNs: packet.timeNs,
    from: segment.from,
    flags: segment.flags,
    at: segment.at,
    length: segment.length,
    ack,
    window: segment.window,
    sacks: ack < 0 ? [] : options.sacks.map((edge) => ack + ((edge - acknowledgment) | 0)),
    mss: options.mss,
    wscale: options.wscale,
    sackPermitted: options.sackPermitted,
    hasTimestamps: options.tsVal !== null,
    number: packet.number,
    isRepeat: segment.isRepeat,
  };
}

/** One that passes now, from its header on; `place` is what the bytes do not say. */
export function liveSegment(
  b: Uint8Array,
  options: TcpOptions,
  place: Pick<
    WireSegment,
    "timeNs" | "from" | "at" | "length" | "ack" | "sacks" | "number" | "isRepeat"
  >,
): WireSegment {
  return {
    ...place,
    flags: b[13] | ((b[12] & 1) << 8),
    window: u16(b, 14),
    mss: options.mss,
    wscale: options.wscale,
    sackPermitted: options.sackPermitted,
    hasTimestamps: options.tsVal !== null,
  };
}

const LETTERS: readonly (readonly [number, string])[] = [
  [SYN, "S"],
  [FIN, "F"],
  [RST, "R"],
  [PSH, "P"],
  [URG, "U"],
  [0x40, "E"],
  [0x80, "W"],
  [0x100, "A"],
];

export function flagText(flags: number): string {
  let text = "";
  for (const [bit, letter] of LETTERS) if ((flags & bit) !== 0) text += letter;
  return text + ((flags & ACK) !== 0 ? "." : "") || "none";
}

/** As packet scripts write it: `P. 1:101(100) ack 1 win 502 <sack 1:2>`. */
export function segmentText(s: WireSegment): string {
  const seq = s.at + 1;
  const options: string[] = [];
  if (s.mss !== null) options.push(`mss ${s.mss}`);
  if (s.sackPermitted) options.push("sackOK");
  if (s.hasTimestamps && (s.flags & SYN) !== 0) options.push("TS");
  if (s.wscale !== null) options.push(`wscale ${s.wscale}`);
  for (let i = 0; i + 1 < s.sacks.length; i += 2) {
    options.push(`sack ${s.sacks[i] + 1}:${s.sacks[i + 1] + 1}`);
  }
  const ack = s.ack >= 0 ? ` ack ${s.ack + 1}` : "";
  const tail = options.length > 0 ? ` <${options.join(",")}>` : "";
  return `${flagText(s.flags)} ${seq}:${seq + s.length}(${s.length})${ack} win ${s.window}${tail}`;
}
