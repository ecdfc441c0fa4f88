// Tasks that were woken and wait for their turn, in order. A ring that grows, so waking allocates nothing.

import type { Task } from "./task.ts";

export class ReadyQueue {
  #ring: (Task | null)[] = new Array(64).fill(null);
  #head = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Precondition: !task.isReady. */
  push(task: Task): void {
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#count) & (this.#ring.length - 1)] = task;
    this.#count++;
    task.isReady = true;
  }

  /** Null when empty. */
  shift(): Task | null {
    if (this.#count === 0) return null;
    const task = this.#ring[this.#head] as Task;
    this.#ring[this.#head] = null;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#count--;
    task.isReady = false;
    return task;
  }

  #grow(): void {
    const old = this.#ring;
    this.#ring = new Array(old.length * 2).fill(null);
    for (let i = 0; i < this.#count; i++) this.#ring[i] = old[(this.#head + i) & (old.length - 1)];
    this.#head = 0;
  }
}
