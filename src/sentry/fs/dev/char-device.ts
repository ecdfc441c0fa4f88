// What all open character devices share: attributes come from the node they were opened by, wherever it
// stands; no position.

import { EINVAL } from "../../../abi/errno.ts";
import { S_IFCHR } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Stat } from "../../vfs/stat.ts";

export abstract class CharDevice extends FileDescription {
  abstract readonly deviceName: ByteString;

  stat(out: Stat): number {
    const inode = this.path?.dentry.inode;
    if (inode !== null && inode !== undefined) return inode.stat(out);
    out.mode = S_IFCHR | 0o666;
    return 0;
  }
  /** Devices without a position take any seek (null_lseek); noop. */
  override seek(_t: Task, offset: number, _whence: number): number {
    return offset < 0 ? -EINVAL : 0;
  }
  override lockable(): boolean {
    return true;
  }
  release(): void {}
  describe(): string {
    return `/dev/${this.deviceName}`;
  }
}
