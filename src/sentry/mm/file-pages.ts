// File pages in an address space: mapping runs of a file as they are, and private copies of written pages.

import { EIO, ENOMEM } from "../../abi/errno.ts";
import { PROT_EXEC, PROT_WRITE } from "../../abi/mman.ts";
import { FAULT_BUS, FAULT_OOM } from "./fault-codes.ts";
import { install } from "./install.ts";
import type { Mappable, MapRun } from "./mappable.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { alignDown, HUGE_BYTES, PAGE_BYTES, pageDown, pageUp } from "./page.ts";
import { Pma } from "./pma.ts";
import type { Vma } from "./vma.ts";

/** Copied at once when a private page is first written. */
const COPY_BYTES = 64 * 1024;

const run: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };

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
export function provideFile(mm: MemoryManager, vma: Vma, mappable: Mappable, addr: number): number {
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
