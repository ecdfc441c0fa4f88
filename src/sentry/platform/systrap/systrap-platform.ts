// Platform on host processes that trap by signal (after gVisor's systrap). The kernel's side of it: which
// contexts run, which have stopped, and the bell they ring when the Sentry sleeps.

import { assert } from "../../../base/assert.ts";
import * as host from "../../../host/index.ts";
import type {
  AddressSpace,
  Context,
  Platform,
  ProcessorInfo,
  TRAP_DEAD,
  TRAP_INTERRUPT,
  VdsoImage,
} from "../platform.ts";
import { SystrapAddressSpace } from "./address-space.ts";
import { readCpu } from "./blob.ts";
import { Changes } from "./changes.ts";
import type { SystrapContext } from "./context.ts";
import { FpFormat } from "./fp-state.ts";
import * as L from "./layout.ts";
import { SharedArea } from "./shared-area.ts";
import type { Stub } from "./stub.ts";
import { baseFilter, runnerFilter } from "./stub-filters.ts";
import { type FrameProbe, StubPool } from "./stub-pool.ts";

export interface SystrapOptions {
  /** Host processes for programs, at most (those on their way out count). */
  maxStubs: number;
  /** How long a runner whose context trapped spins for the answer; 0: it sleeps at once. */
  runnerSpinNs?: number;
  /** The vDSO to offer, if any. */
  vdso?: VdsoImage | null;
}

const GLOBAL_BYTES = 0x4000;
/** For spin times only, where a factor of two does not matter. */
const TICKS_PER_NS = 2.5;
const DEFAULT_RUNNER_SPIN_NS = 20_000;
const AT_HWCAP = 16;
/** How often the mapper looks for the next batch before it sleeps (about 20 us), where CPUs abound. */
const MAPPER_SPINS = 1000;
const MANY_CPUS = 4;
/** One trap in eight is looked at for the CPU it came from. */
const CPU_SAMPLE_MASK = 7;
const AT_HWCAP2 = 26;
const CHANGES_WAIT_MS = 1000;
/** The monitor does not wait much longer for the Sentry's own end. */
const STUBS_END_MS = 2000;
const CHANGES_STEP_MS = 20;
const HWCAP2_FSGSBASE = 2;

export class SystrapPlatform implements Platform {
  readonly minAddress = 0x1_0000;
  readonly maxAddress = L.REGION_BASE;
  readonly vdso: VdsoImage | null;

