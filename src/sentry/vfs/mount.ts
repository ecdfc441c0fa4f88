// One file system seen at one place: MS_* flags belong here, not to the file system. Mounts form a tree;
// a mount knows what stands on its dentries. A later mount on the same place stands on the earlier one's root.

import type { Dentry } from "./dentry.ts";
import type { FileSystem } from "./file-system.ts";
import type { MountNamespace } from "./mount-namespace.ts";

export class Mount {
  readonly id: number;
  readonly fileSystem: FileSystem;
  readonly root: Dentry;
  /** Where it is mounted; null for the root of a namespace. */
  parent: Mount | null;
  mountPoint: Dentry | null;
  /** MS_RDONLY, MS_NOEXEC, MS_NOSUID, MS_NODEV, MS_NOATIME... */
  flags: number;
  /** What /proc/mounts shows as the device. */
  readonly source: string;
  /** What stands on this mount's dentries. */
  readonly children = new Map<Dentry, Mount>();
  /** Descriptions opened through it. */
  openCount = 0;
  /** Null once unmounted (holders of a Path may still be inside). */
  namespace: MountNamespace | null = null;

  constructor(
    id: number,
    fileSystem: FileSystem,
    root: Dentry,
    parent: Mount | null,
    mountPoint: Dentry | null,
    flags: number,
    source: string,
  ) {
    this.id = id;
    this.fileSystem = fileSystem;
    this.root = root;
    this.parent = parent;
    this.mountPoint = mountPoint;
    this.flags = flags;
    this.source = source;
  }
}
