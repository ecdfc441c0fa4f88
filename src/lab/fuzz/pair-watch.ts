// Both directions of one TCP connection between two honest stacks, as seen on the wire before anything happens to
// it: what each may send given all that it was ever told.

import { i32, u16 } from "../../base/bytes.ts";
import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import { BrokenLaw } from "./target.ts";

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

class Direction {
  isStarted = false;
  sentEnd = 0;
  scale = 0;
  hasAck = false;
  acked = 0;
  /** Right edge announced. */
  right = 0;
}

export class PairWatch {
  readonly #ways = [new Direction(), new Direction()];

  /** A segment of side 0 or 1 in bytes[at, end). */
  look(side: 0 | 1, b: Uint8Array, at: number, end: number): void {
    const flags = b[at + 13];
    if ((flags & RST) !== 0) return;
    const way = this.#ways[side];
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) way.scale = scaleOf(b, at);
    const data = end - at - ((b[at + 12] >>> 4) << 2);
    this.#sequence(way, this.#ways[1 - side], i32(b, at + 4), data, flags);
    if ((flags & ACK) === 0) return;
    const ack = i32(b, at + 8);
    const scale = isSyn || this.#ways[1 - side].scale < 0 || way.scale < 0 ? 0 : way.scale;
    const right = seqAdd(ack, u16(b, at + 14) << scale);
    if (way.hasAck) {
      if (seqDiff(ack, way.acked) < 0) throw new BrokenLaw("ack goes back", `to ${ack}`);
      if (seqDiff(right, way.right) < 0) {
        throw new BrokenLaw("right edge", `retreats by ${seqDiff(way.right, right)}`);
      }
    }
    const other = this.#ways[1 - side];
    if (other.isStarted && seqDiff(ack, other.sentEnd) > 0) {
      throw new BrokenLaw("acknowledgment", "of what was never sent");
    }
    way.hasAck = true;
    way.acked = ack;
    way.right = right;
  }

  #sequence(way: Direction, other: Direction, seq: number, data: number, flags: number): void {
    const occupied = data + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    const end = seqAdd(seq, occupied);
    if (!way.isStarted) {
      way.isStarted = true;
      way.sentEnd = end;
      return;
    }
    if (seqDiff(seq, way.sentEnd) > 0) throw new BrokenLaw("send hole", "in what was sent");
    if (seqDiff(end, way.sentEnd) <= 0) return;
    way.sentEnd = end;
    // One byte may go beyond: a window probe.
    if (data > 1 && other.hasAck && seqDiff(seqAdd(seq, data), other.right) > 0) {
      throw new BrokenLaw("peer window", "sent beyond it");
    }
  }
}

/** -1: no window scale. */
function scaleOf(b: Uint8Array, at: number): number {
  const end = at + ((b[at + 12] >>> 4) << 2);
  for (let o = at + 20; o < end && b[o] !== 0; o += b[o] === 1 ? 1 : b[o + 1]) {
    if (b[o] === 3) return b[o + 2];
  }
  return -1;
}
