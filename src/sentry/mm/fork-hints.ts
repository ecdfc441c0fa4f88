// What programs write right after a fork: mostly the same few places (stack, thread pointer, libc's data) each
// time. An address space and its forked children note where they had to copy, and the next fork copies there
// at once, for parent and child: each of these faults costs two switches between host threads.

import { alignDown } from "./page.ts";

/** One note, and one copy: what lies around a written address is often written too. */
export const HINT_BYTES = 16 * 1024;
const HINTS_MAX = 16;

export class ForkHints {
  /** Starts of HINT_BYTES, the newest overwriting the oldest. */
  readonly #starts: number[] = [];
  #next = 0;

  note(addr: number): void {
    const start = alignDown(addr, HINT_BYTES);
    if (this.#starts.includes(start)) return;
    this.#starts[this.#next] = start;
    this.#next = (this.#next + 1) % HINTS_MAX;
  }

  /** The lowest hint that ends above `addr`; Infinity: none. */
  nextFrom(addr: number): number {
    let best = Number.POSITIVE_INFINITY;
    for (const start of this.#starts) if (start + HINT_BYTES > addr && start < best) best = start;
    return best;
  }
}
