// The path walk: names to a mount and dentry, one component at a time (path_resolution(7), openat2(2)).
// One Walk object serves one system call. Symbolic links are followed by putting their text in front of
// what is left of the path, so there is no recursion. Cached components cost one map lookup each.

import { EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from "../../abi/errno.ts";
import {
  NAME_MAX,
  PATH_MAX,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  SYMLINKS_MAX,
} from "../../abi/fcntl.ts";
import { MS_NOSYMFOLLOW } from "../../abi/mount.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { Dentry } from "./dentry.ts";
import type { Inode } from "./inode.ts";
import type { Mount } from "./mount.ts";
import type { Path } from "./path.ts";
import { checkAccess, MAY_EXEC } from "./permissions.ts";

const SLASH = 0x2f;
const DOT = 0x2e;

export const LAST_NORM = 0;
export const LAST_DOT = 1;
export const LAST_DOTDOT = 2;
/** The path was nothing but slashes. */
export const LAST_ROOT = 3;

export class Walk {
  readonly #t: Task;
  readonly #resolveFlags: number;
  /** What RESOLVE_BENEATH and IN_ROOT do not leave; otherwise the task's root. */
  readonly #rootMount: Mount;
  readonly #rootDentry: Dentry;
  #links = 0;

  /** Where the walk stands. */
  mount: Mount;
  dentry: Dentry;
  /** After walkToParent: the last component, its kind, and whether slashes followed it. */
  last: ByteString = "";
  lastType = LAST_NORM;
  trailingSlash = false;
  /** A magic link was the last step: the place may have any type and no usable name. */
  jumped = false;

  constructor(t: Task, start: Path, resolveFlags: number) {
    this.#t = t;
    this.#resolveFlags = resolveFlags;
    const scoped = (resolveFlags & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
    const root = scoped ? start : t.fs.root;
    this.#rootMount = root.mount;
    this.#rootDentry = root.dentry;
    this.mount = start.mount;
    this.dentry = start.dentry;
  }

  /** Walks the whole path. followLast: also a symbolic link at its end. 0 or -errno. */
  walk(path: ByteString, followLast: boolean): number {
    let result = this.walkToParent(path);
    while (result === 0) {
      const follow = followLast || this.trailingSlash;
      const text = this.stepLast(follow);
      if (typeof text === "number") {
        if (text === 0 && this.trailingSlash && !this.inode.isDirectory) return -ENOTDIR;
        return text;
      }
      result = this.walkToParent(this.trailingSlash ? `${text}/` : text);
    }
    return result;
  }

  /** The inode of a finished walk. */
  get inode(): Inode {
    return this.dentry.inode as Inode;
  }

  /**
   * Walks to the directory of the last component, which is left in `last`. -ENOENT for the empty path.
   * A path starting with "/" starts at the root.
   */
  walkToParent(path: ByteString): number {
    const end = path.length;
    if (end === 0) return -ENOENT;
    if (end >= PATH_MAX && this.#links === 0) return -ENAMETOOLONG;
    let rest = path;
    let pos = 0;
    this.jumped = false;
    if (path.charCodeAt(0) === SLASH) {
      const r = this.#jumpToRoot();
      if (r < 0) return r;
    }
    for (;;) {
      while (rest.charCodeAt(pos) === SLASH) pos++;
      if (pos === rest.length) {
        this.last = "";
        this.lastType = LAST_ROOT;
        this.trailingSlash = false;
        return this.#checkSearch();
      }
      const start = pos;
      while (pos < rest.length && rest.charCodeAt(pos) !== SLASH) pos++;
      const stop = pos;
      while (rest.charCodeAt(pos) === SLASH) pos++;
      const type = kindOf(rest, start, stop);
      const search = this.#checkSearch();
      if (search < 0) return search;
      if (pos === rest.length) {
        this.last = rest.slice(start, stop);
        this.lastType = type;
        this.trailingSlash = pos > stop;
        return stop - start > NAME_MAX ? -ENAMETOOLONG : 0;
      }
      if (type === LAST_DOT) continue;
      if (type === LAST_DOTDOT) {
        const r = this.#up();
        if (r < 0) return r;
        continue;
      }
      const text = this.#step(rest.slice(start, stop), true);
      if (typeof text === "number") {
        if (text < 0) return text;
        if (!this.inode.isDirectory) return -ENOTDIR;
        continue;
      }
      rest = `${text}/${rest.slice(pos)}`;
      pos = 0;
      if (rest.charCodeAt(0) === SLASH) {
        const r = this.#jumpToRoot();
        if (r < 0) return r;
      }
    }
  }

  /** Steps onto `last`. 0, -errno, or the text of a symbolic link to go on with. */
  stepLast(follow: boolean): ByteString | number {
    if (this.lastType === LAST_NORM) return this.#step(this.last, follow);
    if (this.lastType === LAST_DOTDOT) return this.#up();
    return 0;
  }

  /** The dentry of `last` in the directory, negative if the name is free; no mount is crossed. */
  lookupLast(): Dentry | number {
    return this.lookup(this.last);
  }

  lookup(name: ByteString): Dentry | number {
    const parent = this.dentry;
    const dir = parent.inode as Inode;
    const cached = parent.children === null ? undefined : parent.children.get(name);
    const fs = dir.fileSystem;
    if (cached !== undefined) {
      if (cached.mountCount > 0) return cached;
      if (fs.cachesDentries && dir.revalidate(name, cached.inode)) {
        cached.wasUsed = true;
        return cached;
      }
    }
    if (name.length > NAME_MAX) return -ENAMETOOLONG;
    if (parent.isDeleted) return new Dentry(name, parent, null);
    const found = dir.lookup(this.#t, name);
    const inode = typeof found === "number" ? null : found;
    if (typeof found === "number" && found !== -ENOENT) return found;
    if (cached !== undefined) {
      if (cached.inode === inode) return cached;
      (this.mount.namespace ?? this.#rootMount.namespace)?.table.dentries.detach(cached);
    }
    const table = (this.mount.namespace ?? this.#rootMount.namespace)?.table;
    if (!fs.cachesDentries || table === undefined) return new Dentry(name, parent, inode);
    return table.dentries.insert(parent, name, inode);
  }

  /** Makes `dentry` the place, crossing what is mounted on it. */
  enter(dentry: Dentry): number {
    let m = this.mount;
    let d = dentry;
    while (d.mountCount > 0) {
      const child = m.children.get(d);
      if (child === undefined) break;
      if ((this.#resolveFlags & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
      m = child;
      d = child.root;
    }
    this.mount = m;
    this.dentry = d;
    return 0;
  }

  #step(name: ByteString, follow: boolean): ByteString | number {
    const dentry = this.lookup(name);
    if (typeof dentry === "number") return dentry;
    const inode = dentry.inode;
    if (inode === null) return -ENOENT;
    if (!inode.isSymlink) return this.enter(dentry);
    if (!follow) {
      this.dentry = dentry;
      return 0;
    }
    return this.followLink(inode);
  }

  /** Text of a link to go on with from here, or 0 after a magic jump, or -errno. */
  followLink(inode: Inode): ByteString | number {
    if (++this.#links > SYMLINKS_MAX) return -ELOOP;
    if ((this.#resolveFlags & RESOLVE_NO_SYMLINKS) !== 0) return -ELOOP;
    if ((this.mount.flags & MS_NOSYMFOLLOW) !== 0) return -ELOOP;
    const magic = inode.followMagic(this.#t);
    if (magic !== null) return this.#jumpTo(magic);
    const text = inode.readlink(this.#t);
    if (typeof text === "number") return text;
    return text.length === 0 ? -ENOENT : text;
  }

  #jumpTo(place: Path | number): number {
    if ((this.#resolveFlags & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
    if (typeof place === "number") return place;
    if ((this.#resolveFlags & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV;
    if ((this.#resolveFlags & RESOLVE_NO_XDEV) !== 0 && place.mount !== this.mount) return -EXDEV;
    this.mount = place.mount;
    this.dentry = place.dentry;
    this.jumped = true;
    return place.dentry.inode === null ? -ENOENT : 0;
  }

  #jumpToRoot(): number {
    if ((this.#resolveFlags & RESOLVE_BENEATH) !== 0) return -EXDEV;
    if ((this.#resolveFlags & RESOLVE_NO_XDEV) !== 0 && this.mount !== this.#rootMount) {
      return -EXDEV;
    }
    this.mount = this.#rootMount;
    this.dentry = this.#rootDentry;
    return 0;
  }

  #checkSearch(): number {
    const inode = this.dentry.inode;
    if (inode === null) return -ENOENT;
    if (!inode.isDirectory) return -ENOTDIR;
    return checkAccess(this.#t.creds, inode, MAY_EXEC) < 0 ? -EACCES : 0;
  }

  /** "..": stays at the root, leaves a mount through its mount point. */
  #up(): number {
    for (;;) {
      if (this.dentry === this.#rootDentry && this.mount === this.#rootMount) {
        return (this.#resolveFlags & RESOLVE_BENEATH) !== 0 ? -EXDEV : 0;
      }
      if (this.dentry !== this.mount.root) break;
      const { parent, mountPoint } = this.mount;
      if (parent === null || mountPoint === null) return 0;
      if ((this.#resolveFlags & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
      this.mount = parent;
      this.dentry = mountPoint;
    }
    if (this.dentry.parent !== null) this.dentry = this.dentry.parent;
    return this.enter(this.dentry);
  }
}

function kindOf(path: ByteString, start: number, stop: number): number {
  if (path.charCodeAt(start) !== DOT) return LAST_NORM;
  if (stop - start === 1) return LAST_DOT;
  if (stop - start === 2 && path.charCodeAt(start + 1) === DOT) return LAST_DOTDOT;
  return LAST_NORM;
}
