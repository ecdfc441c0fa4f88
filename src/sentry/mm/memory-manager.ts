// One program address space: VMAs (what the program mapped), PMAs (what backs them now), the platform's
// mappings, brk and limits. The operations live beside it, one subject a file (mmap, protect, remap,
// advise, lock, fork, fault); this class holds the state they share and its life.

import { PROT_WRITE } from "../../abi/mman.ts";
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK } from "../../abi/resource.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { AddressSpace, Platform } from "../platform/platform.ts";
import { handleFault, resolveAccess } from "./fault.ts";
import { FreeFinder } from "./find-free.ts";
import { forkMemory } from "./fork.ts";
import { ForkHints } from "./fork-hints.ts";
import { Layout } from "./layout.ts";
import type { Mappable, MappingObserver } from "./mappable.ts";
import type { MemoryFile } from "./memory-file.ts";
import type { Pma } from "./pma.ts";
import { UserAccess } from "./user-access.ts";
import { VMA_SHARED } from "./vma.ts";
import { VmaSet } from "./vma-set.ts";

export { FAULT_ACCERR, FAULT_BUS, FAULT_MAPERR, FAULT_OOM } from "./fault-codes.ts";

/** Where the address space asks for RLIMIT_AS, DATA, STACK, MEMLOCK: a ThreadGroup is one. */
export interface RlimitSource {
  rlimit(resource: number): { readonly soft: number; readonly hard: number };
}

/** The parts of the sandbox that every address space needs; a Kernel is one. */
export interface MemoryDeps {
  readonly platform: Platform;
  readonly memoryFile: MemoryFile;
  readonly rng: Rng;
  readonly limits: Limits;
}

/** Where exec put things: for /proc/PID/{cmdline,environ,auxv,stat}. */
export class ProgramInfo {
  argStart = 0;
  argEnd = 0;
  envStart = 0;
  envEnd = 0;
  stackStart = 0;
  codeStart = 0;
  codeEnd = 0;
  dataStart = 0;
  dataEnd = 0;
  entry = 0;
  auxv: Uint8Array = new Uint8Array(0);
  /** Address of the vDSO image and of its rt_sigreturn trampoline; 0: none. */
  vdso = 0;
  sigreturn = 0;
}

export class MemoryManager extends UserAccess implements MappingObserver {
  readonly deps: MemoryDeps;
  readonly addressSpace: AddressSpace;
  readonly vmas: VmaSet;
  readonly layout: Layout;
  readonly free: FreeFinder;
  readonly minAddress: number;
  readonly maxAddress: number;
  /** Set by whoever owns the address space (exec, fork). */
  rlimits: RlimitSource;
  info = new ProgramInfo();
  /** Shared with forked children until they execute another program. */
  forkHints = new ForkHints();

  brkStart = 0;
  brkEnd = 0;
  /** VMA_LOCKED, VMA_LOCKONFAULT for mappings to come (mlockall MCL_FUTURE). */
  lockFlags = 0;
  /** membarrier: MEMBARRIER_CMD_REGISTER_* that were done. */
  barrierRegistrations = 0;
  peakResidentBytes = 0;
  /** Where the last copy for a shared page ended, and its size: a run of them is noticed (fault.ts). */
  copiedEnd = 0;
  copiedBytes = 0;
  /** Set by sharedAt. */
  sharedOffset = 0;

  #refs = 1;

  constructor(deps: MemoryDeps, addressSpace: AddressSpace, rlimits: RlimitSource, layout: Layout) {
    super(deps.memoryFile);
    this.deps = deps;
    this.addressSpace = addressSpace;
    this.rlimits = rlimits;
    this.layout = layout;
    this.minAddress = layout.minAddress;
    this.maxAddress = layout.maxAddress;
    this.vmas = new VmaSet(this);
    this.free = new FreeFinder(this.vmas, layout);
  }

  /** An empty address space with a fresh random layout; null: the platform has no more. */
  static create(deps: MemoryDeps, rlimits: RlimitSource, randomize: boolean): MemoryManager | null {
    const space = deps.platform.newAddressSpace();
    if (space === null) return null;
    const stack = rlimits.rlimit(RLIMIT_STACK).soft;
    return new MemoryManager(deps, space, rlimits, Layout.choose(deps, stack, randomize));
  }

