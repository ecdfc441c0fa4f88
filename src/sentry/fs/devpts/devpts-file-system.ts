// /dev/pts: one entry for each pseudo terminal that is alive, and its own ptmx (devpts in Linux's
// Documentation/filesystems/devpts.rst; every instance is a new one).

import { EBUSY, EIO, ENOENT, ENOSPC } from "../../../abi/errno.ts";
import { O_ACCMODE, O_NOCTTY, O_NONBLOCK } from "../../../abi/fcntl.ts";
import { makeDev, S_IFCHR, S_IFMT } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Task } from "../../kernel/task.ts";
import { Dentry } from "../../vfs/dentry.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { AttrChange, Inode } from "../../vfs/inode.ts";
import type { MountNamespace } from "../../vfs/mount-namespace.ts";
import { Path } from "../../vfs/path.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import { PseudoFileSystem, PseudoInode } from "../pseudo/pseudo-inode.ts";
import { Pty } from "./pty.ts";
import { PtyMaster } from "./pty-master.ts";
import { PtySlave } from "./pty-slave.ts";

const DEVPTS_SUPER_MAGIC = 0x1cd1;
const DT_CHR = 2;
const PTY_MAJOR = 136;
const PTY_MAX = 4096;
const TTY_GID = 5;
const FIRST_SLAVE_INO = 3;

export class DevptsFileSystem extends PseudoFileSystem {
  readonly typeName = "devpts";
  readonly magic = DEVPTS_SUPER_MAGIC;
  override readonly cachesDentries = false;
  override readonly options = "gid=5,mode=620,ptmxmode=666";
  readonly root: Inode;
  readonly ptys = new Map<number, Pty>();

  constructor(dev: number, clock: Clock) {
    super(dev, clock);
    this.root = new DevptsRoot(this);
  }

  /** A new pair, still locked; or -ENOSPC. */
  newPty(uid: number): Pty | number {
    let index = 0;
    while (this.ptys.has(index)) index++;
    if (index >= PTY_MAX) return -ENOSPC;
    const pty = new Pty(index, uid, TTY_GID, this.clock, (gone) => {
      if (this.ptys.get(gone.index) === gone) this.ptys.delete(gone.index);
    });
    this.ptys.set(index, pty);
    return pty;
  }

  /** open("/dev/ptmx"). */
  openMaster(t: Task, flags: number): FileDescription | number {
    const pty = this.newPty(t.creds.fsuid);
    if (typeof pty === "number") return pty;
    const status = flags & (O_ACCMODE | O_NONBLOCK);
    return new PtyMaster(pty, status, (task, slave) => {
      const path = this.pathOf(task.kernel.mounts, pty);
      if (path !== null) slave.opened(path);
    });
  }

  openSlave(t: Task, pty: Pty, flags: number): FileDescription | number {
    if (pty.isLocked || pty.isHungUp) return -EIO;
    if (pty.isExclusive && !t.creds.hasCapability(21)) return -EBUSY;
    const slave = new PtySlave(pty, flags & ~O_NOCTTY);
    if ((flags & O_NOCTTY) === 0) pty.makeControlling(t, false);
    return slave;
  }

  /** Where the slave is seen, for descriptions that were not opened by name. */
  pathOf(mounts: MountNamespace, pty: Pty): Path | null {
    const mount = mounts.mounts.find((m) => m.fileSystem === this);
    if (mount === undefined) return null;
    const name = String(pty.index);
    return new Path(mount, new Dentry(name, mount.root, new SlaveInode(this, pty)));
  }
}

class DevptsRoot extends PseudoDir {
  readonly #devpts: DevptsFileSystem;
  readonly #ptmx: PtmxInode;

  constructor(fs: DevptsFileSystem) {
    super(fs, 0o755);
    this.#devpts = fs;
    this.#ptmx = new PtmxInode(fs);
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    if (name === "ptmx") return this.#ptmx;
    const pty = /^(0|[1-9][0-9]{0,5})$/.test(name)
      ? this.#devpts.ptys.get(Number(name))
      : undefined;
    return pty === undefined ? -ENOENT : new SlaveInode(this.#devpts, pty);
  }
  list(_t: Task, listing: Listing): void {
    for (const index of this.#devpts.ptys.keys()) {
      listing.add(String(index), index + FIRST_SLAVE_INO, DT_CHR);
    }
    listing.add("ptmx", this.#ptmx.ino, DT_CHR);
  }
}

class PtmxInode extends PseudoInode {
  readonly #devpts: DevptsFileSystem;
  constructor(fs: DevptsFileSystem) {
    super(fs, S_IFCHR | 0o666, 2);
    this.#devpts = fs;
    this.rdev = makeDev(5, 2);
  }
  open(t: Task, _path: Path, flags: number): FileDescription | number {
    return this.#devpts.openMaster(t, flags);
  }
}

/** Made anew at each look-up; owner and mode live in the pair. */
class SlaveInode extends PseudoInode {
  readonly #devpts: DevptsFileSystem;
  readonly #pty: Pty;
  constructor(fs: DevptsFileSystem, pty: Pty) {
    super(fs, S_IFCHR | pty.mode, pty.index + FIRST_SLAVE_INO);
    this.#devpts = fs;
    this.#pty = pty;
    this.uid = pty.uid;
    this.gid = pty.gid;
    this.rdev = makeDev(PTY_MAJOR, pty.index);
  }
  override setAttr(t: Task, change: AttrChange): number {
    const r = super.setAttr(t, change);
    this.#pty.mode = this.mode & ~S_IFMT;
    this.#pty.uid = this.uid;
    this.#pty.gid = this.gid;
    return r;
  }
  open(t: Task, _path: Path, flags: number): FileDescription | number {
    return this.#devpts.openSlave(t, this.#pty, flags);
  }
}
