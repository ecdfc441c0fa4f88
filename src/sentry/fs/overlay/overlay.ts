// The overlay: a read-only lower tree (the Gofer's, or any other) that can be changed in memory. Every file
// of the lower tree is seen through one inode of ours, kept as long as anyone refers to it, and for good once
// it has been changed; so a change of attributes copies no data, and a rename of a directory moves nothing.
// New files are tmpfs's. Not overlayfs on disk: no whiteout devices, no work directory.

import { OVERLAYFS_SUPER_MAGIC, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../abi/stat.ts";
import type { MemoryFile } from "../../mm/memory-file.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Quota } from "../../vfs/quota.ts";
import { Stat } from "../../vfs/stat.ts";
import type { MemoryDirectory } from "../tmpfs/memory-directory.ts";
import type { MemoryInode } from "../tmpfs/memory-inode.ts";
import { defaultTmpfsOptions, Tmpfs } from "../tmpfs/tmpfs.ts";
import { OverlayDirectory } from "./overlay-directory.ts";
import { OverlayRegular } from "./overlay-regular.ts";
import { OverlaySpecial, OverlaySymlink } from "./overlay-special.ts";

/** Inode numbers of new files: above those of the first host file system of a served tree. */
const FIRST_NEW_INO = 2 ** 47;
/** When so many were made, those that nobody has may be collected. */
const CLEAR_EVERY = 4096;
/** Weak references are looked through when there are so many, and again when they have doubled. */
const SWEEP_AT_LEAST = 4096;

export class OverlayFs extends Tmpfs {
  override readonly typeName = "overlay";
  override readonly isNoExec: boolean;
  readonly lower: Inode;
  readonly #inodes = new Map<number, WeakRef<MemoryInode> | MemoryInode>();
  readonly #clearKeptObjects: () => void;
  #made = 0;
  #sweepAt = SWEEP_AT_LEAST;
  #nextNewIno = FIRST_NEW_INO;

  /** clearKeptObjects: see KernelDeps. */
  constructor(
    dev: number,
    memory: MemoryFile,
    quota: Quota | null,
    lower: Inode,
    nowNs: number,
    clearKeptObjects: () => void,
  ) {
    super(dev, memory, quota, defaultTmpfsOptions(), nowNs);
    this.lower = lower;
    this.isNoExec = lower.fileSystem.isNoExec;
    this.#clearKeptObjects = clearKeptObjects;
  }

  /** Inodes of the lower tree in memory, changed ones and those somebody may still have. */
  get knownCount(): number {
    return this.#inodes.size;
  }

  override get magic(): number {
    return OVERLAYFS_SUPER_MAGIC;
  }
  override allocateIno(): number {
    return this.#nextNewIno++;
  }

  protected override makeRoot(): MemoryDirectory {
    const root = this.wrap(this.lower) as MemoryDirectory;
    this.keep(root);
    return root;
  }

  /** Our inode for one of the lower tree: always the same while anyone has it or it was changed. */
  wrap(lower: Inode): MemoryInode {
    const known = this.#inodes.get(lower.ino);
    if (known !== undefined) {
      const inode = known instanceof WeakRef ? known.deref() : known;
      if (inode !== undefined) return inode;
    }
    const inode = this.#make(lower);
    this.#inodes.set(lower.ino, new WeakRef(inode));
    if ((++this.#made & (CLEAR_EVERY - 1)) === 0) this.#clearKeptObjects();
    if (this.#inodes.size > this.#sweepAt) this.#sweep();
    return inode;
  }

  /** It differs from the lower tree now: never forget it. */
  keep(inode: MemoryInode): void {
    this.#inodes.set(inode.ino, inode);
  }
  #make(lower: Inode): MemoryInode {
    const stat = new Stat();
    const result = lower.stat(stat);
    if (result < 0) stat.mode = lower.mode;
    const type = stat.mode & S_IFMT;
    let inode: MemoryInode;
    if (type === S_IFDIR) inode = new OverlayDirectory(this, lower, stat);
    else if (type === S_IFREG) inode = new OverlayRegular(this, lower, stat);
    else if (type === S_IFLNK) inode = new OverlaySymlink(this, lower, stat);
    else inode = new OverlaySpecial(this, lower, stat);
    takeAttributes(inode, stat);
    return inode;
  }

  #sweep(): void {
    for (const [ino, held] of this.#inodes) {
      if (held instanceof WeakRef && held.deref() === undefined) this.#inodes.delete(ino);
    }
    // The look itself has shown each of them, which keeps them until the running job is over.
    this.#clearKeptObjects();
    this.#sweepAt = Math.max(SWEEP_AT_LEAST, 2 * this.#inodes.size);
  }
}

function takeAttributes(inode: MemoryInode, stat: Stat): void {
  inode.nlink = stat.nlink;
  inode.atimeNs = stat.atimeNs;
  inode.mtimeNs = stat.mtimeNs;
  inode.ctimeNs = stat.ctimeNs;
  inode.btimeNs = stat.btimeNs;
  inode.countsInQuota = false;
}
