// A process: the tasks that share a pid, signal handlers, a parent and an exit status.
// State only; what happens to it is in task-clone, task-exec, task-exit, task-wait and task-signals.

import { SIGCHLD } from "../../abi/signal.ts";
import type { ProcessTimers } from "../time/process-timers.ts";
import type { Path } from "../vfs/path.ts";
import type { Kernel } from "./kernel.ts";
import type { ProcessGroup } from "./process-group.ts";
import type { Rlimit, Rlimits } from "./rlimits.ts";
import type { SignalActions } from "./signal-actions.ts";
import { PendingSignals } from "./signal-set.ts";
import type { Task } from "./task.ts";
import { WaitQueue } from "./wait-queue.ts";

/** CPU time and faults of tasks that are gone, or of whole children that were waited for. */
export class Usage {
  utimeNs = 0;
  stimeNs = 0;
  minorFaults = 0;
  majorFaults = 0;
  voluntarySwitches = 0;
  involuntarySwitches = 0;
  maxRssKiB = 0;

  add(other: Usage): void {
    this.utimeNs += other.utimeNs;
    this.stimeNs += other.stimeNs;
    this.minorFaults += other.minorFaults;
    this.majorFaults += other.majorFaults;
    this.voluntarySwitches += other.voluntarySwitches;
    this.involuntarySwitches += other.involuntarySwitches;
    this.maxRssKiB = Math.max(this.maxRssKiB, other.maxRssKiB);
  }
}

export class ThreadGroup {
  readonly kernel: Kernel;
  readonly tgid: number;
  /** The task whose tid is the tgid; it may have exited while others live. */
  leader!: Task;
  /** Tasks that have not exited. */
  readonly tasks = new Set<Task>();

  /** Null: started from outside the sandbox, or the parent is gone and there is no init. */
  parent: ThreadGroup | null = null;
  readonly children = new Set<ThreadGroup>();
  /** Signal to the parent at the end: SIGCHLD, another, or 0 (clone's low byte). */
  exitSignal = SIGCHLD;
  processGroup: ProcessGroup | null = null;

  actions: SignalActions;
  readonly pending: PendingSignals;
  limits: Rlimits;
  readonly timers: ProcessTimers;

  /** exit_group or a fatal signal is under way: every task leaves at its next chance. */
  isExiting = false;
  /** Status word of wait4; right once isZombie. */
  exitStatus = 0;
  /** All tasks are gone; waits to be reaped. */
  isZombie = false;
  isReaped = false;
  /** The task in execve that waits for the others to leave. */
  execTask: Task | null = null;

  /** Signal of a group stop that tasks are still entering; 0: none. */
  stoppingSignal = 0;
  /** All tasks have stopped. */
  isStopped = false;
  stopSignal = 0;
  /** Not yet told to wait4: */
  stopUnreported = false;
  continueUnreported = false;

  isSubreaper = false;
  dumpable = 1;
  oomScoreAdj = 0;
  /** setpgid of the parent is refused after this (EACCES). */
  hasExecd = false;
  /** What was executed: /proc/PID/exe. */
  exe: Path | null = null;
  startTimeNs = 0;

  readonly usage = new Usage();
  readonly childUsage = new Usage();

  /** Children changed state (POLLIN): wait4 of any of our tasks. */
  readonly childWaiters = new WaitQueue();
  /** This process has become a zombie (POLLIN): pidfds. */
  readonly exitWaiters = new WaitQueue();
  /** A signal was queued to the process or one of its tasks (POLLIN): signalfd. */
  readonly signalWaiters = new WaitQueue();
  /** One of our tasks has left (POLLIN): execve. */
  readonly taskWaiters = new WaitQueue();
  /** For who started it from outside. Called once, with the status word. */
  onExit: ((status: number) => void) | null = null;

  constructor(
    kernel: Kernel,
    tgid: number,
    actions: SignalActions,
    limits: Rlimits,
    timers: ProcessTimers,
  ) {
    this.kernel = kernel;
    this.tgid = tgid;
    this.actions = actions;
    this.pending = new PendingSignals(kernel);
    this.limits = limits;
    this.timers = timers;
  }

  get ppid(): number {
    return this.parent === null ? 0 : this.parent.tgid;
  }
  get pgid(): number {
    return this.processGroup === null ? 0 : this.processGroup.pgid;
  }
  get sid(): number {
    return this.processGroup === null ? 0 : this.processGroup.session.sid;
  }
  rlimit(resource: number): Rlimit {
    return this.limits.get(resource);
  }
  /** A task that has not exited, the leader if possible; null for a zombie. */
  get anyTask(): Task | null {
    if (this.leader.context !== null) return this.leader;
    for (const task of this.tasks) return task;
    return null;
  }

  /** User time of all tasks, living and gone. */
  get utimeNs(): number {
    let sum = this.usage.utimeNs;
    for (const task of this.tasks) sum += task.utimeNs;
    return sum;
  }
  get stimeNs(): number {
    let sum = this.usage.stimeNs;
    for (const task of this.tasks) sum += task.stimeNs;
    return sum;
  }
}
