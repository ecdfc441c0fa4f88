// mkdir, mknod, symlink, link, unlink, rmdir, rename and their *at forms: arguments only; the work is in
// vfs/name-operations.ts.

import { EINVAL } from "../../abi/errno.ts";
import { AT_FDCWD, AT_REMOVEDIR } from "../../abi/fcntl.ts";
import {
  SYS_link,
  SYS_linkat,
  SYS_mkdir,
  SYS_mkdirat,
  SYS_mknod,
  SYS_mknodat,
  SYS_rename,
  SYS_renameat,
  SYS_renameat2,
  SYS_rmdir,
  SYS_symlink,
  SYS_symlinkat,
  SYS_unlink,
  SYS_unlinkat,
} from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import {
  linkAt,
  mkdirAt,
  mknodAt,
  renameAt,
  rmdirAt,
  symlinkAt,
  unlinkAt,
} from "../vfs/name-operations.ts";
import { copyInPath } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

function makeDirectory(t: Task, dirfd: number, addr: number, mode: number): number {
  const path = copyInPath(t, addr);
  if (typeof path === "number") return path;
  const made = mkdirAt(t, dirfd, path, mode);
  return typeof made === "number" ? made : 0;
}
const mkdir = (t: Task, a: SyscallArgs): number => makeDirectory(t, AT_FDCWD, a.addr(0), a.int(1));
const mkdirat = (t: Task, a: SyscallArgs): number =>
  makeDirectory(t, a.int(0), a.addr(1), a.int(2));

function makeNode(t: Task, dirfd: number, addr: number, mode: number, rdev: number): number {
  const path = copyInPath(t, addr);
  if (typeof path === "number") return path;
  const made = mknodAt(t, dirfd, path, mode & 0xffff, rdev);
  return typeof made === "number" ? made : 0;
}
const mknod = (t: Task, a: SyscallArgs): number =>
  makeNode(t, AT_FDCWD, a.addr(0), a.int(1), a.uint(2));
const mknodat = (t: Task, a: SyscallArgs): number =>
  makeNode(t, a.int(0), a.addr(1), a.int(2), a.uint(3));

function makeSymlink(t: Task, targetAddr: number, dirfd: number, addr: number): number {
  const target = copyInPath(t, targetAddr);
  if (typeof target === "number") return target;
  const path = copyInPath(t, addr);
  if (typeof path === "number") return path;
  const made = symlinkAt(t, target, dirfd, path);
  return typeof made === "number" ? made : 0;
}
const symlink = (t: Task, a: SyscallArgs): number => makeSymlink(t, a.addr(0), AT_FDCWD, a.addr(1));
const symlinkat = (t: Task, a: SyscallArgs): number =>
  makeSymlink(t, a.addr(0), a.int(1), a.addr(2));

function makeLink(
  t: Task,
  oldDirfd: number,
  oldAddr: number,
  newDirfd: number,
  newAddr: number,
  flags: number,
): number {
  const oldPath = copyInPath(t, oldAddr);
  if (typeof oldPath === "number") return oldPath;
  const newPath = copyInPath(t, newAddr);
  if (typeof newPath === "number") return newPath;
  return linkAt(t, oldDirfd, oldPath, newDirfd, newPath, flags);
}
const link = (t: Task, a: SyscallArgs): number =>
  makeLink(t, AT_FDCWD, a.addr(0), AT_FDCWD, a.addr(1), 0);
const linkat = (t: Task, a: SyscallArgs): number =>
  makeLink(t, a.int(0), a.addr(1), a.int(2), a.addr(3), a.int(4));

function remove(t: Task, dirfd: number, addr: number, directory: boolean): number {
  const path = copyInPath(t, addr);
  if (typeof path === "number") return path;
  return directory ? rmdirAt(t, dirfd, path) : unlinkAt(t, dirfd, path);
}
const unlink = (t: Task, a: SyscallArgs): number => remove(t, AT_FDCWD, a.addr(0), false);
const rmdir = (t: Task, a: SyscallArgs): number => remove(t, AT_FDCWD, a.addr(0), true);
function unlinkat(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  return remove(t, a.int(0), a.addr(1), flags !== 0);
}

function move(
  t: Task,
  oldDirfd: number,
  oldAddr: number,
  newDirfd: number,
  newAddr: number,
  flags: number,
): number {
  const oldPath = copyInPath(t, oldAddr);
  if (typeof oldPath === "number") return oldPath;
  const newPath = copyInPath(t, newAddr);
  if (typeof newPath === "number") return newPath;
  return renameAt(t, oldDirfd, oldPath, newDirfd, newPath, flags);
}
const rename = (t: Task, a: SyscallArgs): number =>
  move(t, AT_FDCWD, a.addr(0), AT_FDCWD, a.addr(1), 0);
const renameat = (t: Task, a: SyscallArgs): number =>
  move(t, a.int(0), a.addr(1), a.int(2), a.addr(3), 0);
const renameat2 = (t: Task, a: SyscallArgs): number =>
  move(t, a.int(0), a.addr(1), a.int(2), a.addr(3), a.int(4));

export const renameLinkSyscalls: SyscallFamily = [
  [SYS_mkdir, mkdir],
  [SYS_mkdirat, mkdirat],
  [SYS_mknod, mknod],
  [SYS_mknodat, mknodat],
  [SYS_symlink, symlink],
  [SYS_symlinkat, symlinkat],
  [SYS_link, link],
  [SYS_linkat, linkat],
  [SYS_unlink, unlink],
  [SYS_rmdir, rmdir],
  [SYS_unlinkat, unlinkat],
  [SYS_rename, rename],
  [SYS_renameat, renameat],
  [SYS_renameat2, renameat2],
];
