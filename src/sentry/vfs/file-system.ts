// A mounted-or-mountable file system instance (a superblock).

import type { Dentry } from "./dentry.ts";
import type { Inode } from "./inode.ts";

export interface StatFs {
  /** Magic number (statfs f_type). */
  type: number;
  blockBytes: number;
  blocks: number;
  blocksFree: number;
  files: number;
  filesFree: number;
  nameBytesMax: number;
}

export abstract class FileSystem {
  /** "tmpfs", "proc", "overlay": the type in /proc/mounts. */
  abstract readonly typeName: string;
  /** st_dev of everything in it. */
  readonly dev: number;
  abstract readonly root: Inode;
  /** How many mounts show it, in all namespaces. */
  mountCount = 0;
  /** The dentry of `root`, shared by all its mounts; made by the first. */
  rootDentry: Dentry | null = null;
  /** Dentries may be cached: false where names change by themselves (proc's pids). */
  readonly cachesDentries: boolean = true;
  /** Nothing in it can be executed or mapped as code, however it is mounted. */
  readonly isNoExec: boolean = false;
  /** Mount options for /proc/mounts after ro/rw, e.g. "size=65536k,mode=1777". */
  readonly options: string = "";

  constructor(dev: number) {
    this.dev = dev;
  }
  abstract statfs(): StatFs;
  /** The last mount of it is gone. */
  unmounted(): void {}
  /** fsync of everything. */
  sync(): number {
    return 0;
  }
}
