// What becomes of the robust mutexes of a task that ends: their words get FUTEX_OWNER_DIED and one waiter
// is woken (get_robust_list(2), Documentation/locking/robust-futexes). The list is the program's own
// memory: every pointer is a guess, and the walk has a limit.

import {
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
  ROBUST_LIST_LIMIT,
} from "../../abi/futex.ts";
import type { Task } from "./task.ts";

export function releaseRobustList(t: Task): void {
  const mm = t.mm;
  const head = t.robustListHead;
  let entry = mm.readU64(head);
  if (mm.faulted) return;
  const offset = mm.readI64(head + 8);
  if (mm.faulted) return;
  const pendingEntry = mm.readU64(head + 16);
  if (mm.faulted) return;
  const pending = clean(pendingEntry);

  for (let i = 0; i < ROBUST_LIST_LIMIT && clean(entry) !== head; i++) {
    const at = clean(entry);
    // Read on before the word is given away: its new owner may free the entry.
    const next = mm.readU64(at);
    const nextFaulted = mm.faulted;
    if (at !== pending && !releaseLock(t, at + offset, isPi(entry), false)) return;
    if (nextFaulted) return;
    entry = next;
  }
  if (pending !== 0) releaseLock(t, pending + offset, isPi(pendingEntry), true);
}

const isPi = (pointer: number): boolean => pointer % 2 === 1;
const clean = (pointer: number): number => pointer - (pointer % 2);

/** False: the memory is bad, stop the walk. */
function releaseLock(t: Task, address: number, pi: boolean, isPending: boolean): boolean {
  if (address % 4 !== 0) return false;
  const mm = t.mm;
  let word = mm.readU32(address);
  if (mm.faulted) return false;
  // The owner had unlocked already but died before it could wake anybody.
  if (isPending && !pi && word === 0) {
    t.kernel.futexes.wakeAt(t, address, 1);
    return true;
  }
  while ((word & FUTEX_TID_MASK) === t.tid) {
    const next = ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0;
    const seen = mm.compareExchangeU32(address, word, next);
    if (mm.faulted) return false;
    if (seen === word) {
      if ((word & FUTEX_WAITERS) !== 0) {
        if (pi) t.kernel.futexes.passPiLock(t, address, FUTEX_OWNER_DIED);
        else t.kernel.futexes.wakeAt(t, address, 1);
      }
      return true;
    }
    word = seen;
  }
  return true;
}
