// Extended attributes of a lower file, taken over as a whole when anyone first asks.

import type { Task } from "../../kernel/task.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { MemoryInode } from "../tmpfs/memory-inode.ts";

export interface LowerXattrs extends MemoryInode {
  readonly lower: Inode | null;
  lowerXattrsLoaded: boolean;
}

export function loadLowerXattrs(t: Task, inode: LowerXattrs): void {
  if (inode.lowerXattrsLoaded || inode.lower === null) return;
  inode.lowerXattrsLoaded = true;
  const names = inode.lower.listXattr(t);
  if (typeof names === "number") return;
  for (const name of names) {
    const value = inode.lower.getXattr(t, name);
    if (typeof value === "number") continue;
    inode.xattrs ??= new Map();
    inode.xattrs.set(name, value);
  }
}
