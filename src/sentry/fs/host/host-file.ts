// A descriptor of the host as a file in the sandbox: the program's standard input, output and error, as the
// monitor handed them over. They may be shared with other processes, so they are never made non-blocking:
// readiness is asked first, and a pipe or socket is written in pieces that a ready one always takes
// (PIPE_BUF, pipe(7)). The loop watches one only while somebody waits, and each watch is for one event.

import { EACCES, EAGAIN, EINVAL, EPIPE, ESPIPE } from "../../../abi/errno.ts";
import { O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDWR } from "../../../abi/fcntl.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { SIGPIPE } from "../../../abi/signal.ts";
import { S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../../../abi/stat.ts";
import type { HostFiles, HostPoller } from "../../host.ts";
import type { Task } from "../../kernel/task.ts";
import { WaitQueue } from "../../kernel/wait-queue.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";

const PIPE_BUF = 4096;
const READ_BYTES_MAX = 1 << 20;

/** What all descriptions of one host descriptor share. */
class HostDescriptor {
  readonly fd: number;
  readonly files: HostFiles;
  readonly mode: number;
  readonly ino: number;
  readonly waiters = new WaitQueue();
  users = 0;
  readonly #poller: HostPoller;
  /** POLLIN | POLLOUT that the loop watches for now. */
  #watched = 0;
  static #nextIno = 1;

  constructor(fd: number, files: HostFiles, poller: HostPoller) {
    this.fd = fd;
    this.files = files;
    this.#poller = poller;
    const mode = files.mode(fd);
    this.mode = mode < 0 ? S_IFCHR | 0o600 : mode;
    this.ino = HostDescriptor.#nextIno++;
  }

  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  /** Has the loop tell us once when one of `mask` holds. */
  watch(mask: number): void {
    if (this.isRegular || (this.#watched & mask) === mask) return;
    const before = this.#watched;
    this.#watched |= mask;
    if (before !== 0) this.#poller.modify(this.fd, this.#watched);
    else this.#poller.watch(this.fd, this.#watched, (ready) => this.#onReady(ready));
  }
  #onReady(ready: number): void {
    this.#poller.unwatch(this.fd);
    this.#watched = 0;
    this.waiters.notify(withNormalBits(ready));
  }

  letGo(): void {
    if (--this.users > 0) return;
    if (this.#watched !== 0) this.#poller.unwatch(this.fd);
    this.#watched = 0;
    this.files.close(this.fd);
  }
}

function withNormalBits(ready: number): number {
  let bits = ready & (POLLIN | POLLOUT | POLLERR | POLLHUP);
  if ((bits & POLLIN) !== 0) bits |= POLLRDNORM;
  if ((bits & POLLOUT) !== 0) bits |= POLLWRNORM;
  return bits;
}

export class HostFile extends FileDescription {
  readonly #host: HostDescriptor;
  readonly #fd: number;
  readonly #files: HostFiles;

  private constructor(host: HostDescriptor, flags: number) {
    super(flags & (O_ACCMODE | O_NONBLOCK | O_APPEND), host.waiters);
    this.#host = host;
    this.#fd = host.fd;
    this.#files = host.files;
    host.users++;
  }

  /** Takes over the descriptor. flags: O_RDONLY, O_WRONLY or O_RDWR. */
  static adopt(fd: number, flags: number, files: HostFiles, poller: HostPoller): HostFile {
    return new HostFile(new HostDescriptor(fd, files, poller), flags);
  }

  get #type(): number {
    return this.#host.mode & S_IFMT;
  }
  get #isRegular(): boolean {
    return this.#host.isRegular;
  }
  override get blocksUntilWritten(): boolean {
    return !this.#isRegular;
  }

  /** Ready now, without waiting. POLLERR and POLLHUP come along. */
  #ready(mask: number): number {
    return this.#isRegular ? mask : this.#files.poll(this.#fd, mask);
  }

  override read(_t: Task, io: Io): number {
    if (io.remaining === 0) return 0;
    let total = 0;
    while (io.remaining > 0 && total < READ_BYTES_MAX) {
      if (this.#ready(POLLIN) <= 0) {
        if (total > 0) return total;
        this.#host.watch(POLLIN);
        return -EAGAIN;
      }
      const n = io.span(Math.min(io.remaining, READ_BYTES_MAX), true);
      if (n <= 0) return total > 0 ? total : n;
      const r = this.#files.read(this.#fd, io.spanBytes, io.spanOffset, n);
      if (r <= 0) return total > 0 ? total : r;
      io.advance(r);
      total += r;
      if (r < n) break;
    }
    if (!this.waiters.isEmpty) this.#host.watch(POLLIN);
    return total;
  }

  override write(t: Task, io: Io): number {
    let total = 0;
    while (io.remaining > 0) {
      const ready = this.#ready(POLLOUT);
      if ((ready & POLLERR) !== 0 && (ready & POLLOUT) === 0) return this.#broken(t, total);
      if ((ready & POLLOUT) === 0) {
        if (total > 0) break;
        this.#host.watch(POLLOUT);
        return -EAGAIN;
      }
      const n = io.span(this.#isRegular ? io.remaining : Math.min(io.remaining, PIPE_BUF), false);
      if (n <= 0) return total > 0 ? total : n;
      const r = this.#files.write(this.#fd, io.spanBytes, io.spanOffset, n);
      if (r === -EPIPE) return this.#broken(t, total);
      if (r < 0) return total > 0 ? total : r;
      io.advance(r);
      total += r;
      if (r < n) break;
    }
    return total;
  }

  #broken(t: Task, total: number): number {
    if (total > 0) return total;
    t.raise(SIGPIPE);
    return -EPIPE;
  }

  override pread(_t: Task, io: Io, offset: number): number {
    if (!this.#isRegular) return -ESPIPE;
    const n = io.span(io.remaining, true);
    if (n <= 0) return n;
    const r = this.#files.pread(this.#fd, io.spanBytes, io.spanOffset, n, offset);
    if (r > 0) io.advance(r);
    return r;
  }
  override pwrite(_t: Task, io: Io, offset: number): number {
    if (!this.#isRegular) return -ESPIPE;
    const n = io.span(io.remaining, false);
    if (n <= 0) return n;
    const r = this.#files.pwrite(this.#fd, io.spanBytes, io.spanOffset, n, offset);
    if (r > 0) io.advance(r);
    return r;
  }
  override seek(_t: Task, offset: number, whence: number): number {
    if (this.#type === S_IFIFO || this.#type === S_IFSOCK) return -ESPIPE;
    return this.#files.seek(this.#fd, offset, whence);
  }

  override poll(): number {
    const wanted = (this.isReadable ? POLLIN : 0) | (this.isWritable ? POLLOUT : 0);
    const ready = this.#ready(wanted);
    if (ready < 0) return POLLERR;
    const missing = wanted & ~ready;
    // Hung up for good: there is nothing to wait for any more.
    if (missing !== 0 && (ready & (POLLHUP | POLLERR)) === 0) this.#host.watch(missing);
    return withNormalBits(ready);
  }

  override truncate(_t: Task, length: number): number {
    return this.#isRegular ? this.#files.ftruncate(this.#fd, length) : -EINVAL;
  }
  override sync(_t: Task): number {
    return this.#isRegular ? this.#files.fsync(this.#fd) : -EINVAL;
  }

  /** The host's descriptor cannot be duplicated from here: both share it until the last is gone. */
  override reopen(_t: Task, flags: number): FileDescription | number {
    const wanted = flags & O_ACCMODE;
    const own = this.flags & O_ACCMODE;
    if (own !== O_RDWR && wanted !== own) return -EACCES;
    return new HostFile(this.#host, flags);
  }

  stat(out: Stat): number {
    out.dev = 0x0a;
    out.ino = this.#host.ino;
    out.mode = this.#host.mode;
    out.nlink = 1;
    out.uid = 0;
    out.gid = 0;
    out.rdev = 0;
    out.size = this.#isRegular ? Math.max(0, this.#files.size(this.#fd)) : 0;
    out.blksize = 4096;
    out.blocks = Math.ceil(out.size / 512);
    out.atimeNs = 0;
    out.mtimeNs = 0;
    out.ctimeNs = 0;
    out.btimeNs = 0;
    return 0;
  }
  release(): void {
    this.#host.letGo();
  }
  describe(): string {
    if (this.#type === S_IFIFO) return `pipe:[${this.#host.ino}]`;
    if (this.#type === S_IFSOCK) return `socket:[${this.#host.ino}]`;
    return `host:[${this.#host.ino}]`;
  }
}
