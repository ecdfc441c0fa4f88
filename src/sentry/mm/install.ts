// Putting a PMA into an address space and telling the platform of it.

import { FAULT_ACCERR, FAULT_OOM } from "./fault-codes.ts";
import type { MemoryManager } from "./memory-manager.ts";
import type { Pma } from "./pma.ts";

/** Tells the platform of a PMA. */
export function mapInPlatform(mm: MemoryManager, pma: Pma): number {
  if (pma.prot === 0) return FAULT_ACCERR;
  const space = mm.addressSpace;
  if (space.map(pma.start, pma.length, pma.prot, pma.fd, pma.offset) < 0) return FAULT_OOM;
  pma.mapped = true;
  mm.pmas.mergeAt(mm.pmas.indexAbove(pma.start));
  return 0;
}

/** Adds a new PMA where none is, and maps it. On failure it is gone again, with its pages. */
export function install(mm: MemoryManager, pma: Pma, vmaProt: number): number {
  pma.prot = pma.protFor(vmaProt);
  const { start, end } = pma;
  if (pma.prot !== 0) {
    const result = mm.addressSpace.map(start, end - start, pma.prot, pma.fd, pma.offset);
    if (result < 0) {
      if (pma.owned) mm.memoryFile.decRef(pma.offset, end - start);
      return FAULT_OOM;
    }
    pma.mapped = true;
  }
  mm.pmas.add(pma);
  return 0;
}
