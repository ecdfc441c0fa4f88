// A task: one thread of a program, as the kernel sees it. Its life is a loop: run in its Context until it
// traps, handle the trap with plain synchronous calls, resume or park. Parking: a system call that must
// sleep returns blockOn(...); when woken it is run again from the start (Linux's restart semantics), so
// side effects come last and progress that must survive sits in syscallState.

import { EAGAIN, ERESTARTSYS } from "../../abi/errno.ts";
import type { SigInfo } from "../../abi/siginfo.ts";
import type { ByteString } from "../../base/bytes.ts";
import { Timer } from "../../base/timers.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import type { Context } from "../platform/platform.ts";
import type { FdTable } from "../vfs/fd-table.ts";
import type { FsContext } from "../vfs/fs-context.ts";
import type { Credentials } from "./credentials.ts";
import { FutexWaiter } from "./futex-waiter.ts";
import type { Kernel } from "./kernel.ts";
import type { Rlimit } from "./rlimits.ts";
import { PendingSignals, SignalSet } from "./signal-set.ts";
import { raiseSignal, takeSignal } from "./task-signals.ts";
import type { ThreadGroup } from "./thread-group.ts";
import { WaitEntry, type Waiter, WaitQueue } from "./wait-queue.ts";

/** What a handler returns when the task has been parked. Outside errno and result ranges. */
export const BLOCKED = -0x7000_0000;
/** What a handler returns when it has set the registers itself (rt_sigreturn, execve). */
export const NO_RESULT = -0x7000_0001;

/** The alternate signal stack (sigaltstack(2)). */
export interface AltStack {
  address: number;
  bytes: number;
  flags: number;
}

export class Task implements Waiter {
  readonly kernel: Kernel;
  /** Changes once at most: an execve by another thread makes it the leader. */
  tid: number;
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
  /** Waiting in a system call. */
  isParked = false;
  /** Parked so that only death may cut it short (vfork, execve). */
  isKillableOnly = false;
  /** In the ready queue. */
  isReady = false;
  /** On its way back to its program, until there is CPU time for it (cpu-bandwidth.ts). */
  isHeld = false;
  /** Held by a group stop. */
  isStopped = false;

  /** The name that prctl(PR_SET_NAME) and ps speak of: at most 15 bytes. */
  comm: ByteString = "";
  readonly signalMask = new SignalSet();
  readonly pending: PendingSignals;
  /** The mask to come back to after a call with a temporary one (sigsuspend, ppoll...). */
  readonly savedMask = new SignalSet();
  hasSavedMask = false;
  readonly altStack: AltStack = { address: 0, bytes: 0, flags: 2 };
  /** A call that a signal cut short and that may be run again: its ERESTART* and number; 0: none. */
  restartErrno = 0;
  restartNr = 0;
  /** What restart_syscall(2) does after ERESTART_RESTARTBLOCK. */
  restartCall: ((t: Task) => number) | null = null;

  /** Zeroed and woken at exit (set_tid_address(2)); 0: none. */
  clearChildTid = 0;
  robustListHead = 0;
  readonly futexWaiter: FutexWaiter;
  /** Our parent waits in vfork until we exec or exit; notified (POLLIN) then. */
  isVforkChild = false;
  readonly vforkWaiters = new WaitQueue();

  noNewPrivs = false;
  securebits = 0;
  parentDeathSignal = 0;
  timerSlackNs = 50_000;
  personality = 0;
  nice = 0;
  schedPolicy = 0;
  schedPriority = 0;
  schedResetOnFork = false;
  /** Bit i of word i>>>5: may run on CPU i. Kept, not enforced: the host schedules. */
  affinity: Int32Array | null = null;
  ioPriority = 0;

  utimeNs = 0;
  stimeNs = 0;
  /** When it was last let run. */
  resumedAtNs = 0;
  minorFaults = 0;
  majorFaults = 0;
  voluntarySwitches = 0;
  involuntarySwitches = 0;
  startTimeNs = 0;

  readonly timer: Timer;

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
    this.pending = new PendingSignals(kernel);
    this.futexWaiter = new FutexWaiter(this);
    this.timer = new Timer(() => kernel.wake(this));
  }

  /** The letter of /proc/PID/stat. */
  get stateLetter(): "R" | "S" | "D" | "T" | "Z" {
    if (this.context === null) return "Z";
    if (this.isStopped) return "T";
    if (this.isParked) return this.isKillableOnly ? "D" : "S";
    return "R";
  }
  get hasExited(): boolean {
    return this.context === null;
  }
  rlimit(resource: number): Rlimit {
    return this.threadGroup.rlimit(resource);
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
    return this.#parkNow();
  }

  /** As blockOn, but only a fatal signal or a group exit interrupts. */
  blockOnKillable(queue: WaitQueue, mask: number, interruptErrno: number = ERESTARTSYS): number {
    this.waitFor(queue, mask);
    if (this.kernel.isDying(this)) {
      this.dropWaits();
      return -interruptErrno;
    }
    this.isKillableOnly = true;
    return this.#parkNow();
  }

  #parkNow(): number {
    if (this.#deadlineNs <= this.kernel.clock.monotonicNs()) {
      this.dropWaits();
      return -EAGAIN;
    }
    this.isParked = true;
    this.kernel.parkUntil(this, this.#deadlineNs);
    return BLOCKED;
  }

  /** Fixes the call's deadline before its first park (absolute monotonic time, or a restarted call's). */
  setDeadline(deadlineNs: number): void {
    if (this.#hasDeadline) return;
    this.#hasDeadline = true;
    this.#deadlineNs = deadlineNs;
  }
  get deadlineNs(): number {
    return this.#deadlineNs;
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
    if (this.#waitsUsed > 0) this.dropWaits();
  }

  /** An unblocked signal (or a stop, or a group exit) is waiting to be handled. */
  hasPendingSignal(): boolean {
    return this.kernel.hasDeliverableSignal(this);
  }

  /**
   * The mask for the length of one call (sigsuspend, ppoll, pselect6, epoll_pwait): comes back when the
   * call ends, or when the handler that interrupted it returns. Safe to call again on a re-run.
   */
  setTemporaryMask(low: number, high: number): void {
    if (!this.hasSavedMask) {
      this.savedMask.copyFrom(this.signalMask);
      this.hasSavedMask = true;
    }
    this.kernel.setSignalMask(this, low, high);
  }

  /** A signal from the kernel to this task itself: SIGPIPE, SIGXFSZ, SIGSEGV... */
  raise(signo: number): void {
    raiseSignal(this, signo);
  }

  /** Takes a pending signal of the set, own or the process's (sigtimedwait, signalfd); null: none. */
  dequeueSignal(low: number, high: number): SigInfo | null {
    return takeSignal(this, low, high);
  }
  /** One of the set is pending; announced by threadGroup.signalWaiters. */
  isSignalPending(low: number, high: number): boolean {
    const own = this.pending.set;
    const shared = this.threadGroup.pending.set;
    return (((own.low | shared.low) & low) | ((own.high | shared.high) & high)) !== 0;
  }
}
