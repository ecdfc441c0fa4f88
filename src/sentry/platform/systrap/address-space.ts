// An address space: one stub, the contexts in it, and the mapping operations on their way. Operations are
// collected and carried out by the stub's mapper in one batch: together with the next resume in this space,
// or at the latest before the platform reports another trap, so nothing the kernel does later can meet a
// mapping that should be gone.

import { EIO, ENOMEM } from "../../../abi/errno.ts";
import { SYS_mmap, SYS_mprotect, SYS_munmap, SYS_tgkill } from "../../../abi/syscall-numbers.ts";
import { assert } from "../../../base/assert.ts";
import * as host from "../../../host/index.ts";
import type { AddressSpace, Context } from "../platform.ts";
import { TRAP_DEAD, TRAP_INTERRUPT } from "../platform.ts";
import { SystrapContext } from "./context.ts";
import * as L from "./layout.ts";
import type { Stub } from "./stub.ts";
import { INTERRUPT_SIGNAL } from "./stub-filters.ts";
import { pushSpawnRunner } from "./stub-pool.ts";
import type { SystrapPlatform } from "./systrap-platform.ts";

/** So often within so many batches, and the host has no room for anything. */
const START_OVERS_MAX = 4;
const START_OVER_BATCHES = 64;

const MAP_SHARED_FIXED = host.MAP_SHARED | host.MAP_FIXED;

export class SystrapAddressSpace implements AddressSpace {
  readonly platform: SystrapPlatform;
  readonly stub: Stub;
  isDead = false;
  /** Waits in the platform's list of spaces with operations not yet posted, or posted and not yet done. */
  isUnsettled = false;
  /** Mappings are among those: the platform waits for them before it reports the next trap. */
  mustSettle = false;
  readonly #chunkOffsets: number[];
  #freeSlots: number[] = [];
  #slotCount = 0;
  #startedOverAt = -START_OVER_BATCHES;
  #startOvers = 0;
  #contextCount = 0;
  /** Which context each runner has; null: parked. */
  readonly #runners: (SystrapContext | null)[] = [null];
  /** Contexts that wait for a runner. */
  readonly #waiting: SystrapContext[] = [];

  constructor(platform: SystrapPlatform, stub: Stub) {
    this.platform = platform;
    this.stub = stub;
    this.#chunkOffsets = [stub.firstChunkOffset];
  }

  // ---- mappings ----

