// A name in a directory, and the cache of names below it. Names are byte strings.

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
  /** Unlinked: reads as "name (deleted)" in /proc. */
  isDeleted = false;

  constructor(name: ByteString, parent: Dentry | null, inode: Inode | null) {
    this.name = name;
    this.parent = parent;
    this.inode = inode;
  }
}
