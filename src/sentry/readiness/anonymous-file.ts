// Files without a name or an inode of their own, as Linux's anon_inodefs gives them: epoll, eventfd,
// timerfd and signalfd.

import { FileDescription } from "../vfs/file-description.ts";
import type { Stat } from "../vfs/stat.ts";

const ANON_INODEFS_DEV = 14;
const ANON_INODE = 1057;

export abstract class AnonymousFile extends FileDescription {
  /** "[eventfd]": what stands after "anon_inode:". */
  abstract readonly className: string;

  override stat(out: Stat): number {
    out.dev = ANON_INODEFS_DEV;
    out.ino = ANON_INODE;
    out.mode = 0o600;
    out.nlink = 1;
    out.size = 0;
    out.blocks = 0;
    return 0;
  }
  override describe(): string {
    return `anon_inode:${this.className}`;
  }
  override lockable(): boolean {
    return false;
  }
}
