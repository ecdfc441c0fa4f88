// Page faults: decides what an access by the program or the kernel needs, and has it provided (anonymous.ts,
// file-pages.ts, copy-on-write.ts). Also grows stacks.

import { PROT_EXEC, PROT_WRITE } from "../../abi/mman.ts";
import { provideAnonymous } from "./anonymous.ts";
import { breakCow } from "./copy-on-write.ts";
import { FAULT_ACCERR, FAULT_MAPERR } from "./fault-codes.ts";
import { copyFromFile, provideFile } from "./file-pages.ts";
import { mapInPlatform } from "./install.ts";
import type { MemoryManager } from "./memory-manager.ts";
import { pageDown, pageUp } from "./page.ts";
import type { Pma } from "./pma.ts";
import { VMA_GROWSDOWN, type Vma } from "./vma.ts";
import { STACK_GUARD_BYTES } from "./vma-set.ts";

/** Page-fault error code bits (Intel SDM vol. 3, 4.7). */
const ERROR_WRITE = 2;
const ERROR_FETCH = 16;
const ERROR_PROTECTION_KEY = 32;
/** A stack grows by this much at least, so that a deepening one does not fault on every page. */
const STACK_STEP_BYTES = 128 * 1024;

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
