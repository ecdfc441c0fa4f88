// Symbolic links and special files of the lower tree. A lower FIFO is a pipe of this sandbox, a lower device
// node opens this sandbox's device of that number: nothing of the host is behind them.

import { ENXIO } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { MemoryInode } from "../tmpfs/memory-inode.ts";
import { MemorySpecial } from "../tmpfs/memory-special.ts";
import type { OverlayFs } from "./overlay.ts";

export class OverlaySymlink extends MemoryInode {
  readonly overlay: OverlayFs;
  readonly lower: Inode;
  readonly #size: number;

  constructor(fs: OverlayFs, lower: Inode, stat: Stat) {
    super(fs, lower.ino, stat.mode, stat.uid, stat.gid, stat.mtimeNs);
    this.overlay = fs;
    this.lower = lower;
    this.#size = stat.size;
  }
  override willChange(): void {
    this.overlay.keep(this);
  }
  open(_t: Task, _path: Path, _flags: number): FileDescription | number {
    return -ENXIO;
  }
  override stat(out: Stat): number {
    super.stat(out);
    out.size = this.#size;
    return 0;
  }
  override readlink(t: Task): ByteString | number {
    return this.lower.readlink(t);
  }
  override followMagic(t: Task): Path | number | null {
    return this.lower.followMagic(t);
  }
}

export class OverlaySpecial extends MemorySpecial {
  readonly overlay: OverlayFs;

  constructor(fs: OverlayFs, lower: Inode, stat: Stat) {
    super(fs, lower.ino, stat.mode, stat.uid, stat.gid, stat.mtimeNs, stat.rdev);
    this.overlay = fs;
  }
  override willChange(): void {
    this.overlay.keep(this);
  }
}
