// An open file description: what descriptors point at, shared by dup, fork and SCM_RIGHTS. Every kind of
// file (regular, pipe, socket, epoll, tty) is a subclass. Methods return a count or -errno and never
// block: -EAGAIN means "would block", and the system call parks the task on `waiters` unless O_NONBLOCK.

import { EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ENXIO, EPERM, ESPIPE } from "../../abi/errno.ts";
import {
  O_ACCMODE,
  O_APPEND,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../abi/fcntl.ts";
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE } from "../../abi/inotify.ts";
import type { Task } from "../kernel/task.ts";
import { WaitQueue } from "../kernel/wait-queue.ts";
import type { Mappable } from "../mm/mappable.ts";
import type { DirentSink } from "./dirent-sink.ts";
import type { FileCounter } from "./fd-table.ts";
import type { Inode } from "./inode.ts";
import type { Io } from "./io.ts";
import { isWatched, noteFile } from "./notify.ts";
import type { Path } from "./path.ts";
import type { Stat } from "./stat.ts";

export { O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY };

/** Something that watches a file without a reference to it. drop() takes it off file.watches. */
export interface FileWatch {
  drop(): void;
}

export abstract class FileDescription {
  /** References from descriptor tables, VMAs and messages in flight. */
  refs = 1;
  /** Access mode and status flags as F_GETFL shows them. */
  flags: number;
  /** Announces readiness. Descriptions of one pipe share the pipe's. */
  readonly waiters: WaitQueue;
  /** Where it was opened; null for what has no name (pipes, sockets). Set by the VFS with opened(). */
  path: Path | null = null;
  /** epoll's interests in this file, dropped with its last reference (readiness/epoll-item.ts). */
  watches: FileWatch | null = null;

  /** Where it is counted as an open description; set when it first gets a descriptor. */
  counter: FileCounter | null = null;
  /** F_SETOWN: pid, or -pgrp; and F_SETSIG's signal, 0 for SIGIO. */
  owner = 0;
  ownerSignal = 0;
  /** The inode that opened() told of this description; counted there until the last reference goes. */
  #inode: Inode | null = null;
  #countsAsWriter = false;

  constructor(flags: number, waiters: WaitQueue = new WaitQueue()) {
    this.flags = flags;
    this.waiters = waiters;
  }

  /**
   * A blocking write(2) sleeps until every byte is taken instead of returning short: true for pipes,
   * stream sockets and terminals.
   */
  get blocksUntilWritten(): boolean {
    return false;
  }

  get isReadable(): boolean {
    return (this.flags & O_PATH) === 0 && (this.flags & O_ACCMODE) !== O_WRONLY;
  }
  get isWritable(): boolean {
    return (this.flags & O_PATH) === 0 && (this.flags & O_ACCMODE) !== O_RDONLY;
  }
  get isNonBlocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0;
  }

  incRef(): void {
    this.refs++;
  }
  decRef(): void {
    if (--this.refs !== 0) return;
    while (this.watches !== null) this.watches.drop();
    if (this.counter !== null) this.counter.open--;
    this.counter = null;
    const inode = this.#inode;
    if (inode !== null && this.path !== null) {
      this.path.dentry.pins--;
      this.path.mount.openCount--;
      inode.locks?.releaseOwner(this);
      if (this.#countsAsWriter) inode.writerCount--;
      if (isWatched(this.path.dentry)) {
        noteFile(this.path.dentry, this.#countsAsWriter ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
      }
    }
    this.release();
    inode?.letGo();
  }

  /** Tells it the name it was opened by, once. The name stays in the dentry cache while it is open. */
  opened(path: Path): void {
    this.path = path;
    const inode = path.dentry.inode;
    if (this.#inode !== null || inode === null) return;
    path.dentry.pins++;
    path.mount.openCount++;
    this.#inode = inode;
    inode.retain();
    this.#countsAsWriter = this.isWritable;
    if (this.#countsAsWriter) inode.writerCount++;
  }

  /** How long a blocking read or write waits (SO_RCVTIMEO, SO_SNDTIMEO); after it: -EAGAIN. */
  get readTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }
  get writeTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Moves up to io.remaining bytes. Access mode was checked by the caller. */
  read(_t: Task, _io: Io): number {
    return -EINVAL;
  }
  write(_t: Task, _io: Io): number {
    return -EINVAL;
  }
  pread(_t: Task, _io: Io, _offset: number): number {
    return -ESPIPE;
  }
  pwrite(_t: Task, _io: Io, _offset: number): number {
    return -ESPIPE;
  }
  /** whence: SEEK_*. The new position. */
  seek(_t: Task, _offset: number, _whence: number): number {
    return -ESPIPE;
  }
  /** POLL* bits that hold now. Changes are announced by waiters.notify. */
  poll(): number {
    return 0x145; // POLLIN|POLLOUT|POLLRDNORM|POLLWRNORM: regular files are always ready
  }
  ioctl(_t: Task, _request: number, _arg: number): number {
    return -ENOTTY;
  }
  /** Fills `out`; 0 or -errno. */
  abstract stat(out: Stat): number;
  readDir(_t: Task, _sink: DirentSink): number {
    return -ENOTDIR;
  }
  /** For mmap. -ENODEV: cannot be mapped. */
  mappable(_t: Task): Mappable | number {
    return -ENODEV;
  }
  /** Before mmap: 0 or -errno (seals). shared: MAP_SHARED; write: PROT_WRITE now. */
  checkMap(_shared: boolean, _write: boolean): number {
    return 0;
  }
  truncate(_t: Task, _length: number): number {
    return -EINVAL;
  }
  allocate(_t: Task, _mode: number, _offset: number, _length: number): number {
    return -ENODEV;
  }
  sync(_t: Task): number {
    return -EINVAL;
  }
  /** F_SETFL: O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME. */
  setStatusFlags(_t: Task, flags: number): number {
    if ((this.flags & O_PATH) !== 0) return -EBADF;
    this.flags = flags;
    return 0;
  }
  /** fcntl commands of one kind of file only (pipe size, seals). */
  fcntl(_t: Task, _command: number, _arg: number): number {
    return -EINVAL;
  }
  lockable(): boolean {
    return true;
  }
  /** Each close(2) of a descriptor (POSIX locks, sockets). */
  flush(_t: Task): number {
    return 0;
  }
  /** Before close(2) takes the last reference: may park the task (SO_LINGER). BLOCKED, or 0: go on. */
  closeWait(_t: Task): number {
    return 0;
  }
  /** The last reference is gone. */
  abstract release(): void;
  /** Text for /proc/PID/fdinfo after the common lines. */
  fdinfo(): string {
    return "";
  }
  /** open("/proc/PID/fd/N") of a file without a name: a new description of the same thing. */
  reopen(_t: Task, _flags: number): FileDescription | number {
    return -ENXIO;
  }
  /** What /proc/PID/fd/N reads as when there is no path: "pipe:[7]". */
  abstract describe(): string;

  chmod(_t: Task, _mode: number): number {
    return -EPERM;
  }
  chown(_t: Task, _uid: number, _gid: number): number {
    return -EPERM;
  }
}
