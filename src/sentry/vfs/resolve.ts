// Entry points of path resolution for system calls: dirfd rules, the empty path, whole paths and parents.

import { EBADF, ENOENT, ENOTDIR } from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  PATH_MAX,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
} from "../../abi/fcntl.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { Path } from "./path.ts";
import { Walk } from "./walk.ts";

/** Reads a path argument: -EFAULT or -ENAMETOOLONG. */
export function copyInPath(t: Task, addr: number): ByteString | number {
  return t.mm.copyInString(addr, PATH_MAX);
}

/** Where a relative path starts. Not yet known to be a directory. */
export function startOf(t: Task, dirfd: number, path: ByteString): Path | number {
  if (path.charCodeAt(0) === 0x2f) return t.fs.root;
  if (dirfd === AT_FDCWD) return t.fs.cwd;
  const file = t.fds.get(dirfd);
  if (file === undefined) return -EBADF;
  if (file.path === null) return path.length === 0 ? -ENOENT : -ENOTDIR;
  return file.path;
}

/** A Walk set up at dirfd. resolveFlags: RESOLVE_*; with these an absolute path still starts at dirfd. */
export function beginWalk(
  t: Task,
  dirfd: number,
  path: ByteString,
  resolveFlags: number,
): Walk | number {
  const scoped = (resolveFlags & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
  const start = startOf(t, dirfd, scoped ? "." : path);
  if (typeof start === "number") return start;
  return new Walk(t, start, resolveFlags);
}

/**
 * The place a path names. followLast: go through a symbolic link at the end. atFlags: AT_EMPTY_PATH makes
 * "" mean dirfd itself.
 */
export function resolve(
  t: Task,
  dirfd: number,
  path: ByteString,
  followLast: boolean,
  atFlags = 0,
  resolveFlags = 0,
): Path | number {
  if (path.length === 0) {
    if ((atFlags & AT_EMPTY_PATH) === 0) return -ENOENT;
    return startOf(t, dirfd, path);
  }
  const walk = beginWalk(t, dirfd, path, resolveFlags);
  if (typeof walk === "number") return walk;
  const result = walk.walk(path, followLast);
  if (result < 0) return result;
  return new Path(walk.mount, walk.dentry);
}

/** A walk to the parent of the last component: read .last, .lastType, .trailingSlash. */
export function resolveParent(t: Task, dirfd: number, path: ByteString): Walk | number {
  const walk = beginWalk(t, dirfd, path, 0);
  if (typeof walk === "number") return walk;
  const result = walk.walkToParent(path);
  return result < 0 ? result : walk;
}
