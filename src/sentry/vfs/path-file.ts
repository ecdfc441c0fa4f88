// An O_PATH description: it names a place and can do nothing else (open(2)).

import { EBADF } from "../../abi/errno.ts";
import type { Task } from "../kernel/task.ts";
import { FileDescription } from "./file-description.ts";
import type { Io } from "./io.ts";
import type { Stat } from "./stat.ts";

export class PathFile extends FileDescription {
  override read(_t: Task, _io: Io): number {
    return -EBADF;
  }
  override write(_t: Task, _io: Io): number {
    return -EBADF;
  }
  override seek(): number {
    return -EBADF;
  }
  override ioctl(): number {
    return -EBADF;
  }
  override readDir(): number {
    return -EBADF;
  }
  override mappable(): number {
    return -EBADF;
  }
  override truncate(): number {
    return -EBADF;
  }
  override allocate(): number {
    return -EBADF;
  }
  override sync(): number {
    return -EBADF;
  }
  override lockable(): boolean {
    return false;
  }
  stat(out: Stat): number {
    return this.path?.dentry.inode?.stat(out) ?? -EBADF;
  }
  release(): void {}
  describe(): string {
    return "path";
  }
}
