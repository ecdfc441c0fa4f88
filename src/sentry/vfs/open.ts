// Opening: open(2), openat2(2) and the exec loader's way to a file. Finds or makes the file, checks access,
// truncates, and asks the inode for a description. FIFOs come back at once: the system call waits for the
// other end.

import { CAP_FOWNER } from "../../abi/capability.ts";
import {
  EACCES,
  EAGAIN,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  ETXTBSY,
} from "../../abi/errno.ts";
import {
  __O_TMPFILE,
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_CACHED,
} from "../../abi/fcntl.ts";
import { MS_NODEV, MS_NOEXEC, MS_RDONLY } from "../../abi/mount.ts";
import { S_IFBLK, S_IFCHR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../abi/stat.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { truncateInode } from "./attributes.ts";
import { Dentry } from "./dentry.ts";
import type { FileDescription } from "./file-description.ts";
import type { Inode } from "./inode.ts";
import { noteCreated, noteModified } from "./notify.ts";
import { Path } from "./path.ts";
import { PathFile } from "./path-file.ts";
import { checkAccess, checkMountWritable, MAY_EXEC, MAY_READ, MAY_WRITE } from "./permissions.ts";
import { beginWalk, resolve } from "./resolve.ts";
import { LAST_NORM, type Walk } from "./walk.ts";

/** Flags of the open call that are not status flags of the description. */
const CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;

/** mode: permission bits for a new file, before the umask. */
export function openAt(
  t: Task,
  dirfd: number,
  path: ByteString,
  flags: number,
  mode: number,
  resolveFlags = 0,
): FileDescription | number {
  if ((resolveFlags & RESOLVE_CACHED) !== 0) return -EAGAIN;
  const walk = beginWalk(t, dirfd, path, resolveFlags);
  if (typeof walk === "number") return path.length === 0 ? -ENOENT : walk;
  if ((flags & __O_TMPFILE) !== 0) return openUnnamed(t, walk, path, flags, mode);
  if ((flags & O_CREAT) !== 0 && (flags & O_PATH) === 0) {
    return openOrCreate(t, walk, path, flags, mode);
  }
  const follow = (flags & O_NOFOLLOW) === 0;
  const result = walk.walk(path, follow);
  if (result < 0) return result;
  return openPlace(t, new Path(walk.mount, walk.dentry), flags);
}

/** Opens what stands at a place, with all checks. */
export function openPlace(t: Task, place: Path, flags: number): FileDescription | number {
  const inode = place.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((flags & O_DIRECTORY) !== 0 && !inode.isDirectory) return -ENOTDIR;
  if ((flags & O_PATH) !== 0) {
    const file = new PathFile(flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
    file.opened(place);
    return file;
  }
  if (inode.isSymlink) return -ELOOP;
  const check = checkOpen(t, place, inode, flags);
  if (check < 0) return check;
  if ((flags & O_TRUNC) !== 0 && inode.isRegular) {
    const truncated = truncateInode(t, inode, 0);
    if (truncated < 0) return truncated;
    noteModified(place.dentry);
  }
  return describeOpen(t, place, inode, flags);
}

function checkOpen(t: Task, place: Path, inode: Inode, flags: number): number {
  const access = flags & O_ACCMODE;
  let mask =
    access === O_RDONLY ? MAY_READ : access === O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
  if ((flags & O_TRUNC) !== 0) mask |= MAY_WRITE;
  const type = inode.mode & S_IFMT;
  if (inode.isDirectory && ((mask & MAY_WRITE) !== 0 || (flags & O_CREAT) !== 0)) return -EISDIR;
  if ((type === S_IFCHR || type === S_IFBLK) && (place.mount.flags & MS_NODEV) !== 0)
    return -EACCES;
  if ((mask & MAY_WRITE) !== 0) {
    const writable = checkMountWritable(place.mount, inode);
    if (writable < 0) return writable;
  }
  const allowed = checkAccess(t.creds, inode, mask);
  if (allowed < 0) return allowed;
  if (type === S_IFSOCK) return -ENXIO;
  if ((flags & O_NOATIME) !== 0 && t.creds.fsuid !== inode.uid) {
    if (!t.creds.hasCapability(CAP_FOWNER)) return -EPERM;
  }
  return 0;
}

function describeOpen(t: Task, place: Path, inode: Inode, flags: number): FileDescription | number {
  // A terminal must know of O_NOCTTY; the description does not keep it.
  const file = inode.open(t, place, flags & (~CREATION_FLAGS | O_NOCTTY));
  if (typeof file === "number") return file;
  file.flags &= ~O_NOCTTY;
  file.opened(place);
  return file;
}

function openOrCreate(
  t: Task,
  walk: Walk,
  path: ByteString,
  flags: number,
  mode: number,
): FileDescription | number {
  let text = path;
  for (;;) {
    const parent = walk.walkToParent(text);
    if (parent < 0) return parent;
    if (walk.lastType !== LAST_NORM) {
      if ((flags & O_EXCL) !== 0) return -EEXIST;
      const stepped = walk.stepLast(false);
      return typeof stepped === "number" && stepped < 0 ? stepped : -EISDIR;
    }
    if (walk.trailingSlash) return -EISDIR;
    const dentry = walk.lookupLast();
    if (typeof dentry === "number") return dentry;
    const inode = dentry.inode;
    if (inode === null) return createAndOpen(t, walk, flags, mode);
    if ((flags & O_EXCL) !== 0) return -EEXIST;
    if (!inode.isSymlink) {
      const entered = walk.enter(dentry);
      if (entered < 0) return entered;
      return openExisting(t, walk, flags);
    }
    if ((flags & O_NOFOLLOW) !== 0) return -ELOOP;
    const next = walk.followLink(inode);
    if (typeof next !== "string") return next < 0 ? next : openExisting(t, walk, flags);
    text = next;
  }
}

function openExisting(t: Task, walk: Walk, flags: number): FileDescription | number {
  return openPlace(t, new Path(walk.mount, walk.dentry), flags);
}

function createAndOpen(t: Task, walk: Walk, flags: number, mode: number): FileDescription | number {
  const dir = walk.inode;
  if ((walk.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  if (walk.dentry.isDeleted) return -ENOENT;
  const allowed = checkAccess(t.creds, dir, MAY_WRITE | MAY_EXEC);
  if (allowed < 0) return allowed;
  if ((flags & O_DIRECTORY) !== 0) return -EINVAL;
  const made = dir.create(t, walk.last, S_IFREG | (mode & 0o7777 & ~t.fs.umask));
  if (typeof made === "number") return made;
  const dentry = noteCreated(walk.mount, walk.dentry, walk.last, made);
  return describeOpen(t, new Path(walk.mount, dentry), made, flags);
}

function openUnnamed(
  t: Task,
  walk: Walk,
  path: ByteString,
  flags: number,
  mode: number,
): FileDescription | number {
  const result = walk.walk(path, (flags & O_NOFOLLOW) === 0);
  if (result < 0) return result;
  const dir = walk.inode;
  if (!dir.isDirectory) return -ENOTDIR;
  if ((walk.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  const allowed = checkAccess(t.creds, dir, MAY_WRITE | MAY_EXEC);
  if (allowed < 0) return allowed;
  const made = dir.createUnnamed(t, S_IFREG | (mode & 0o7777 & ~t.fs.umask));
  if (typeof made === "number") return made;
  const dentry = new Dentry(`#${made.ino}`, walk.dentry, made);
  dentry.isDeleted = true;
  return describeOpen(t, new Path(walk.mount, dentry), made, flags & ~__O_TMPFILE);
}

/**
 * The program file for execve: regular, executable for the caller, on a mount that allows it, and not open
 * for writing. atFlags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW.
 */
export function openForExec(
  t: Task,
  dirfd: number,
  path: ByteString,
  atFlags: number,
): FileDescription | number {
  const follow = (atFlags & AT_SYMLINK_NOFOLLOW) === 0;
  const place = resolve(t, dirfd, path, follow, atFlags & AT_EMPTY_PATH);
  if (typeof place === "number") return place;
  const inode = place.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((inode.mode & S_IFMT) === S_IFLNK) return -ELOOP;
  if (!inode.isRegular || (place.mount.flags & MS_NOEXEC) !== 0) return -EACCES;
  const allowed = checkAccess(t.creds, inode, MAY_EXEC);
  if (allowed < 0) return allowed;
  if (inode.writerCount > 0) return -ETXTBSY;
  return describeOpen(t, place, inode, O_RDONLY);
}
