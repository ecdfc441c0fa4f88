// The tree of mounts that a group of tasks sees, and the making and taking apart of it (mount(2),
// umount2(2), pivot_root(2) without the permission checks, which are in syscalls/mount.ts).
// No propagation: every mount is private.

import { EBUSY, EINVAL, ENXIO } from "../../abi/errno.ts";
import { MS_PER_MOUNT } from "../../abi/mount.ts";
import { S_IFCHR, S_IFMT } from "../../abi/stat.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { Dentry, DentryCache } from "./dentry.ts";
import type { FileDescription } from "./file-description.ts";
import type { FileSystem } from "./file-system.ts";
import { Mount } from "./mount.ts";
import { Path } from "./path.ts";
import type { Quota } from "./quota.ts";

/** A kind of file system that mount(2) can make. */
export interface FileSystemType {
  readonly name: ByteString;
  /** Needs no block device as source ("nodev" in /proc/filesystems). */
  create(t: Task, dev: number, source: ByteString, data: ByteString): FileSystem | number;
}

/** Opens a device node of one number. mode: S_IFCHR or S_IFBLK. */
export type DeviceOpener = (t: Task, path: Path, flags: number) => FileDescription | number;

/** What all namespaces of one kernel share. */
export class MountTable {
  readonly dentries: DentryCache;
  readonly types = new Map<ByteString, FileSystemType>();
  /** Bytes and inodes of all in-memory file systems together. */
  readonly quota: Quota;
  readonly #devices = new Map<number, DeviceOpener>();
  #nextMountId = 21;
  #nextMinor = 20;
  #nextCookie = 1;
  #nextAnonymousIno = 1000;

  constructor(quota: Quota, dentryLimit?: number) {
    this.quota = quota;
    this.dentries = new DentryCache(dentryLimit);
  }
  /** Character devices: what opening a node with this number gives, in whatever file system it stands. */
  registerDevice(rdev: number, open: DeviceOpener): void {
    this.#devices.set(rdev, open);
  }
  openDevice(
    t: Task,
    path: Path,
    mode: number,
    rdev: number,
    flags: number,
  ): FileDescription | number {
    const open = (mode & S_IFMT) === S_IFCHR ? this.#devices.get(rdev) : undefined;
    return open === undefined ? -ENXIO : open(t, path, flags);
  }
  register(type: FileSystemType): void {
    this.types.set(type.name, type);
  }
  /** A fresh device number (major 0) for a new FileSystem. */
  allocateDev(): number {
    const minor = this.#nextMinor++;
    return ((minor & 0xff) | ((minor & ~0xff) << 12)) >>> 0;
  }
  /** Ties the two inotify events of a rename together. */
  allocateCookie(): number {
    return this.#nextCookie++ >>> 0;
  }
  /** Inode numbers of what has no file system: pipes, memfds. */
  allocateAnonymousIno(): number {
    return this.#nextAnonymousIno++;
  }
  allocateMountId(): number {
    return this.#nextMountId++;
  }
}

export class MountNamespace {
  readonly table: MountTable;
  /** Oldest first; the root mount is the first. */
  readonly mounts: Mount[] = [];
  #root: Mount;

  private constructor(table: MountTable, root: Mount) {
    this.table = table;
    this.#root = root;
    this.#adopt(root);
  }

  static create(
    table: MountTable,
    rootFs: FileSystem,
    flags: number,
    source: ByteString,
  ): MountNamespace {
    const dentry = rootDentryOf(rootFs);
    const root = new Mount(table.allocateMountId(), rootFs, dentry, null, null, flags, source);
    return new MountNamespace(table, root);
  }

  /** The top of the tree, on top of whatever was mounted over it. */
  get root(): Path {
    return topmost(this.#root, this.#root.root);
  }
  get rootMount(): Mount {
    return this.#root;
  }

  /** Mounts the root of a file system over `path`. */
  mountAt(path: Path, fs: FileSystem, flags: number, source: ByteString): Mount {
    return this.#attach(fs, rootDentryOf(fs), path, flags, source);
  }

  /** MS_BIND: shows the tree at `source` also at `target`; recursive takes the mounts below it along. */
  bind(source: Path, target: Path, recursive: boolean): Mount {
    const copies: [Mount, Dentry, Mount][] = [];
    if (recursive) {
      for (const [dentry, child] of source.mount.children) {
        if (isBelow(dentry, source.dentry)) copies.push([source.mount, dentry, child]);
      }
    }
    const from = source.mount;
    const made = this.#attach(from.fileSystem, source.dentry, target, from.flags, from.source);
    for (const [, dentry, child] of copies) this.#copyTree(child, made, dentry);
    return made;
  }

  #copyTree(from: Mount, parent: Mount, at: Dentry): void {
    const place = new Path(parent, at);
    const made = this.#attach(from.fileSystem, from.root, place, from.flags, from.source);
    for (const [dentry, child] of [...from.children]) this.#copyTree(child, made, dentry);
  }

