// Which changes of mappings are in force for certain (platform.ts, ChangeFence). A change is under way from
// its first operation until the mapper, which the program cannot touch, has reported it done; and a stub that
// is to end is under way until the host has reported its end. What the program's own state words say does
// not count.

import type { ChangeFence } from "../platform.ts";

/** A stub, to this book. */
export interface Pending {
  /** Stamp since when a change of it is under way; 0: none is. */
  pendingSince: number;
}

export class Changes implements ChangeFence {
  issuedStamp = 0;
  confirmedStamp = 0;
  onConfirmed: (() => void) | null = null;
  readonly #waitAll: () => void;
  readonly #pending: Pending[] = [];

  /** waitAll: waits until nothing is pending any more, a bounded time. */
  constructor(waitAll: () => void) {
    this.#waitAll = waitAll;
  }

  get count(): number {
    return this.#pending.length;
  }

  begin(p: Pending): void {
    if (p.pendingSince !== 0) return;
    p.pendingSince = ++this.issuedStamp;
    this.#pending.push(p);
  }

  end(p: Pending): void {
    if (p.pendingSince === 0) return;
    p.pendingSince = 0;
    const pending = this.#pending;
    pending[pending.indexOf(p)] = pending[pending.length - 1];
    pending.pop();
    let confirmed = this.issuedStamp;
    for (let i = 0; i < pending.length; i++)
      if (pending[i].pendingSince <= confirmed) confirmed = pending[i].pendingSince - 1;
    if (confirmed === this.confirmedStamp) return;
    this.confirmedStamp = confirmed;
    this.onConfirmed?.();
  }

  waitConfirmed(): void {
    if (this.#pending.length > 0) this.#waitAll();
  }
}
