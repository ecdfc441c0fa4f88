// Pipes and FIFOs (pipe(7), fifo(7)): a byte ring in the Sentry's memory that grows up to the pipe's
// capacity, and the descriptions of its ends. Writers and readers are woken only when the pipe goes from
// empty to not empty and from full to not full.

import { CAP_SYS_RESOURCE } from "../../../abi/capability.ts";
import { EAGAIN, EBUSY, EFAULT, EINVAL, ENXIO, EPERM, EPIPE } from "../../../abi/errno.ts";
import {
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  O_ACCMODE,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  PIPE_BUF,
} from "../../../abi/fcntl.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { SIGPIPE } from "../../../abi/signal.ts";
import { S_IFIFO } from "../../../abi/stat.ts";
import type { Task } from "../../kernel/task.ts";
import { WaitQueue } from "../../kernel/wait-queue.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";

export const PIPE_BYTES_DEFAULT = 65_536;
const RING_BYTES_MIN = 4096;
const EMPTY = new Uint8Array(0);

export class Pipe {
  readonly ino: number;
  readonly waiters = new WaitQueue();
  capacity: number;
  readers = 0;
  writers = 0;
  /** Ever opened for reading or writing: an open that waits for the other end sees even a short visit. */
  readerOpens = 0;
  writerOpens = 0;
  #ring: Uint8Array = EMPTY;
  #head = 0;
  #used = 0;

  constructor(ino: number, capacity = PIPE_BYTES_DEFAULT) {
    this.ino = ino;
    this.capacity = capacity;
  }

  get used(): number {
    return this.#used;
  }
  get free(): number {
    return this.capacity - this.#used;
  }
  /** At least one atomic write fits. */
  get isWritable(): boolean {
    return this.capacity - this.#used >= PIPE_BUF;
  }

