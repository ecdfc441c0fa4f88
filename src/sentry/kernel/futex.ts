// The queues behind futex(2): who waits on which word. Private words are keyed by address space and
// address, shared ones by the object that is mapped and the offset in it. The operations on the words
// themselves are in syscalls/futex.ts.

import { EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { FUTEX_TID_MASK, FUTEX_WAITERS } from "../../abi/futex.ts";
import type { FutexWaiter } from "./futex-waiter.ts";
import type { Kernel } from "./kernel.ts";
import type { Task } from "./task.ts";

/** Those who wait on one word, oldest first. */
export class FutexQueue {
  readonly owner: Map<number, FutexQueue>;
  readonly key: number;
  readonly waiters: FutexWaiter[] = [];

  constructor(owner: Map<number, FutexQueue>, key: number) {
    this.owner = owner;
    this.key = key;
  }
  remove(waiter: FutexWaiter): void {
    const i = this.waiters.indexOf(waiter);
    if (i >= 0) this.waiters.splice(i, 1);
    waiter.queue = null;
    if (this.waiters.length === 0) this.owner.delete(this.key);
  }
}

export class FutexTable {
  readonly #kernel: Kernel;
  /** By address space or mapped object; an entry goes when its last queue goes. */
  readonly #words = new WeakMap<object, Map<number, FutexQueue>>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Null: nobody waits. */
  #find(t: Task, address: number, isPrivate: boolean): FutexQueue | null {
    const shared = isPrivate ? null : t.mm.sharedAt(address);
    const key = shared === null ? address : t.mm.sharedOffset;
    return this.#words.get(shared ?? t.mm)?.get(key) ?? null;
  }

  #findOrAdd(t: Task, address: number, isPrivate: boolean): FutexQueue {
    const shared = isPrivate ? null : t.mm.sharedAt(address);
    const key = shared === null ? address : t.mm.sharedOffset;
    const owner = shared ?? t.mm;
    let queues = this.#words.get(owner);
    if (queues === undefined) {
      queues = new Map();
      this.#words.set(owner, queues);
    }
    let queue = queues.get(key);
    if (queue === undefined) {
      queue = new FutexQueue(queues, key);
      queues.set(key, queue);
    }
    return queue;
  }

  /** Queues the task; it parks by itself. */
  enqueue(t: Task, address: number, isPrivate: boolean, bitset: number, isPi: boolean): void {
    const waiter = t.futexWaiter;
    const queue = this.#findOrAdd(t, address, isPrivate);
    waiter.queue = queue;
    waiter.bitset = bitset;
    waiter.isPi = isPi;
    waiter.wasWoken = false;
    queue.waiters.push(waiter);
  }

  /** A wait that ended by itself (timeout, signal, exit). */
  forget(waiter: FutexWaiter): void {
    waiter.queue?.remove(waiter);
  }

  #wakeWaiter(queue: FutexQueue, waiter: FutexWaiter): void {
    queue.remove(waiter);
    waiter.wasWoken = true;
    this.#kernel.wake(waiter.task);
  }

  /** How many were woken; -EINVAL when a PI lock is waited for there. */
  wake(t: Task, address: number, isPrivate: boolean, count: number, bitset: number): number {
    const queue = this.#find(t, address, isPrivate);
    if (queue === null) return 0;
    let woken = 0;
    for (let i = 0; i < queue.waiters.length && woken < count; ) {
      const waiter = queue.waiters[i];
      if (waiter.isPi) return -EINVAL;
      if ((waiter.bitset & bitset) === 0) {
        i++;
        continue;
      }
      this.#wakeWaiter(queue, waiter);
      woken++;
    }
    return woken;
  }

  /** For the kernel's own wakes (thread exit, robust locks), which do not know private from shared. */
  wakeAt(t: Task, address: number, count: number): void {
    const woken = this.wake(t, address, true, count, -1);
    if (woken < count) this.wake(t, address, false, count - Math.max(0, woken), -1);
  }

  /** Wakes `wakeCount`, moves `moveCount` others to the second word. Woken + moved. */
  requeue(
    t: Task,
    from: number,
    to: number,
    isPrivate: boolean,
    wakeCount: number,
    moveCount: number,
  ): number {
    const queue = this.#find(t, from, isPrivate);
    if (queue === null) return 0;
    for (const waiter of queue.waiters) if (waiter.isPi) return -EINVAL;
    const waiters = queue.waiters.slice();
    let done = 0;
    for (const waiter of waiters) {
      if (done >= wakeCount + moveCount) break;
      if (done < wakeCount) this.#wakeWaiter(queue, waiter);
      else {
        const target = this.#findOrAdd(t, to, isPrivate);
        if (target !== queue) {
          queue.remove(waiter);
          waiter.queue = target;
          target.waiters.push(waiter);
        }
      }
      done++;
    }
    return done;
  }

  // Priority-inheriting locks. There are no priorities to inherit here: the host schedules. What remains
  // is the protocol: the word holds the owner's tid, and an unlock hands the lock to the oldest waiter.

  /** 0: locked; -EAGAIN: must wait (the waiters bit is set); other: -errno. */
  tryLockPi(t: Task, address: number): number {
    const mm = t.mm;
    let word = mm.readU32(address);
    for (;;) {
      if (mm.faulted) return -EFAULT;
      const owner = word & FUTEX_TID_MASK;
      if (owner === t.tid) return -EDEADLK;
      if (owner !== 0 && this.#kernel.findTask(owner) === null) return -ESRCH;
      // FUTEX_OWNER_DIED stays, so that the next owner sees that the state may be broken.
      const next = owner === 0 ? (word & ~FUTEX_TID_MASK) | t.tid : word | FUTEX_WAITERS;
      const seen = mm.compareExchangeU32(address, word, next >>> 0);
      if (mm.faulted) return -EFAULT;
      if (seen === word) return owner === 0 ? 0 : -EAGAIN;
      word = seen;
    }
  }

  unlockPi(t: Task, address: number, isPrivate: boolean): number {
    const mm = t.mm;
    const word = mm.readU32(address);
    if (mm.faulted) return -EFAULT;
    if ((word & FUTEX_TID_MASK) !== t.tid) return -EPERM;
    return this.#handOver(t, address, isPrivate, 0);
  }

  /** A robust PI lock whose owner died. */
  passPiLock(t: Task, address: number, flags: number): void {
    const isPrivate = this.#find(t, address, true) !== null;
    this.#handOver(t, address, isPrivate, flags);
  }

  #handOver(t: Task, address: number, isPrivate: boolean, flags: number): number {
    const mm = t.mm;
    const queue = this.#find(t, address, isPrivate);
    const next = queue === null ? null : queue.waiters[0];
    if (next !== null && !next.isPi) return -EINVAL;
    let value = flags;
    if (next !== null && queue !== null) {
      value = next.task.tid | flags | (queue.waiters.length > 1 ? FUTEX_WAITERS : 0);
    }
    let word = mm.readU32(address);
    for (;;) {
      if (mm.faulted) return -EFAULT;
      const seen = mm.compareExchangeU32(address, word, value >>> 0);
      if (mm.faulted) return -EFAULT;
      if (seen === word) break;
      word = seen;
    }
    if (next !== null && queue !== null) this.#wakeWaiter(queue, next);
    return 0;
  }
}
