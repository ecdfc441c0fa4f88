// The root object of one sandbox's kernel: what every task shares, and the doors that the loop knocks at:
// onTrap, runReady and the timers. It never waits for anything itself. What happens to tasks is in
// task-*.ts; system calls are in ../syscalls.

import { EINTR, ENOSYS, ERESTART_RESTARTBLOCK, ERESTARTSYS } from "../../abi/errno.ts";
import { REG_RAX } from "../../abi/registers.ts";
import { SIGKILL } from "../../abi/signal.ts";
import { SYSCALL_NAMES } from "../../abi/syscall-numbers.ts";
import { signalStatusWord } from "../../abi/wait.ts";
import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import type { Stack } from "../../netstack/index.ts";
import type { HostFiles, HostPoller } from "../host.ts";
import type { MemoryFile } from "../mm/memory-file.ts";
import {
  type AddressSpace,
  type Context,
  type Platform,
  TRAP_DEAD,
  TRAP_FAULT,
  TRAP_INTERRUPT,
  TRAP_SYSCALL,
} from "../platform/platform.ts";
import { SyscallArgs } from "../syscalls/args.ts";
import type { SyscallHandler } from "../syscalls/family.ts";
import { Timekeeper } from "../time/timekeeper.ts";
import type { MountNamespace } from "../vfs/mount-namespace.ts";
import { CpuBandwidth } from "./cpu-bandwidth.ts";
import type { KernelDriver } from "./driver.ts";
import { FutexTable } from "./futex.ts";
import { PidTable } from "./pid-table.ts";
import { ReadyQueue } from "./ready-queue.ts";
import { SharedSegments } from "./shared-segments.ts";
import { SignalFrames } from "./signal-frame.ts";
import { type SpawnOptions, spawnProcess } from "./spawn.ts";
import { BLOCKED, NO_RESULT, type Task } from "./task.ts";
import { groupExit } from "./task-exit.ts";
import { deliverFault } from "./task-faults.ts";
import { applySignalMask, prepareUserReturn } from "./task-signals.ts";
import type { ThreadGroup } from "./thread-group.ts";

export interface KernelDeps {
  platform: Platform;
  memoryFile: MemoryFile;
  clock: Clock;
  /** Repeatable with --seed. */
  rng: Rng;
  limits: Limits;
  hostFiles: HostFiles;
  poller: HostPoller;
  stack: Stack;
  hostname: string;
  log: (line: string) => void;
  /** The system calls, by number (syscalls/table.ts). */
  syscalls: readonly (SyscallHandler | undefined)[];
  /** CPUs that the sandbox shows and may use. */
  cpus: number;
  /**
   * What a WeakRef has shown lives until the running job ends, and the Sentry's loop is one job without an end:
   * this lets go of it at once. Absent: weak references are never collected.
   */
  clearKeptObjects?: () => void;
  /** The end of pid 1 kills everything else, as in a container. Off: the rest lives on. */
  initExitKillsAll?: boolean;
}

/** For --strace: called around every system call. Null costs one comparison. */
export interface SyscallTrace {
  enter(t: Task, nr: number, args: SyscallArgs): void;
  /** The task sleeps in the call; again after each wake that led to nothing. */
  blocked(t: Task): void;
  /** result as the program sees it, or -ERESTART* when a signal will decide. */
  exit(t: Task, nr: number, result: number): void;
}

/** Woken tasks run per call of runReady, so that traps and the network get their turn. */
const READY_BATCH = 64;

export class Kernel implements KernelDriver, KernelDeps {
  readonly platform: Platform;
  readonly memoryFile: MemoryFile;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limits: Limits;
  readonly hostFiles: HostFiles;
  readonly poller: HostPoller;
  readonly stack: Stack;
  hostname: string;
  domainname = "(none)";
  readonly log: (line: string) => void;
  readonly syscalls: readonly (SyscallHandler | undefined)[];
  readonly cpus: number;
  readonly initExitKillsAll: boolean;
  readonly clearKeptObjects: () => void;

  readonly timers = new TimerQueue();
  readonly time: Timekeeper;
  readonly pids = new PidTable();
  readonly futexes: FutexTable;
  /** Null: as much CPU time as the host gives. */
  readonly bandwidth: CpuBandwidth | null;
  /** net.ipv4.ip_unprivileged_port_start and ping_group_range: what sockets ask of who makes and binds them. */
  readonly socketRights = {
    unprivilegedPortStart: 1024,
    pingGroupMin: 0,
    pingGroupMax: 0x7fff_ffff,
  };
  readonly sharedSegments = new SharedSegments();
  readonly signalFrames = new SignalFrames();
  trace: SyscallTrace | null = null;
  /** Pid 1 while it lives: the parent of orphans. */
  init: ThreadGroup | null = null;
  /** Signals that wait to be delivered, in all queues. */
  queuedSignals = 0;
  /** POSIX timers of all processes. */
  posixTimers = 0;
  /** Processes that are not zombies. */
  liveGroups = 0;
  #hasStarted = false;
  #mounts: MountNamespace | null = null;
  readonly #ready = new ReadyQueue();
  readonly #args = new SyscallArgs();
  /** Since when the Sentry works for the present task. */
  #enteredNs = 0;
  readonly #unknownCalls = new Set<number>();

