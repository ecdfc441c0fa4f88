// An open directory of tmpfs: lists the entries in the order they were made, from any position.

import { EINVAL, EISDIR } from "../../../abi/errno.ts";
import { SEEK_CUR, SEEK_SET } from "../../../abi/fcntl.ts";
import { DT_DIR, direntType } from "../../../abi/stat.ts";
import type { Task } from "../../kernel/task.ts";
import type { DirentSink } from "../../vfs/dirent-sink.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Stat } from "../../vfs/stat.ts";
import type { MemoryDirectory, MemoryEntry } from "./memory-directory.ts";

export class MemoryDirectoryFile extends FileDescription {
  readonly directory: MemoryDirectory;
  /** The next entry has this cookie or a greater one. */
  position = 0;
  /** Stands in the entries (a Map's iterator lives through changes); made anew after a seek. */
  #iterator: Iterator<MemoryEntry> | null = null;
  /** Taken from the iterator but not yet from the sink. */
  #pending: MemoryEntry | null = null;

  constructor(directory: MemoryDirectory, flags: number) {
    super(flags);
    this.directory = directory;
  }

  override readDir(t: Task, sink: DirentSink): number {
    const start = this.position;
    if (this.position === 0 && !this.#addDot(sink)) return 0;
    if (this.position === 1 && !this.#addDotDot(sink)) return 0;
    const result = this.listEntries(t, sink);
    if (this.position !== start) this.directory.touchAccess(t);
    return result;
  }

  /** Everything after "." and "..". The overlay puts the lower directory's entries first. */
  listEntries(_t: Task, sink: DirentSink): number {
    this.listOwn(sink, 0);
    return 0;
  }

  /** Own entries; base is added to cookies to give positions. */
  protected listOwn(sink: DirentSink, base: number): void {
    for (;;) {
      const entry = this.#pending ?? this.#next(base);
      if (entry === null) return;
      this.#pending = null;
      // Gone since it was taken from the iterator.
      if (this.directory.entries.get(entry.name) !== entry) continue;
      const { name, inode, cookie } = entry;
      const next = base + cookie + 1;
      if (!sink.add(name, inode.ino, direntType(inode.mode), next)) {
        this.#pending = entry;
        return;
      }
      this.position = next;
    }
  }

  #next(base: number): MemoryEntry | null {
    this.#iterator ??= this.directory.entries.values();
    for (;;) {
      const step = this.#iterator.next();
      if (step.done) {
        // An exhausted iterator stays exhausted: entries added later need a new one.
        this.#iterator = null;
        return null;
      }
      if (base + step.value.cookie >= this.position) return step.value;
    }
  }

  #addDot(sink: DirentSink): boolean {
    if (!sink.add(".", this.directory.ino, DT_DIR, 1)) return false;
    this.position = 1;
    return true;
  }
  #addDotDot(sink: DirentSink): boolean {
    const parent = this.path?.dentry.parent?.inode ?? this.directory;
    if (!sink.add("..", parent.ino, DT_DIR, 2)) return false;
    this.position = 2;
    return true;
  }

  override seek(_t: Task, offset: number, whence: number): number {
    let to: number;
    if (whence === SEEK_SET) to = offset;
    else if (whence === SEEK_CUR) to = this.position + offset;
    else return -EINVAL;
    if (to < 0) return -EINVAL;
    if (to !== this.position) this.moved();
    this.position = to;
    return to;
  }
  protected moved(): void {
    this.#iterator = null;
    this.#pending = null;
  }

  override read(): number {
    return -EISDIR;
  }
  override pread(): number {
    return -EISDIR;
  }
  override sync(): number {
    return 0;
  }
  stat(out: Stat): number {
    return this.directory.stat(out);
  }
  release(): void {}
  describe(): string {
    return "directory";
  }
}
