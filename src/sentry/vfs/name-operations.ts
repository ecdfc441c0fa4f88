// Making, linking, removing and renaming names: mkdir, mknod, symlink, link, unlink, rmdir, rename with all
// checks. Used by the system calls, by bind(2) of unix sockets and by the set-up of a sandbox.

import { CAP_DAC_READ_SEARCH, CAP_MKNOD } from "../../abi/capability.ts";
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  EXDEV,
} from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_FOLLOW,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from "../../abi/fcntl.ts";
import { MS_RDONLY } from "../../abi/mount.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../../abi/stat.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { Dentry } from "./dentry.ts";
import type { Inode } from "./inode.ts";
import { isBelow } from "./mount-namespace.ts";
import { noteAttributes, noteCreated, noteMoved, noteRemoved } from "./notify.ts";
import { Path } from "./path.ts";
import { checkAccess, checkRemove, MAY_EXEC, MAY_WRITE } from "./permissions.ts";
import { resolve, resolveParent } from "./resolve.ts";
import { LAST_DOT, LAST_DOTDOT, LAST_NORM, type Walk } from "./walk.ts";

/** The walk stands in the directory, `last` is free and may be made. */
function beginMake(t: Task, dirfd: number, path: ByteString, forDirectory: boolean): Walk | number {
  const walk = resolveParent(t, dirfd, path);
  if (typeof walk === "number") return walk;
  if (walk.lastType !== LAST_NORM) return -EEXIST;
  const dentry = walk.lookupLast();
  if (typeof dentry === "number") return dentry;
  if (dentry.inode !== null) return -EEXIST;
  if (walk.trailingSlash && !forDirectory) return -ENOENT;
  if ((walk.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  if (walk.dentry.isDeleted) return -ENOENT;
  const allowed = checkAccess(t.creds, walk.inode, MAY_WRITE | MAY_EXEC);
  return allowed < 0 ? allowed : walk;
}

function finishMake(walk: Walk, made: Inode | number): Path | number {
  if (typeof made === "number") return made;
  return new Path(walk.mount, noteCreated(walk.mount, walk.dentry, walk.last, made));
}

export function mkdirAt(t: Task, dirfd: number, path: ByteString, mode: number): Path | number {
  const walk = beginMake(t, dirfd, path, true);
  if (typeof walk === "number") return walk;
  const bits = mode & 0o1777 & ~t.fs.umask;
  return finishMake(walk, walk.inode.mkdir(t, walk.last, S_IFDIR | bits));
}

/** mode carries the type: a regular file, FIFO, socket or device. */
export function mknodAt(
  t: Task,
  dirfd: number,
  path: ByteString,
  mode: number,
  rdev: number,
): Path | number {
  let type = mode & S_IFMT;
  if (type === 0) type = S_IFREG;
  if (type === S_IFDIR) return -EPERM;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  if (!isDevice && type !== S_IFREG && type !== S_IFIFO && type !== S_IFSOCK) return -EINVAL;
  const walk = beginMake(t, dirfd, path, false);
  if (typeof walk === "number") return walk;
  // A character device 0/0 is overlayfs's whiteout, which anyone may make.
  const isWhiteout = type === S_IFCHR && rdev === 0;
  if (isDevice && !isWhiteout && !t.creds.hasCapability(CAP_MKNOD)) return -EPERM;
  const full = type | (mode & 0o7777 & ~t.fs.umask);
  const dir = walk.inode;
  if (type === S_IFREG) return finishMake(walk, dir.create(t, walk.last, full));
  return finishMake(walk, dir.mknod(t, walk.last, full, isDevice ? rdev : 0));
}

export function symlinkAt(
  t: Task,
  target: ByteString,
  dirfd: number,
  path: ByteString,
): Path | number {
  if (target.length === 0) return -ENOENT;
  const walk = beginMake(t, dirfd, path, false);
  if (typeof walk === "number") return walk;
  return finishMake(walk, walk.inode.symlink(t, walk.last, target));
}

export function linkAt(
  t: Task,
  oldDirfd: number,
  oldPath: ByteString,
  newDirfd: number,
  newPath: ByteString,
  flags: number,
): number {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const isEmpty = oldPath.length === 0 && (flags & AT_EMPTY_PATH) !== 0;
  if (isEmpty && !t.creds.hasCapability(CAP_DAC_READ_SEARCH)) return -ENOENT;
  const follow = (flags & AT_SYMLINK_FOLLOW) !== 0;
  const source = resolve(t, oldDirfd, oldPath, follow, flags & AT_EMPTY_PATH);
  if (typeof source === "number") return source;
  const walk = beginMake(t, newDirfd, newPath, false);
  if (typeof walk === "number") return walk;
  const inode = source.dentry.inode as Inode;
  if (walk.mount !== source.mount) return -EXDEV;
  if (inode.fileSystem !== walk.inode.fileSystem) return -EXDEV;
  if (inode.isDirectory) return -EPERM;
  const result = walk.inode.link(t, walk.last, inode);
  if (result < 0) return result;
  noteCreated(walk.mount, walk.dentry, walk.last, inode);
  noteAttributes(source.dentry);
  return 0;
}

/** The named entry, positive, on a writable mount and not mounted on. */
function findVictim(t: Task, walk: Walk): Dentry | number {
  const dentry = walk.lookupLast();
  if (typeof dentry === "number") return dentry;
  if ((walk.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  if (dentry.inode === null) return -ENOENT;
  const allowed = checkRemove(t.creds, walk.inode, dentry.inode);
  return allowed < 0 ? allowed : dentry;
}

export function unlinkAt(t: Task, dirfd: number, path: ByteString): number {
  const walk = resolveParent(t, dirfd, path);
  if (typeof walk === "number") return walk;
  if (walk.lastType !== LAST_NORM) return -EISDIR;
  const dentry = walk.lookupLast();
  if (typeof dentry !== "number" && walk.trailingSlash) {
    if (dentry.inode === null) return -ENOENT;
    return dentry.inode.isDirectory ? -EISDIR : -ENOTDIR;
  }
  const victim = findVictim(t, walk);
  if (typeof victim === "number") return victim;
  const inode = victim.inode as Inode;
  if (inode.isDirectory) return -EISDIR;
  if (victim.mountCount > 0) return -EBUSY;
  const result = walk.inode.unlink(t, walk.last, inode);
  if (result < 0) return result;
  noteRemoved(walk.mount, victim);
  return 0;
}

export function rmdirAt(t: Task, dirfd: number, path: ByteString): number {
  const walk = resolveParent(t, dirfd, path);
  if (typeof walk === "number") return walk;
  if (walk.lastType !== LAST_NORM) {
    return walk.lastType === LAST_DOT
      ? -EINVAL
      : walk.lastType === LAST_DOTDOT
        ? -ENOTEMPTY
        : -EBUSY;
  }
  const victim = findVictim(t, walk);
  if (typeof victim === "number") return victim;
  const inode = victim.inode as Inode;
  if (!inode.isDirectory) return -ENOTDIR;
  if (victim.mountCount > 0) return -EBUSY;
  const result = walk.inode.rmdir(t, walk.last, inode);
  if (result < 0) return result;
  noteRemoved(walk.mount, victim);
  return 0;
}

export function renameAt(
  t: Task,
  oldDirfd: number,
  oldPath: ByteString,
  newDirfd: number,
  newPath: ByteString,
  flags: number,
): number {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
  if (flags === (RENAME_NOREPLACE | RENAME_EXCHANGE)) return -EINVAL;
  const from = resolveParent(t, oldDirfd, oldPath);
  if (typeof from === "number") return from;
  const to = resolveParent(t, newDirfd, newPath);
  if (typeof to === "number") return to;
  if (from.mount !== to.mount) return -EXDEV;
  if (from.lastType !== LAST_NORM) return -EBUSY;
  if (to.lastType !== LAST_NORM) return (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : -EBUSY;
  if ((from.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  const source = from.lookupLast();
  if (typeof source === "number") return source;
  if (source.inode === null) return -ENOENT;
  const target = to.lookupLast();
  if (typeof target === "number") return target;
  return renameDentry(t, from, source, to, target, flags);
}

function renameDentry(
  t: Task,
  from: Walk,
  source: Dentry,
  to: Walk,
  target: Dentry,
  flags: number,
): number {
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const moved = source.inode as Inode;
  const replaced = target.inode;
  if ((flags & RENAME_NOREPLACE) !== 0 && replaced !== null) return -EEXIST;
  if (exchange && replaced === null) return -ENOENT;
  if (!moved.isDirectory) {
    if (from.trailingSlash) return -ENOTDIR;
    if (!exchange && to.trailingSlash) return -ENOTDIR;
  }
  if (exchange && to.trailingSlash && !replaced?.isDirectory) return -ENOTDIR;
  if (isBelow(to.dentry, source)) return -EINVAL;
  if (isBelow(from.dentry, target)) return exchange ? -EINVAL : -ENOTEMPTY;
  const mayLeave = checkRemove(t.creds, from.inode, moved);
  if (mayLeave < 0) return mayLeave;
  if (to.dentry.isDeleted) return -ENOENT;
  const mayEnter =
    replaced === null
      ? checkAccess(t.creds, to.inode, MAY_WRITE | MAY_EXEC)
      : checkRemove(t.creds, to.inode, replaced);
  if (mayEnter < 0) return mayEnter;
  if (replaced !== null && !exchange) {
    if (moved.isDirectory && !replaced.isDirectory) return -ENOTDIR;
    if (!moved.isDirectory && replaced.isDirectory) return -EISDIR;
  }
  const changesParent = from.inode !== to.inode;
  if (changesParent && mayNotReparent(t, moved)) return -EACCES;
  if (changesParent && exchange && replaced !== null && mayNotReparent(t, replaced)) return -EACCES;
  if (moved === replaced) return 0;
  if (source.mountCount > 0 || target.mountCount > 0) return -EBUSY;
  const result = from.inode.rename(t, from.last, moved, to.inode, to.last, replaced, flags);
  if (result < 0) return result;
  noteMoved(from.mount, source, to.dentry, to.last, replaced === null ? null : target, exchange);
  return 0;
}

/** Moving a directory changes its "..", so the directory itself must be writable. */
function mayNotReparent(t: Task, inode: Inode): boolean {
  return inode.isDirectory && checkAccess(t.creds, inode, MAY_WRITE) < 0;
}