  constructor(deps: KernelDeps) {
    this.platform = deps.platform;
    this.memoryFile = deps.memoryFile;
    this.clock = deps.clock;
    this.rng = deps.rng;
    this.limits = deps.limits;
    this.hostFiles = deps.hostFiles;
    this.poller = deps.poller;
    this.stack = deps.stack;
    this.hostname = deps.hostname;
    this.log = deps.log;
    this.syscalls = deps.syscalls;
    this.cpus = deps.cpus;
    this.initExitKillsAll = deps.initExitKillsAll ?? false;
    this.clearKeptObjects = deps.clearKeptObjects ?? (() => {});
    this.time = new Timekeeper(deps.clock);
    this.futexes = new FutexTable(this);
    const { millicores } = deps.limits;
    this.bandwidth = millicores === 0 ? null : new CpuBandwidth(this, millicores);
    deps.platform.onAddressSpaceDeath = (space) => this.#onAddressSpaceDeath(space);
    deps.platform.onMappingsLost = (space) => this.#onMappingsLost(space);
  }

  #onMappingsLost(space: AddressSpace): void {
    for (const t of this.pids.tasks.values()) {
      if (t.context?.addressSpace !== space) continue;
      t.mm.noteUnmapped();
      return;
    }
  }

  /** Who sleeps in a system call would never trap again, and never know. */
  #onAddressSpaceDeath(space: AddressSpace): void {
    for (const t of this.pids.tasks.values()) {
      if (t.context?.addressSpace !== space) continue;
      groupExit(t.threadGroup, signalStatusWord(SIGKILL, false));
    }
  }

  /** The sandbox's mount tree. Set once, before the first spawn. */
  get mounts(): MountNamespace {
    if (this.#mounts === null) throw new Error("kernel.mounts is read before it was set");
    return this.#mounts;
  }
  set mounts(mounts: MountNamespace) {
    this.#mounts = mounts;
  }

  get isOver(): boolean {
    return this.#hasStarted && this.liveGroups === 0;
  }

  /** Starts a process from outside the sandbox: the first one is pid 1. Or -errno, of execve mostly. */
  spawn(options: SpawnOptions): ThreadGroup | number {
    const group = spawnProcess(this, options);
    if (typeof group !== "number") this.#hasStarted = true;
    return group;
  }

  /** Ends every process with SIGKILL. */
  killAll(): void {
    for (const group of this.pids.groups.values()) {
      if (!group.isZombie) groupExit(group, signalStatusWord(SIGKILL, false));
    }
  }

  onTrap(context: Context): void {
    const t = context.owner as Task;
    // What a context reports after its task has left it concerns nobody.
    if (t.context !== context) return;
    const now = this.clock.monotonicNs();
    this.#enteredNs = now;
    t.utimeNs += now - t.resumedAtNs;
    if (this.bandwidth !== null) this.bandwidth.stopped(now);
    switch (context.trap) {
      case TRAP_SYSCALL:
        this.#onSyscall(t, context);
        return;
      case TRAP_FAULT:
        deliverFault(t, context);
        break;
      case TRAP_INTERRUPT:
        t.involuntarySwitches++;
        break;
      case TRAP_DEAD:
        groupExit(t.threadGroup, signalStatusWord(SIGKILL, false));
        break;
    }
    this.returnToUser(t);
  }

  runReady(): boolean {
    let budget = Math.min(this.#ready.count, READY_BATCH);
    if (budget === 0) return false;
    while (budget-- > 0) {
      const t = this.#ready.shift();
      if (t === null) break;
      if (t.context === null) continue;
      this.#enteredNs = this.clock.monotonicNs();
      if (t.syscallNr < 0) {
        this.returnToUser(t);
        continue;
      }
      t.dropWaits();
      this.timers.disarm(t.timer);
      t.isKillableOnly = false;
      this.#runSyscall(t);
    }
    return true;
  }

  nextDeadlineNs(): number {
    return this.timers.nextDeadlineNs();
  }

  onTimers(nowNs: number): void {
    this.timers.runDue(nowNs);
  }

  #onSyscall(t: Task, context: Context): void {
    const regs = context.regs;
    const nr = regs[2 * REG_RAX];
    t.syscallNr = nr < 0 ? 0x7fff_ffff : nr;
    if (this.trace !== null) {
      this.#args.regs = regs;
      this.trace.enter(t, nr, this.#args);
    }
    this.#runSyscall(t);
  }

  #runSyscall(t: Task): void {
    const context = t.context as Context;
    this.#args.regs = context.regs;
    const handler = this.syscalls[t.syscallNr];
    const result = handler === undefined ? this.#unknownCall(t) : handler(t, this.#args);
    if (result === BLOCKED) {
      if (this.trace !== null) this.trace.blocked(t);
      t.voluntarySwitches++;
      this.#chargeSystemTime(t, this.clock.monotonicNs());
      return;
    }
    this.finishSyscall(t, result);
  }

  /** The call is over: its result goes to RAX, or its restart is decided with the signals. */
  finishSyscall(t: Task, result: number): void {
    if (this.trace !== null) this.trace.exit(t, t.syscallNr, result);
    const context = t.context;
    if (context === null) {
      t.endSyscall();
      return;
    }
    let interrupted = result === -EINTR;
    if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK) {
      t.restartErrno = -result;
      t.restartNr = t.syscallNr;
      interrupted = true;
    } else if (result !== NO_RESULT) {
      const regs = context.regs;
      regs[2 * REG_RAX] = result;
      regs[2 * REG_RAX + 1] = result < 0 ? -1 : Math.floor(result / 0x1_0000_0000);
    }
    t.endSyscall();
    if (t.hasSavedMask && !interrupted) {
      t.hasSavedMask = false;
      this.setSignalMask(t, t.savedMask.low, t.savedMask.high);
    }
    this.returnToUser(t);
  }

  /** Signals, stops and the end are dealt with; then the program goes on. */
  returnToUser(t: Task): void {
    if (t.restartErrno !== 0 || t.hasSavedMask || this.hasDeliverableSignal(t)) {
      if (!prepareUserReturn(t)) return;
    }
    const context = t.context;
    if (context === null) return;
    const now = this.clock.monotonicNs();
    this.#chargeSystemTime(t, now);
    if (this.bandwidth?.holds(t, now) === true) return;
    t.resumedAtNs = now;
    if (t.threadGroup.timers.hasCpuTimers) t.threadGroup.timers.onResume(now);
    context.resume();
    if (this.bandwidth !== null) this.bandwidth.resumed(now);
  }

  #chargeSystemTime(t: Task, now: number): void {
    const ns = now - this.#enteredNs;
    t.stimeNs += ns;
    if (this.bandwidth !== null) this.bandwidth.charge(ns);
  }

  parkUntil(task: Task, deadlineNs: number): void {
    if (deadlineNs !== Number.POSITIVE_INFINITY) this.timers.arm(task.timer, deadlineNs);
  }

  /** A parked task gets another turn at its system call. Harmless otherwise. */
  wake(task: Task): void {
    if (!task.isParked) return;
    task.isParked = false;
    if (!task.isReady) this.#ready.push(task);
  }

  /** Makes the task look at its signals soon, wherever it is. */
  kick(task: Task): void {
    const context = task.context;
    if (context === null) return;
    if (task.isParked) this.wake(task);
    else if (task.isHeld) {
      task.isHeld = false;
      this.makeReady(task);
    } else if (context.isRunning) context.interrupt();
  }

  /** A task that waits for nothing (new, or let go by a stop) goes back to its program in its turn. */
  makeReady(task: Task): void {
    if (!task.isReady && task.context !== null) this.#ready.push(task);
  }

  hasDeliverableSignal(t: Task): boolean {
    const group = t.threadGroup;
    const own = t.pending.set;
    const shared = group.pending.set;
    const mask = t.signalMask;
    return (
      (((own.low | shared.low) & ~mask.low) | ((own.high | shared.high) & ~mask.high)) !== 0 ||
      group.stoppingSignal !== 0 ||
      this.isDying(t)
    );
  }

  /** Must leave: the group exits, or another thread of it executes a program. */
  isDying(t: Task): boolean {
    const group = t.threadGroup;
    return group.isExiting || (group.execTask !== null && group.execTask !== t);
  }

  setSignalMask(t: Task, low: number, high: number): void {
    applySignalMask(t, low, high);
  }

  findTask(tid: number): Task | null {
    const t = this.pids.tasks.get(tid);
    return t === undefined || t.threadGroup.isReaped ? null : t;
  }
  findGroup(tgid: number): ThreadGroup | null {
    return this.pids.groups.get(tgid) ?? null;
  }

  #unknownCall(t: Task): number {
    const nr = t.syscallNr;
    // Bounded, or a program could make us remember every number there is.
    if (!this.#unknownCalls.has(nr) && this.#unknownCalls.size < 1024) {
      this.#unknownCalls.add(nr);
      const name = SYSCALL_NAMES[nr] ?? "unknown";
      this.log(
        `system call ${name} (${nr}) is not implemented: ENOSYS, first asked for by ${t.comm}`,
      );
    }
    return -ENOSYS;
  }
}
