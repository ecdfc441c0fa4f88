// Who waits for what. A WaitQueue belongs to something that becomes ready (a pipe, a socket, a futex
// bucket's neighbour); entries are intrusive and reused, so waiting allocates nothing.

/** Must not add or remove entries of the queue that is notifying it: mark something runnable, no more. */
export interface Waiter {
  onReady(mask: number, entry: WaitEntry): void;
}

export class WaitEntry {
  readonly waiter: Waiter;
  mask = 0;
  queue: WaitQueue | null = null;
  prev: WaitEntry | null = null;
  next: WaitEntry | null = null;

  constructor(waiter: Waiter) {
    this.waiter = waiter;
  }
}

export class WaitQueue {
  #head: WaitEntry | null = null;
  #tail: WaitEntry | null = null;

  get isEmpty(): boolean {
    return this.#head === null;
  }

  /** Appends. Precondition: the entry is in no queue. mask: POLL* bits it cares for (ERR and HUP are implied). */
  add(entry: WaitEntry, mask: number): void {
    entry.mask = mask | 0x18;
    entry.queue = this;
    entry.prev = this.#tail;
    entry.next = null;
    if (this.#tail !== null) this.#tail.next = entry;
    else this.#head = entry;
    this.#tail = entry;
  }

  remove(entry: WaitEntry): void {
    if (entry.queue !== this) return;
    if (entry.prev !== null) entry.prev.next = entry.next;
    else this.#head = entry.next;
    if (entry.next !== null) entry.next.prev = entry.prev;
    else this.#tail = entry.prev;
    entry.queue = null;
    entry.prev = null;
    entry.next = null;
  }

  /** Tells every entry whose mask meets `mask`, oldest first. */
  notify(mask: number): void {
    let entry = this.#head;
    while (entry !== null) {
      const next: WaitEntry | null = entry.next;
      if ((entry.mask & mask) !== 0) entry.waiter.onReady(mask, entry);
      entry = next;
    }
  }
}
