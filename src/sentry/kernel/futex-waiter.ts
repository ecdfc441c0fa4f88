// One task's place in a futex queue. Each task owns one and reuses it: it waits for one futex at a time.

import type { FutexQueue } from "./futex.ts";
import type { Task } from "./task.ts";

export class FutexWaiter {
  readonly task: Task;
  /** The queue it stands in; null: woken, or never queued. */
  queue: FutexQueue | null = null;
  bitset = -1;
  /** Waits for a PI lock: woken only as its owner. */
  isPi = false;
  /** Taken out of its queue by a wake, not by a timeout or signal. */
  wasWoken = false;

  constructor(task: Task) {
    this.task = task;
  }
}
