// Copy on write: what happens when private memory that a fork shares is written. A sole owner takes its
// pages back as they are; otherwise a chunk is copied.

import { PROT_EXEC } from "../../abi/mman.ts";
import { FAULT_OOM } from "./fault-codes.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { alignDown, PAGE_BYTES, pageDown } from "./page.ts";
import { Pma } from "./pma.ts";
import type { Vma } from "./vma.ts";

/** Copied at once when a shared page is written: a fault costs more than copying some neighbours. */
const COPY_BYTES = 64 * 1024;
/** A program that writes on and on gets twice as much with each fault, up to this. */
const COPY_BYTES_MAX = 1024 * 1024;
/** Pages that turn out to be ours alone are taken back this far on each side of the fault. */
const TAKE_BACK_BYTES = 4 * 1024 * 1024;

export function breakCow(mm: MemoryManager, vma: Vma, pma: Pma, addr: number): number {
  const page = pageDown(addr);
  const low = Math.max(pma.start, vma.start);
  const high = Math.min(pma.end, vma.end);
  const offset = pma.offset + (page - pma.start);
  const file = mm.memoryFile;
  if (file.refCount(offset) === 1) {
    const before = Math.min(page - low, TAKE_BACK_BYTES);
    const after = Math.min(high - page, TAKE_BACK_BYTES);
    return takeBack(
      mm,
      vma,
      page - file.sameSharingBefore(offset, before, true),
      page + file.sameSharing(offset, after, true),
    );
  }
  mm.forkHints.note(page);
  const unit = file.isTight || (vma.prot & PROT_EXEC) !== 0 ? PAGE_BYTES : copyUnit(mm, page);
  const chunk = unit > COPY_BYTES ? page : alignDown(addr, unit);
  const start = page - file.sameSharingBefore(offset, page - Math.max(low, chunk), false);
  const end = page + file.sameSharing(offset, Math.min(high, chunk + unit) - page, false);
  if (copyPages(mm, vma, pma, start, end) === 0) {
    mm.copiedEnd = end;
    mm.copiedBytes = unit;
    return 0;
  }
  return end - start > PAGE_BYTES ? copyPages(mm, vma, pma, page, page + PAGE_BYTES) : FAULT_OOM;
}

/** How much to copy at a write to `page`: more when it goes on where the last copy ended. */
function copyUnit(mm: MemoryManager, page: number): number {
  if (page !== mm.copiedEnd) return COPY_BYTES;
  return Math.min(COPY_BYTES_MAX, 2 * mm.copiedBytes);
}

/** The pages of [start, end) were shared by a fork and are ours alone again: write to them in place. */
function takeBack(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  const pma = mm.pmas.items[mm.pmas.isolate(start, end)];
  const prot = vma.prot;
  const result = pma.mapped
    ? mm.addressSpace.protect(start, end - start, prot)
    : mm.addressSpace.map(start, end - start, prot, pma.fd, pma.offset);
  if (result < 0) return FAULT_OOM;
  mm.pmas.version++;
  pma.cow = false;
  pma.prot = prot;
  pma.mapped = true;
  mm.pmas.mergeAt(mm.pmas.indexAbove(start));
  return 0;
}

/** Replaces [start, end) of `old` by a private copy. */
function copyPages(mm: MemoryManager, vma: Vma, old: Pma, start: number, end: number): number {
  const file = mm.memoryFile;
  const bytes = end - start;
  const offset = file.allocate(bytes, PAGE_BYTES, false);
  if (offset < 0) return FAULT_OOM;
  file.copy(old.offset + (start - old.start), offset, bytes);
  const fresh = new Pma(start, end, file.fd, offset, true, true, false, false);
  fresh.prot = vma.prot;
  if (mm.addressSpace.map(start, bytes, fresh.prot, fresh.fd, offset) < 0) {
    file.decRef(offset, bytes);
    return FAULT_OOM;
  }
  fresh.mapped = true;
  mm.pmas.removeRange(start, end);
  mm.pmas.add(fresh);
  return 0;
}
