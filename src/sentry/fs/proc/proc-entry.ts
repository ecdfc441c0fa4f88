// Directories of /proc that are made for each look-up from a table of names: a process's, a thread's.

import { EACCES, ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import { PseudoFile } from "../pseudo/pseudo-file.ts";
import { type PseudoFileSystem, PseudoSymlink } from "../pseudo/pseudo-inode.ts";

const CAP_SYS_PTRACE = 19;

/** PTRACE_MODE_READ: may t look into `target` (proc(5), ptrace(2) "access mode checking"). */
export function mayInspect(t: Task, target: Task): boolean {
  if (t.threadGroup === target.threadGroup || t.creds.hasCapability(CAP_SYS_PTRACE)) return true;
  const c = target.creds;
  const { fsuid, fsgid } = t.creds;
  const sameUser = c.uid === fsuid && c.euid === fsuid && c.suid === fsuid;
  const sameGroup = c.gid === fsgid && c.egid === fsgid && c.sgid === fsgid;
  return sameUser && sameGroup && target.threadGroup.dumpable === 1;
}

/** Inode numbers: 2^21 for each task. */
export const INOS_PER_TASK = 2 ** 21;
export const INO_FD = 2 ** 18;
export const INO_FDINFO = 2 ** 19;
export const INO_TASK = 2 ** 20;

/** Whose it is: the task's effective user. */
export function ownedBy<T extends { uid: number; gid: number }>(inode: T, target: Task): T {
  inode.uid = target.creds.euid;
  inode.gid = target.creds.egid;
  return inode;
}

/** A text about one task. */
export class TaskFile extends PseudoFile {
  readonly #target: Task;
  readonly #content: (target: Task, t: Task) => ByteString | number;
  readonly #store: ((target: Task, t: Task, text: ByteString) => number) | null;
  readonly #isPrivate: boolean;

  constructor(fs: PseudoFileSystem, ino: number, target: Task, entry: FileEntry) {
    super(fs, entry.mode, ino);
    this.#target = target;
    this.#content = entry.content;
    this.#store = entry.store ?? null;
    this.#isPrivate = entry.isPrivate === true;
    ownedBy(this, target);
  }
  override open(t: Task, path: Path, flags: number): FileDescription | number {
    if (this.#isPrivate && !mayInspect(t, this.#target)) return -EACCES;
    return super.open(t, path, flags);
  }
  content(t: Task): ByteString | number {
    return this.#content(this.#target, t);
  }
  override store(t: Task, text: ByteString): number {
    return this.#store === null ? -EACCES : this.#store(this.#target, t, text);
  }
}

/** A link that jumps: its text is for the eye. */
export class MagicLink extends PseudoSymlink {
  readonly #target: Task;
  readonly #text: (t: Task) => ByteString | number;
  readonly #place: (t: Task) => Path | number | null;

  constructor(
    fs: PseudoFileSystem,
    ino: number,
    target: Task,
    text: (t: Task) => ByteString | number,
    place: (t: Task) => Path | number | null,
    permissions = 0o777,
  ) {
    super(fs, permissions, ino);
    this.#target = target;
    this.#text = text;
    this.#place = place;
    ownedBy(this, target);
  }
  readlink(t: Task): ByteString | number {
    return mayInspect(t, this.#target) ? this.#text(t) : -EACCES;
  }
  override followMagic(t: Task): Path | number | null {
    return mayInspect(t, this.#target) ? this.#place(t) : -EACCES;
  }
}

export interface FileEntry {
  kind: "file";
  mode: number;
  content: (target: Task, t: Task) => ByteString | number;
  store?: (target: Task, t: Task, text: ByteString) => number;
  /** Only for those who may inspect the task. */
  isPrivate?: boolean;
}
export interface InodeEntry {
  kind: "inode";
  /** DT_*. */
  type: number;
  make: (fs: PseudoFileSystem, ino: number, target: Task) => Inode;
}
export type Entry = FileEntry | InodeEntry;
export type EntryTable = ReadonlyMap<ByteString, Entry>;

const DT_REG = 8;

/** A directory about one task whose entries come from a table. */
export class TableDir extends PseudoDir {
  readonly target: Task;
  readonly #table: EntryTable;
  readonly #baseIno: number;

  constructor(
    fs: PseudoFileSystem,
    ino: number,
    target: Task,
    table: EntryTable,
    permissions = 0o555,
  ) {
    super(fs, permissions, ino);
    this.target = target;
    this.#table = table;
    this.#baseIno = ino;
    ownedBy(this, target);
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    const entry = this.#table.get(name);
    if (entry === undefined) return -ENOENT;
    const ino = this.#baseIno + 1 + [...this.#table.keys()].indexOf(name);
    if (entry.kind === "file") return new TaskFile(this.pseudo, ino, this.target, entry);
    return entry.make(this.pseudo, ino, this.target);
  }
  list(_t: Task, listing: Listing): void {
    let ino = this.#baseIno + 1;
    for (const [name, entry] of this.#table) {
      listing.add(name, ino++, entry.kind === "file" ? DT_REG : entry.type);
    }
  }
}
