// Advisory locks on one file: POSIX record locks (owner: a descriptor table), open file description locks
// and flock (owner: a description). fcntl(2), flock(2). One list, kept by owner and range; blocking is the
// caller's (it parks on `waiters`). Deadlock detection covers POSIX locks through their tasks' waits.

import { F_RDLCK, F_UNLCK, F_WRLCK } from "../../abi/fcntl.ts";
import { WaitQueue } from "../kernel/wait-queue.ts";

/** End of a lock that reaches to the end of the file, however far that is. */
export const LOCK_END = Number.MAX_SAFE_INTEGER;

export interface RecordLock {
  /** FdTable for POSIX locks, FileDescription for OFD locks and flock. */
  owner: object;
  /** Process that F_GETLK tells of; -1 for OFD locks. */
  pid: number;
  type: number;
  start: number;
  /** Exclusive. */
  end: number;
}

/** One family of locks: records do not meet flocks. */
export class LockList {
  locks: RecordLock[] = [];

  /** The first lock that stands against this one. */
  conflict(owner: object, type: number, start: number, end: number): RecordLock | null {
    for (const lock of this.locks) {
      if (lock.owner === owner || lock.start >= end || lock.end <= start) continue;
      if (type === F_WRLCK || lock.type === F_WRLCK) return lock;
    }
    return null;
  }

  /** Replaces what the owner holds in the range; F_UNLCK removes. True: something was given up. */
  set(owner: object, pid: number, type: number, start: number, end: number): boolean {
    const next: RecordLock[] = [];
    let released = false;
    let newStart = start;
    let newEnd = end;
    for (const lock of this.locks) {
      if (lock.owner !== owner || lock.end < start || lock.start > end) {
        next.push(lock);
        continue;
      }
      if (lock.type === type) {
        // Neighbours of one type grow together.
        newStart = Math.min(newStart, lock.start);
        newEnd = Math.max(newEnd, lock.end);
        continue;
      }
      if (lock.end === start || lock.start === end) {
        next.push(lock);
        continue;
      }
      if (type === F_UNLCK || lock.type === F_WRLCK) released = true;
      if (lock.start < start) next.push({ ...lock, end: start });
      if (lock.end > end) next.push({ ...lock, start: end });
    }
    if (type !== F_UNLCK) next.push({ owner, pid, type, start: newStart, end: newEnd });
    this.locks = next;
    return released;
  }

  holds(owner: object): boolean {
    for (const lock of this.locks) if (lock.owner === owner) return true;
    return false;
  }
}

/** Owners that sleep for a record lock, over all files: an owner is one object, so sandboxes do not meet. */
const waitingFor = new WeakMap<object, object>();

export class FileLocks {
  readonly records = new LockList();
  readonly flocks = new LockList();
  /** Notified whenever a lock is given up. */
  readonly waiters = new WaitQueue();

  /** A POSIX owner sleeps until `blocker` gives something up; null: it no longer does. */
  noteWaiting(owner: object, blocker: object | null): void {
    if (blocker === null) waitingFor.delete(owner);
    else waitingFor.set(owner, blocker);
  }
  /** Following who waits for whom from `blocker` leads back to `owner`. */
  wouldDeadlock(owner: object, blocker: object): boolean {
    let next: object | undefined = blocker;
    for (let hops = 0; next !== undefined && hops < 64; hops++) {
      if (next === owner) return true;
      next = waitingFor.get(next);
    }
    return false;
  }

  releaseOwner(owner: object): void {
    let released = false;
    if (this.records.holds(owner)) released = this.records.set(owner, 0, F_UNLCK, 0, LOCK_END);
    if (this.flocks.holds(owner))
      released = this.flocks.set(owner, 0, F_UNLCK, 0, LOCK_END) || released;
    if (released) this.waiters.notify(1);
  }

  setRecord(owner: object, pid: number, type: number, start: number, end: number): void {
    if (this.records.set(owner, pid, type, start, end)) this.waiters.notify(1);
  }
  setFlock(owner: object, type: number): void {
    if (this.flocks.set(owner, 0, type, 0, LOCK_END)) this.waiters.notify(1);
  }
}

/** Types a program may ask for. */
export const isLockType = (type: number): boolean =>
  type === F_RDLCK || type === F_WRLCK || type === F_UNLCK;
