// stat, lstat, fstat, newfstatat, statx, access, faccessat, faccessat2, readlink, readlinkat, statfs, fstatfs.

import { EACCES, EBADF, EFAULT, EINVAL, ENOENT } from "../../abi/errno.ts";
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_SYNC_TYPE,
  AT_SYMLINK_NOFOLLOW,
  R_OK,
  W_OK,
  X_OK,
} from "../../abi/fcntl.ts";
import { MS_NOEXEC, MS_PER_MOUNT } from "../../abi/mount.ts";
import {
  ST_VALID,
  STATFS_BAVAIL,
  STATFS_BFREE,
  STATFS_BLOCKS,
  STATFS_BSIZE,
  STATFS_BYTES,
  STATFS_FFREE,
  STATFS_FILES,
  STATFS_FLAGS,
  STATFS_FRSIZE,
  STATFS_FSID,
  STATFS_NAMELEN,
  STATFS_TYPE,
  STATX_RESERVED,
} from "../../abi/stat.ts";
import {
  SYS_access,
  SYS_faccessat,
  SYS_faccessat2,
  SYS_fstat,
  SYS_fstatfs,
  SYS_lstat,
  SYS_newfstatat,
  SYS_readlink,
  SYS_readlinkat,
  SYS_stat,
  SYS_statfs,
  SYS_statx,
} from "../../abi/syscall-numbers.ts";
import { putByteString, setU32Le, setU64Le } from "../../base/bytes.ts";
import type { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import type { FileSystem } from "../vfs/file-system.ts";
import type { Inode } from "../vfs/inode.ts";
import type { Path } from "../vfs/path.ts";
import { checkAccess, checkMountWritable } from "../vfs/permissions.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import { Stat } from "../vfs/stat.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { copyOutScratch, copyOutStat, copyOutStatx, scratch } from "./user-struct.ts";

const st = new Stat();

function statPath(
  t: Task,
  dirfd: number,
  pathAddr: number,
  bufAddr: number,
  atFlags: number,
): number {
  const path = copyInPath(t, pathAddr);
  if (typeof path === "number") return path;
  if (path.length === 0 && (atFlags & AT_EMPTY_PATH) !== 0 && dirfd !== AT_FDCWD) {
    return statDescriptor(t, dirfd, bufAddr);
  }
  const place = resolve(t, dirfd, path, (atFlags & AT_SYMLINK_NOFOLLOW) === 0, atFlags);
  if (typeof place === "number") return place;
  const result = place.dentry.inode?.stat(st) ?? -ENOENT;
  return result < 0 ? result : copyOutStat(t, bufAddr, st);
}

function statDescriptor(t: Task, fd: number, bufAddr: number): number {
  const file = t.fds.get(fd);
  if (file === undefined) return -EBADF;
  const result = file.stat(st);
  return result < 0 ? result : copyOutStat(t, bufAddr, st);
}

const stat = (t: Task, a: SyscallArgs): number => statPath(t, AT_FDCWD, a.addr(0), a.addr(1), 0);
const lstat = (t: Task, a: SyscallArgs): number =>
  statPath(t, AT_FDCWD, a.addr(0), a.addr(1), AT_SYMLINK_NOFOLLOW);
const fstat = (t: Task, a: SyscallArgs): number => statDescriptor(t, a.int(0), a.addr(1));

function newfstatat(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)) !== 0) return -EINVAL;
  return statPath(t, a.int(0), a.addr(1), a.addr(2), flags);
}

