// A name in a directory, and the cache of names below it. Names are byte strings. The cache is bounded:
// dentries that nothing needs stand in one least-recently-used list per DentryCache and are dropped from
// their parent when there are too many. Holders of a dropped dentry keep it alive; it just is no longer
// found by name (a walk makes a new one with the same inode).

import type { ByteString } from "../../base/bytes.ts";
import type { Inode } from "./inode.ts";

export class Dentry {
  name: ByteString;
  parent: Dentry | null;
  /** Null: known not to exist (negative entry). */
  inode: Inode | null;
  /** Cached children, negative ones too; null until the first lookup. */
  children: Map<ByteString, Dentry> | null = null;
  /** How many mounts stand on it. */
  mountCount = 0;
  /** Open descriptions, working directories and the like: never dropped from the cache while above 0. */
  pins = 0;
  /** Unlinked: reads as "name (deleted)" in /proc. */
  isDeleted = false;
  /** Found by a walk since the cache last looked at it (second chance). */
  wasUsed = false;
  /** In the cache's list. */
  lruPrev: Dentry | null = null;
  lruNext: Dentry | null = null;
  cache: DentryCache | null = null;

  constructor(name: ByteString, parent: Dentry | null, inode: Inode | null) {
    this.name = name;
    this.parent = parent;
    this.inode = inode;
  }

  child(name: ByteString): Dentry | undefined {
    return this.children === null ? undefined : this.children.get(name);
  }
}

/** All cached dentries of one set of mounts. */
export class DentryCache {
  readonly limit: number;
  #count = 0;
  #head: Dentry | null = null;
  #tail: Dentry | null = null;

  constructor(limit = 32_768) {
    this.limit = limit;
  }

  get size(): number {
    return this.#count;
  }

  /** Puts a new child under `parent` (replacing a negative one of that name). */
  insert(parent: Dentry, name: ByteString, inode: Inode | null): Dentry {
    const dentry = new Dentry(name, parent, inode);
    this.attach(parent, dentry);
    return dentry;
  }

  attach(parent: Dentry, dentry: Dentry): void {
    if (parent.children === null) parent.children = new Map();
    const old = parent.children.get(dentry.name);
    if (old !== undefined) this.#unlist(old);
    parent.children.set(dentry.name, dentry);
    dentry.parent = parent;
    dentry.cache = this;
    this.#push(dentry);
    this.#count++;
    if (this.#count > this.limit) this.#shrink();
  }

  /** Takes the dentry out of its parent; the object stays usable by its holders. */
  detach(dentry: Dentry): void {
    const siblings = dentry.parent?.children;
    if (siblings?.get(dentry.name) === dentry) siblings.delete(dentry.name);
    this.#unlist(dentry);
  }

  /** Forgets everything cached below, but what is pinned or mounted on. */
  dropChildren(dentry: Dentry): void {
    if (dentry.children === null) return;
    for (const child of dentry.children.values()) {
      this.dropChildren(child);
      if (this.#isFree(child)) this.detach(child);
    }
  }

  #isFree(d: Dentry): boolean {
    return d.pins <= 0 && d.mountCount === 0 && (d.children === null || d.children.size === 0);
  }

  /** Drops about an eighth, oldest first. What is needed goes to the young end instead. */
  #shrink(): void {
    let budget = 2 * this.#count;
    const target = this.limit - (this.limit >>> 3);
    while (this.#count > target && budget-- > 0) {
      const oldest = this.#head;
      if (oldest === null) return;
      if (!oldest.wasUsed && this.#isFree(oldest)) this.detach(oldest);
      else {
        oldest.wasUsed = false;
        this.#remove(oldest);
        this.#push(oldest);
      }
    }
  }

  #push(d: Dentry): void {
    d.lruPrev = this.#tail;
    d.lruNext = null;
    if (this.#tail !== null) this.#tail.lruNext = d;
    else this.#head = d;
    this.#tail = d;
  }

  #remove(d: Dentry): void {
    if (d.lruPrev !== null) d.lruPrev.lruNext = d.lruNext;
    else this.#head = d.lruNext;
    if (d.lruNext !== null) d.lruNext.lruPrev = d.lruPrev;
    else this.#tail = d.lruPrev;
    d.lruPrev = null;
    d.lruNext = null;
  }

  #unlist(d: Dentry): void {
    if (d.cache !== this) return;
    d.cache = null;
    this.#remove(d);
    this.#count--;
  }
}
