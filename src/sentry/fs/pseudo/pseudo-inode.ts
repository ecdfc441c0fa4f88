// What all files of the kernel's own making (/proc, /sys, /dev) have in common: attributes that live in
// memory, and directories and links that are computed. Not a store for a program's data: that is tmpfs.

import { EACCES, EINVAL } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import { FileSystem, type StatFs } from "../../vfs/file-system.ts";
import {
  ATTR_GID,
  ATTR_MODE,
  ATTR_UID,
  type AttrChange,
  Inode,
  S_IFLNK,
  S_IFMT,
} from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";

export abstract class PseudoFileSystem extends FileSystem {
  readonly clock: Clock;
  /** Time stamps of everything here until it is changed. */
  readonly bootNs: number;
  #nextIno = 1;

  constructor(dev: number, clock: Clock) {
    super(dev);
    this.clock = clock;
    this.bootNs = clock.realtimeNs();
  }

  allocateIno(): number {
    return this.#nextIno++;
  }

  abstract readonly magic: number;

  statfs(): StatFs {
    return {
      type: this.magic,
      blockBytes: 4096,
      blocks: 0,
      blocksFree: 0,
      files: 0,
      filesFree: 0,
      nameBytesMax: 255,
    };
  }
}

export abstract class PseudoInode extends Inode {
  mode: number;
  uid = 0;
  gid = 0;
  nlink = 1;
  rdev = 0;
  mtimeNs: number;
  readonly pseudo: PseudoFileSystem;

  constructor(fileSystem: PseudoFileSystem, mode: number, ino = fileSystem.allocateIno()) {
    super(fileSystem, ino);
    this.pseudo = fileSystem;
    this.mode = mode;
    this.mtimeNs = fileSystem.bootNs;
  }

  stat(out: Stat): number {
    out.dev = this.fileSystem.dev;
    out.ino = this.ino;
    out.mode = this.mode;
    out.nlink = this.nlink;
    out.uid = this.uid;
    out.gid = this.gid;
    out.rdev = this.rdev;
    out.size = 0;
    out.blksize = 1024;
    out.blocks = 0;
    out.atimeNs = this.mtimeNs;
    out.mtimeNs = this.mtimeNs;
    out.ctimeNs = this.mtimeNs;
    out.btimeNs = 0;
    return 0;
  }

  /** Owner and permissions may be changed (by whom is the VFS's question); they are gone at the end. */
  override setAttr(_t: Task, change: AttrChange): number {
    if ((change.mask & ATTR_MODE) !== 0) {
      this.mode = (this.mode & S_IFMT) | (change.mode & 0o7777);
    }
    if ((change.mask & ATTR_UID) !== 0) this.uid = change.uid;
    if ((change.mask & ATTR_GID) !== 0) this.gid = change.gid;
    return 0;
  }
}

/** A symbolic link whose text is fixed or computed for the task that reads it. */
export abstract class PseudoSymlink extends PseudoInode {
  constructor(fileSystem: PseudoFileSystem, permissions = 0o777, ino?: number) {
    super(fileSystem, S_IFLNK | permissions, ino);
  }
  abstract override readlink(t: Task): ByteString | number;
  open(_t: Task, _path: Path, _flags: number): FileDescription | number {
    return -EINVAL;
  }
  override setAttr(): number {
    return -EACCES;
  }
}

export class StaticSymlink extends PseudoSymlink {
  readonly target: ByteString;
  constructor(fileSystem: PseudoFileSystem, target: ByteString) {
    super(fileSystem);
    this.target = target;
  }
  readlink(_t: Task): ByteString {
    return this.target;
  }
  override stat(out: Stat): number {
    super.stat(out);
    out.size = this.target.length;
    return 0;
  }
}

export class ComputedSymlink extends PseudoSymlink {
  readonly #compute: (t: Task) => ByteString | number;
  constructor(fileSystem: PseudoFileSystem, compute: (t: Task) => ByteString | number) {
    super(fileSystem);
    this.#compute = compute;
  }
  readlink(t: Task): ByteString | number {
    return this.#compute(t);
  }
}
