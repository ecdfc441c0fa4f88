// fork(2): a second address space with the same VMAs. Private pages are shared and become copy-on-write
// in both, but for those that are certain to be written at once. A child with few PMAs has them mapped at once, in one batch; one with many as it touches them.

import { ENOMEM } from "../../abi/errno.ts";
import { PROT_WRITE } from "../../abi/mman.ts";
import { HINT_BYTES } from "./fork-hints.ts";
import { MemoryManager, type RlimitSource } from "./memory-manager.ts";
import { PAGE_BYTES } from "./page.ts";
import { Pma } from "./pma.ts";
import { VMA_DONTFORK, VMA_LOCKED, VMA_LOCKONFAULT, VMA_WIPEONFORK, type Vma } from "./vma.ts";

export function forkMemory(parent: MemoryManager, rlimits: RlimitSource): MemoryManager | number {
  const space = parent.deps.platform.newAddressSpace();
  if (space === null) return -ENOMEM;
  const child = new MemoryManager(parent.deps, space, rlimits, parent.layout);
  child.info = parent.info;
  child.forkHints = parent.forkHints;
  child.brkStart = parent.brkStart;
  child.brkEnd = parent.brkEnd;
  child.barrierRegistrations = parent.barrierRegistrations;
  for (const vma of parent.vmas.items) {
    if ((vma.flags & VMA_DONTFORK) !== 0) continue;
    const copy = vma.slice(vma.start, vma.end);
    copy.flags &= ~(VMA_LOCKED | VMA_LOCKONFAULT);
    child.vmas.add(copy);
    if ((vma.flags & VMA_WIPEONFORK) === 0) sharePmas(parent, child, vma);
  }
  writeProtectShared(parent);
  if (child.pmas.items.length <= EAGER_PMAS_MAX) mapAll(child);
  // Another thread's store must not go to a page that the kernel is about to copy.
  parent.addressSpace.sync();
  return child;
}

/** Up to here mapping everything costs less than the dozen faults that even a child which only execs takes. */
const EAGER_PMAS_MAX = 64;

function mapAll(child: MemoryManager): void {
  for (const pma of child.pmas.items) {
    if (pma.prot === 0) continue;
    const { start, prot, fd, offset } = pma;
    if (child.addressSpace.map(start, pma.length, prot, fd, offset) < 0) return;
    pma.mapped = true;
  }
}

/** Gives the child the PMAs of one VMA. The parent's platform mappings are still as they were. */
function sharePmas(parent: MemoryManager, child: MemoryManager, vma: Vma): void {
  const pmas = parent.pmas;
  const isHinted = mayCopyNow(parent, vma);
  if (isHinted) isolateHints(parent, vma);
  let i = pmas.isolate(vma.start, vma.end);
  for (; i < pmas.items.length && pmas.items[i].start < vma.end; i++) {
    const pma = pmas.items[i];
    if (isHinted && parent.forkHints.nextFrom(pma.start) <= pma.start) {
      if (copyNow(parent, child, vma, pma)) continue;
    }
    if (pma.owned) {
      parent.memoryFile.incRef(pma.offset, pma.length);
      pma.cow = true;
    }
    const copy = pma.slice(pma.start, pma.end);
    copy.mapped = false;
    copy.prot = copy.protFor(vma.prot);
    child.pmas.add(copy);
  }
}

/** Bytes must not change while they are copied: no other thread may run. */
function mayCopyNow(parent: MemoryManager, vma: Vma): boolean {
  const { memoryFile } = parent;
  return parent.refCount === 1 && (vma.prot & PROT_WRITE) !== 0 && !memoryFile.isTight;
}

/** Makes every PMA of the VMA lie inside a hint or outside all of them. */
function isolateHints(parent: MemoryManager, vma: Vma): void {
  let at = parent.forkHints.nextFrom(vma.start);
  while (at < vma.end) {
    const end = at + HINT_BYTES;
    parent.pmas.isolate(Math.max(vma.start, at), Math.min(vma.end, end));
    at = parent.forkHints.nextFrom(end);
  }
}

/** Gives the child its own copy; the parent, if it is the only owner, writes on without a fault. */
function copyNow(parent: MemoryManager, child: MemoryManager, vma: Vma, pma: Pma): boolean {
  if (!pma.owned) return false;
  const file = parent.memoryFile;
  const { start, end, length } = pma;
  if (pma.cow && file.sameSharing(pma.offset, length, true) === length) {
    if (pma.mapped && parent.addressSpace.protect(start, length, vma.prot) < 0) return false;
    parent.pmas.version++;
    pma.cow = false;
    pma.prot = vma.prot;
  }
  const offset = file.allocate(length, PAGE_BYTES, false);
  if (offset < 0) return false;
  file.copy(pma.offset, offset, length);
  const copy = new Pma(start, end, file.fd, offset, true, true, false, false);
  copy.prot = vma.prot;
  child.pmas.add(copy);
  return true;
}

/** Takes writing away from what became copy-on-write, one command for each stretch. */
function writeProtectShared(parent: MemoryManager): void {
  parent.pmas.version++;
  let start = 0;
  let end = 0;
  let prot = 0;
  for (const pma of parent.pmas.items) {
    if (!pma.cow || (pma.prot & PROT_WRITE) === 0) continue;
    pma.prot &= ~PROT_WRITE;
    if (!pma.mapped) continue;
    if (pma.start === end && pma.prot === prot) {
      end = pma.end;
      continue;
    }
    if (end > start) parent.protectInPlatform(start, end, prot);
    start = pma.start;
    end = pma.end;
    prot = pma.prot;
  }
  if (end > start) parent.protectInPlatform(start, end, prot);
}
