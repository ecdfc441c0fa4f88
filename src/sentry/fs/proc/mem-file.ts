// /proc/PID/mem: another process's memory by offset (ptrace(2)'s poor cousin; gdb and tests read it).

import { EACCES, EINVAL, EIO } from "../../../abi/errno.ts";
import { S_IFREG } from "../../../abi/stat.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Io } from "../../vfs/io.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { type PseudoFileSystem, PseudoInode } from "../pseudo/pseudo-inode.ts";
import { mayInspect, ownedBy } from "./proc-entry.ts";
import { memoryOf } from "./task-status.ts";

const CHUNK_BYTES = 65_536;

export class MemFile extends PseudoInode {
  readonly #target: Task;

  constructor(fs: PseudoFileSystem, ino: number, target: Task) {
    super(fs, S_IFREG | 0o600, ino);
    this.#target = target;
    ownedBy(this, target);
  }
  open(t: Task, _path: Path, flags: number): FileDescription | number {
    return mayInspect(t, this.#target) ? new MemDescription(this, this.#target, flags) : -EACCES;
  }
}

class MemDescription extends FileDescription {
  readonly #inode: MemFile;
  readonly #target: Task;
  #offset = 0;

  constructor(inode: MemFile, target: Task, flags: number) {
    super(flags);
    this.#inode = inode;
    this.#target = target;
  }
  override read(t: Task, io: Io): number {
    const n = this.pread(t, io, this.#offset);
    if (n > 0) this.#offset += n;
    return n;
  }
  override pread(_t: Task, io: Io, offset: number): number {
    const mm = memoryOf(this.#target);
    if (mm === null) return 0;
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, io.remaining));
    let total = 0;
    while (io.remaining > 0) {
      const n = mm.copyIn(offset + total, chunk, 0, Math.min(chunk.length, io.remaining));
      if (n <= 0) return total > 0 ? total : -EIO;
      const copied = io.copyOut(chunk, 0, n);
      if (copied < 0) return total > 0 ? total : copied;
      total += copied;
      if (copied < n || n < chunk.length) break;
    }
    return total;
  }
  override write(t: Task, io: Io): number {
    const n = this.pwrite(t, io, this.#offset);
    if (n > 0) this.#offset += n;
    return n;
  }
  override pwrite(_t: Task, io: Io, offset: number): number {
    const mm = memoryOf(this.#target);
    if (mm === null) return 0;
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, io.remaining));
    const n = io.copyIn(chunk, 0, chunk.length);
    if (n <= 0) return n;
    const written = mm.copyOut(offset, chunk, 0, n);
    return written <= 0 ? -EIO : written;
  }
  override seek(_t: Task, offset: number, whence: number): number {
    if (whence !== 0 && whence !== 1) return -EINVAL;
    this.#offset = whence === 0 ? offset : this.#offset + offset;
    return this.#offset;
  }
  stat(out: Stat): number {
    return this.#inode.stat(out);
  }
  release(): void {}
  describe(): string {
    return "/proc/mem";
  }
}
