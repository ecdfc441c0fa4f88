// A directory in memory, and the making of entries in it. Positions of a listing are the numbers that
// entries got when they were added, so they hold while others come and go. The overlay's directory is a
// subclass that also shows a lower directory's entries: it overrides find, put, take and list.

import { EEXIST, EMLINK, ENOENT, ENOTEMPTY } from "../../../abi/errno.ts";
import { RENAME_EXCHANGE } from "../../../abi/fcntl.ts";
import { S_ISGID } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { MemoryDirectoryFile } from "./memory-directory-file.ts";
import { groupFor, MemoryInode } from "./memory-inode.ts";
import type { Tmpfs } from "./tmpfs.ts";

const NLINK_MAX = 65_000;
/** What a directory entry is taken to weigh in st_size (as Linux's tmpfs). */
const DIRENT_SIZE = 20;

export interface MemoryEntry {
  readonly name: ByteString;
  readonly inode: MemoryInode;
  /** Position in listings; grows. */
  readonly cookie: number;
}

export class MemoryDirectory extends MemoryInode {
  readonly tmpfs: Tmpfs;
  readonly entries = new Map<ByteString, MemoryEntry>();
  /** 0 and 1 are "." and "..". */
  #nextCookie = 2;

  constructor(fs: Tmpfs, ino: number, mode: number, uid: number, gid: number, nowNs: number) {
    super(fs, ino, mode, uid, gid, nowNs);
    this.tmpfs = fs;
    this.nlink = 2;
  }

  open(_t: Task, _path: Path, flags: number): FileDescription | number {
    return new MemoryDirectoryFile(this, flags);
  }

  override stat(out: Stat): number {
    super.stat(out);
    out.size = (this.entries.size + 2) * DIRENT_SIZE;
    return 0;
  }

  override lookup(_t: Task, name: ByteString): Inode | number {
    return this.entries.get(name)?.inode ?? -ENOENT;
  }
  isEmpty(_t: Task): boolean {
    return this.entries.size === 0;
  }

  put(name: ByteString, inode: MemoryInode): void {
    this.willChange();
    this.entries.set(name, { name, inode, cookie: this.#nextCookie++ });
  }
  take(name: ByteString): void {
    this.willChange();
    this.entries.delete(name);
  }

  /** Attaches a new inode, or says why not. */
  #make(t: Task, name: ByteString, inode: MemoryInode | number): MemoryInode | number {
    if (typeof inode === "number") return inode;
    this.put(name, inode);
    this.touchModified(t);
    return inode;
  }

  override create(t: Task, name: ByteString, mode: number): Inode | number {
    return this.#make(t, name, this.tmpfs.newRegular(t, mode, groupFor(t, this)));
  }
  override createUnnamed(t: Task, mode: number): Inode | number {
    const inode = this.tmpfs.newRegular(t, mode, groupFor(t, this));
    if (typeof inode !== "number") inode.nlink = 0;
    return inode;
  }
  override mkdir(t: Task, name: ByteString, mode: number): Inode | number {
    if (this.nlink >= NLINK_MAX) return -EMLINK;
    const inherited = mode | (this.mode & S_ISGID);
    const made = this.#make(t, name, this.tmpfs.newDirectory(t, inherited, groupFor(t, this)));
    if (typeof made !== "number") this.nlink++;
    return made;
  }
  override symlink(t: Task, name: ByteString, target: ByteString): Inode | number {
    return this.#make(t, name, this.tmpfs.newSymlink(t, target, groupFor(t, this)));
  }
  override mknod(t: Task, name: ByteString, mode: number, rdev: number): Inode | number {
    return this.#make(t, name, this.tmpfs.newSpecial(t, mode, rdev, groupFor(t, this)));
  }

  override link(t: Task, name: ByteString, target: Inode): number {
    if (this.entries.has(name)) return -EEXIST;
    const inode = target as MemoryInode;
    if (inode.nlink >= NLINK_MAX) return -EMLINK;
    // Only an unnamed file of O_TMPFILE may get its first name; one whose last name went may not.
    if (inode.nlink <= 0 && inode.uses === 0) return -ENOENT;
    this.put(name, inode);
    inode.linkAdded(t);
    this.touchModified(t);
    return 0;
  }

  override unlink(t: Task, name: ByteString, target: Inode): number {
    this.take(name);
    (target as MemoryInode).linkRemoved(t);
    this.touchModified(t);
    return 0;
  }

  override rmdir(t: Task, name: ByteString, target: Inode): number {
    const dir = target as MemoryDirectory;
    if (!dir.isEmpty(t)) return -ENOTEMPTY;
    this.take(name);
    this.nlink--;
    dir.removed(t);
    this.touchModified(t);
    return 0;
  }

  /** It has lost its name: no entries may be made in it any more. */
  removed(t: Task): void {
    this.nlink = 1;
    this.linkRemoved(t);
  }

  override rename(
    t: Task,
    name: ByteString,
    source: Inode,
    newDir: Inode,
    newName: ByteString,
    replaced: Inode | null,
    flags: number,
  ): number {
    const to = newDir as MemoryDirectory;
    const moved = source as MemoryInode;
    const other = replaced as MemoryInode | null;
    const exchange = (flags & RENAME_EXCHANGE) !== 0;
    if (other !== null && !exchange && other.isDirectory) {
      if (!(other as MemoryDirectory).isEmpty(t)) return -ENOTEMPTY;
    }
    moved.willChange();
    this.take(name);
    if (other !== null) to.take(newName);
    to.put(newName, moved);
    if (moved.isDirectory) {
      this.nlink--;
      to.nlink++;
    }
    if (other !== null && exchange) {
      other.willChange();
      this.put(name, other);
      if (other.isDirectory) {
        to.nlink--;
        this.nlink++;
      }
      other.ctimeNs = t.kernel.clock.realtimeNs();
    } else if (other !== null) {
      if (other.isDirectory) {
        to.nlink--;
        (other as MemoryDirectory).removed(t);
      } else other.linkRemoved(t);
    }
    moved.ctimeNs = t.kernel.clock.realtimeNs();
    this.touchModified(t);
    to.touchModified(t);
    return 0;
  }
}
