// madvise(2) on an address space. DONTNEED and FREE give the memory back to the host at once.

import { EACCES, EAGAIN, EBADF, EFAULT, EINVAL, ENOMEM } from "../../abi/errno.ts";
import * as mman from "../../abi/mman.ts";
import { FAULT_BUS, FAULT_OOM } from "./fault-codes.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { PAGE_MASK, pageUp } from "./page.ts";
import { populate } from "./populate.ts";
import {
  VMA_DONTDUMP,
  VMA_DONTFORK,
  VMA_HUGE,
  VMA_LOCKED,
  VMA_MERGEABLE,
  VMA_NOHUGE,
  VMA_RANDOM,
  VMA_SEQUENTIAL,
  VMA_SPECIAL,
  VMA_WIPEONFORK,
  type Vma,
} from "./vma.ts";

/** [flags to set, flags to clear] of the advices that are only marks on the VMA. */
const MARKS = new Map<number, readonly [number, number]>([
  [mman.MADV_NORMAL, [0, VMA_RANDOM | VMA_SEQUENTIAL]],
  [mman.MADV_RANDOM, [VMA_RANDOM, VMA_SEQUENTIAL]],
  [mman.MADV_SEQUENTIAL, [VMA_SEQUENTIAL, VMA_RANDOM]],
  [mman.MADV_DONTFORK, [VMA_DONTFORK, 0]],
  [mman.MADV_DOFORK, [0, VMA_DONTFORK]],
  [mman.MADV_MERGEABLE, [VMA_MERGEABLE, 0]],
  [mman.MADV_UNMERGEABLE, [0, VMA_MERGEABLE]],
  [mman.MADV_HUGEPAGE, [VMA_HUGE, VMA_NOHUGE]],
  [mman.MADV_NOHUGEPAGE, [VMA_NOHUGE, VMA_HUGE]],
  [mman.MADV_DONTDUMP, [VMA_DONTDUMP, 0]],
  [mman.MADV_DODUMP, [0, VMA_DONTDUMP]],
  [mman.MADV_WIPEONFORK, [VMA_WIPEONFORK, 0]],
  [mman.MADV_KEEPONFORK, [0, VMA_WIPEONFORK]],
]);

export function adviseMemory(
  mm: MemoryManager,
  addr: number,
  length: number,
  advice: number,
): number {
  if ((addr & PAGE_MASK) !== 0 || length > mm.maxAddress) return -EINVAL;
  if (!isKnown(advice)) return -EINVAL;
  const end = addr + pageUp(length);
  if (end > mm.maxAddress) return addr > mm.maxAddress ? -EINVAL : -ENOMEM;
  if (end === addr) return 0;
  if (advice === mman.MADV_POPULATE_READ || advice === mman.MADV_POPULATE_WRITE) {
    return populateAdvised(mm, addr, end, advice === mman.MADV_POPULATE_WRITE);
  }
  const marks = MARKS.get(advice);
  if (marks !== undefined) return mark(mm, addr, end, advice, marks[0], marks[1]);
  // Holes do not stop it: the rest is advised, and the answer is ENOMEM.
  let at = addr;
  let holes = false;
  while (at < end) {
    const i = mm.vmas.indexAbove(at);
    const vma = i < mm.vmas.items.length ? mm.vmas.items[i] : null;
    if (vma === null || vma.start >= end) return -ENOMEM;
    if (vma.start > at) holes = true;
    const start = Math.max(at, vma.start);
    at = Math.min(end, vma.end);
    const error = adviseVma(mm, vma, start, at, advice);
    if (error < 0) return error;
  }
  return holes ? -ENOMEM : 0;
}

