// mlock(2) and its family. Nothing of the sandbox is swapped by us: locking populates and is counted
// against RLIMIT_MEMLOCK.

import { EINVAL, ENOMEM, EPERM } from "../../abi/errno.ts";
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } from "../../abi/mman.ts";
import { RLIMIT_MEMLOCK } from "../../abi/resource.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { pageDown, pageUp } from "./page.ts";
import { populate } from "./populate.ts";
import { VMA_LOCKED, VMA_LOCKONFAULT } from "./vma.ts";

const LOCK_FLAGS = VMA_LOCKED | VMA_LOCKONFAULT;

export function lockMemory(
  mm: MemoryManager,
  addr: number,
  length: number,
  onFault: boolean,
  privileged: boolean,
): number {
  const start = pageDown(addr);
  const end = pageUp(addr + length);
  if (end > mm.maxAddress) return -ENOMEM;
  const limit = mm.rlimits.rlimit(RLIMIT_MEMLOCK).soft;
  if (!privileged && limit === 0) return -EPERM;
  const bytes = end - start - lockedIn(mm, start, end);
  if (!privileged && mm.vmas.lockedBytes + bytes > limit) return -ENOMEM;
  if (start === end) return 0;
  if (!mm.vmas.covers(start, end)) return -ENOMEM;
  if (!mm.mayAddVmas(mm.vmas.extraForSplit(start, end))) return -ENOMEM;
  mm.changeFlags(start, end, onFault ? LOCK_FLAGS : VMA_LOCKED, LOCK_FLAGS);
  if (onFault) return 0;
  return populate(mm, start, end, false) === 0 ? 0 : -ENOMEM;
}

export function unlockMemory(mm: MemoryManager, addr: number, length: number): number {
  const start = pageDown(addr);
  const end = pageUp(addr + length);
  if (end > mm.maxAddress) return -ENOMEM;
  if (start === end) return 0;
  if (!mm.mayAddVmas(mm.vmas.extraForSplit(start, end))) return -ENOMEM;
  const covered = mm.vmas.covers(start, end);
  mm.changeFlags(start, end, 0, LOCK_FLAGS);
  return covered ? 0 : -ENOMEM;
}

export function lockAll(mm: MemoryManager, flags: number, privileged: boolean): number {
  if (flags === 0 || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return -EINVAL;
  if (flags === MCL_ONFAULT) return -EINVAL;
  const limit = mm.rlimits.rlimit(RLIMIT_MEMLOCK).soft;
  if (!privileged && limit === 0) return -EPERM;
  if (!privileged && (flags & MCL_CURRENT) !== 0 && mm.vmas.totalBytes > limit) return -ENOMEM;
  const lock = (flags & MCL_ONFAULT) !== 0 ? LOCK_FLAGS : VMA_LOCKED;
  mm.lockFlags = (flags & MCL_FUTURE) !== 0 ? lock : 0;
  if ((flags & MCL_CURRENT) === 0) return 0;
  mm.changeFlags(0, mm.maxAddress, lock, LOCK_FLAGS);
  if ((flags & MCL_ONFAULT) !== 0) return 0;
  // As in Linux, what cannot be populated (PROT_NONE, past the end of a file) does not fail the call.
  for (const vma of [...mm.vmas.items]) populate(mm, vma.start, vma.end, false);
  return 0;
}

export function unlockAll(mm: MemoryManager): number {
  mm.lockFlags = 0;
  mm.changeFlags(0, mm.maxAddress, 0, LOCK_FLAGS);
  return 0;
}

function lockedIn(mm: MemoryManager, start: number, end: number): number {
  let sum = 0;
  for (let i = mm.vmas.indexAbove(start); i < mm.vmas.items.length; i++) {
    const vma = mm.vmas.items[i];
    if (vma.start >= end) break;
    if ((vma.flags & VMA_LOCKED) !== 0) sum += Math.min(end, vma.end) - Math.max(start, vma.start);
  }
  return sum;
}
