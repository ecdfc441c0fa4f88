// Demand paging: gives a VMA's addresses something behind them, in runs as long as it may, and keeps the
// platform's mappings in step. Not here: fork (which makes pages shared) and the mmap calls themselves.

import { EIO, ENOMEM } from "../../abi/errno.ts";
import { PROT_EXEC, PROT_WRITE } from "../../abi/mman.ts";
import type { Mappable, MapRun } from "./mappable.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { alignDown, HUGE_BYTES, PAGE_BYTES, pageDown, pageUp } from "./page.ts";
import { Pma } from "./pma.ts";
import { VMA_GROWSDOWN, VMA_NOHUGE, type Vma } from "./vma.ts";
import { STACK_GUARD_BYTES } from "./vma-set.ts";

export const FAULT_MAPERR = 1;
export const FAULT_ACCERR = 2;
export const FAULT_BUS = 3;
export const FAULT_OOM = 4;

/** Page-fault error code bits (Intel SDM vol. 3, 4.7). */
const ERROR_WRITE = 2;
const ERROR_FETCH = 16;
const ERROR_PROTECTION_KEY = 32;

/** Copied at once when a shared page is written: a fault costs more than copying some neighbours. */
const COPY_BYTES = 64 * 1024;
/** A program that writes on and on gets twice as much with each fault, up to this. */
const COPY_BYTES_MAX = 1024 * 1024;
/** Pages that turn out to be ours alone are taken back this far on each side of the fault. */
const TAKE_BACK_BYTES = 4 * 1024 * 1024;
/** Run length once more is allocated than may be committed. */
const TIGHT_BYTES = 16 * 1024;
/** A stack grows by this much at least, so that a deepening one does not fault on every page. */
const STACK_STEP_BYTES = 128 * 1024;

const run: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };

/** A fault by the program: 0 when it may try again, else FAULT_*. */
export function handleFault(mm: MemoryManager, address: number, errorCode: number): number {
  const write = (errorCode & ERROR_WRITE) !== 0;
  const vma = vmaForAccess(mm, address);
  if (vma === null) return FAULT_MAPERR;
  if (vma.prot === 0) return FAULT_ACCERR;
  // The host makes execute-only memory with a protection key: mapping it again would not help.
  if ((errorCode & ERROR_PROTECTION_KEY) !== 0) return FAULT_ACCERR;
  if (write && (vma.prot & PROT_WRITE) === 0) return FAULT_ACCERR;
  if ((errorCode & ERROR_FETCH) !== 0 && (vma.prot & PROT_EXEC) === 0) return FAULT_ACCERR;
  const pma = mm.pmas.find(address);
  if (pma !== null && (!write || (pma.prot & PROT_WRITE) !== 0)) return mapInPlatform(mm, pma);
  return provide(mm, vma, pma, address, write);
}

/** An access by the kernel: the PMA that allows it, or null. */
export function resolveAccess(mm: MemoryManager, addr: number, write: boolean): Pma | null {
  const vma = vmaForAccess(mm, addr);
  if (vma === null || vma.prot === 0) return null;
  if (write && (vma.prot & PROT_WRITE) === 0) return null;
  const pma = mm.pmas.find(addr);
  if (pma !== null && (!write || (pma.prot & PROT_WRITE) !== 0)) return pma;
  return provide(mm, vma, pma, addr, write) === 0 ? mm.pmas.find(addr) : null;
}

function vmaForAccess(mm: MemoryManager, addr: number): Vma | null {
  const i = mm.vmas.indexAbove(addr);
  if (i === mm.vmas.items.length) return null;
  const vma = mm.vmas.items[i];
  if (vma.start <= addr) return vma;
  return (vma.flags & VMA_GROWSDOWN) !== 0 ? growStack(mm, i, addr) : null;
}

/** Extends items[i], a stack, down to addr where RLIMIT_STACK and the guard gap let it (mmap(2) MAP_GROWSDOWN). */
function growStack(mm: MemoryManager, i: number, addr: number): Vma | null {
  const vma = mm.vmas.items[i];
  const floor = Math.max(
    mm.minAddress,
    vma.end - mm.stackLimit(),
    i > 0 ? mm.vmas.items[i - 1].end + STACK_GUARD_BYTES : 0,
  );
  const page = pageDown(addr);
  if (page < floor) return null;
  const start = Math.max(pageUp(floor), Math.min(page, vma.start - STACK_STEP_BYTES));
  if (!mm.mayExpand(vma.start - start, false)) return null;
  mm.vmas.resize(i, start, vma.end);
  return mm.vmas.items[i];
}

/** No PMA allows the access: makes one that does. */
function provide(
  mm: MemoryManager,
  vma: Vma,
  pma: Pma | null,
  addr: number,
  write: boolean,
): number {
  if (pma?.owned) return breakCow(mm, vma, pma, addr);
  if (vma.mappable === null) return provideAnonymous(mm, vma, addr);
  if (write && !vma.isShared) return copyFromFile(mm, vma, vma.mappable, addr);
  return provideFile(mm, vma, vma.mappable, addr);
}

/** Tells the platform of a PMA. */
export function mapInPlatform(mm: MemoryManager, pma: Pma): number {
  if (pma.prot === 0) return FAULT_ACCERR;
  const space = mm.addressSpace;
  if (space.map(pma.start, pma.length, pma.prot, pma.fd, pma.offset) < 0) return FAULT_OOM;
  pma.mapped = true;
  mm.pmas.mergeAt(mm.pmas.indexAbove(pma.start));
  return 0;
}