  map(addr: number, length: number, prot: number, fd: number, offset: number): number {
    this.#assertRange(addr, length);
    return this.#operate(SYS_mmap, addr, length, prot, MAP_SHARED_FIXED, fd, offset);
  }
  unmap(addr: number, length: number): number {
    this.#assertRange(addr, length);
    return this.#operate(SYS_munmap, addr, length, 0, 0, 0, 0);
  }
  protect(addr: number, length: number, prot: number): number {
    this.#assertRange(addr, length);
    return this.#operate(SYS_mprotect, addr, length, prot, 0, 0, 0);
  }
  sync(): void {
    for (const context of this.#runners) {
      if (context === null) continue;
      this.flush();
      this.settle();
      return;
    }
  }
  #assertRange(addr: number, length: number): void {
    const { minAddress, maxAddress } = this.platform;
    assert(addr >= minAddress && length > 0 && addr + length <= maxAddress, "mapping in range");
  }

  #operate(nr: number, a: number, b: number, c: number, d: number, e: number, f: number): number {
    if (!this.#makeRoom()) return -EIO;
    this.stub.push(L.OP_SYSCALL, nr, a, b, c, d, e, f);
    this.mustSettle = true;
    this.platform.changes.begin(this.stub);
    this.platform.noteUnsettled(this);
    return 0;
  }
  /** Readies the command page for one more operation. False: dead. */
  #makeRoom(): boolean {
    if (this.isDead) return false;
    if (this.stub.isFull) this.flush();
    return this.stub.isSettled || this.settle();
  }

  /** Posts what is collected; the mapper is woken. */
  flush(): void {
    if (this.isDead || this.stub.opCount === 0) return;
    this.stub.post();
    this.stub.wakeMapper();
    this.platform.noteUnsettled(this);
  }
  /** Waits for what is posted. False: dead. */
  settle(): boolean {
    if (this.isDead) return false;
    this.mustSettle = false;
    const stub = this.stub;
    if (!stub.settle(this.platform.areAllCpusBusy)) this.die();
    else if (stub.failure !== 0 && !this.#startOver()) this.die();
    else if (stub.opCount === 0) this.platform.changes.end(stub);
    return !this.isDead;
  }
  /**
   * The host had no room for a mapping (vm.max_map_count, or its own memory): everything is unmapped in one
   * stroke, which needs no room, and the kernel gives again what is touched. False: that is no way out.
   */
  #startOver(): boolean {
    const { stub, platform } = this;
    const { minAddress, maxAddress } = platform;
    const errno = stub.failure;
    if (errno !== ENOMEM) return false;
    // A change of protection on its way may still meet the emptiness.
    const isSoon = stub.postCount - this.#startedOverAt < START_OVER_BATCHES;
    this.#startOvers = isSoon ? this.#startOvers + 1 : 0;
    if (this.#startOvers === START_OVERS_MAX) return false;
    stub.clearFailure();
    if (stub.isFull) this.#await();
    stub.push(L.OP_SYSCALL, SYS_munmap, minAddress, maxAddress - minAddress, 0, 0, 0, 0);
    if (!this.#await() || stub.failure !== 0) return false;
    this.#startedOverAt = stub.postCount;
    platform.onMappingsLost?.(this);
    return true;
  }
  #await(): boolean {
    this.stub.post();
    this.stub.wakeMapper();
    return this.stub.settle(this.platform.areAllCpusBusy);
  }

  // ---- contexts ----

  newContext(): Context | null {
    let slot = this.#freeSlots.pop();
    if (slot === undefined) {
      if (this.#slotCount === L.SLOTS_MAX) return null;
      if (this.#slotCount === this.#chunkOffsets.length * L.CHUNK_SLOTS && !this.#addChunk())
        return null;
      slot = this.#slotCount++;
    }
    this.#contextCount++;
    const chunk = this.#chunkOffsets[Math.floor(slot / L.CHUNK_SLOTS)];
    const context = new SystrapContext(this, slot, chunk + (slot % L.CHUNK_SLOTS) * L.SLOT_BYTES);
    return context;
  }
  #addChunk(): boolean {
    if (!this.#makeRoom()) return false;
    const offset = this.platform.pool.allocateChunk(this.stub);
    if (offset < 0) return false;
    const at = L.SLOTS_BASE + this.#chunkOffsets.length * L.CHUNK_BYTES;
    const fd = this.platform.area.fd;
    this.stub.push(L.OP_SYSCALL, SYS_mmap, at, L.CHUNK_BYTES, 3, MAP_SHARED_FIXED, fd, offset);
    this.platform.noteUnsettled(this);
    this.#chunkOffsets.push(offset);
    return true;
  }
  releaseContext(context: SystrapContext): void {
    assert(!context.isRunning, "a running context is not released");
    this.#contextCount--;
    this.#freeSlots.push(context.slot);
  }

  release(): void {
    assert(this.#contextCount === 0, "contexts are released before their address space");
    this.platform.forget(this);
    if (!this.isDead) this.platform.pool.discard(this.stub);
    this.isDead = true;
  }

  // ---- running ----

  /** Puts a context on a runner. */
  start(context: SystrapContext): void {
    if (this.isDead || (!this.stub.isSettled && !this.settle())) {
      this.platform.report(context, TRAP_DEAD);
      return;
    }
    const runner = this.#pickRunner(context);
    if (runner < 0) {
      this.#waiting.push(context);
      this.platform.waitingCount++;
      return;
    }
    this.#startOn(context, runner);
  }

  /** A parked runner, the context's last one if it can be; a new one; or -1 when all are busy. */
  #pickRunner(context: SystrapContext): number {
    const runners = this.#runners;
    if (context.runner >= 0 && runners[context.runner] === null) return context.runner;
    for (let i = 0; i < runners.length; i++) if (runners[i] === null) return i;
    if (runners.length === L.RUNNERS_MAX || !this.#makeRoom()) return -1;
    runners.push(null);
    return pushSpawnRunner(this.stub);
  }

  #startOn(context: SystrapContext, runner: number): void {
    const stub = this.stub;
    context.runner = runner;
    context.isInterruptSent = false;
    this.#runners[runner] = context;
    context.storeFrame();
    this.platform.addRunning(context);
    const word = L.WORD_RESUME | (context.slot << 8);
    if (stub.opCount === 0) {
      stub.command(runner, word);
      return;
    }
    if (stub.isFull) {
      this.flush();
      if (this.settle()) stub.command(runner, word);
      return;
    }
    // The mapper starts the runner itself, behind the operations.
    const block = L.RUN_BASE + runner * L.RUNNER_BYTES + L.RUNNER_BLOCK;
    stub.push(L.OP_START, 0, block, word, 0, 0, 0, 0);
    this.flush();
  }

  /** A context has stopped: its runner is free for the next. */
  runnerFreed(context: SystrapContext): void {
    this.#runners[context.runner] = null;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.platform.waitingCount--;
    if (!this.stub.isSettled && !this.settle()) this.platform.report(next, TRAP_DEAD);
    else this.#startOn(next, context.runner);
  }

  interrupt(context: SystrapContext): void {
    const queued = this.#waiting.indexOf(context);
    if (queued >= 0) {
      this.#waiting.splice(queued, 1);
      this.platform.waitingCount--;
      this.platform.report(context, TRAP_INTERRUPT);
      return;
    }
    if (context.runIndex < 0 || !this.#makeRoom()) return;
    const tid = this.stub.tid(context.runner);
    if (tid <= 0) return;
    context.isInterruptSent = true;
    this.stub.push(L.OP_SYSCALL, SYS_tgkill, this.stub.pid, tid, INTERRUPT_SIGNAL, 0, 0, 0);
    this.platform.noteUnsettled(this);
  }

  /** The first context on a runner, for preemption when others wait. */
  preempt(): void {
    if (this.#waiting.length === 0) return;
    for (const context of this.#runners) if (context !== null) this.interrupt(context);
  }

  /** The stub died or lied: every context of it that runs is reported dead, and it never runs again. */
  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.platform.pool.discard(this.stub);
    for (const context of this.#runners) {
      if (context === null) continue;
      this.platform.removeRunning(context);
      this.platform.report(context, TRAP_DEAD);
    }
    this.platform.waitingCount -= this.#waiting.length;
    for (const context of this.#waiting) this.platform.report(context, TRAP_DEAD);
    this.#runners.fill(null);
    this.#waiting.length = 0;
    this.platform.onAddressSpaceDeath?.(this);
  }
}
