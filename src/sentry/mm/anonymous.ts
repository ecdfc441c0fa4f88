// Private anonymous memory: zeroed runs of the memory file, as long as the VMA allows.

import { ENOMEM } from "../../abi/errno.ts";
import { FAULT_OOM } from "./fault-codes.ts";
import { install } from "./install.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { alignDown, HUGE_BYTES, PAGE_BYTES, pageDown } from "./page.ts";
import { Pma } from "./pma.ts";
import { VMA_NOHUGE, type Vma } from "./vma.ts";

/** Run length once more is allocated than may be committed. */
const TIGHT_BYTES = 16 * 1024;

export function provideAnonymous(mm: MemoryManager, vma: Vma, addr: number): number {
  const tight = mm.memoryFile.isTight || (vma.flags & VMA_NOHUGE) !== 0;
  const unit = tight ? TIGHT_BYTES : HUGE_BYTES;
  const unitStart = alignDown(addr, unit);
  const start = Math.max(unitStart, vma.start, mm.pmas.previousEnd(addr));
  const end = Math.min(unitStart + unit, vma.end, mm.pmas.nextStart(addr));
  if (addFresh(mm, vma, start, end) === 0) return 0;
  // Too little, or too scattered: one page may still be had.
  const page = pageDown(addr);
  return addFresh(mm, vma, page, page + PAGE_BYTES);
}

/** Zeroed private memory for [start, end), at most 2 MiB, where no PMA is. 0 or FAULT_OOM. */
export function addFresh(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  const bytes = end - start;
  let offset = bytes < HUGE_BYTES ? continueRun(mm, start, bytes) : -ENOMEM;
  if (offset < 0) {
    offset = mm.memoryFile.allocate(bytes, bytes === HUGE_BYTES ? HUGE_BYTES : PAGE_BYTES);
  }
  if (offset < 0) return FAULT_OOM;
  return install(
    mm,
    new Pma(start, end, mm.memoryFile.fd, offset, true, true, false, false),
    vma.prot,
  );
}

/** Pages that follow those of the PMA just below, so that the two become one run (a heap that grows). */
function continueRun(mm: MemoryManager, start: number, bytes: number): number {
  const i = mm.pmas.indexAbove(start) - 1;
  if (i < 0) return -ENOMEM;
  const below = mm.pmas.items[i];
  if (below.end !== start || !below.owned) return -ENOMEM;
  return mm.memoryFile.allocateAt(below.offset + below.length, bytes);
}
