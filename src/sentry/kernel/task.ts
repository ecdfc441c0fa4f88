// A task: one thread of a program, as the kernel sees it. Its life is a loop: run in its Context until it
// traps, handle the trap with plain synchronous calls, resume or park. Parking: a system call that must
// sleep returns blockOn(...); when woken it is run again from the start (Linux's restart semantics), so
// side effects come last and progress that must survive sits in syscallState.

import { EAGAIN, ERESTARTSYS } from "../../abi/errno.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import type { Context } from "../platform/platform.ts";
import type { FdTable } from "../vfs/fd-table.ts";
import type { FsContext } from "../vfs/fs-context.ts";
import type { Credentials } from "./credentials.ts";
import type { Kernel } from "./kernel.ts";
import type { ThreadGroup } from "./thread-group.ts";
import { WaitEntry, type Waiter, type WaitQueue } from "./wait-queue.ts";

/** What a handler returns when the task has been parked. Outside errno and result ranges. */
export const BLOCKED = -0x7000_0000;

export class Task implements Waiter {
  readonly kernel: Kernel;
  readonly tid: number;
  threadGroup: ThreadGroup;
  mm: MemoryManager;
  fds: FdTable;
  fs: FsContext;
  creds: Credentials;
  /** Null once the task has exited. */
  context: Context | null;

  /** Number of the system call being handled; -1 otherwise. */
  syscallNr = -1;
  /** Progress of a parked call that must survive its re-run; cleared when the call ends. */
  syscallState: unknown = null;
  /** Absolute monotonic deadline of the parked call; set by its first blockOn. */
  #deadlineNs = Number.POSITIVE_INFINITY;
  #hasDeadline = false;

  #waits: WaitEntry[] = [];
  #waitsUsed = 0;
  isParked = false;

  constructor(
    kernel: Kernel,
    tid: number,
    threadGroup: ThreadGroup,
    mm: MemoryManager,
    fds: FdTable,
    fs: FsContext,
    creds: Credentials,
    context: Context | null,
  ) {
    this.kernel = kernel;
    this.tid = tid;
    this.threadGroup = threadGroup;
    this.mm = mm;
    this.fds = fds;
    this.fs = fs;
    this.creds = creds;
    this.context = context;
  }

  /**
   * Parks on one queue until it announces one of `mask`. The deadline counts from the first call in this
   * system call (later ones keep it). Returns BLOCKED; -EAGAIN (the handler's word for "timed out") once
   * the deadline has passed; or -interruptErrno when a signal waits: return that, or the partial result.
   */
  blockOn(
    queue: WaitQueue,
    mask: number,
    timeoutNs: number = Number.POSITIVE_INFINITY,
    interruptErrno: number = ERESTARTSYS,
  ): number {
    this.waitFor(queue, mask);
    return this.park(timeoutNs, interruptErrno);
  }

  /** Adds a queue to what the next park() waits for. */
  waitFor(queue: WaitQueue, mask: number): void {
    if (this.#waitsUsed === this.#waits.length) this.#waits.push(new WaitEntry(this));
    queue.add(this.#waits[this.#waitsUsed++], mask);
  }

  /** Parks on everything given to waitFor, or only on time and signals when there is nothing. See blockOn. */
  park(timeoutNs: number = Number.POSITIVE_INFINITY, interruptErrno: number = ERESTARTSYS): number {
    if (!this.#hasDeadline) {
      this.#hasDeadline = true;
      this.#deadlineNs = this.kernel.clock.monotonicNs() + timeoutNs;
    }
    if (this.hasPendingSignal()) {
      this.dropWaits();
      return -interruptErrno;
    }
    if (this.#deadlineNs <= this.kernel.clock.monotonicNs()) {
      this.dropWaits();
      return -EAGAIN;
    }
    this.isParked = true;
    this.kernel.parkUntil(this, this.#deadlineNs);
    return BLOCKED;
  }

  /** Nanoseconds of the parked call's timeout not yet used (for select's and nanosleep's remainder). */
  remainingNs(nowNs: number): number {
    return Math.max(0, this.#deadlineNs - nowNs);
  }

  dropWaits(): void {
    for (let i = 0; i < this.#waitsUsed; i++) {
      const entry = this.#waits[i];
      entry.queue?.remove(entry);
    }
    this.#waitsUsed = 0;
  }

  onReady(_mask: number, _entry: WaitEntry): void {
    this.kernel.wake(this);
  }

  /** Called by the kernel when the call is over (result or restart), never on a re-run. */
  endSyscall(): void {
    this.syscallNr = -1;
    this.syscallState = null;
    this.#hasDeadline = false;
    this.#deadlineNs = Number.POSITIVE_INFINITY;
  }

  /** An unblocked signal (or a stop, or a group exit) is waiting to be handled. */
  hasPendingSignal(): boolean {
    return this.kernel.hasDeliverableSignal(this);
  }
}
