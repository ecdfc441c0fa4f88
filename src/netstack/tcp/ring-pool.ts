// Memory of the send and receive rings: blocks in powers of two, kept for reuse when a ring runs empty,
// so that an idle connection owns none and a busy one allocates none. Bounded: all rings together by
// Limits.socketMemoryBytes, the spare blocks by SPARE_BYTES_MAX.

import { KiB, MiB } from "../../base/limits.ts";
import { slabBytes } from "../../base/slab.ts";

const SMALLEST_SHIFT = 12;
const CLASSES = 13; // 4 KiB ... 16 MiB
const SPARE_BYTES_MAX = 32 * MiB;
/** What a connection may still get when the others have used everything up: enough to limp on. */
export const RESERVE_BLOCK_BYTES = 4 * KiB;

interface PressureStats {
  TCPMemoryPressures: number;
}

export class RingPool {
  usedBytes = 0;
  readonly limitBytes: number;
  #spareBytes = 0;
  readonly #spare: Uint8Array[][] = [];
  readonly #stats: PressureStats;

  constructor(limitBytes: number, stats: PressureStats = { TCPMemoryPressures: 0 }) {
    this.limitBytes = limitBytes;
    this.#stats = stats;
    for (let i = 0; i < CLASSES; i++) this.#spare.push([]);
  }

  /**
   * tcp_mem's middle state: entered above two thirds of the limit, left below the half (Linux's proportions). No
   * buffer and no window grows in it.
   */
  isUnderPressure = false;

  #notePressure(): void {
    const { usedBytes, limitBytes } = this;
    if (!this.isUnderPressure && usedBytes * 3 > limitBytes * 2) {
      this.isUnderPressure = true;
      this.#stats.TCPMemoryPressures++;
    } else if (this.isUnderPressure && usedBytes * 2 < limitBytes) {
      this.isUnderPressure = false;
    }
  }

  /** Three quarters are in use: the rest is for what moves a stream on, not for what lies beyond a hole. */
  get isScarce(): boolean {
    return this.usedBytes > this.limitBytes * 0.75;
  }

  /** A block of at least `bytes`, or null at the limit. Holds anything. */
  take(bytes: number): Uint8Array | null {
    let shift = SMALLEST_SHIFT;
    while (1 << shift < bytes) shift++;
    if (shift - SMALLEST_SHIFT >= CLASSES) return null;
    const size = 1 << shift;
    const room = this.limitBytes - this.usedBytes;
    // From the half on a quarter of what is left: no crowd of connections takes it all from the next one.
    const share = 2 * this.usedBytes > this.limitBytes ? room / 4 : room;
    if (size > share && (size > RESERVE_BLOCK_BYTES || room < -this.limitBytes / 4)) return null;
    this.usedBytes += size;
    this.#notePressure();
    const block = this.#spare[shift - SMALLEST_SHIFT].pop();
    if (block === undefined) return slabBytes(size);
    this.#spareBytes -= size;
    return block;
  }

  give(block: Uint8Array): void {
    this.usedBytes -= block.length;
    this.#notePressure();
    if (this.#spareBytes + block.length > SPARE_BYTES_MAX) return;
    this.#spareBytes += block.length;
    this.#spare[31 - Math.clz32(block.length) - SMALLEST_SHIFT].push(block);
  }
}