  /** Bytes moved, 0 at the end, -EAGAIN when empty, -EFAULT. */
  read(io: Io): number {
    if (io.remaining === 0) return 0;
    if (this.#used === 0) return this.writers === 0 ? 0 : -EAGAIN;
    const wasWritable = this.isWritable;
    const n = this.peek(io, 0);
    if (n > 0) this.consume(n, wasWritable);
    return n;
  }

  /** Copies out without consuming, from `skip` bytes in. */
  peek(io: Io, skip: number): number {
    let done = 0;
    while (io.remaining > 0 && skip + done < this.#used) {
      const at = (this.#head + skip + done) % this.#ring.length;
      const piece = Math.min(this.#used - skip - done, this.#ring.length - at);
      const moved = io.copyOut(this.#ring, at, piece);
      if (moved < 0) return done > 0 ? done : moved;
      done += moved;
      if (moved < piece) break;
    }
    return done;
  }

  consume(n: number, wasWritable: boolean): void {
    this.#used -= n;
    this.#head = this.#used === 0 ? 0 : (this.#head + n) % this.#ring.length;
    if (!wasWritable && this.isWritable) this.waiters.notify(POLLOUT | POLLWRNORM);
  }

  /** Bytes taken, -EAGAIN when it does not fit (PIPE_BUF and less: as a whole), -EPIPE, -EFAULT. */
  write(io: Io): number {
    const wanted = io.remaining;
    if (this.readers === 0) return -EPIPE;
    if (wanted === 0) return 0;
    const room = this.free;
    if (room === 0 || (wanted <= PIPE_BUF && room < wanted)) return -EAGAIN;
    return this.#append(io, Math.min(wanted, room));
  }

  /** Takes what fits, whatever the size (splice). The caller saw readers and room. */
  fill(io: Io): number {
    return this.#append(io, Math.min(io.remaining, this.free));
  }

  #append(io: Io, length: number): number {
    this.#grow(this.#used + length);
    const wasEmpty = this.#used === 0;
    let done = 0;
    while (done < length) {
      const at = (this.#head + this.#used) % this.#ring.length;
      const end = at < this.#head ? this.#head : this.#ring.length;
      const moved = io.copyIn(this.#ring, at, Math.min(length - done, end - at));
      if (moved < 0) {
        if (done === 0) return -EFAULT;
        break;
      }
      if (moved === 0) break;
      this.#used += moved;
      done += moved;
    }
    if (wasEmpty && done > 0) this.waiters.notify(POLLIN | POLLRDNORM);
    return done;
  }

  #grow(needed: number): void {
    if (needed <= this.#ring.length) return;
    let size = Math.max(RING_BYTES_MIN, this.#ring.length);
    while (size < needed) size *= 2;
    this.#rebuild(Math.min(size, this.capacity));
  }

  #rebuild(size: number): void {
    const ring = new Uint8Array(size);
    for (let done = 0; done < this.#used; ) {
      const at = (this.#head + done) % this.#ring.length;
      const piece = Math.min(this.#used - done, this.#ring.length - at);
      ring.set(this.#ring.subarray(at, at + piece), done);
      done += piece;
    }
    this.#ring = ring;
    this.#head = 0;
  }

  /** F_SETPIPE_SZ: the new capacity (a power of two of pages), or -errno. */
  resize(t: Task, bytes: number): number {
    if (bytes < 0 || bytes > 2 ** 31) return -EINVAL;
    let size = PIPE_BUF;
    while (size < bytes) size *= 2;
    const max = t.kernel.limits.pipeBytesMax;
    if (size > this.capacity && size > max) return -EPERM;
    if (size > 2 ** 30 && !t.creds.hasCapability(CAP_SYS_RESOURCE)) return -EPERM;
    if (this.#used > size) return -EBUSY;
    this.capacity = size;
    if (this.#ring.length > size) this.#rebuild(size);
    this.waiters.notify(POLLOUT | POLLWRNORM);
    return size;
  }

  addEnd(reads: boolean, writes: boolean): void {
    if (reads) {
      this.readers++;
      this.readerOpens++;
    }
    if (writes) {
      this.writers++;
      this.writerOpens++;
    }
    // Opens that wait for the other end.
    this.waiters.notify(POLLIN | POLLOUT);
  }
  removeEnd(reads: boolean, writes: boolean): void {
    if (reads) this.readers--;
    if (writes) this.writers--;
    if (this.readers === 0 && this.writers === 0) {
      this.#ring = EMPTY;
      this.#head = 0;
      this.#used = 0;
    }
    this.waiters.notify(POLLHUP | POLLERR | POLLIN | POLLOUT);
  }
}

export class PipeFile extends FileDescription {
  readonly pipe: Pipe;
  /** A FIFO's inode; null for pipe(2). */
  readonly inode: Inode | null;
  readonly #reads: boolean;
  readonly #writes: boolean;
  readonly #madeNs: number;
  readonly #uid: number;
  readonly #gid: number;
  /** writerOpens when a FIFO was opened for reading without a writer: no hangup until one has come. */
  #writersSeen = -1;
  /** A blocking open waits until the other end's count of opens passes this; -1: it does not wait. */
  #awaits = -1;

  constructor(t: Task, pipe: Pipe, flags: number, inode: Inode | null) {
    super(flags, pipe.waiters);
    this.pipe = pipe;
    this.inode = inode;
    const access = flags & O_ACCMODE;
    this.#reads = access === O_RDONLY || access === O_RDWR;
    this.#writes = access === O_WRONLY || access === O_RDWR;
    this.#madeNs = t.kernel.clock.realtimeNs();
    this.#uid = t.creds.fsuid;
    this.#gid = t.creds.fsgid;
    if (inode !== null && !this.#writes && pipe.writers === 0) this.#writersSeen = pipe.writerOpens;
    pipe.addEnd(this.#reads, this.#writes);
  }

  /** A FIFO's blocking open(2): note what to wait for. */
  awaitOtherEnd(): void {
    if (this.#reads && !this.#writes && this.pipe.writers === 0)
      this.#awaits = this.pipe.writerOpens;
    if (this.#writes && !this.#reads && this.pipe.readers === 0)
      this.#awaits = this.pipe.readerOpens;
  }
  /** open(2) must still sleep on `waiters`. */
  get isOpening(): boolean {
    if (this.#awaits < 0) return false;
    return this.#awaits === (this.#reads ? this.pipe.writerOpens : this.pipe.readerOpens);
  }

  override get blocksUntilWritten(): boolean {
    return true;
  }

  override read(_t: Task, io: Io): number {
    return this.pipe.read(io);
  }
  override write(t: Task, io: Io): number {
    const n = this.pipe.write(io);
    if (n === -EPIPE) t.raise(SIGPIPE);
    return n;
  }

  override poll(): number {
    const { pipe } = this;
    let ready = 0;
    if (this.#reads) {
      if (pipe.used > 0) ready |= POLLIN | POLLRDNORM;
      if (pipe.writers === 0 && this.#writersSeen !== pipe.writerOpens) ready |= POLLHUP;
    }
    if (this.#writes) {
      if (pipe.isWritable) ready |= POLLOUT | POLLWRNORM;
      if (pipe.readers === 0) ready |= POLLERR | POLLOUT | POLLWRNORM;
    }
    return ready;
  }

  override reopen(t: Task, flags: number): FileDescription | number {
    return new PipeFile(t, this.pipe, flags, this.inode);
  }
  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) return t.mm.writeU32(arg, this.pipe.used);
    return super.ioctl(t, request, arg);
  }
  override fcntl(t: Task, command: number, arg: number): number {
    if (command === F_GETPIPE_SZ) return this.pipe.capacity;
    if (command === F_SETPIPE_SZ) return this.pipe.resize(t, arg);
    return -EINVAL;
  }

  stat(out: Stat): number {
    if (this.inode !== null) return this.inode.stat(out);
    out.dev = 12;
    out.ino = this.pipe.ino;
    out.mode = S_IFIFO | 0o600;
    out.nlink = 1;
    out.uid = this.#uid;
    out.gid = this.#gid;
    out.rdev = 0;
    out.size = 0;
    out.blksize = 4096;
    out.blocks = 0;
    out.atimeNs = out.mtimeNs = out.ctimeNs = out.btimeNs = this.#madeNs;
    return 0;
  }
  release(): void {
    this.pipe.removeEnd(this.#reads, this.#writes);
  }
  describe(): string {
    return `pipe:[${this.pipe.ino}]`;
  }
}

/** Both ends of pipe(2): [reading, writing]. flags: O_NONBLOCK, O_DIRECT. */
export function makePipe(t: Task, flags: number): [PipeFile, PipeFile] {
  const pipe = new Pipe(t.kernel.mounts.table.allocateAnonymousIno());
  const reading = new PipeFile(t, pipe, O_RDONLY | flags, null);
  const writing = new PipeFile(t, pipe, O_WRONLY | flags, null);
  return [reading, writing];
}

/** Opens a FIFO's inode. -ENXIO: nobody reads and O_NONBLOCK. A blocking open may come back isOpening. */
export function openFifo(
  t: Task,
  existing: Pipe | null,
  inode: Inode,
  flags: number,
): PipeFile | number {
  const pipe = existing ?? new Pipe(inode.ino);
  const access = flags & O_ACCMODE;
  const nonBlocking = (flags & O_NONBLOCK) !== 0;
  if (access === O_WRONLY && nonBlocking && pipe.readers === 0) return -ENXIO;
  const file = new PipeFile(t, pipe, flags, inode);
  if (!nonBlocking) file.awaitOtherEnd();
  return file;
}
