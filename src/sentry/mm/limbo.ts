// References to pages that were dropped while some stub may still have the pages mapped. Until the platform
// confirms that it has not, they count as held: a program that forges its state (or is being ended) runs on
// for a moment with its old mappings, and must find no page there that is already somebody else's.

import type { ChangeFence } from "../platform/platform.ts";

/** Entries after which the used-up part of the queue is cut off. */
const TRIM_ENTRIES = 1024;
const FIELDS = 3;

export class Limbo {
  readonly #fence: ChangeFence;
  readonly #drop: (offset: number, bytes: number) => void;
  /** Offset, bytes, stamp of each entry, oldest first. */
  readonly #entries: number[] = [];
  #head = 0;

  /** drop: what is done with a range once nobody can reach it any more. */
  constructor(fence: ChangeFence, drop: (offset: number, bytes: number) => void) {
    this.#fence = fence;
    this.#drop = drop;
    fence.onConfirmed = () => this.#drain();
  }

  get isEmpty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** Changes are under way: what is dropped now must wait for them. */
  get mustWait(): boolean {
    return this.#fence.confirmedStamp !== this.#fence.issuedStamp;
  }

  add(offset: number, bytes: number): void {
    this.#entries.push(offset, bytes, this.#fence.issuedStamp);
  }

  /** Waits (a bounded time) for what is here. False: there was nothing to wait for. */
  empty(): boolean {
    if (this.isEmpty) return false;
    this.#fence.waitConfirmed();
    this.#drain();
    return true;
  }

  #drain(): void {
    const entries = this.#entries;
    const confirmed = this.#fence.confirmedStamp;
    let head = this.#head;
    while (head < entries.length && entries[head + 2] <= confirmed) {
      this.#drop(entries[head], entries[head + 1]);
      head += FIELDS;
    }
    if (head === entries.length) {
      entries.length = 0;
      head = 0;
    } else if (head >= TRIM_ENTRIES * FIELDS) {
      entries.splice(0, head);
      head = 0;
    }
    this.#head = head;
  }
}
