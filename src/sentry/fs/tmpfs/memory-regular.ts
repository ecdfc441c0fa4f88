// A regular file in memory: pages, seals, mapping. Also memfd_create's file. The overlay's file is a subclass
// that has no pages of its own until it is first written.

import { EBUSY, EFBIG, EINVAL, EIO, EOPNOTSUPP, EPERM } from "../../../abi/errno.ts";
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_ALL,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
} from "../../../abi/fcntl.ts";
import { S_ISGID, S_ISUID } from "../../../abi/stat.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable, MappingObserver, MapRun } from "../../mm/mappable.ts";
import { type MemoryFile, PAGE_BYTES } from "../../mm/memory-file.ts";
import { FILE_BYTES_MAX } from "../../vfs/attributes.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Io } from "../../vfs/io.ts";
import { nameInNamespace, type Path } from "../../vfs/path.ts";
import { withoutSetId } from "../../vfs/permissions.ts";
import { type ByteStore, RegularFile } from "../../vfs/regular-file.ts";
import type { Stat } from "../../vfs/stat.ts";
import { FilePages, pagesOf } from "./file-pages.ts";
import { Mappings } from "./mappings.ts";
import { type MemoryFileSystem, MemoryInode } from "./memory-inode.ts";

export class MemoryRegular extends MemoryInode implements ByteStore, Mappable {
  readonly mappings = new Mappings();
  readonly pages: FilePages;
  /** F_SEAL_*; only memfd_create with MFD_ALLOW_SEALING lets any be added. */
  seals = F_SEAL_SEAL;

  constructor(
    fs: MemoryFileSystem,
    memory: MemoryFile,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    nowNs: number,
  ) {
    super(fs, ino, mode, uid, gid, nowNs);
    this.pages = new FilePages(memory, fs.quota, this.mappings, this);
  }

  get sizeBytes(): number {
    return this.pages.size;
  }

  /** Where it was last opened: the name that /proc/PID/maps shows. */
  openedAt: Path | null = null;
  /** That name for a file that never had one. */
  anonymousName = "";

  open(_t: Task, path: Path, flags: number): FileDescription | number {
    this.openedAt = path;
    return new RegularFile(this, flags);
  }

  override stat(out: Stat): number {
    super.stat(out);
    out.size = this.pages.size;
    out.blocks = Math.min(this.pages.pageCount, pagesOf(this.pages.size)) * 8;
    return 0;
  }

  readBytes(_t: Task, io: Io, offset: number): number {
    return this.pages.read(io, offset);
  }

  writeBytes(t: Task, io: Io, offset: number): number {
    if ((this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
    if (offset + io.remaining > this.pages.size && (this.seals & F_SEAL_GROW) !== 0) return -EPERM;
    const n = this.pages.write(io, offset);
    if (n > 0) {
      this.touchModified(t);
      if ((this.mode & (S_ISUID | S_ISGID)) !== 0) this.mode = withoutSetId(t.creds, this.mode);
    }
    return n;
  }

  override resize(t: Task, length: number): number {
    const old = this.sizeBytes;
    if (length > FILE_BYTES_MAX) return -EFBIG;
    if (length < old && (this.seals & F_SEAL_SHRINK) !== 0) return -EPERM;
    if (length > old && (this.seals & F_SEAL_GROW) !== 0) return -EPERM;
    this.pages.truncate(length);
    this.touchModified(t);
    return 0;
  }

  allocateBytes(t: Task, mode: number, offset: number, length: number): number {
    const end = offset + length;
    if (end > FILE_BYTES_MAX) return -EFBIG;
    if ((mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) !== 0) return -EOPNOTSUPP;
    const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
    if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) {
      if (!keepSize) return -EOPNOTSUPP;
      if ((this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
      this.pages.punch(offset, Math.min(end, pagesOf(this.sizeBytes) * PAGE_BYTES));
      this.touchModified(t);
      return 0;
    }
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_UNSHARE_RANGE)) !== 0) {
      return -EOPNOTSUPP;
    }
    if (end > this.sizeBytes && !keepSize && (this.seals & F_SEAL_GROW) !== 0) return -EPERM;
    if ((mode & FALLOC_FL_ZERO_RANGE) !== 0 && offset < this.sizeBytes) {
      this.pages.punch(offset, end);
    }
    const result = this.pages.reserve(offset, end);
    if (result < 0) return result;
    if (!keepSize && end > this.pages.size) this.pages.size = end;
    this.touchModified(t);
    return 0;
  }

  seekData(offset: number): number {
    return this.pages.seekData(offset);
  }
  seekHole(offset: number): number {
    return this.pages.seekHole(offset);
  }
  syncBytes(_t: Task): number {
    return 0;
  }

  fcntl(_t: Task, command: number, arg: number): number {
    if (command === F_GET_SEALS) return this.seals;
    if (command !== F_ADD_SEALS) return -EINVAL;
    if ((arg & ~F_SEAL_ALL) !== 0) return -EINVAL;
    if ((this.seals & F_SEAL_SEAL) !== 0) return -EPERM;
    if ((arg & F_SEAL_WRITE) !== 0 && (this.seals & F_SEAL_WRITE) === 0) {
      if (this.mappings.writableCount > 0) return -EBUSY;
    }
    this.seals |= arg;
    return 0;
  }

  checkMap(shared: boolean, write: boolean): number {
    const sealed = (this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
    return shared && write && sealed ? -EPERM : 0;
  }

  override freeData(): void {
    this.pages.clear();
  }

  // Mappable.

  mappable(_t: Task): Mappable | number {
    return this;
  }
  mapRun(offset: number, length: number, _write: boolean, out: MapRun): number {
    return this.pages.mapRun(offset, length, out);
  }
  readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    if (offset >= this.sizeBytes) return 0;
    return this.pages.readBytes(offset, dst, dstOffset, length);
  }
  writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    const n = Math.min(length, this.sizeBytes - offset);
    return n <= 0 ? -EIO : this.pages.writeBytes(offset, src, srcOffset, n);
  }
  addMapping(observer: MappingObserver, offset: number, length: number, writable: boolean): void {
    this.mappings.add(observer, offset, length, writable);
  }
  removeMapping(
    observer: MappingObserver,
    offset: number,
    length: number,
    writable: boolean,
  ): void {
    this.mappings.remove(observer, offset, length, writable);
  }
  incRef(): void {
    this.retain();
  }
  decRef(): void {
    this.letGo();
  }
  get mapName(): string {
    return this.openedAt === null ? this.anonymousName : nameInNamespace(this.openedAt);
  }
  get mapDevice(): number {
    return this.fileSystem.dev;
  }
  get mapInode(): number {
    return this.ino;
  }
}
