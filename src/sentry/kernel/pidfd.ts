// A process as a descriptor (pidfd_open(2)): readable once the process has ended.

import { EINVAL } from "../../abi/errno.ts";
import { POLLIN, POLLRDNORM } from "../../abi/poll.ts";
import { FileDescription, O_RDWR } from "../vfs/file-description.ts";
import type { Stat } from "../vfs/stat.ts";
import type { ThreadGroup } from "./thread-group.ts";

export class PidFd extends FileDescription {
  readonly group: ThreadGroup;

  /** flags: O_NONBLOCK (PIDFD_NONBLOCK) or 0. */
  constructor(group: ThreadGroup, flags: number) {
    super(O_RDWR | flags, group.exitWaiters);
    this.group = group;
  }

  override poll(): number {
    return this.group.isZombie ? POLLIN | POLLRDNORM : 0;
  }
  override read(): number {
    return -EINVAL;
  }
  stat(out: Stat): number {
    out.mode = 0o600;
    out.nlink = 1;
    out.size = 0;
    out.blocks = 0;
    return 0;
  }
  release(): void {}
  override fdinfo(): string {
    const pid = this.group.isReaped ? -1 : this.group.tgid;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  }
  describe(): string {
    return "anon_inode:[pidfd]";
  }
}
