// mmap(2), munmap(2) and brk(2) on an address space. Flags of the call were decoded by syscalls/memory.ts.

import { EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM } from "../../abi/errno.ts";
import { PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { RLIMIT_DATA, RLIMIT_MEMLOCK } from "../../abi/resource.ts";
import { addFresh } from "./anonymous.ts";
import { copyFromFile, mapFileRun } from "./file-pages.ts";
import { MMAP_MIN_ADDR } from "./layout.ts";
import type { Mappable } from "./mappable.ts";
import { isDataMapping, type MemoryManager } from "./memory-manager.ts";
import { HUGE_BYTES, PAGE_MASK, pageUp } from "./page.ts";
import { populate } from "./populate.ts";
import {
  VMA_GROWSDOWN,
  VMA_LOCKED,
  VMA_LOCKONFAULT,
  VMA_NORESERVE,
  VMA_SHARED,
  Vma,
} from "./vma.ts";

/** How an address was given. */
export const PLACE_HINT = 0;
/** MAP_FIXED: replaces what is there. */
export const PLACE_FIXED = 1;
/** MAP_FIXED_NOREPLACE. */
export const PLACE_NOREPLACE = 2;
/** MAP_32BIT. */
export const PLACE_LOW = 3;

/** Anonymous memory up to this long is backed at once: most of it is touched soon, and a fault costs more. */
const EAGER_ANONYMOUS_BYTES = HUGE_BYTES;
/** Private writable file mappings (data segments) up to this long are copied at once. */
const EAGER_COPY_BYTES = 64 * 1024;
/** Runs of a scattered file that are mapped at mmap time; the rest comes by faults. */
const EAGER_RUNS = 16;

export interface MapRequest {
  addr: number;
  length: number;
  place: number;
  prot: number;
  maxProt: number;
  /** VMA_*. */
  flags: number;
  /** Null: private anonymous. The VMA takes its own reference. */
  mappable: Mappable | null;
  offset: number;
  /** Back all of it now (MAP_POPULATE). */
  populate: boolean;
  /** CAP_IPC_LOCK. */
  mayLock: boolean;
  label: string;
  /** What the caller will fill in by itself: no eager backing. */
  lazy?: boolean;
}

/** The address, or -errno. */
export function mapMemory(mm: MemoryManager, request: MapRequest): number {
  if (request.length <= 0) return -EINVAL;
  const length = pageUp(request.length);
  if (length > mm.maxAddress) return -ENOMEM;
  const addr = chooseAddress(mm, request, length);
  if (addr < 0) return addr;
  const end = addr + length;
  const flags = request.flags | mm.lockFlags;
  const replaced = request.place === PLACE_FIXED ? mm.vmas.mappedIn(addr, end) : 0;
  const error = checkLimits(mm, request, flags, length, replaced);
  if (error < 0) return error;
  if (!mm.mayAddVmas(1 + (replaced > 0 ? mm.vmas.extraForSplit(addr, end) : 0))) return -ENOMEM;
  const isStale = replaced > 0 && replaceMappings(mm, addr, end);
  const { prot, maxProt, mappable, offset, label } = request;
  mm.vmas.add(new Vma(addr, end, prot, maxProt, flags, mappable, offset, label));
  const locked = (flags & VMA_LOCKED) !== 0 && (flags & VMA_LOCKONFAULT) === 0;
  if (request.populate || locked) populate(mm, addr, end, false);
  else if (request.lazy !== true) backEagerly(mm, addr, end, request);
  if (isStale) unmapGaps(mm, addr, end);
  return addr;
}

/**
 * As removeMappings, but where only file pages were mapped the platform keeps them until the new mapping
 * has been made over them (a dynamic linker does this for each segment). True: unmapGaps is still to do.
 */
function replaceMappings(mm: MemoryManager, start: number, end: number): boolean {
  const keeps = mm.pmas.anyMapped(start, end) && !mm.pmas.anyOwned(start, end);
  if (!keeps) {
    removeMappings(mm, start, end);
    return false;
  }
  mm.vmas.splitAt(start);
  mm.vmas.splitAt(end);
  mm.pmas.removeRange(start, end);
  mm.vmas.removeRange(start, end);
  return true;
}

/** Unmaps what the platform may still have mapped of [start, end) where no PMA is. */
function unmapGaps(mm: MemoryManager, start: number, end: number): void {
  let at = start;
  for (let i = mm.pmas.indexAbove(start); at < end; i++) {
    const pma = i < mm.pmas.items.length ? mm.pmas.items[i] : null;
    const stop = pma === null ? end : Math.min(end, pma.start);
    if (stop > at && mm.addressSpace.unmap(at, stop - at) < 0) mm.unmapAll();
    at = pma === null ? end : pma.end;
  }
}

function chooseAddress(mm: MemoryManager, request: MapRequest, length: number): number {
  const { addr, place } = request;
  if (place === PLACE_FIXED || place === PLACE_NOREPLACE) {
    if ((addr & PAGE_MASK) !== 0) return -EINVAL;
    if (addr + length > mm.maxAddress) return -ENOMEM;
    if (addr < MMAP_MIN_ADDR) return -EPERM;
    if (addr < mm.minAddress) return -ENOMEM;
    if (place === PLACE_NOREPLACE && mm.vmas.overlaps(addr, addr + length)) return -EEXIST;
    return addr;
  }
  const hint = addr > mm.maxAddress ? 0 : pageUp(addr);
  if (hint >= mm.minAddress && hint + length <= mm.maxAddress && mm.free.isFree(hint, length)) {
    return hint;
  }
  const found = place === PLACE_LOW ? mm.free.findLow(length) : mm.free.find(length);
  return found < 0 ? -ENOMEM : found;
}

function checkLimits(
  mm: MemoryManager,
  request: MapRequest,
  flags: number,
  length: number,
  replaced: number,
): number {
  const isData = isDataMapping(request.prot, flags) && (flags & VMA_GROWSDOWN) === 0;
  if (!mm.mayExpand(length - replaced, isData)) return -ENOMEM;
  // vm.overcommit_memory 0: only what could never be had is refused.
  const reserves = isData && (flags & VMA_NORESERVE) === 0;
  if (reserves && length > mm.memoryFile.limitBytes) return -ENOMEM;
  if ((flags & VMA_LOCKED) !== 0 && !mayLock(mm, length, request.mayLock)) return -EAGAIN;
  return 0;
}

/** RLIMIT_MEMLOCK has room for `bytes` more. */
export function mayLock(mm: MemoryManager, bytes: number, privileged: boolean): boolean {
  if (privileged) return true;
  return mm.vmas.lockedBytes + bytes <= mm.rlimits.rlimit(RLIMIT_MEMLOCK).soft;
}

/** Gives a new mapping what it will most likely need, so that it takes no faults. Best effort. */
function backEagerly(mm: MemoryManager, start: number, end: number, request: MapRequest): void {
  const { prot, flags, mappable } = request;
  if (prot === 0) return;
  const vma = mm.vmas.find(start);
  if (vma === null) return;
  if (mappable === null) {
    const lazily = (flags & (VMA_NORESERVE | VMA_GROWSDOWN)) !== 0;
    if (lazily || end - start > EAGER_ANONYMOUS_BYTES || mm.memoryFile.isTight) return;
    addFresh(mm, vma, start, end);
    return;
  }
  const shared = (flags & VMA_SHARED) !== 0;
  const write = (prot & PROT_WRITE) !== 0;
  if (write && !shared && end - start <= EAGER_COPY_BYTES && !mm.memoryFile.isTight) {
    copyFromFile(mm, vma, mappable, start, start, end);
    return;
  }
  let at = start;
  for (let runs = 0; at < end && runs < EAGER_RUNS; runs++) {
    const next = mapFileRun(mm, vma, mappable, at, end, shared && write);
    if (next < 0) return;
    at = next;
  }
}

/** munmap(2). */
export function unmapMemory(mm: MemoryManager, addr: number, length: number): number {
  if ((addr & PAGE_MASK) !== 0 || addr > mm.maxAddress || length > mm.maxAddress - addr) {
    return -EINVAL;
  }
  const end = addr + pageUp(length);
  if (end === addr) return -EINVAL;
  if (!mm.vmas.overlaps(addr, end)) return 0;
  // Cutting a hole makes one VMA more: Linux refuses at the limit.
  if (!mm.mayAddVmas(mm.vmas.extraForSplit(addr, end) - 1)) return -ENOMEM;
  removeMappings(mm, addr, end);
  return 0;
}

/** Takes everything out of [start, end). */
export function removeMappings(mm: MemoryManager, start: number, end: number): void {
  mm.vmas.splitAt(start);
  mm.vmas.splitAt(end);
  mm.dropPmas(start, end);
  mm.vmas.removeRange(start, end);
  mm.free.noteFree(end);
}

/** brk(2): the new break, or the old one when it cannot be had. */
export function setBreak(mm: MemoryManager, addr: number): number {
  const { brkStart, brkEnd } = mm;
  if (brkStart === 0 || addr < brkStart || addr > mm.maxAddress) return brkEnd;
  const oldTop = pageUp(brkEnd);
  const newTop = pageUp(addr);
  if (newTop < oldTop) {
    if (mm.vmas.overlaps(newTop, oldTop)) removeMappings(mm, newTop, oldTop);
  } else if (newTop > oldTop) {
    if (newTop - brkStart > mm.rlimits.rlimit(RLIMIT_DATA).soft) return brkEnd;
    if (!mm.free.isFree(oldTop, newTop - oldTop)) return brkEnd;
    const prot = PROT_READ | PROT_WRITE;
    const result = mapMemory(mm, {
      addr: oldTop,
      length: newTop - oldTop,
      place: PLACE_NOREPLACE,
      prot,
      maxProt: 7,
      flags: 0,
      mappable: null,
      offset: 0,
      populate: false,
      mayLock: false,
      label: "[heap]",
    });
    if (result < 0) return brkEnd;
  }
  mm.brkEnd = addr;
  return addr;
}
