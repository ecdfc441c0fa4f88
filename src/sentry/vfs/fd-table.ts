// Descriptors of a process: small ints to file descriptions, with close-on-exec. Shared with CLONE_FILES;
// the table is also the owner of POSIX record locks (fcntl(2)), as in Linux.

import { EBADF, EMFILE, ENFILE } from "../../abi/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { FileDescription } from "./file-description.ts";

/** Counts the open file descriptions of one kernel (fs.file-max). */
export class FileCounter {
  readonly limit: number;
  open = 0;
  constructor(limit: number) {
    this.limit = limit;
  }
}

export class FdTable {
  readonly counter: FileCounter;
  refs = 1;
  #files: (FileDescription | undefined)[] = [];
  /** Close-on-exec, one byte per descriptor. */
  #closeOnExec = new Uint8Array(64);
  /** No descriptor below is free. */
  #lowestFree = 0;
  #openCount = 0;

  constructor(counter: FileCounter) {
    this.counter = counter;
  }

  get openCount(): number {
    return this.#openCount;
  }
  /** One more than the highest descriptor that may be open. */
  get end(): number {
    return this.#files.length;
  }

  /** undefined: EBADF. O_PATH descriptions are returned too: the caller checks. */
  get(fd: number): FileDescription | undefined {
    return this.#files[fd];
  }

  isCloseOnExec(fd: number): boolean {
    return this.#closeOnExec[fd] === 1;
  }
  setCloseOnExec(fd: number, on: boolean): void {
    this.#closeOnExec[fd] = on ? 1 : 0;
  }

  /** Lowest free descriptor >= min; takes over one reference. -EMFILE at `limit` (the reference stays the caller's). */
  add(file: FileDescription, closeOnExec: boolean, min: number, limit: number): number {
    const files = this.#files;
    let fd = Math.max(min, this.#lowestFree);
    while (fd < files.length && files[fd] !== undefined) fd++;
    if (fd >= limit) return -EMFILE;
    const counted = this.#count(file);
    if (counted < 0) return counted;
    if (min <= this.#lowestFree) this.#lowestFree = fd + 1;
    this.#put(fd, file, closeOnExec);
    return fd;
  }

  /** dup2: puts the file at fd exactly, closing what was there. Takes over one reference. */
  replace(t: Task | null, fd: number, file: FileDescription, closeOnExec: boolean): number {
    const counted = this.#count(file);
    if (counted < 0) return counted;
    const old = this.#files[fd];
    if (old !== undefined) this.#openCount--;
    this.#put(fd, file, closeOnExec);
    if (old !== undefined) this.#drop(t, old);
    return fd;
  }

  /** 0, -EBADF, or what the file's flush said (the descriptor is closed all the same). */
  close(t: Task | null, fd: number): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    this.#take(fd);
    return this.#drop(t, file);
  }

  closeOnExec(t: Task | null): void {
    for (let fd = 0; fd < this.#files.length; fd++) {
      if (this.#files[fd] !== undefined && this.#closeOnExec[fd] === 1) this.close(t, fd);
    }
  }

  /** close_range(2): last is inclusive. */
  closeRange(t: Task | null, first: number, last: number, markOnly: boolean): void {
    const end = Math.min(last + 1, this.#files.length);
    for (let fd = first; fd < end; fd++) {
      if (this.#files[fd] === undefined) continue;
      if (markOnly) this.#closeOnExec[fd] = 1;
      else this.close(t, fd);
    }
  }

  /** A copy for fork: same descriptions, one more reference each. */
  fork(): FdTable {
    const copy = new FdTable(this.counter);
    copy.#files = this.#files.slice();
    copy.#closeOnExec = this.#closeOnExec.slice();
    copy.#lowestFree = this.#lowestFree;
    copy.#openCount = this.#openCount;
    for (const file of copy.#files) file?.incRef();
    return copy;
  }

  /** Open descriptors, ascending: for /proc/PID/fd. */
  descriptors(): number[] {
    const list: number[] = [];
    for (let fd = 0; fd < this.#files.length; fd++)
      if (this.#files[fd] !== undefined) list.push(fd);
    return list;
  }

  incRef(): void {
    this.refs++;
  }
  /** At the last reference everything is closed. */
  decRef(t: Task | null = null): void {
    if (--this.refs > 0) return;
    for (let fd = 0; fd < this.#files.length; fd++) this.close(t, fd);
    this.#files.length = 0;
  }

  #count(file: FileDescription): number {
    if (file.counter !== null) return 0;
    if (this.counter.open >= this.counter.limit) return -ENFILE;
    this.counter.open++;
    file.counter = this.counter;
    return 0;
  }

  #put(fd: number, file: FileDescription, closeOnExec: boolean): void {
    // Filled without holes, so that the array stays a fast one.
    while (this.#files.length < fd) this.#files.push(undefined);
    this.#files[fd] = file;
    this.#openCount++;
    if (fd >= this.#closeOnExec.length) {
      const grown = new Uint8Array(Math.max(fd + 1, 2 * this.#closeOnExec.length));
      grown.set(this.#closeOnExec);
      this.#closeOnExec = grown;
    }
    this.#closeOnExec[fd] = closeOnExec ? 1 : 0;
  }

  #take(fd: number): void {
    this.#files[fd] = undefined;
    this.#closeOnExec[fd] = 0;
    this.#openCount--;
    if (fd < this.#lowestFree) this.#lowestFree = fd;
  }

  #drop(t: Task | null, file: FileDescription): number {
    file.path?.dentry.inode?.locks?.releaseOwner(this);
    const result = t === null ? 0 : file.flush(t);
    file.decRef();
    return result;
  }
}
