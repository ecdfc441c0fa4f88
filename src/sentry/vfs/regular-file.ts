// The description of a regular file whose bytes are kept by its inode: position, O_APPEND, SEEK_*. Used by
// tmpfs, memfd and the overlay. The inode may change where its bytes live while this is open.

import { EBADF, EFBIG, EINVAL, ENXIO, EOVERFLOW } from "../../abi/errno.ts";
import {
  O_APPEND,
  O_NOATIME,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from "../../abi/fcntl.ts";
import { IN_ACCESS } from "../../abi/inotify.ts";
import { FIGETBSZ, FIONREAD } from "../../abi/ioctl.ts";
import type { Task } from "../kernel/task.ts";
import type { Mappable } from "../mm/mappable.ts";
import { FILE_BYTES_MAX } from "./attributes.ts";
import { FileDescription } from "./file-description.ts";
import type { Inode } from "./inode.ts";
import type { Io } from "./io.ts";
import { isWatched, noteFile, noteModified } from "./notify.ts";
import type { Stat } from "./stat.ts";

/** What an inode with bytes offers. Counts or -errno; offsets are not negative. */
export interface ByteStore extends Inode {
  readonly sizeBytes: number;
  readBytes(t: Task, io: Io, offset: number): number;
  writeBytes(t: Task, io: Io, offset: number): number;
  resize(t: Task, length: number): number;
  allocateBytes(t: Task, mode: number, offset: number, length: number): number;
  /** -1: none. */
  seekData(offset: number): number;
  seekHole(offset: number): number;
  mappable(t: Task): Mappable | number;
  touchAccess(t: Task): void;
  syncBytes(t: Task): number;
  /** fcntl F_ADD_SEALS, F_GET_SEALS. */
  fcntl(t: Task, command: number, arg: number): number;
  checkMap(shared: boolean, write: boolean): number;
}

export class RegularFile extends FileDescription {
  readonly inode: ByteStore;
  position = 0;

  constructor(inode: ByteStore, flags: number) {
    super(flags);
    this.inode = inode;
  }

  override read(t: Task, io: Io): number {
    const n = this.pread(t, io, this.position);
    if (n > 0) this.position += n;
    return n;
  }
  override pread(t: Task, io: Io, offset: number): number {
    const n = this.inode.readBytes(t, io, offset);
    if (n > 0) {
      if ((this.flags & O_NOATIME) === 0) this.inode.touchAccess(t);
      if (this.path !== null && isWatched(this.path.dentry)) noteFile(this.path.dentry, IN_ACCESS);
    }
    return n;
  }

  override write(t: Task, io: Io): number {
    if ((this.flags & O_APPEND) !== 0) this.position = this.inode.sizeBytes;
    const n = this.#writeAt(t, io, this.position);
    if (n > 0) this.position += n;
    return n;
  }
  override pwrite(t: Task, io: Io, offset: number): number {
    // Linux appends even for pwrite (pwrite(2) BUGS).
    return this.#writeAt(t, io, (this.flags & O_APPEND) !== 0 ? this.inode.sizeBytes : offset);
  }
  #writeAt(t: Task, io: Io, offset: number): number {
    if (io.remaining === 0) return 0;
    if (offset >= FILE_BYTES_MAX) return -EFBIG;
    const n = this.inode.writeBytes(t, io, offset);
    if (n > 0 && this.path !== null) noteModified(this.path.dentry);
    return n;
  }

  override seek(_t: Task, offset: number, whence: number): number {
    let to: number;
    if (whence === SEEK_SET) to = offset;
    else if (whence === SEEK_CUR) to = this.position + offset;
    else if (whence === SEEK_END) to = this.inode.sizeBytes + offset;
    else if (whence === SEEK_DATA || whence === SEEK_HOLE) {
      if (offset < 0 || offset >= this.inode.sizeBytes) return -ENXIO;
      to = whence === SEEK_DATA ? this.inode.seekData(offset) : this.inode.seekHole(offset);
      if (to < 0) return -ENXIO;
    } else return -EINVAL;
    if (to < 0) return -EINVAL;
    if (to > Number.MAX_SAFE_INTEGER) return -EOVERFLOW;
    this.position = to;
    return to;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) {
      const left = Math.max(0, this.inode.sizeBytes - this.position);
      return t.mm.writeU32(arg, Math.min(left, 0x7fff_ffff));
    }
    if (request === FIGETBSZ) return t.mm.writeU32(arg, 4096);
    return super.ioctl(t, request, arg);
  }
  stat(out: Stat): number {
    return this.inode.stat(out);
  }
  override mappable(t: Task): Mappable | number {
    return this.inode.mappable(t);
  }
  override checkMap(shared: boolean, write: boolean): number {
    return this.inode.checkMap(shared, write);
  }
  override truncate(t: Task, length: number): number {
    return this.isWritable ? this.inode.resize(t, length) : -EBADF;
  }
  override allocate(t: Task, mode: number, offset: number, length: number): number {
    return this.inode.allocateBytes(t, mode, offset, length);
  }
  override sync(t: Task): number {
    return this.inode.syncBytes(t);
  }
  override fcntl(t: Task, command: number, arg: number): number {
    return this.inode.fcntl(t, command, arg);
  }
  release(): void {}
  describe(): string {
    return "file";
  }
}
