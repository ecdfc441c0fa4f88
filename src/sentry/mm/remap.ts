// mremap(2) on an address space: shrink, grow in place, or move VMAs with their PMAs.

import { EAGAIN, EFAULT, EINVAL, ENOMEM } from "../../abi/errno.ts";
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from "../../abi/mman.ts";
import { mapInPlatform } from "./install.ts";
import { MMAP_MIN_ADDR } from "./layout.ts";
import { mayLock, removeMappings, unmapMemory } from "./map.ts";
import { isDataMapping, type MemoryManager } from "./memory-manager.ts";
import { PAGE_MASK, pageUp } from "./page.ts";
import { populate } from "./populate.ts";
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_SPECIAL, type Vma } from "./vma.ts";

/** The new address, or -errno. */
export function remapMemory(
  mm: MemoryManager,
  oldAddr: number,
  oldSize: number,
  newSize: number,
  flags: number,
  newAddrArg: number,
  privileged: boolean,
): number {
  const oldLength = pageUp(oldSize);
  const newLength = pageUp(newSize);
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 && (flags & MREMAP_MAYMOVE) === 0) {
    return -EINVAL;
  }
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldLength !== newLength) return -EINVAL;
  if ((oldAddr & PAGE_MASK) !== 0 || newLength === 0) return -EINVAL;
  if (oldAddr > mm.maxAddress || newLength > mm.maxAddress) return -EINVAL;
  const fixed = (flags & MREMAP_FIXED) !== 0;
  if (fixed) {
    const error = checkTarget(mm, oldAddr, oldLength, newAddrArg, newLength);
    if (error < 0) return error;
  }
  const vma = mm.vmas.find(oldAddr);
  if (vma === null) return -EFAULT;
  if (!fixed && newLength <= oldLength && oldLength > 0 && (flags & MREMAP_DONTUNMAP) === 0) {
    if (newLength === oldLength) return vma.end < oldAddr + newLength ? -EFAULT : oldAddr;
    const result = unmapMemory(mm, oldAddr + newLength, oldLength - newLength);
    return result < 0 ? result : oldAddr;
  }
  // A length of 0 asks for a second mapping of shared pages.
  if (oldLength === 0 && !vma.isShared) return -EINVAL;
  if (oldAddr + oldLength > vma.end) return -EFAULT;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (vma.flags & VMA_SPECIAL) !== 0) return -EINVAL;
  if ((vma.flags & VMA_SPECIAL) !== 0) return -EFAULT;
  const keepsOld = oldLength === 0 || (flags & MREMAP_DONTUNMAP) !== 0;
  const error = checkGrowth(mm, vma, newLength - (keepsOld ? 0 : oldLength), privileged);
  if (error < 0) return error;
  if (!fixed && !keepsOld && growInPlace(mm, vma, oldAddr, oldLength, newLength)) return oldAddr;
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  return move(mm, vma, oldAddr, oldLength, newLength, flags, newAddrArg);
}

function checkTarget(
  mm: MemoryManager,
  oldAddr: number,
  oldLength: number,
  newAddr: number,
  newLength: number,
): number {
  if ((newAddr & PAGE_MASK) !== 0 || newAddr + newLength > mm.maxAddress) return -EINVAL;
  if (newAddr < MMAP_MIN_ADDR || newAddr < mm.minAddress) return -EINVAL;
  const overlaps = newAddr < oldAddr + oldLength && oldAddr < newAddr + newLength;
  return overlaps ? -EINVAL : 0;
}

function checkGrowth(mm: MemoryManager, vma: Vma, more: number, privileged: boolean): number {
  if (more <= 0) return 0;
  if ((vma.flags & VMA_LOCKED) !== 0 && !mayLock(mm, more, privileged)) return -EAGAIN;
  const isData = isDataMapping(vma.prot, vma.flags) && (vma.flags & VMA_GROWSDOWN) === 0;
  if (!mm.mayExpand(more, isData)) return -ENOMEM;
  return isData && more > mm.memoryFile.limitBytes ? -ENOMEM : 0;
}

function growInPlace(
  mm: MemoryManager,
  vma: Vma,
  oldAddr: number,
  oldLength: number,
  newLength: number,
): boolean {
  const end = oldAddr + oldLength;
  const newEnd = oldAddr + newLength;
  if (vma.end !== end || newEnd > mm.maxAddress || !mm.free.isFree(end, newEnd - end)) return false;
  const start = vma.start;
  mm.vmas.resize(mm.vmas.indexAbove(oldAddr), start, newEnd);
  const grown = mm.vmas.mergeAt(mm.vmas.indexAbove(oldAddr));
  if ((grown.flags & VMA_LOCKED) !== 0) populate(mm, end, newEnd, false);
  return true;
}

function move(
  mm: MemoryManager,
  vma: Vma,
  oldAddr: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddrArg: number,
): number {
  // Cutting the old VMA twice, and the new one; Linux asks for the same slack.
  if (!mm.mayAddVmas(3)) return -ENOMEM;
  const fixed = (flags & MREMAP_FIXED) !== 0;
  const hint = (flags & MREMAP_DONTUNMAP) !== 0 ? newAddrArg : 0;
  let newAddr = newAddrArg;
  if (fixed) {
    removeMappings(mm, newAddr, newAddr + newLength);
  } else {
    const useHint =
      hint >= mm.minAddress && (hint & PAGE_MASK) === 0 && hint + newLength <= mm.maxAddress;
    newAddr = useHint && mm.free.isFree(hint, newLength) ? hint : mm.free.find(newLength);
    if (newAddr < 0) return -ENOMEM;
  }
  const kept = Math.min(oldLength, newLength);
  const moved = vma.slice(oldAddr, oldAddr + newLength);
  moved.start = newAddr;
  moved.end = newAddr + newLength;
  if (moved.label === "[heap]") moved.label = "";
  mm.vmas.add(moved);
  movePmas(mm, oldAddr, newAddr, kept);
  if ((flags & MREMAP_DONTUNMAP) === 0 && oldLength > 0) {
    removeMappings(mm, oldAddr, oldAddr + oldLength);
  }
  if ((moved.flags & VMA_LOCKED) !== 0) populate(mm, newAddr, newAddr + newLength, false);
  return newAddr;
}

/** Moves what backs [from, from+length), pages and references, to `to`. */
function movePmas(mm: MemoryManager, from: number, to: number, length: number): void {
  if (length === 0) return;
  if (mm.pmas.anyMapped(from, from + length) && mm.addressSpace.unmap(from, length) < 0) {
    mm.unmapAll();
  }
  for (const pma of mm.pmas.extract(from, from + length)) {
    const wasMapped = pma.mapped;
    pma.start += to - from;
    pma.end += to - from;
    pma.mapped = false;
    const at = mm.pmas.add(pma);
    // Best effort: what cannot be mapped now is mapped by a fault.
    if (wasMapped && at.prot !== 0) mapInPlatform(mm, at);
  }
}
