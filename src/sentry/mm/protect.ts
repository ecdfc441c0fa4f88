// mprotect(2) on an address space.

import { EACCES, EINVAL, ENOMEM } from "../../abi/errno.ts";
import { PROT_GROWSDOWN, PROT_GROWSUP } from "../../abi/mman.ts";
import { isDataMapping, type MemoryManager } from "./memory-manager.ts";
import { PAGE_MASK, pageUp } from "./page.ts";
import { VMA_GROWSDOWN } from "./vma.ts";

export function protectMemory(
  mm: MemoryManager,
  addr: number,
  length: number,
  protAndGrow: number,
): number {
  const grows = protAndGrow & (PROT_GROWSDOWN | PROT_GROWSUP);
  const prot = protAndGrow & ~grows;
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
  if ((addr & PAGE_MASK) !== 0 || prot > 7) return -EINVAL;
  if (length === 0) return 0;
  let start = addr;
  const end = addr + pageUp(length);
  if (end > mm.maxAddress) return -ENOMEM;
  if (grows !== 0) {
    const vma = mm.vmas.find(start);
    if (vma === null) return -ENOMEM;
    if (grows === PROT_GROWSUP || (vma.flags & VMA_GROWSDOWN) === 0) return -EINVAL;
    start = vma.start;
  }
  const error = check(mm, start, end, prot);
  if (error < 0) return error;
  change(mm, start, end, prot);
  return 0;
}

/** Every page is mapped, may have `prot`, and limits allow it. */
function check(mm: MemoryManager, start: number, end: number, prot: number): number {
  if (!mm.vmas.covers(start, end)) return -ENOMEM;
  let newData = 0;
  for (let i = mm.vmas.indexAbove(start); i < mm.vmas.items.length; i++) {
    const vma = mm.vmas.items[i];
    if (vma.start >= end) break;
    if ((prot & ~vma.maxProt) !== 0) return -EACCES;
    if (isDataMapping(prot, vma.flags) && !isDataMapping(vma.prot, vma.flags)) {
      newData += Math.min(end, vma.end) - Math.max(start, vma.start);
    }
  }
  if (newData > 0 && !mm.mayAddData(newData)) return -ENOMEM;
  return mm.mayAddVmas(mm.vmas.extraForSplit(start, end)) ? 0 : -ENOMEM;
}

function change(mm: MemoryManager, start: number, end: number, prot: number): void {
  mm.vmas.splitAt(start);
  mm.vmas.splitAt(end);
  let i = mm.vmas.indexAbove(start);
  for (; i < mm.vmas.items.length && mm.vmas.items[i].start < end; i++) {
    const vma = mm.vmas.items[i];
    if (vma.prot === prot) continue;
    mm.vmas.count(vma, -1);
    vma.prot = prot;
    mm.vmas.count(vma, 1);
  }
  mm.vmas.mergeRange(start, end);
  changePmas(mm, start, end, prot);
}

/** Brings the PMAs and the platform in step, one command for each stretch that is mapped alike. */
function changePmas(mm: MemoryManager, start: number, end: number, prot: number): void {
  const pmas = mm.pmas;
  let i = pmas.isolate(start, end);
  const first = i;
  pmas.version++;
  let runStart = 0;
  let runEnd = 0;
  let runProt = -1;
  for (; i < pmas.items.length && pmas.items[i].start < end; i++) {
    const pma = pmas.items[i];
    const now = pma.protFor(prot);
    const changes = now !== pma.prot;
    pma.prot = now;
    if (!changes || !pma.mapped) continue;
    if (pma.start === runEnd && now === runProt) {
      runEnd = pma.end;
      continue;
    }
    if (runEnd > runStart) mm.protectInPlatform(runStart, runEnd, runProt);
    runStart = pma.start;
    runEnd = pma.end;
    runProt = now;
  }
  if (runEnd > runStart) mm.protectInPlatform(runStart, runEnd, runProt);
  // Pieces that mprotect had cut may be one run again.
  for (let k = i; k >= first; k--) {
    if (k < pmas.items.length) pmas.mergeAt(k);
  }
}
