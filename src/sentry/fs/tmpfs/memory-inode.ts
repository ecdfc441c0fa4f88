// Attributes kept in memory: what every inode of tmpfs and of the overlay has. Owner, mode, links, times,
// extended attributes; and when the inode may go: no name, no description, no mapping.

import { EEXIST, EINVAL, ENODATA, ENOSPC, EOPNOTSUPP } from "../../../abi/errno.ts";
import { S_IFMT, S_ISGID } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileSystem } from "../../vfs/file-system.ts";
import {
  ATTR_ATIME,
  ATTR_GID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_SIZE,
  ATTR_UID,
  type AttrChange,
  Inode,
} from "../../vfs/inode.ts";
import type { Quota } from "../../vfs/quota.ts";
import type { Stat } from "../../vfs/stat.ts";

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** Bytes of names and values on one inode, so that attributes cannot get round the byte quota. */
const XATTR_BYTES_MAX = 128 * 1024;
const DAY_NS = 86_400e9;

/** The file system of a MemoryInode. */
export interface MemoryFileSystem extends FileSystem {
  readonly quota: Quota;
  allocateIno(): number;
}

export abstract class MemoryInode extends Inode {
  override readonly fileSystem: MemoryFileSystem;
  mode: number;
  uid: number;
  gid: number;
  nlink = 1;
  atimeNs: number;
  mtimeNs: number;
  ctimeNs: number;
  btimeNs: number;
  /** Open descriptions and mappings. */
  uses = 0;
  xattrs: Map<ByteString, Uint8Array> | null = null;

  constructor(
    fs: MemoryFileSystem,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    nowNs: number,
  ) {
    super(fs, ino);
    this.fileSystem = fs;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.atimeNs = nowNs;
    this.mtimeNs = nowNs;
    this.ctimeNs = nowNs;
    this.btimeNs = nowNs;
  }

  /** About to differ from where it came from (the overlay keeps it from now on). */
  willChange(): void {}

  override retain(): void {
    this.uses++;
  }
  override letGo(): void {
    this.uses--;
    this.freeIfUnused();
  }
  linkAdded(t: Task): void {
    this.willChange();
    this.nlink++;
    this.ctimeNs = t.kernel.clock.realtimeNs();
  }
  linkRemoved(t: Task): void {
    this.willChange();
    this.nlink--;
    this.ctimeNs = t.kernel.clock.realtimeNs();
    this.freeIfUnused();
  }
  freeIfUnused(): void {
    if (this.nlink <= 0 && this.uses === 0) this.free();
  }
  /** Gives back data and the inode's place in the quota; once. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.freeData();
    if (this.countsInQuota) this.fileSystem.quota.giveInode();
  }
  #isFreed = false;
  countsInQuota = true;
  freeData(): void {}

  stat(out: Stat): number {
    out.dev = this.fileSystem.dev;
    out.ino = this.ino;
    out.mode = this.mode;
    out.nlink = this.nlink;
    out.uid = this.uid;
    out.gid = this.gid;
    out.rdev = 0;
    out.size = 0;
    out.blksize = 4096;
    out.blocks = 0;
    out.atimeNs = this.atimeNs;
    out.mtimeNs = this.mtimeNs;
    out.ctimeNs = this.ctimeNs;
    out.btimeNs = this.btimeNs;
    return 0;
  }

  override setAttr(t: Task, change: AttrChange): number {
    this.willChange();
    if ((change.mask & ATTR_SIZE) !== 0) {
      const result = this.resize(t, change.size);
      if (result < 0) return result;
    }
    if ((change.mask & ATTR_MODE) !== 0) {
      this.mode = (this.mode & S_IFMT) | (change.mode & 0o7777);
    }
    if ((change.mask & ATTR_UID) !== 0) this.uid = change.uid;
    if ((change.mask & ATTR_GID) !== 0) this.gid = change.gid;
    if ((change.mask & ATTR_ATIME) !== 0) this.atimeNs = change.atimeNs;
    if ((change.mask & ATTR_MTIME) !== 0) this.mtimeNs = change.mtimeNs;
    this.ctimeNs = t.kernel.clock.realtimeNs();
    return 0;
  }
  resize(_t: Task, _length: number): number {
    return -EINVAL;
  }

  touchModified(t: Task): void {
    this.mtimeNs = this.ctimeNs = t.kernel.clock.realtimeNs();
  }
  /** relatime: when it was changed since it was last read, or that was a day ago. */
  touchAccess(t: Task): void {
    const now = t.kernel.clock.realtimeNs();
    if (
      this.atimeNs <= this.mtimeNs ||
      this.atimeNs <= this.ctimeNs ||
      now - this.atimeNs > DAY_NS
    ) {
      this.atimeNs = now;
    }
  }

  override getXattr(_t: Task, name: ByteString): Uint8Array | number {
    if (!isKnownNamespace(name)) return -EOPNOTSUPP;
    return this.xattrs?.get(name) ?? -ENODATA;
  }
  override setXattr(t: Task, name: ByteString, value: Uint8Array, flags: number): number {
    if (!isKnownNamespace(name)) return -EOPNOTSUPP;
    this.willChange();
    const exists = this.xattrs?.has(name) ?? false;
    if (exists && (flags & XATTR_CREATE) !== 0) return -EEXIST;
    if (!exists && (flags & XATTR_REPLACE) !== 0) return -ENODATA;
    this.xattrs ??= new Map();
    let used = name.length + value.length;
    for (const [n, v] of this.xattrs) if (n !== name) used += n.length + v.length;
    if (used > XATTR_BYTES_MAX) return -ENOSPC;
    this.xattrs.set(name, value);
    this.ctimeNs = t.kernel.clock.realtimeNs();
    return 0;
  }
  override listXattr(_t: Task): ByteString[] | number {
    return this.xattrs === null ? [] : [...this.xattrs.keys()];
  }
  override removeXattr(t: Task, name: ByteString): number {
    if (!isKnownNamespace(name)) return -EOPNOTSUPP;
    this.willChange();
    if (this.xattrs === null || !this.xattrs.delete(name)) return -ENODATA;
    this.ctimeNs = t.kernel.clock.realtimeNs();
    return 0;
  }
}

function isKnownNamespace(name: ByteString): boolean {
  return name.startsWith("user.") || name.startsWith("trusted.") || name.startsWith("security.");
}

/** Group of a new entry: the directory's where that is set-group-id, else the maker's. */
export function groupFor(t: Task, dir: Inode): number {
  return (dir.mode & S_ISGID) !== 0 ? dir.gid : t.creds.fsgid;
}
