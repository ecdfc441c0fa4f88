// /proc/PID/fd and fdinfo. The links jump to what is open; what has no name (a pipe, our standard output)
// is opened again through the description itself.

import { EACCES, ENOENT, ENXIO, EPERM } from "../../../abi/errno.ts";
import { O_CLOEXEC } from "../../../abi/fcntl.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { Dentry } from "../../vfs/dentry.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import { ATTR_MODE, ATTR_SIZE, type AttrChange, Inode } from "../../vfs/inode.ts";
import { Mount } from "../../vfs/mount.ts";
import { displayPath, Path } from "../../vfs/path.ts";
import { Stat } from "../../vfs/stat.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import { PseudoFile } from "../pseudo/pseudo-file.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import { INO_FD, INO_FDINFO, INOS_PER_TASK, MagicLink, mayInspect, ownedBy } from "./proc-entry.ts";

const DT_REG = 8;
const DT_LNK = 10;

/** A canonical descriptor number, or -1. */
function parseFd(name: ByteString): number {
  return /^(0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : -1;
}

/** Stands for an open description without a name, so that a link can lead to it. */
class DescriptionInode extends Inode {
  readonly #file: FileDescription;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;

  constructor(fs: PseudoFileSystem, t: Task, file: FileDescription) {
    const stat = new Stat();
    file.stat(stat);
    super(fs, stat.ino);
    this.#file = file;
    this.mode = stat.mode;
    // Whoever holds a descriptor of it may open it again.
    this.uid = t.creds.fsuid;
    this.gid = t.creds.fsgid;
  }
  stat(out: Stat): number {
    return this.#file.stat(out);
  }
  override setAttr(t: Task, change: AttrChange): number {
    if (change.mask === ATTR_SIZE) return this.#file.truncate(t, change.size);
    return (change.mask & ATTR_MODE) !== 0 ? this.#file.chmod(t, change.mode) : -EPERM;
  }
  open(t: Task, _path: Path, flags: number): FileDescription | number {
    return this.#file.refs > 0 ? this.#file.reopen(t, flags) : -ENXIO;
  }
}

function placeOf(fs: PseudoFileSystem, t: Task, file: FileDescription): Path {
  const path = file.path;
  if (path !== null && !(path.dentry.inode instanceof DescriptionInode)) return path;
  const dentry = new Dentry(file.describe(), null, new DescriptionInode(fs, t, file));
  return new Path(new Mount(0, fs, dentry, null, null, 0, "none"), dentry);
}
function textOf(t: Task, file: FileDescription): ByteString {
  const path = file.path;
  if (path === null || path.dentry.inode instanceof DescriptionInode) return file.describe();
  return displayPath(path, t.fs.root);
}

export class FdDir extends PseudoDir {
  readonly #target: Task;

  constructor(fs: PseudoFileSystem, ino: number, target: Task) {
    super(fs, 0o500, ino);
    this.#target = target;
    ownedBy(this, target);
  }
  #get(fd: number): FileDescription | undefined {
    return this.#target.context === null ? undefined : this.#target.fds.get(fd);
  }
  lookup(t: Task, name: ByteString): Inode | number {
    if (!mayInspect(t, this.#target)) return -EACCES;
    const fd = parseFd(name);
    const file = fd < 0 ? undefined : this.#get(fd);
    if (file === undefined) return -ENOENT;
    const permissions = (file.isReadable ? 0o500 : 0) | (file.isWritable ? 0o300 : 0) || 0o100;
    return new MagicLink(
      this.pseudo,
      this.#target.tid * INOS_PER_TASK + INO_FD + fd,
      this.#target,
      (reader) => {
        const open = this.#get(fd);
        return open === undefined ? -ENOENT : textOf(reader, open);
      },
      (follower) => {
        const open = this.#get(fd);
        return open === undefined ? -ENOENT : placeOf(this.pseudo, follower, open);
      },
      permissions,
    );
  }
  list(t: Task, listing: Listing): void {
    if (this.#target.context === null || !mayInspect(t, this.#target)) return;
    for (const fd of this.#target.fds.descriptors()) {
      listing.add(String(fd), this.#target.tid * INOS_PER_TASK + INO_FD + fd, DT_LNK);
    }
  }
}

class FdInfoFile extends PseudoFile {
  readonly #target: Task;
  readonly #fd: number;

  constructor(fs: PseudoFileSystem, ino: number, target: Task, fd: number) {
    super(fs, 0o400, ino);
    this.#target = target;
    this.#fd = fd;
    ownedBy(this, target);
  }
  content(t: Task): ByteString | number {
    const { fds } = this.#target;
    const file = this.#target.context === null ? undefined : fds.get(this.#fd);
    if (file === undefined) return -ENOENT;
    const flags = file.flags | (fds.isCloseOnExec(this.#fd) ? O_CLOEXEC : 0);
    const at = file.seek(t, 0, 1);
    const stat = new Stat();
    file.stat(stat);
    return (
      `pos:\t${Math.max(0, at)}\nflags:\t0${(flags >>> 0).toString(8)}\n` +
      `mnt_id:\t${file.path?.mount.id ?? 15}\nino:\t${stat.ino}\n${file.fdinfo()}`
    );
  }
}

export class FdInfoDir extends PseudoDir {
  readonly #target: Task;

  constructor(fs: PseudoFileSystem, ino: number, target: Task) {
    super(fs, 0o555, ino);
    this.#target = target;
    ownedBy(this, target);
  }
  lookup(t: Task, name: ByteString): Inode | number {
    if (!mayInspect(t, this.#target)) return -EACCES;
    const fd = parseFd(name);
    if (fd < 0 || this.#target.context === null || this.#target.fds.get(fd) === undefined) {
      return -ENOENT;
    }
    const ino = this.#target.tid * INOS_PER_TASK + INO_FDINFO + fd;
    return new FdInfoFile(this.pseudo, ino, this.#target, fd);
  }
  list(t: Task, listing: Listing): void {
    if (this.#target.context === null || !mayInspect(t, this.#target)) return;
    for (const fd of this.#target.fds.descriptors()) {
      listing.add(String(fd), this.#target.tid * INOS_PER_TASK + INO_FDINFO + fd, DT_REG);
    }
  }
}