  readonly changes = new Changes(() => this.#waitForChanges());
  readonly area: SharedArea;
  readonly pool: StubPool;
  // Known when awaitFirstStub() has returned.
  processor!: ProcessorInfo;
  probe!: FrameProbe;
  fpFormat!: FpFormat;
  /** Readable when a context stopped while the Sentry slept. */
  readonly bellFd: number;
  onAddressSpaceDeath: ((space: AddressSpace) => void) | null = null;
  onMappingsLost: ((space: AddressSpace) => void) | null = null;
  /** Contexts that wait for a free runner; the loop then calls preempt() now and then. */
  waitingCount = 0;

  /** CPUs this process may use. */
  readonly #cpus = host.schedGetAffinity().length;
  readonly #global: number;
  readonly #words: Int32Array;
  #running: SystrapContext[] = [];
  #stateWords = new Int32Array(64);
  #cursor = 0;
  /** Stopped by us rather than by their slot. */
  #reported: SystrapContext[] = [];
  #unsettled: SystrapAddressSpace[] = [];
  #settling: SystrapAddressSpace[] = [];
  readonly #spaces = new Map<Stub, SystrapAddressSpace>();
  readonly #bell = new Uint8Array(8);

  /** Starts the first stub: before the Sentry locks itself down. Throws with the reason if the host cannot. */
  static create(options: SystrapOptions): SystrapPlatform {
    const platform = SystrapPlatform.begin(options);
    platform.awaitFirstStub();
    return platform;
  }

  /** As create, but does not wait: awaitFirstStub() must follow, also before the lock-down. */
  static begin(options: SystrapOptions): SystrapPlatform {
    return new SystrapPlatform(options);
  }

  private constructor(options: SystrapOptions) {
    if ((host.auxiliaryValue(AT_HWCAP2) & HWCAP2_FSGSBASE) === 0)
      throw new Error("this CPU or kernel has no FSGSBASE (Linux 5.9 or later is needed)");
    this.vdso = options.vdso ?? null;
    this.area = new SharedArea();
    this.bellFd = host.eventfd(0, host.EFD_CLOEXEC | host.EFD_NONBLOCK);
    this.#words = this.area.words;
    this.#global = this.area.allocate(GLOBAL_BYTES);
    this.#fillGlobal();
    this.setRunnerSpinNs(options.runnerSpinNs ?? DEFAULT_RUNNER_SPIN_NS);
    if (this.#cpus >= MANY_CPUS) this.#setGlobal(L.G_MAPPER_SPIN, MAPPER_SPINS);
    this.pool = new StubPool(this.area, this.#global, options.maxStubs, this.changes);
    this.pool.onDeath = (stub) => this.#spaces.get(stub)?.die();
  }

  awaitFirstStub(): void {
    this.pool.awaitZygote();
    this.probe = this.pool.probe;
    this.#setGlobal(L.G_FRAME_OFFSET, this.probe.frameOffset);
    const { extendedBytes, xstateBytes } = this.probe;
    this.fpFormat = new FpFormat(this.pool.probeFpState(), extendedBytes, xstateBytes);
    assert(this.fpFormat.bytes + 1024 < L.H_OFFSET, "a signal frame fits in a slot");
    this.processor = {
      hwcap: host.auxiliaryValue(AT_HWCAP),
      hwcap2: host.auxiliaryValue(AT_HWCAP2),
      fpStateBytes: this.fpFormat.bytes,
    };
    this.pool.refill();
  }

  #setGlobal(offset: number, value: number): void {
    Atomics.store(this.#words, (this.#global + offset) >> 2, value);
  }
  #fillGlobal(): void {
    this.#setGlobal(L.G_BELL_FD, this.bellFd);
    this.#setGlobal(L.G_SHARED_FD, this.area.fd);
    this.#setGlobal(L.G_SENTRY_PID, host.getpid());
    this.#setGlobal(L.G_ONE, 1);
    for (let i = 0; i < 512; i++) this.#setGlobal(L.G_ERRNO_TABLE + 4 * i, i);
    let at = 0x100;
    const putProgram = (where: number, program: Uint8Array): void => {
      this.area.bytes.set(program, this.#global + at);
      this.#setGlobal(where, program.length / 8);
      this.area.setU64(this.#global + where + 8, L.GLOBAL_BASE + at);
      at += program.length;
    };
    putProgram(L.G_RUNNER_FILTER, runnerFilter(this.bellFd));
    putProgram(L.G_BASE_FILTER, baseFilter(this.bellFd, this.area.fd));
    assert(at <= L.G_ERRNO_TABLE, "the filters fit in the global page");
  }

  #runnerSpinTicks = 0;
  setRunnerSpinNs(spinNs: number): void {
    this.#runnerSpinTicks = Math.round(spinNs * TICKS_PER_NS);
    this.#setGlobal(L.G_RUNNER_SPIN, this.#runnerSpinTicks);
  }

  #traps = 0;
  /**
   * The host has put programs on the Sentry's own CPU (the others are taken): whoever spins keeps the other
   * from running, so both sleep at once instead.
   */
  sharesCpu = false;
  #noteCpu(cpu: number): void {
    const isShared = readCpu() === cpu;
    if (isShared === this.sharesCpu) return;
    this.sharesCpu = isShared;
    this.#setGlobal(L.G_RUNNER_SPIN, isShared ? 0 : this.#runnerSpinTicks);
  }

  newAddressSpace(): AddressSpace | null {
    const stub = this.pool.take();
    if (stub === null) return null;
    const space = new SystrapAddressSpace(this, stub);
    this.#spaces.set(stub, space);
    return space;
  }
  forget(space: SystrapAddressSpace): void {
    this.#spaces.delete(space.stub);
  }

  // ---- what runs ----

  get runningCount(): number {
    return this.#running.length + this.#reported.length + this.waitingCount;
  }

  /** Programs run, or their runners spin, on every CPU but the Sentry's. */
  get areAllCpusBusy(): boolean {
    return this.#running.length + 1 >= this.#cpus;
  }

  addRunning(context: SystrapContext): void {
    const i = this.#running.length;
    if (i === this.#stateWords.length) {
      const wider = new Int32Array(2 * i);
      wider.set(this.#stateWords);
      this.#stateWords = wider;
    }
    this.#running.push(context);
    this.#stateWords[i] = context.stateWord;
    context.runIndex = i;
  }
  removeRunning(context: SystrapContext): void {
    const i = context.runIndex;
    const last = this.#running.pop() as SystrapContext;
    if (last !== context) {
      this.#running[i] = last;
      this.#stateWords[i] = last.stateWord;
      last.runIndex = i;
    }
    context.runIndex = -1;
  }
  /** Has nextTrap return a context for a reason of our own. */
  report(context: SystrapContext, trap: typeof TRAP_DEAD | typeof TRAP_INTERRUPT): void {
    context.setTrap(trap);
    this.#reported.push(context);
  }

  noteUnsettled(space: SystrapAddressSpace): void {
    if (space.isUnsettled) return;
    space.isUnsettled = true;
    this.#unsettled.push(space);
  }
  #settleAll(): void {
    // A space that dies meanwhile may have the kernel note others.
    while (this.#unsettled.length > 0) {
      const spaces = this.#unsettled;
      this.#unsettled = this.#settling;
      this.#settling = spaces;
      for (let i = 0; i < spaces.length; i++) {
        spaces[i].flush();
        spaces[i].isUnsettled = false;
      }
      for (let i = 0; i < spaces.length; i++) if (spaces[i].mustSettle) spaces[i].settle();
      spaces.length = 0;
    }
  }

  /** As long as a stub may take to end before memory counts as used up. */
  #waitForChanges(): void {
    this.#settleAll();
    this.pool.attend();
    const end = performance.now() + CHANGES_WAIT_MS;
    while (this.changes.count > 0 && performance.now() < end) this.pool.reapNext(CHANGES_STEP_MS);
  }

  nextTrap(): Context | null {
    if (this.#unsettled.length > 0) this.#settleAll();
    if (this.#reported.length > 0) {
      const context = this.#reported.shift() as SystrapContext;
      context.isRunning = false;
      return context;
    }
    const words = this.#words;
    const stateWords = this.#stateWords;
    const count = this.#running.length;
    let i = this.#cursor < count ? this.#cursor : 0;
    for (let k = 0; k < count; k++) {
      const state = Atomics.load(words, stateWords[i]);
      if (state !== L.STATE_RUNNING) {
        this.#cursor = i;
        return this.#take(this.#running[i], state);
      }
      if (++i === count) i = 0;
    }
    return null;
  }

  /** True when nextTrap would return something: cheap, changes nothing. */
  hasTrap(): boolean {
    if (this.#reported.length > 0 || this.#unsettled.length > 0) return true;
    const words = this.#words;
    const stateWords = this.#stateWords;
    const count = this.#running.length;
    for (let i = 0; i < count; i++)
      if (Atomics.load(words, stateWords[i]) !== L.STATE_RUNNING) return true;
    return false;
  }

  #take(context: SystrapContext, state: number): Context | null {
    if (state !== L.STATE_TRAPPED || !context.takeTrap()) {
      context.space.die();
      return this.nextTrap();
    }
    if ((++this.#traps & CPU_SAMPLE_MASK) === 0) this.#noteCpu(context.cpu);
    this.removeRunning(context);
    context.isRunning = false;
    context.space.runnerFreed(context);
    return context;
  }

  // ---- for the loop ----

  /** Before sleeping: stubs ring from now on. The caller then looks at nextTrap once more. */
  armBell(): void {
    this.#setGlobal(L.G_SENTRY_SLEEPING, 1);
  }
  disarmBell(): void {
    this.#setGlobal(L.G_SENTRY_SLEEPING, 0);
  }
  silenceBell(): void {
    host.read(this.bellFd, this.#bell, 0, 8);
  }
  /** Stubs that ended: see to the address spaces they served. */
  get exitFd(): number {
    return this.pool.exitFd;
  }
  reapStubs(): void {
    this.pool.attend();
    this.pool.reap();
  }
  /** Work that could wait, at least once in a millisecond and before the loop waits. */
  attend(): void {
    this.pool.attend();
  }
  /** When contexts wait for a runner: makes those that have one stop. */
  preempt(): void {
    for (const space of this.#spaces.values()) space.preempt();
  }

  /** Ends and reaps all stubs: nothing runs any more. */
  end(): void {
    this.pool.end(STUBS_END_MS);
  }

  dispose(): void {
    this.pool.dispose();
    this.area.dispose();
    host.close(this.bellFd);
  }
}
