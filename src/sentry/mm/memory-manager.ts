// One program address space: VMAs, what backs them, faults, and access from the kernel (UserMemory).

import type { UserMemory } from "./user-memory.ts";

/** PENDING: the full class is being written. */
export interface MemoryManager extends UserMemory {
  incRef(): void;
  decRef(): void;
}
