// A binary heap of deadlines. A Deadline belongs to its owner and is re-armed in place, so arming
// allocates nothing; equal deadlines fire in the order they were armed (repeatable runs need that).

/** Where there are very many, a class of its own saves the closure that Timer holds. */
export abstract class Deadline {
  deadlineNs = Number.POSITIVE_INFINITY;
  /** Position in the heap, or -1 when not armed. */
  index = -1;
  order = 0;

  get isArmed(): boolean {
    return this.index >= 0;
  }
  abstract expire(nowNs: number): void;
}

export class Timer extends Deadline {
  readonly #onExpiry: (nowNs: number) => void;

  constructor(onExpiry: (nowNs: number) => void) {
    super();
    this.#onExpiry = onExpiry;
  }
  expire(nowNs: number): void {
    this.#onExpiry(nowNs);
  }
}

export class TimerQueue {
  #heap: Deadline[] = [];
  #nextOrder = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Infinity when nothing is armed. */
  nextDeadlineNs(): number {
    return this.#heap.length > 0 ? this.#heap[0].deadlineNs : Number.POSITIVE_INFINITY;
  }

  /** Arms or re-arms. */
  arm(timer: Deadline, deadlineNs: number): void {
    timer.order = this.#nextOrder++;
    timer.deadlineNs = deadlineNs;
    if (timer.index < 0) {
      timer.index = this.#heap.length;
      this.#heap.push(timer);
    }
    this.#siftDown(this.#siftUp(timer.index));
  }

  disarm(timer: Deadline): void {
    const i = timer.index;
    if (i < 0) return;
    timer.index = -1;
    timer.deadlineNs = Number.POSITIVE_INFINITY;
    const last = this.#heap.pop() as Deadline;
    if (last === timer) return;
    this.#heap[i] = last;
    last.index = i;
    this.#siftDown(this.#siftUp(i));
  }

  /** Fires what was due at nowNs on entry, oldest first; returns how many fired. */
  runDue(nowNs: number): number {
    let fired = 0;
    const orderLimit = this.#nextOrder;
    while (this.#heap.length > 0) {
      const timer = this.#heap[0];
      // A timer re-armed into the past by its own callback waits for the next call: no endless loop.
      if (timer.deadlineNs > nowNs || timer.order >= orderLimit) break;
      this.disarm(timer);
      timer.expire(nowNs);
      fired++;
    }
    return fired;
  }

  #before(a: Deadline, b: Deadline): boolean {
    return a.deadlineNs < b.deadlineNs || (a.deadlineNs === b.deadlineNs && a.order < b.order);
  }

  #siftUp(start: number): number {
    const heap = this.#heap;
    const timer = heap[start];
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(timer, heap[parent])) break;
      heap[i] = heap[parent];
      heap[i].index = i;
      i = parent;
    }
    heap[i] = timer;
    timer.index = i;
    return i;
  }

  #siftDown(start: number): void {
    const heap = this.#heap;
    const timer = heap[start];
    let i = start;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1], heap[child])) child++;
      if (!this.#before(heap[child], timer)) break;
      heap[i] = heap[child];
      heap[i].index = i;
      i = child;
    }
    heap[i] = timer;
    timer.index = i;
  }
}
