// Directories of the kernel's own making: fixed ones that hold what was put there, and the description
// that lists any of them. A listing is taken as a whole at its start, so entries that come and go while
// it is read are neither repeated nor skipped.

import { EINVAL, EISDIR, ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { DirentSink } from "../../vfs/dirent-sink.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import { type Inode, S_IFDIR } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { type PseudoFileSystem, PseudoInode } from "./pseudo-inode.ts";

const DT_DIR = 4;
const SEEK_SET = 0;
const SEEK_CUR = 1;

/** What a listing collects: parallel arrays, one element per entry. */
export class Listing {
  readonly names: ByteString[] = [];
  readonly inos: number[] = [];
  readonly types: number[] = [];

  add(name: ByteString, ino: number, type: number): void {
    this.names.push(name);
    this.inos.push(ino);
    this.types.push(type);
  }
}

export abstract class PseudoDir extends PseudoInode {
  constructor(fileSystem: PseudoFileSystem, permissions = 0o555, ino?: number) {
    super(fileSystem, S_IFDIR | permissions, ino);
    this.nlink = 2;
  }
  abstract override lookup(t: Task, name: ByteString): Inode | number;
  /** Adds every entry but "." and "..". */
  abstract list(t: Task, listing: Listing): void;

  open(_t: Task, _path: Path, flags: number): FileDescription | number {
    return new PseudoDirDescription(this, flags);
  }
}

/** A directory whose entries are put there by its owner. */
export class StaticDir extends PseudoDir {
  readonly children = new Map<ByteString, Inode>();

  add(name: ByteString, inode: Inode): this {
    this.children.set(name, inode);
    if (inode.isDirectory) this.nlink++;
    return this;
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    return this.children.get(name) ?? -ENOENT;
  }
  list(_t: Task, listing: Listing): void {
    for (const [name, inode] of this.children) listing.add(name, inode.ino, inode.mode >>> 12);
  }
}

export class PseudoDirDescription extends FileDescription {
  readonly #dir: PseudoDir;
  #listing: Listing | null = null;
  #offset = 0;

  constructor(dir: PseudoDir, flags: number) {
    super(flags);
    this.#dir = dir;
  }

  override readDir(t: Task, sink: DirentSink): number {
    if (this.#listing === null || this.#offset === 0) {
      this.#listing = new Listing();
      this.#dir.list(t, this.#listing);
    }
    const listing = this.#listing;
    for (; this.#offset < listing.names.length + 2; this.#offset++) {
      const next = this.#offset + 1;
      let taken: boolean;
      if (this.#offset === 0) taken = sink.add(".", this.#dir.ino, DT_DIR, next);
      else if (this.#offset === 1) taken = sink.add("..", this.#parentIno(), DT_DIR, next);
      else {
        const i = this.#offset - 2;
        taken = sink.add(listing.names[i], listing.inos[i], listing.types[i], next);
      }
      if (!taken) break;
    }
    return 0;
  }

  #parentIno(): number {
    return this.path?.dentry.parent?.inode?.ino ?? this.#dir.ino;
  }

  override seek(_t: Task, offset: number, whence: number): number {
    const to =
      whence === SEEK_SET ? offset : whence === SEEK_CUR ? this.#offset + offset : Number.NaN;
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
  release(): void {}
  describe(): string {
    return "anon_inode:[dir]";
  }
}