function isKnown(advice: number): boolean {
  if (MARKS.has(advice)) return true;
  switch (advice) {
    case mman.MADV_WILLNEED:
    case mman.MADV_DONTNEED:
    case mman.MADV_DONTNEED_LOCKED:
    case mman.MADV_FREE:
    case mman.MADV_REMOVE:
    case mman.MADV_COLD:
    case mman.MADV_PAGEOUT:
    case mman.MADV_POPULATE_READ:
    case mman.MADV_POPULATE_WRITE:
    case mman.MADV_COLLAPSE:
      return true;
    default:
      return false;
  }
}

function adviseVma(
  mm: MemoryManager,
  vma: Vma,
  start: number,
  end: number,
  advice: number,
): number {
  const locked = (vma.flags & VMA_LOCKED) !== 0;
  switch (advice) {
    case mman.MADV_DONTNEED:
      if (locked || (vma.flags & VMA_SPECIAL) !== 0) return -EINVAL;
      drop(mm, vma, start, end);
      return 0;
    case mman.MADV_DONTNEED_LOCKED:
      drop(mm, vma, start, end);
      return 0;
    case mman.MADV_FREE:
      if (!vma.isPrivateAnonymous || locked) return -EINVAL;
      drop(mm, vma, start, end);
      return 0;
    case mman.MADV_REMOVE:
      return remove(vma, start, end, locked);
    case mman.MADV_WILLNEED:
      return vma.mappable === null ? -EBADF : 0;
    case mman.MADV_COLD:
    case mman.MADV_PAGEOUT:
      return locked ? -EINVAL : 0;
    case mman.MADV_COLLAPSE:
      return -EINVAL;
    default:
      return 0;
  }
}

/** Empties private memory; shared memory keeps its bytes, as they are the file's. */
function drop(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  if (vma.isShared) return;
  if (!vma.isPrivateAnonymous) {
    mm.dropPmas(start, end);
    return;
  }
  // Pages that are ours alone are emptied where they are: no command to the platform, no fault afterwards.
  let at = start;
  while (at < end) {
    const i = mm.pmas.indexAbove(at);
    const pma = i < mm.pmas.items.length ? mm.pmas.items[i] : null;
    if (pma === null || pma.start >= end) return;
    const from = Math.max(at, pma.start);
    const to = Math.min(end, pma.end);
    at = to;
    if (!pma.cow && pma.owned) {
      mm.memoryFile.discard(pma.offset + (from - pma.start), to - from);
    } else {
      mm.dropPmas(from, to);
    }
  }
}

function remove(vma: Vma, start: number, end: number, locked: boolean): number {
  if (locked || vma.mappable === null || !vma.isShared) return -EINVAL;
  if ((vma.prot & mman.PROT_WRITE) === 0) return -EACCES;
  if (vma.mappable.punchHole === undefined) return -EINVAL;
  return vma.mappable.punchHole(vma.offset + (start - vma.start), end - start);
}

function populateAdvised(mm: MemoryManager, start: number, end: number, write: boolean): number {
  switch (populate(mm, start, end, write)) {
    case 0:
      return 0;
    case FAULT_OOM:
      return -ENOMEM;
    case FAULT_BUS:
      return -EFAULT;
    default:
      return mm.vmas.covers(start, end) ? -EINVAL : -ENOMEM;
  }
}

function mark(
  mm: MemoryManager,
  start: number,
  end: number,
  advice: number,
  set: number,
  clear: number,
): number {
  const covered = mm.vmas.covers(start, end);
  if (!mm.mayAddVmas(mm.vmas.extraForSplit(start, end))) return -EAGAIN;
  for (let i = mm.vmas.indexAbove(start); i < mm.vmas.items.length; i++) {
    const vma = mm.vmas.items[i];
    if (vma.start >= end) break;
    if (advice === mman.MADV_WIPEONFORK && !vma.isPrivateAnonymous) return -EINVAL;
    if (advice === mman.MADV_DOFORK && (vma.flags & VMA_SPECIAL) !== 0) return -EINVAL;
  }
  mm.changeFlags(start, end, set, clear);
  return covered ? 0 : -ENOMEM;
}
