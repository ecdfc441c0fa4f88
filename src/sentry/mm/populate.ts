// Backs a range at once: MAP_POPULATE, mlock, MADV_POPULATE_*, MADV_WILLNEED.

import { PROT_WRITE } from "../../abi/mman.ts";
import { handleFault } from "./fault.ts";
import { FAULT_ACCERR, FAULT_MAPERR } from "./fault-codes.ts";
import type { MemoryManager } from "./memory-manager.ts";

/** As touching each page of [start, end): 0, or the FAULT_* that stopped it. */
export function populate(mm: MemoryManager, start: number, end: number, write: boolean): number {
  let at = start;
  while (at < end) {
    const vma = mm.vmas.find(at);
    if (vma === null) return FAULT_MAPERR;
    if (vma.prot === 0) return FAULT_ACCERR;
    const pma = mm.pmas.find(at);
    if (pma?.mapped && (!write || (pma.prot & PROT_WRITE) !== 0)) {
      at = Math.min(pma.end, vma.end);
      continue;
    }
    // Private writable memory is populated for writing, as Linux does: no copy-on-write faults later.
    const asWrite = write || (!vma.isShared && (vma.prot & PROT_WRITE) !== 0);
    const result = handleFault(mm, at, asWrite ? 2 : 0);
    if (result !== 0) return result;
    const now = mm.pmas.find(at);
    if (now === null) return FAULT_MAPERR;
    at = Math.min(now.end, vma.end);
  }
  return 0;
}