  #attach(fs: FileSystem, root: Dentry, at: Path, flags: number, source: ByteString): Mount {
    const { mount: parent, dentry } = topmost(at.mount, at.dentry);
    const id = this.table.allocateMountId();
    const mount = new Mount(id, fs, root, parent, dentry, flags & MS_PER_MOUNT, source);
    this.#place(mount, parent, dentry);
    this.#adopt(mount);
    return mount;
  }

  #adopt(mount: Mount): void {
    mount.namespace = this;
    mount.fileSystem.mountCount++;
    this.mounts.push(mount);
  }

  #place(mount: Mount, parent: Mount, dentry: Dentry): void {
    mount.parent = parent;
    mount.mountPoint = dentry;
    // A dentry of a file system that does not cache must still be found from now on.
    if (dentry.cache === null && dentry.parent !== null && !dentry.isDeleted) {
      this.table.dentries.attach(dentry.parent, dentry);
    }
    dentry.mountCount++;
    parent.children.set(dentry, mount);
  }

  #unplace(mount: Mount): void {
    if (mount.parent === null || mount.mountPoint === null) return;
    mount.parent.children.delete(mount.mountPoint);
    mount.mountPoint.mountCount--;
    mount.parent = null;
    mount.mountPoint = null;
  }

  /** Takes a mount away; with `detach` also everything on it. -EBUSY: it carries mounts, or is the root. */
  unmount(mount: Mount, detach: boolean): number {
    if (mount.namespace !== this) return -EINVAL;
    if (mount === this.#root) return -EBUSY;
    if ((mount.children.size > 0 || mount.openCount > 0) && !detach) return -EBUSY;
    for (const child of [...mount.children.values()]) this.unmount(child, true);
    this.#unplace(mount);
    this.mounts.splice(this.mounts.indexOf(mount), 1);
    mount.namespace = null;
    if (--mount.fileSystem.mountCount === 0) mount.fileSystem.unmounted();
    return 0;
  }

  /** MS_MOVE. The caller made sure that target is not below mount. */
  move(mount: Mount, target: Path): number {
    if (mount.namespace !== this || mount === this.#root) return -EINVAL;
    const to = topmost(target.mount, target.dentry);
    this.#unplace(mount);
    this.#place(mount, to.mount, to.dentry);
    return 0;
  }

  /** pivot_root: newRoot's mount becomes the root, the old root mount moves to putOld. */
  pivot(newRoot: Path, putOld: Path, oldRoot: Path): number {
    const incoming = newRoot.mount;
    const outgoing = oldRoot.mount;
    if (incoming === outgoing) return -EBUSY;
    if (incoming.root !== newRoot.dentry || incoming.parent === null) return -EINVAL;
    if (outgoing.root !== oldRoot.dentry) return -EINVAL;
    const parent = outgoing.parent;
    const place = outgoing.mountPoint;
    this.#unplace(incoming);
    this.#unplace(outgoing);
    if (parent !== null && place !== null) this.#place(incoming, parent, place);
    else this.#root = incoming;
    this.#place(outgoing, putOld.mount, putOld.dentry);
    return 0;
  }

  /** CLONE_NEWNS: the same tree again; `translate` finds a path's twin (for the caller's root and cwd). */
  clone(): { namespace: MountNamespace; translate: (path: Path) => Path } {
    const twins = new Map<Mount, Mount>();
    const from = this.#root;
    const id = this.table.allocateMountId();
    const root = new Mount(id, from.fileSystem, from.root, null, null, from.flags, from.source);
    twins.set(from, root);
    const namespace = new MountNamespace(this.table, root);
    const copy = (source: Mount, twin: Mount): void => {
      for (const [dentry, child] of source.children) {
        const place = new Path(twin, dentry);
        const fs = child.fileSystem;
        const made = namespace.#attach(fs, child.root, place, child.flags, child.source);
        twins.set(child, made);
        copy(child, made);
      }
    };
    copy(from, root);
    const translate = (path: Path): Path => {
      const twin = twins.get(path.mount);
      return twin === undefined ? path : new Path(twin, path.dentry);
    };
    return { namespace, translate };
  }
}

function rootDentryOf(fs: FileSystem): Dentry {
  fs.rootDentry ??= new Dentry("", null, fs.root);
  return fs.rootDentry;
}

/** What one sees at a place: the root of the last mount on it. */
export function topmost(mount: Mount, dentry: Dentry): Path {
  let m = mount;
  let d = dentry;
  while (d.mountCount > 0) {
    const child = m.children.get(d);
    if (child === undefined) break;
    m = child;
    d = child.root;
  }
  return new Path(m, d);
}

/** `dentry` is `ancestor` or under it. */
export function isBelow(dentry: Dentry, ancestor: Dentry): boolean {
  for (let d: Dentry | null = dentry; d !== null; d = d.parent) if (d === ancestor) return true;
  return false;
}
