// A byte ring that grows on demand: the send ring holds what is written and not acknowledged, the
// receive ring what has arrived and is not read (with holes: see ranges.ts for what is there).
// Positions are distances from the oldest byte, which sits at `head`. Memory comes from the RingPool.

import { copyBytes, NO_SLAB, slabOffset } from "../../base/slab.ts";
import type { RingPool } from "./ring-pool.ts";

const FIRST_BLOCK_BYTES = 16 * 1024;

export class Ring {
  /** null while empty. Its length is a power of two. */
  bytes: Uint8Array | null = null;
  /** Of `bytes`, for copyBytes. */
  slabAt = NO_SLAB;
  head = 0;
  readonly #pool: RingPool;

  constructor(pool: RingPool) {
    this.#pool = pool;
  }

  get capacity(): number {
    return this.bytes === null ? 0 : this.bytes.length;
  }

  /** Room for `total` bytes from head on; `held` of them are in use. False at the memory limit. */
  reserve(total: number, held: number): boolean {
    const old = this.bytes;
    if (old !== null && total <= old.length) return true;
    const block = this.#pool.take(
      old === null ? Math.max(total, FIRST_BLOCK_BYTES) : Math.max(total, old.length * 2),
    );
    if (block === null) return this.#reserveLess(total, held);
    this.#move(block, held);
    return true;
  }

  #reserveLess(total: number, held: number): boolean {
    const block = this.#pool.take(total);
    if (block === null) return false;
    this.#move(block, held);
    return true;
  }

  #move(block: Uint8Array, held: number): void {
    const old = this.bytes;
    const at = slabOffset(block);
    if (old !== null) {
      const first = Math.min(held, old.length - this.head);
      copyBytes(block, at, 0, old, this.slabAt, this.head, first);
      copyBytes(block, at, first, old, this.slabAt, 0, held - first);
      this.#pool.give(old);
    }
    this.bytes = block;
    this.slabAt = at;
    this.head = 0;
  }

  /** Precondition: reserved. `srcSlab`: where src is in the slab. */
  store(
    position: number,
    src: Uint8Array,
    offset: number,
    length: number,
    srcSlab: number = NO_SLAB,
  ): void {
    const bytes = this.bytes as Uint8Array;
    const at = (this.head + position) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - at);
    copyBytes(bytes, this.slabAt, at, src, srcSlab, offset, first);
    if (first < length) {
      copyBytes(bytes, this.slabAt, 0, src, srcSlab, offset + first, length - first);
    }
  }

  load(
    position: number,
    dst: Uint8Array,
    offset: number,
    length: number,
    dstSlab: number = NO_SLAB,
  ): void {
    if (length === 0) return;
    const bytes = this.bytes as Uint8Array;
    const at = (this.head + position) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - at);
    copyBytes(dst, dstSlab, offset, bytes, this.slabAt, at, first);
    if (first < length) {
      copyBytes(dst, dstSlab, offset + first, bytes, this.slabAt, 0, length - first);
    }
  }

  /** Index in `bytes` of a position. */
  indexOf(position: number): number {
    return (this.head + position) & ((this.bytes as Uint8Array).length - 1);
  }

  /** Bytes from a position to where the block wraps. */
  contiguous(position: number): number {
    return (this.bytes as Uint8Array).length - this.indexOf(position);
  }

  /** Forgets the oldest `length` bytes; with nothing left the memory goes back. */
  release(length: number, isEmptyAfter: boolean): void {
    const bytes = this.bytes;
    if (bytes === null) return;
    if (isEmptyAfter) {
      this.#pool.give(bytes);
      this.bytes = null;
      this.head = 0;
      return;
    }
    this.head = (this.head + length) & (bytes.length - 1);
  }

  free(): void {
    this.release(0, true);
  }
}
