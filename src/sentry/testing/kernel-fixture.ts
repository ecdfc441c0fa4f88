// A kernel for unit tests: real tasks, memory and system calls over a fake platform and virtual time.
// The test plays the programs. `fixture.process()` makes one with memory at USER_BASE and no program
// file; `call` does a system call of it and returns what the program would find in RAX, or null while
// it sleeps.

import { REG_EFL, REG_RIP, REG_RSP } from "../../abi/registers.ts";
import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import type { Stack } from "../../netstack/index.ts";
import type { HostFiles, HostPoller } from "../host.ts";
import { Credentials } from "../kernel/credentials.ts";
import { Kernel, type KernelDeps } from "../kernel/kernel.ts";
import { ProcessGroup, Session } from "../kernel/process-group.ts";
import { Rlimits } from "../kernel/rlimits.ts";
import { SignalActions } from "../kernel/signal-actions.ts";
import { Task } from "../kernel/task.ts";
import { ThreadGroup } from "../kernel/thread-group.ts";
import { mapMemory, PLACE_FIXED } from "../mm/map.ts";
import { MemoryFile } from "../mm/memory-file.ts";
import { MemoryManager } from "../mm/memory-manager.ts";
import { buildSyscallTable } from "../syscalls/table.ts";
import { ProcessTimers } from "../time/process-timers.ts";
import { FdTable, FileCounter } from "../vfs/fd-table.ts";
import { FsContext } from "../vfs/fs-context.ts";
import type { Path } from "../vfs/path.ts";
import {
  type FakeContext,
  FakeHostMemory,
  FakePlatform,
  setFault,
  setSyscall,
} from "./fake-platform.ts";

/** Where a test process has its private anonymous memory. */
export const USER_BASE = 0x1000_0000;
export const USER_BYTES = 1024 * 1024;
/** Top of the stack of the first thread, within that memory. */
export const STACK_TOP = USER_BASE + USER_BYTES - 0x1000;
const PROGRAM_START = 0x40_0000;
const PROT_RW = 3;

export interface ProcessOptions {
  creds?: Credentials;
  fs?: FsContext;
  fds?: FdTable;
}

export class KernelFixture {
  readonly clock = new ManualClock();
  readonly platform = new FakePlatform();
  readonly kernel: Kernel;
  readonly logLines: string[] = [];
  readonly fileCounter: FileCounter;

  constructor(overrides: Partial<KernelDeps> & { limits?: Partial<Limits> & Limits } = {}) {
    const limits = overrides.limits ?? DEFAULT_LIMITS;
    this.fileCounter = new FileCounter(limits.files);
    this.kernel = new Kernel({
      platform: this.platform,
      memoryFile: new MemoryFile(new FakeHostMemory(), limits.memoryBytes, this.platform.changes),
      clock: this.clock,
      rng: new SeededRng(1),
      limits,
      hostFiles: noHostFiles,
      poller: noPoller,
      stack: null as unknown as Stack,
      hostname: "box",
      log: (line) => this.logLines.push(line),
      syscalls: buildSyscallTable(),
      cpus: 2,
      ...overrides,
    });
  }

