// An open directory of a served tree: its listing is fetched whole, with attributes, and kept.

import { EINVAL, EISDIR } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { DirentSink } from "../../vfs/dirent-sink.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Stat } from "../../vfs/stat.ts";
import type { GoferInode } from "./gofer-inode.ts";

const DT_DIR = 4;

export class GoferDirDescription extends FileDescription {
  readonly #dir: GoferInode;
  #offset = 0;
  /** The listing as it was at its start: names in order, and what stood there. */
  #names: ByteString[] | null = null;
  #inodes: GoferInode[] = [];

  constructor(dir: GoferInode, flags: number) {
    super(flags);
    this.#dir = dir;
  }

  override readDir(_t: Task, sink: DirentSink): number {
    if (this.#names === null || this.#offset === 0) {
      const r = this.#snapshot();
      if (r < 0) return r;
    }
    const names = this.#names ?? [];
    for (; this.#offset < names.length + 2; this.#offset++) {
      const next = this.#offset + 1;
      let taken: boolean;
      if (this.#offset === 0) taken = sink.add(".", this.#dir.ino, DT_DIR, next);
      else if (this.#offset === 1) {
        taken = sink.add("..", this.#dir.parent?.ino ?? this.#dir.ino, DT_DIR, next);
      } else {
        const inode = this.#inodes[this.#offset - 2];
        taken = sink.add(names[this.#offset - 2], inode.ino, (inode.mode >>> 12) & 15, next);
      }
      if (!taken) break;
    }
    return 0;
  }

  #snapshot(): number {
    const dir = this.#dir;
    if (!dir.isListed || dir.fs.isShared) {
      const r = dir.loadListing();
      if (r < 0) return r;
    }
    this.#names = [];
    this.#inodes = [];
    for (const [name, inode] of dir.children ?? []) {
      this.#names.push(name);
      this.#inodes.push(inode);
    }
    return 0;
  }

  override seek(_t: Task, offset: number, whence: number): number {
    const to = whence === 0 ? offset : whence === 1 ? this.#offset + offset : Number.NaN;
    if (!(to >= 0)) return -EINVAL;
    this.#offset = to;
    return to;
  }
  override read(): number {
    return -EISDIR;
  }
  override pread(): number {
    return -EISDIR;
  }
  stat(out: Stat): number {
    return this.#dir.stat(out);
  }
  override sync(): number {
    return 0;
  }
  release(): void {
    this.#names = null;
    this.#inodes = [];
  }
  describe(): string {
    return this.#dir.displayPath;
  }
}