function statx(t: Task, a: SyscallArgs): number {
  const dirfd = a.int(0);
  const flags = a.int(2);
  const known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
  if ((flags & ~known) !== 0 || (flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return -EINVAL;
  if ((a.uint(3) & STATX_RESERVED) !== 0) return -EINVAL;
  const path = copyInPath(t, a.addr(1));
  if (typeof path === "number") return path;
  let place: Path | null;
  if (path.length === 0 && (flags & AT_EMPTY_PATH) !== 0 && dirfd !== AT_FDCWD) {
    const file = t.fds.get(dirfd);
    if (file === undefined) return -EBADF;
    const result = file.stat(st);
    if (result < 0) return result;
    place = file.path;
  } else {
    const found = resolve(t, dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) === 0, flags);
    if (typeof found === "number") return found;
    const result = found.dentry.inode?.stat(st) ?? -ENOENT;
    if (result < 0) return result;
    place = found;
  }
  const isMountRoot = place !== null && place.dentry === place.mount.root;
  return copyOutStatx(t, a.addr(4), st, place === null ? 0 : place.mount.id, isMountRoot);
}

/** access(2) asks for the real ids. */
function realCredentials(creds: Credentials): Credentials {
  if (creds.fsuid === creds.uid && creds.fsgid === creds.gid) return creds;
  return creds.with({
    fsuid: creds.uid,
    fsgid: creds.gid,
    capEffective: creds.uid === 0 ? creds.capPermitted : [0, 0],
  });
}

function accessPath(t: Task, dirfd: number, pathAddr: number, mode: number, flags: number): number {
  if ((mode & ~(R_OK | W_OK | X_OK)) !== 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const path = copyInPath(t, pathAddr);
  if (typeof path === "number") return path;
  const own = t.creds;
  if ((flags & AT_EACCESS) === 0) t.creds = realCredentials(own);
  const result = checkPlace(
    t,
    resolve(t, dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) === 0, flags),
    mode,
  );
  t.creds = own;
  return result;
}

function checkPlace(t: Task, place: Path | number, mode: number): number {
  if (typeof place === "number") return place;
  const inode = place.dentry.inode as Inode;
  if (mode === 0) return 0;
  if ((mode & X_OK) !== 0 && inode.isRegular && (place.mount.flags & MS_NOEXEC) !== 0)
    return -EACCES;
  const allowed = checkAccess(t.creds, inode, mode);
  if (allowed < 0) return allowed;
  return (mode & W_OK) !== 0 ? checkMountWritable(place.mount, inode) : 0;
}

const access = (t: Task, a: SyscallArgs): number => accessPath(t, AT_FDCWD, a.addr(0), a.int(1), 0);
const faccessat = (t: Task, a: SyscallArgs): number =>
  accessPath(t, a.int(0), a.addr(1), a.int(2), 0);
const faccessat2 = (t: Task, a: SyscallArgs): number =>
  accessPath(t, a.int(0), a.addr(1), a.int(2), a.int(3));

function readlinkPath(t: Task, dirfd: number, pathAddr: number, buf: number, size: number): number {
  if (size <= 0) return -EINVAL;
  const path = copyInPath(t, pathAddr);
  if (typeof path === "number") return path;
  // "" with an O_PATH|O_NOFOLLOW descriptor of the link itself (readlinkat(2)).
  const place = resolve(t, dirfd, path, false, dirfd === AT_FDCWD ? 0 : AT_EMPTY_PATH);
  if (typeof place === "number") return place;
  const inode = place.dentry.inode as Inode;
  if (!inode.isSymlink) return path.length === 0 ? -ENOENT : -EINVAL;
  const text = inode.readlink(t);
  if (typeof text === "number") return text;
  const bytes = new Uint8Array(text.length);
  putByteString(bytes, 0, text);
  const length = Math.min(text.length, size);
  return t.mm.copyOut(buf, bytes, 0, length) === length ? length : -EFAULT;
}

const readlink = (t: Task, a: SyscallArgs): number =>
  readlinkPath(t, AT_FDCWD, a.addr(0), a.addr(1), a.int(2));
const readlinkat = (t: Task, a: SyscallArgs): number =>
  readlinkPath(t, a.int(0), a.addr(1), a.addr(2), a.int(3));

function copyOutStatfs(t: Task, addr: number, fs: FileSystem, mountFlags: number): number {
  const s = fs.statfs();
  scratch.fill(0, 0, STATFS_BYTES);
  setU64Le(scratch, STATFS_TYPE, s.type);
  setU64Le(scratch, STATFS_BSIZE, s.blockBytes);
  setU64Le(scratch, STATFS_BLOCKS, s.blocks);
  setU64Le(scratch, STATFS_BFREE, s.blocksFree);
  setU64Le(scratch, STATFS_BAVAIL, s.blocksFree);
  setU64Le(scratch, STATFS_FILES, s.files);
  setU64Le(scratch, STATFS_FFREE, s.filesFree);
  setU32Le(scratch, STATFS_FSID, fs.dev);
  setU64Le(scratch, STATFS_NAMELEN, s.nameBytesMax);
  setU64Le(scratch, STATFS_FRSIZE, s.blockBytes);
  setU64Le(scratch, STATFS_FLAGS, (mountFlags & MS_PER_MOUNT & 0xfff) | ST_VALID);
  return copyOutScratch(t, addr, STATFS_BYTES);
}

function statfs(t: Task, a: SyscallArgs): number {
  const path = copyInPath(t, a.addr(0));
  if (typeof path === "number") return path;
  const place = resolve(t, AT_FDCWD, path, true);
  if (typeof place === "number") return place;
  return copyOutStatfs(t, a.addr(1), place.mount.fileSystem, place.mount.flags);
}

function fstatfs(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (file.path === null) return copyOutStatfs(t, a.addr(1), t.fs.root.mount.fileSystem, 0);
  const { mount } = file.path;
  return copyOutStatfs(t, a.addr(1), mount.fileSystem, mount.flags);
}

export const statSyscalls: SyscallFamily = [
  [SYS_stat, stat],
  [SYS_lstat, lstat],
  [SYS_fstat, fstat],
  [SYS_newfstatat, newfstatat],
  [SYS_statx, statx],
  [SYS_access, access],
  [SYS_faccessat, faccessat],
  [SYS_faccessat2, faccessat2],
  [SYS_readlink, readlink],
  [SYS_readlinkat, readlinkat],
  [SYS_statfs, statfs],
  [SYS_fstatfs, fstatfs],
];