  /** A process that runs, started from outside the sandbox. Without options.fs it has no file tree. */
  process(options: ProcessOptions = {}): Task {
    const kernel = this.kernel;
    const tid = kernel.pids.allocate();
    const timers = new ProcessTimers(kernel);
    const limits = Rlimits.defaults(kernel.limits);
    const group = new ThreadGroup(kernel, tid, new SignalActions(), limits, timers);
    timers.attach(group);
    const mm = MemoryManager.create(kernel, group, false);
    if (mm === null) throw new Error("no address space");
    mapUser(mm, USER_BASE, USER_BYTES);
    const nowhere = null as unknown as Path;
    const fs = options.fs ?? new FsContext(nowhere, nowhere);
    const fds = options.fds ?? new FdTable(this.fileCounter);
    const creds = options.creds ?? new Credentials({ uid: 0, gid: 0 });
    const context = mm.addressSpace.newContext() as FakeContext;
    const t = new Task(kernel, tid, group, mm, fds, fs, creds, context);
    context.owner = t;
    context.setReg(REG_RIP, PROGRAM_START);
    context.setReg(REG_RSP, STACK_TOP);
    context.setReg(REG_EFL, 0x202);
    t.comm = "test";
    group.leader = t;
    group.tasks.add(t);
    kernel.pids.tasks.set(tid, t);
    kernel.pids.groups.set(tid, group);
    kernel.liveGroups++;
    if (kernel.init === null) kernel.init = group;
    const session = new Session(tid, group);
    const processGroup = new ProcessGroup(tid, session);
    kernel.pids.sessions.set(tid, session);
    kernel.pids.processGroups.set(tid, processGroup);
    group.processGroup = processGroup;
    processGroup.members.add(group);
    kernel.makeReady(t);
    this.run();
    return t;
  }

  /** One system call of a running task: the program's RAX, or null while it is blocked, stopped or gone. */
  call(t: Task, nr: number, ...args: number[]): number | null {
    const context = contextOf(t);
    if (!context.isRunning) throw new Error(`task ${t.tid} is not running: it cannot make a call`);
    context.isRunning = false;
    setSyscall(context, nr, args);
    // As the processor does it: the return address is behind the two bytes of `syscall`.
    context.setReg(REG_RIP, context.reg(REG_RIP) + 2);
    this.kernel.onTrap(context);
    this.run();
    return context.isRunning ? context.result : null;
  }

  /** A processor exception of a running task. */
  fault(t: Task, signal: number, code: number, address: number, error = 0): void {
    const context = contextOf(t);
    context.isRunning = false;
    setFault(context, signal, code, address, error);
    this.kernel.onTrap(context);
    this.run();
  }

  /** Lets everything that was woken, or interrupted while running, have its turn. */
  run(): void {
    for (let progress = true; progress; ) {
      progress = this.kernel.runReady();
      for (const t of [...this.kernel.pids.tasks.values()]) {
        const context = t.context as FakeContext | null;
        if (context === null || !context.wasInterrupted) continue;
        context.wasInterrupted = false;
        context.isRunning = false;
        context.trap = 3;
        this.kernel.onTrap(context);
        progress = true;
      }
    }
  }

  /** Time passes. */
  advance(ns: number): void {
    this.clock.advanceNs(ns);
    this.kernel.onTimers(this.clock.monotonicNs());
    this.run();
  }

  /** RAX of a task that has come back from its call; null while it has not. */
  result(t: Task): number | null {
    const context = t.context as FakeContext | null;
    return context?.isRunning ? context.result : null;
  }
  task(tid: number): Task {
    const t = this.kernel.findTask(tid);
    if (t === null) throw new Error(`there is no task ${tid}`);
    return t;
  }
}

export function contextOf(t: Task): FakeContext {
  if (t.context === null) throw new Error(`task ${t.tid} has exited`);
  return t.context as FakeContext;
}

/** Private anonymous read-write memory at a fixed place. */
export function mapUser(mm: MemoryManager, addr: number, bytes: number): void {
  const at = mapMemory(mm, {
    addr,
    length: bytes,
    place: PLACE_FIXED,
    prot: PROT_RW,
    maxProt: PROT_RW,
    flags: 0,
    mappable: null,
    offset: 0,
    populate: false,
    mayLock: false,
    label: "",
  });
  if (at !== addr) throw new Error(`mapping test memory failed: ${at}`);
}

const noHostFiles: HostFiles = {
  read: () => -9,
  write: () => -9,
  pread: () => -9,
  pwrite: () => -9,
  poll: () => 0,
  ftruncate: () => -9,
  fsync: () => -9,
  size: () => -9,
  mode: () => -9,
  seek: () => -9,
  close: () => {},
};

const noPoller: HostPoller = { watch() {}, modify() {}, unwatch() {} };
