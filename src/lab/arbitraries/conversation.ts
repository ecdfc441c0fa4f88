// A whole TCP conversation as a capture of it would show: handshake with options, both streams cut into segments
// with their acknowledgments, the close; optionally with the damage that networks do (segments twice, overtaken,
// lost from the capture). Shrinks to a handshake and a close with nothing in between.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { mostly } from "./mood.ts";
import { DEFAULT_PLACE, type Place, type Station, type Way } from "./place.ts";
import { ipFrame } from "./plain.ts";
import { segmentation } from "./streams.ts";
import { TCP } from "./transport.ts";

export interface ConversationFrame {
  fromClient: boolean;
  /** Since the first frame. */
  atNs: number;
  bytes: Uint8Array;
}

export interface Conversation {
  frames: ConversationFrame[];
  /** What the streams carry, whatever happened to the frames. */
  fromClient: Uint8Array;
  fromServer: Uint8Array;
  /** Every byte is in a frame at least once. */
  isComplete: boolean;
}

export interface ConversationOptions {
  place?: Place;
  family?: 4 | 6;
  bytesMax?: number;
  /** Duplicates and overtaken frames. */
  damage?: boolean;
  /** Frames that are missing. */
  holes?: boolean;
}

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const FRAME_NS = 1_000_000;

class Side {
  readonly way: Way;
  readonly ports: readonly [number, number];
  seq: number;
  readonly hasTimestamps: boolean;

  constructor(way: Way, ports: readonly [number, number], seq: number, hasTimestamps: boolean) {
    this.way = way;
    this.ports = ports;
    this.seq = seq;
    this.hasTimestamps = hasTimestamps;
  }

  segment(ack: number, flags: number, data: Uint8Array, nowMs: number): Uint8Array {
    const isSyn = (flags & SYN) !== 0;
    const options: number[] = isSyn ? [2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1] : [];
    if (this.hasTimestamps) {
      options.push(1, 1, 8, 10, 0, 0, nowMs >>> 8, nowMs & 255, 0, 0, 0, isSyn ? 0 : 1);
    }
    const header = 20 + options.length;
    const b = new Uint8Array(header + data.length);
    setU16(b, 0, this.ports[0]);
    setU16(b, 2, this.ports[1]);
    setU32(b, 4, this.seq);
    setU32(b, 8, (flags & ACK) !== 0 ? ack : 0);
    b[12] = (header >> 2) << 4;
    b[13] = flags;
    setU16(b, 14, 65_535);
    b.set(options, 20);
    b.set(data, header);
    this.seq = (this.seq + data.length + (isSyn ? 1 : 0) + (flags & FIN ? 1 : 0)) | 0;
    return ipFrame(this.way, { protocol: TCP, bytes: b, checksumAt: 16, checksumOff: 0 });
  }
}

interface Plan {
  iss: [number, number];
  hasTimestamps: boolean;
  streams: [Uint8Array, Uint8Array];
  cuts: [number[], number[]];
  close: "fin" | "reset" | "none";
}

function wayBetween(a: Station, b: Station, family: 4 | 6): Way {
  const of = (s: Station) => (family === 4 ? s.ip4 : s.ip6);
  return { srcMac: a.mac, dstMac: b.mac, src: of(a), dst: of(b) };
}

function play(plan: Plan, place: Place, family: 4 | 6): ConversationFrame[] {
  const [stranger] = place.strangers;
  const ports = [40_000, place.ports[0]] as const;
  const { hasTimestamps } = plan;
  const there = wayBetween(stranger, place.subject, family);
  const back = wayBetween(place.subject, stranger, family);
  const sides = [
    new Side(there, ports, plan.iss[0], hasTimestamps),
    new Side(back, [ports[1], ports[0]], plan.iss[1], hasTimestamps),
  ];
  const frames: ConversationFrame[] = [];
  const nothing = new Uint8Array(0);
  const send = (who: 0 | 1, flags: number, data: Uint8Array = nothing): void => {
    const bytes = sides[who].segment(sides[1 - who].seq, flags, data, frames.length);
    frames.push({ fromClient: who === 0, atNs: frames.length * FRAME_NS, bytes });
  };
  send(0, SYN);
  send(1, SYN | ACK);
  send(0, ACK);
  for (const who of [0, 1] as const) {
    let at = 0;
    for (const length of plan.cuts[who]) {
      send(who, PSH | ACK, plan.streams[who].subarray(at, at + length));
      at += length;
      send(who === 0 ? 1 : 0, ACK);
    }
  }
  if (plan.close === "reset") send(0, RST | ACK);
  if (plan.close !== "fin") return frames;
  send(0, FIN | ACK);
  send(1, FIN | ACK);
  send(0, ACK);
  return frames;
}

function damaged(
  frames: readonly ConversationFrame[],
  moves: readonly (readonly [number, number])[],
  lost: readonly number[],
): { frames: ConversationFrame[]; isComplete: boolean } {
  const gone = new Set(lost.filter((i) => i >= 3 && i < frames.length));
  const kept = frames.filter((_, i) => !gone.has(i));
  // Behind the handshake: a twin of one frame at the place of another.
  for (const [from, to] of moves) {
    if (from < 3 || from >= kept.length || to < from) continue;
    kept.splice(to + 1, 0, kept[from]);
  }
  return {
    frames: kept.map((frame, i) => ({ ...frame, atNs: i * FRAME_NS })),
    isComplete: gone.size === 0,
  };
}

export function conversation(options: ConversationOptions = {}): fc.Arbitrary<Conversation> {
  const place = options.place ?? DEFAULT_PLACE;
  const stream = fc.uint8Array({ maxLength: options.bytesMax ?? 4_000, size: "max" });
  const cutUp = (bytes: Uint8Array) =>
    segmentation(bytes.length, 12).map((lengths) => lengths.flatMap(toFit));
  const family =
    options.family === undefined ? fc.constantFrom<(4 | 6)[]>(4, 6) : fc.constant(options.family);
  return fc
    .tuple(mostly(new Uint8Array(0), stream), mostly(new Uint8Array(0), stream))
    .chain(([up, down]) =>
      fc
        .record({
          family,
          iss: fc.tuple(fc.integer(), fc.integer()),
          hasTimestamps: fc.boolean(),
          cuts: fc.tuple(cutUp(up), cutUp(down)),
          close: fc.constantFrom<Plan["close"][]>("fin", "reset", "none"),
          moves: fc.array(fc.tuple(fc.nat(40), fc.nat(40)), {
            maxLength: options.damage === true ? 5 : 0,
          }),
          lost: fc.array(fc.nat(40), { maxLength: options.holes === true ? 3 : 0 }),
        })
        .map(({ family: of, moves, lost, ...plan }) => {
          const frames = play({ ...plan, streams: [up, down] }, place, of);
          return { ...damaged(frames, moves, lost), fromClient: up, fromServer: down };
        }),
    );
}

/** Segments carry at most an MSS. */
function toFit(length: number): number[] {
  const pieces: number[] = [];
  for (let left = length; left > 0; left -= 1_400) pieces.push(Math.min(left, 1_400));
  return pieces;
}