function provideAnonymous(mm: MemoryManager, vma: Vma, addr: number): number {
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

/** Adds a new PMA where none is, and maps it. On failure it is gone again, with its pages. */
function install(mm: MemoryManager, pma: Pma, vmaProt: number): number {
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

function breakCow(mm: MemoryManager, vma: Vma, pma: Pma, addr: number): number {
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

/** A private write to a file's page: copies the page, and its neighbours that are not copied yet. */
export function copyFromFile(
  mm: MemoryManager,
  vma: Vma,
  mappable: Mappable,
  addr: number,
  chunkStart = alignDown(addr, COPY_BYTES),
  chunkEnd = chunkStart + COPY_BYTES,
): number {
  let start = pageDown(addr);
  let end = start + PAGE_BYTES;
  if (!mm.memoryFile.isTight && (vma.prot & PROT_EXEC) === 0) {
    start = Math.max(vma.start, chunkStart, ownedBelow(mm, addr));
    end = Math.min(vma.end, chunkEnd, ownedAbove(mm, addr));
  }
  const bytes = end - start;
  const file = mm.memoryFile;
  const offset = file.allocate(bytes, PAGE_BYTES, true);
  if (offset < 0) return FAULT_OOM;
  const have = readAll(mm, mappable, vma.offset + (start - vma.start), offset, bytes);
  const used = have < 0 ? 0 : pageUp(have);
  if (used < bytes) file.decRef(offset + used, bytes - used);
  if (start + used <= addr) {
    if (used > 0) file.decRef(offset, used);
    return have === -ENOMEM ? FAULT_OOM : FAULT_BUS;
  }
  const copy = new Pma(start, start + used, file.fd, offset, true, true, false, false);
  copy.prot = copy.protFor(vma.prot);
  // Maps over whatever stood there; the translations that it replaces own nothing.
  if (mm.addressSpace.map(start, used, copy.prot, copy.fd, offset) < 0) {
    file.decRef(offset, used);
    return FAULT_OOM;
  }
  copy.mapped = true;
  mm.pmas.removeRange(start, start + used);
  mm.pmas.add(copy);
  return 0;
}

/** Reads a file's bytes into pages of the memory file: how many there were, or -errno if none. */
function readAll(
  mm: MemoryManager,
  mappable: Mappable,
  from: number,
  offset: number,
  bytes: number,
): number {
  const window = mm.memoryFile.bytesAt(offset);
  const index = mm.memoryFile.indexOf(offset);
  let have = 0;
  while (have < bytes) {
    const n = mappable.readAt(from + have, window, index + have, bytes - have);
    if (n < 0 && have === 0) return n;
    if (n <= 0) break;
    have += n;
  }
  return have;
}

function ownedBelow(mm: MemoryManager, addr: number): number {
  for (let i = mm.pmas.indexAbove(addr) - 1; i >= 0; i--) {
    if (mm.pmas.items[i].owned) return mm.pmas.items[i].end;
  }
  return 0;
}
function ownedAbove(mm: MemoryManager, addr: number): number {
  for (let i = mm.pmas.indexAbove(addr); i < mm.pmas.items.length; i++) {
    if (mm.pmas.items[i].owned) return mm.pmas.items[i].start;
  }
  return Number.POSITIVE_INFINITY;
}

/** Maps the file's own bytes at addr, with as many neighbours as come in one run. */
function provideFile(mm: MemoryManager, vma: Vma, mappable: Mappable, addr: number): number {
  const write = vma.isShared && (vma.prot & PROT_WRITE) !== 0;
  const stale = mm.pmas.find(addr);
  // Mapped for reading before the VMA became writable: ask again, for writing.
  if (stale !== null) mm.dropPmas(stale.start, stale.end);
  const unitStart = alignDown(addr, HUGE_BYTES);
  const start = Math.max(unitStart, vma.start, mm.pmas.previousEnd(addr));
  const end = Math.min(unitStart + HUGE_BYTES, vma.end, mm.pmas.nextStart(addr));
  const result = mapFileRun(mm, vma, mappable, start, end, write);
  if (result >= 0 && mm.pmas.find(addr) !== null) return 0;
  const page = pageDown(addr);
  const again = mapFileRun(mm, vma, mappable, page, end, write);
  if (again >= 0) return 0;
  return again === -ENOMEM ? FAULT_OOM : FAULT_BUS;
}

/**
 * Maps what one run of the file gives of [start, end), where no PMA is: the address after it, or -errno.
 * A donated file costs nothing per page, so all the rest of the VMA that it holds is taken along.
 */
export function mapFileRun(
  mm: MemoryManager,
  vma: Vma,
  mappable: Mappable,
  start: number,
  end: number,
  write: boolean,
): number {
  const offset = vma.offset + (start - vma.start);
  let result = mappable.mapRun(offset, end - start, write, run);
  if (result < 0) return result;
  const far = Math.min(vma.end, mm.pmas.nextStart(start));
  if (!run.inMemoryFile && run.length >= end - start && far > end) {
    result = mappable.mapRun(offset, far - start, write, run);
    if (result < 0) return result;
    end = far;
  }
  let length = pageDown(Math.min(run.length, end - start));
  if (run.inMemoryFile) length = Math.min(length, mm.memoryFile.windowRest(run.offset));
  if (length <= 0) return -EIO;
  const pma = new Pma(
    start,
    start + length,
    run.fd,
    run.offset,
    run.inMemoryFile,
    false,
    false,
    write,
  );
  return install(mm, pma, vma.prot) === 0 ? start + length : -ENOMEM;
}
