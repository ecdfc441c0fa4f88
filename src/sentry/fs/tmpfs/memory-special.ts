// Symbolic links, FIFOs, sockets and device nodes in memory.

import { ENXIO } from "../../../abi/errno.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { openFifo, type Pipe } from "../pipe/pipe.ts";
import { type MemoryFileSystem, MemoryInode } from "./memory-inode.ts";

export class MemorySymlink extends MemoryInode {
  readonly target: ByteString;

  constructor(
    fs: MemoryFileSystem,
    ino: number,
    uid: number,
    gid: number,
    nowNs: number,
    target: ByteString,
  ) {
    super(fs, ino, S_IFLNK | 0o777, uid, gid, nowNs);
    this.target = target;
  }
  open(_t: Task, _path: Path, _flags: number): FileDescription | number {
    return -ENXIO;
  }
  override stat(out: Stat): number {
    super.stat(out);
    out.size = this.target.length;
    return 0;
  }
  override readlink(_t: Task): ByteString | number {
    return this.target;
  }
}

export class MemorySpecial extends MemoryInode {
  readonly rdev: number;
  /** A FIFO's pipe while anyone has it open. */
  #pipe: Pipe | null = null;

  constructor(
    fs: MemoryFileSystem,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    nowNs: number,
    rdev: number,
  ) {
    super(fs, ino, mode, uid, gid, nowNs);
    this.rdev = rdev;
  }

  open(t: Task, path: Path, flags: number): FileDescription | number {
    const type = this.mode & S_IFMT;
    if (type === S_IFIFO) {
      const file = openFifo(t, this.#pipe, this, flags);
      if (typeof file !== "number") this.#pipe = file.pipe;
      return file;
    }
    if (type === S_IFCHR || type === S_IFBLK) {
      const table = path.mount.namespace?.table;
      return table?.openDevice(t, path, this.mode, this.rdev, flags) ?? -ENXIO;
    }
    return -ENXIO;
  }
  override letGo(): void {
    super.letGo();
    if (this.uses === 0) this.#pipe = null;
  }
  override stat(out: Stat): number {
    super.stat(out);
    out.rdev = this.rdev;
    return 0;
  }
}
