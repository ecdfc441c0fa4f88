// An open regular file of a served tree: reads and writes go straight to the donated descriptor, with the
// program's own pages as the buffer. The Gofer is not asked.

import { EBADF, EFBIG, EINVAL, EISDIR } from "../../../abi/errno.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable } from "../../mm/mappable.ts";
import { FileDescription, O_APPEND } from "../../vfs/file-description.ts";
import { ATTR_SIZE } from "../../vfs/inode.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";
import type { GoferInode } from "./gofer-inode.ts";
import { setAttr } from "./mutations.ts";

const OFFSET_MAX = 2 ** 52;
const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;

export class GoferFile extends FileDescription {
  readonly #inode: GoferInode;
  #offset = 0;

  /** Takes over one use of the inode's descriptor. */
  constructor(inode: GoferInode, flags: number) {
    super(flags);
    this.#inode = inode;
  }

  override read(t: Task, io: Io): number {
    const n = this.pread(t, io, this.#offset);
    if (n > 0) this.#offset += n;
    return n;
  }

  override pread(_t: Task, io: Io, offset: number): number {
    const fd = this.#inode.donated.fd;
    const files = this.#inode.fs.files;
    let total = 0;
    while (io.remaining > 0) {
      const n = io.span(io.remaining, true);
      if (n <= 0) return total > 0 ? total : n;
      const r = files.pread(fd, io.spanBytes, io.spanOffset, n, offset + total);
      if (r < 0) return total > 0 ? total : r;
      io.advance(r);
      total += r;
      if (r < n) break;
    }
    return total;
  }

  override write(t: Task, io: Io): number {
    if ((this.flags & O_APPEND) !== 0) {
      const size = this.#inode.donated.currentSize();
      if (size < 0) return size;
      this.#offset = size;
    }
    const n = this.pwrite(t, io, this.#offset);
    if (n > 0) this.#offset += n;
    return n;
  }

  override pwrite(_t: Task, io: Io, offset: number): number {
    const fd = this.#inode.donated.writeFd;
    if (fd < 0) return -EBADF;
    if (offset + io.remaining > OFFSET_MAX) return -EFBIG;
    const files = this.#inode.fs.files;
    let total = 0;
    while (io.remaining > 0) {
      const n = io.span(io.remaining, false);
      if (n <= 0) return total > 0 ? total : n;
      const r = files.pwrite(fd, io.spanBytes, io.spanOffset, n, offset + total);
      if (r < 0) return total > 0 ? total : r;
      io.advance(r);
      total += r;
      if (r < n) break;
    }
    this.#inode.noteWritten(offset + total);
    return total;
  }

  override seek(_t: Task, offset: number, whence: number): number {
    const size = whence >= SEEK_END ? this.#inode.donated.currentSize() : 0;
    if (size < 0) return size;
    let to = offset;
    if (whence === SEEK_CUR) to += this.#offset;
    else if (whence === SEEK_END) to += size;
    else if (whence === SEEK_DATA || whence === SEEK_HOLE) {
      // One stretch of data, then the hole that every file has at its end (allowed by lseek(2)).
      if (offset < 0 || offset >= size) return -ENXIO;
      if (whence === SEEK_HOLE) to = size;
    } else if (whence !== SEEK_SET) return -EINVAL;
    if (!(to >= 0 && to <= OFFSET_MAX)) return -EINVAL;
    this.#offset = to;
    return to;
  }

  override truncate(t: Task, length: number): number {
    const inode = this.#inode;
    if (inode.isDirectory) return -EISDIR;
    const fd = inode.donated.writeFd;
    if (fd < 0) return -EINVAL;
    const before = inode.size;
    const r = inode.fs.files.ftruncate(fd, length);
    if (r < 0) return r;
    if (length < before) inode.mappableIfAny?.invalidateFrom(length);
    // Through the attributes, so that size and times are the host's.
    const change = { mask: 0, mode: 0, uid: 0, gid: 0, size: 0, atimeNs: 0, mtimeNs: 0 };
    if (setAttr(t, inode, { ...change, mask: ATTR_SIZE, size: length }) < 0) {
      inode.noteWritten(length);
    }
    return 0;
  }

  override mappable(_t: Task): Mappable | number {
    return this.#inode.mappable;
  }
  override stat(out: Stat): number {
    const r = this.#inode.stat(out);
    const size = this.#inode.donated.currentSize();
    if (size >= 0) out.size = size;
    return r;
  }
  override sync(_t: Task): number {
    const fd = this.#inode.donated.writeFd;
    return fd < 0 ? 0 : this.#inode.fs.files.fsync(fd);
  }
  release(): void {
    this.#inode.donated.unuse();
  }
  describe(): string {
    return this.#inode.displayPath;
  }
}
