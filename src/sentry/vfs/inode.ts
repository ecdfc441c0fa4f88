// A file as the file system knows it, without a name. File systems subclass it; the VFS does permission
// checks, dentry upkeep, mounts and symlink walking before it calls these. Results are values or -errno.

import { EINVAL, ELOOP, ENODATA, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM } from "../../abi/errno.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../../abi/stat.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { FileDescription } from "./file-description.ts";
import type { FileLocks } from "./file-locks.ts";
import type { FileSystem } from "./file-system.ts";
import type { Path } from "./path.ts";
import type { Stat } from "./stat.ts";

export { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK };

/** Which fields of an AttrChange to take. */
export const ATTR_MODE = 1;
export const ATTR_UID = 2;
export const ATTR_GID = 4;
export const ATTR_SIZE = 8;
export const ATTR_ATIME = 16;
export const ATTR_MTIME = 32;

export interface AttrChange {
  mask: number;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  atimeNs: number;
  mtimeNs: number;
}

/** Who wants to hear of changes (inotify). mask: IN_*; name: the entry's, for a directory. */
export interface InodeWatches {
  notify(mask: number, cookie: number, name: ByteString): void;
}

export abstract class Inode {
  readonly fileSystem: FileSystem;
  readonly ino: number;

  constructor(fileSystem: FileSystem, ino: number) {
    this.fileSystem = fileSystem;
    this.ino = ino;
  }

  /** S_IF* | permissions, and owner: asked on every walk, so they must be cheap. */
  abstract readonly mode: number;
  abstract readonly uid: number;
  abstract readonly gid: number;

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  abstract stat(out: Stat): number;
  setAttr(_t: Task, _change: AttrChange): number {
    return -EPERM;
  }
  /** A new description of this file; flags as open(2), already checked for access. O_TRUNC is done by the VFS. */
  abstract open(t: Task, path: Path, flags: number): FileDescription | number;

  // Directories.
  lookup(_t: Task, _name: ByteString): Inode | number {
    return -ENOTDIR;
  }
  create(_t: Task, _name: ByteString, _mode: number): Inode | number {
    return -EPERM;
  }
  mkdir(_t: Task, _name: ByteString, _mode: number): Inode | number {
    return -EPERM;
  }
  symlink(_t: Task, _name: ByteString, _target: ByteString): Inode | number {
    return -EPERM;
  }
  /** FIFO, socket, or device node, by mode's type. */
  mknod(_t: Task, _name: ByteString, _mode: number, _rdev: number): Inode | number {
    return -EPERM;
  }
  link(_t: Task, _name: ByteString, _target: Inode): number {
    return -EPERM;
  }
  unlink(_t: Task, _name: ByteString, _target: Inode): number {
    return -EPERM;
  }
  rmdir(_t: Task, _name: ByteString, _target: Inode): number {
    return -EPERM;
  }
  /** flags: RENAME_NOREPLACE and RENAME_EXCHANGE were checked by the VFS; `replaced` is what stands there. */
  rename(
    _t: Task,
    _name: ByteString,
    _source: Inode,
    _newDir: Inode,
    _newName: ByteString,
    _replaced: Inode | null,
    _flags: number,
  ): number {
    return -EPERM;
  }
  /** An unnamed file (O_TMPFILE). */
  createUnnamed(_t: Task, _mode: number): Inode | number {
    return -EOPNOTSUPP;
  }
  /** Names that no longer hold may still be cached: false makes the VFS look up again. */
  revalidate(_name: ByteString, _child: Inode | null): boolean {
    return true;
  }

  // Symbolic links.
  readlink(_t: Task): ByteString | number {
    return -EINVAL;
  }
  /** "Magic" links (/proc/PID/fd/N, exe, cwd) jump to a place instead of a name; null: follow the text. */
  followMagic(_t: Task): Path | number | null {
    return null;
  }

  // Extended attributes; names include the namespace ("user.x").
  getXattr(_t: Task, _name: ByteString): Uint8Array | number {
    return -EOPNOTSUPP;
  }
  setXattr(_t: Task, _name: ByteString, _value: Uint8Array, _flags: number): number {
    return -EOPNOTSUPP;
  }
  listXattr(_t: Task): ByteString[] | number {
    return [];
  }
  removeXattr(_t: Task, _name: ByteString): number {
    return -ENODATA;
  }

  /** Advisory locks (fcntl, flock) held on it; null until the first. */
  locks: FileLocks | null = null;
  /** inotify watches on it; null until the first. */
  watches: InodeWatches | null = null;
  /** Descriptions open for writing (ETXTBSY). */
  writerCount = 0;

  /** A description of it came to be or went away: what is open lives on without a name. */
  retain(): void {}
  letGo(): void {}

  /** connect(2) to a path: the listening unix socket bound here, if any (socket/unix owns the type). */
  boundSocket: object | null = null;

  /** Kept for file systems that refuse: a readable constant beats a number. */
  static readonly unsupported = { ENOSYS, ELOOP };
}
