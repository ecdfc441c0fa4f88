// One program address space: VMAs, what backs them, faults, and access from the kernel (UserMemory).

import type { AddressSpace } from "../platform/platform.ts";
import type { Mappable, MappingObserver } from "./mappable.ts";
import type { UserMemory } from "./user-memory.ts";

/** What fault() answers when it could not: the kernel makes SIGSEGV, SIGBUS or an OOM kill of it. */
export const FAULT_MAPERR = 1;
export const FAULT_ACCERR = 2;
export const FAULT_BUS = 3;
export const FAULT_OOM = 4;

/** Where the address space asks for RLIMIT_AS, DATA, STACK, MEMLOCK: a ThreadGroup is one. */
export interface RlimitSource {
  rlimit(resource: number): { readonly soft: number; readonly hard: number };
}

/** PENDING: the full class is being written. */
export interface MemoryManager extends UserMemory, MappingObserver {
  readonly addressSpace: AddressSpace;
  /** Set by whoever owns the address space (exec, fork). */
  rlimits: RlimitSource;
  incRef(): void;
  decRef(): void;
  /** A copy-on-write copy, or -errno. */
  fork(rlimits: RlimitSource): MemoryManager | number;
  /** errorCode: bit 1 write, bit 4 instruction fetch. 0 when the access may be tried again, else FAULT_*. */
  fault(address: number, errorCode: number): number;
  /** The shared object at addr (futex keys): null for private memory or none. sharedOffset is set too. */
  sharedAt(addr: number): Mappable | null;
  readonly sharedOffset: number;
  /**
   * Atomic on an aligned 32-bit word: stores `value` if it holds `expected`; returns what it held (unsigned)
   * and sets faulted as the read functions do.
   */
  compareExchangeU32(addr: number, expected: number, value: number): number;
}