  incRef(): void {
    this.#refs++;
  }
  /** The last one gives everything back. Precondition then: every context has been released. */
  decRef(): void {
    if (--this.#refs > 0) return;
    // The stub goes first: what it sees is given back when it is gone (MemoryFile.decRef).
    this.addressSpace.release();
    this.pmas.removeRange(0, Number.POSITIVE_INFINITY);
    this.vmas.removeRange(0, Number.POSITIVE_INFINITY);
  }
  get refCount(): number {
    return this.#refs;
  }

  /** A copy-on-write copy, or -errno. */
  fork(rlimits: RlimitSource): MemoryManager | number {
    return forkMemory(this, rlimits);
  }

  /** errorCode: bit 1 write, bit 4 instruction fetch. 0 when the access may be tried again, else FAULT_*. */
  fault(address: number, errorCode: number): number {
    return handleFault(this, address, errorCode);
  }

  protected resolve(addr: number, write: boolean): Pma | null {
    return resolveAccess(this, addr, write);
  }

  /** The shared object at addr (futex keys): null for private memory or none. sharedOffset is set too. */
  sharedAt(addr: number): Mappable | null {
    const vma = this.vmas.find(addr);
    if (vma === null || (vma.flags & VMA_SHARED) === 0 || vma.mappable === null) return null;
    this.sharedOffset = vma.offset + (addr - vma.start);
    return vma.mappable;
  }

  invalidate(mappable: Mappable, offset: number, length: number): void {
    for (const vma of this.vmas.items) {
      if (vma.mappable !== mappable) continue;
      const start = Math.max(vma.start, vma.start + (offset - vma.offset));
      const end = Math.min(vma.end, vma.start + (offset + length - vma.offset));
      if (start < end) this.dropTranslations(start, end);
    }
    // What a thread that runs now stores must not go to bytes that were moved already.
    this.addressSpace.sync();
  }

  /** Forgets the PMAs of [start, end), the platform's mappings first; their pages go back. */
  dropPmas(start: number, end: number): void {
    this.notePeak();
    if (this.pmas.anyMapped(start, end)) {
      if (this.addressSpace.unmap(start, end - start) < 0) this.unmapAll();
    }
    this.pmas.removeRange(start, end);
  }

  /** Changes the platform's protection of a stretch that it has mapped. */
  protectInPlatform(start: number, end: number, prot: number): void {
    if (this.addressSpace.protect(start, end - start, prot) < 0) this.unmapAll();
  }

  /**
   * Empties the platform's side; faults fill it again. The way out when the host refuses a small change
   * (its mapping count is full): what the stub may see is never more than the PMAs allow. A platform that
   * refuses even this is dead and runs nothing any more.
   */
  unmapAll(): void {
    this.addressSpace.unmap(this.minAddress, this.maxAddress - this.minAddress);
    this.noteUnmapped();
  }
  /** The platform has nothing mapped any more. */
  noteUnmapped(): void {
    for (const pma of this.pmas.items) pma.mapped = false;
  }

  /** As dropPmas, but private copies stay. */
  dropTranslations(start: number, end: number): void {
    let at = start;
    while (at < end) {
      const i = this.pmas.indexAbove(at);
      if (i === this.pmas.items.length || this.pmas.items[i].start >= end) return;
      const pma = this.pmas.items[i];
      const pmaEnd = Math.min(end, pma.end);
      if (!pma.owned) this.dropPmas(Math.max(at, pma.start), pmaEnd);
      at = pmaEnd;
    }
  }

  /** Changes VMA_* flags of what is mapped in [start, end). */
  changeFlags(start: number, end: number, set: number, clear: number): void {
    const vmas = this.vmas;
    vmas.splitAt(start);
    vmas.splitAt(end);
    for (let i = vmas.indexAbove(start); i < vmas.items.length; i++) {
      const vma = vmas.items[i];
      if (vma.start >= end) break;
      vmas.count(vma, -1);
      vma.flags = (vma.flags & ~clear) | set;
      vmas.count(vma, 1);
    }
    vmas.mergeRange(start, end);
  }

  /** RLIMIT_AS, and RLIMIT_DATA for private writable memory, have room for `bytes` more. */
  mayExpand(bytes: number, isData: boolean): boolean {
    if (this.vmas.totalBytes + bytes > this.rlimits.rlimit(RLIMIT_AS).soft) return false;
    return !isData || this.mayAddData(bytes);
  }
  mayAddData(bytes: number): boolean {
    return this.vmas.dataBytes + bytes <= this.rlimits.rlimit(RLIMIT_DATA).soft;
  }
  stackLimit(): number {
    return this.rlimits.rlimit(RLIMIT_STACK).soft;
  }
  /** `extra` more VMAs fit under vm.max_map_count. */
  mayAddVmas(extra: number): boolean {
    return this.vmas.items.length + extra <= this.deps.limits.mappings;
  }

  /** Bytes backed now; runs that were mapped but not touched count too. */
  get residentBytes(): number {
    return this.pmas.residentBytes;
  }
  notePeak(): void {
    if (this.pmas.residentBytes > this.peakResidentBytes) {
      this.peakResidentBytes = this.pmas.residentBytes;
    }
  }
}

/** Private memory that the program may write: what RLIMIT_DATA and overcommit look at. */
export const isDataMapping = (prot: number, vmaFlags: number): boolean =>
  (prot & PROT_WRITE) !== 0 && (vmaFlags & VMA_SHARED) === 0;
