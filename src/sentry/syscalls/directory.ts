// getdents, getdents64, getcwd, chdir, fchdir, chroot, umask.

import { CAP_SYS_CHROOT } from "../../abi/capability.ts";
import { EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE } from "../../abi/errno.ts";
import { AT_FDCWD, O_PATH } from "../../abi/fcntl.ts";
import { DIRENT_HEADER_BYTES, DIRENT64_HEADER_BYTES } from "../../abi/stat.ts";
import {
  SYS_chdir,
  SYS_chroot,
  SYS_fchdir,
  SYS_getcwd,
  SYS_getdents,
  SYS_getdents64,
  SYS_umask,
} from "../../abi/syscall-numbers.ts";
import { type ByteString, putByteString, setU16Le, setU64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { DirentSink } from "../vfs/dirent-sink.ts";
import type { Inode } from "../vfs/inode.ts";
import { type Path, pathText } from "../vfs/path.ts";
import { checkAccess, MAY_EXEC } from "../vfs/permissions.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** Entries of one call are gathered here, so a program gets at most this much at once. */
const BUFFER_BYTES = 64 * 1024;

class DirentBuffer implements DirentSink {
  readonly bytes = new Uint8Array(BUFFER_BYTES);
  limit = 0;
  used = 0;
  is64 = true;
  /** An entry was refused for want of room. */
  isFull = false;

  reset(limit: number, is64: boolean): void {
    this.limit = Math.min(limit, BUFFER_BYTES);
    this.used = 0;
    this.is64 = is64;
    this.isFull = false;
  }

  add(name: ByteString, ino: number, type: number, nextOffset: number): boolean {
    const header = this.is64 ? DIRENT64_HEADER_BYTES : DIRENT_HEADER_BYTES;
    // The old form has the type behind the name's NUL, in the last byte.
    const tail = this.is64 ? 1 : 2;
    const length = (header + name.length + tail + 7) & ~7;
    if (this.used + length > this.limit) {
      this.isFull = true;
      return false;
    }
    const b = this.bytes;
    const at = this.used;
    setU64Le(b, at, ino);
    setU64Le(b, at + 8, nextOffset);
    setU16Le(b, at + 16, length);
    if (this.is64) b[at + 18] = type;
    putByteString(b, at + header, name);
    b.fill(0, at + header + name.length, at + length);
    if (!this.is64) b[at + length - 1] = type;
    this.used += length;
    return true;
  }
}

const dirents = new DirentBuffer();

function listDirectory(t: Task, a: SyscallArgs, is64: boolean): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  const inode = file.path?.dentry.inode;
  if (inode?.isDirectory && file.path?.dentry.isDeleted) return -ENOENT;
  dirents.reset(a.uint(2), is64);
  const result = file.readDir(t, dirents);
  if (dirents.used === 0) return result < 0 ? result : dirents.isFull ? -EINVAL : 0;
  const copied = t.mm.copyOut(a.addr(1), dirents.bytes, 0, dirents.used);
  return copied === dirents.used ? dirents.used : -EFAULT;
}

const getdents = (t: Task, a: SyscallArgs): number => listDirectory(t, a, false);
const getdents64 = (t: Task, a: SyscallArgs): number => listDirectory(t, a, true);

function getcwd(t: Task, a: SyscallArgs): number {
  if (t.fs.cwd.dentry.isDeleted) return -ENOENT;
  const { text, reachable } = pathText(t.fs.cwd, t.fs.root);
  const shown = reachable ? text : `(unreachable)${text}`;
  const length = shown.length + 1;
  if (length > a.size(1)) return -ERANGE;
  const bytes = new Uint8Array(length);
  putByteString(bytes, 0, shown);
  return t.mm.copyOut(a.addr(0), bytes, 0, length) === length ? length : -EFAULT;
}

function enterable(t: Task, place: Path): number {
  const inode = place.dentry.inode as Inode;
  if (!inode.isDirectory) return -ENOTDIR;
  return checkAccess(t.creds, inode, MAY_EXEC);
}

function chdir(t: Task, a: SyscallArgs): number {
  const path = copyInPath(t, a.addr(0));
  if (typeof path === "number") return path;
  const place = resolve(t, AT_FDCWD, path, true);
  if (typeof place === "number") return place;
  const allowed = enterable(t, place);
  if (allowed < 0) return allowed;
  t.fs.cwd = place;
  return 0;
}

function fchdir(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (file.path === null) return -ENOTDIR;
  const allowed = enterable(t, file.path);
  if (allowed < 0) return allowed;
  t.fs.cwd = file.path;
  return 0;
}

function chroot(t: Task, a: SyscallArgs): number {
  const path = copyInPath(t, a.addr(0));
  if (typeof path === "number") return path;
  const place = resolve(t, AT_FDCWD, path, true);
  if (typeof place === "number") return place;
  const allowed = enterable(t, place);
  if (allowed < 0) return allowed;
  if (!t.creds.hasCapability(CAP_SYS_CHROOT)) return -EPERM;
  t.fs.root = place;
  return 0;
}

function umask(t: Task, a: SyscallArgs): number {
  const old = t.fs.umask;
  t.fs.umask = a.int(0) & 0o777;
  return old;
}

export const directorySyscalls: SyscallFamily = [
  [SYS_getdents, getdents],
  [SYS_getdents64, getdents64],
  [SYS_getcwd, getcwd],
  [SYS_chdir, chdir],
  [SYS_fchdir, fchdir],
  [SYS_chroot, chroot],
  [SYS_umask, umask],
];
