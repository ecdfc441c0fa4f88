// chmod, chown, utimes, truncate, fallocate families; fsync, sync, advice.

import {
  EBADF,
  EFAULT,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  EOPNOTSUPP,
  ESPIPE,
} from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_PATH,
  POSIX_FADV_MAX,
  UTIME_NOW,
  UTIME_OMIT,
} from "../../abi/fcntl.ts";
import { S_IFIFO, S_IFMT } from "../../abi/stat.ts";
import {
  SYS_chmod,
  SYS_chown,
  SYS_fadvise64,
  SYS_fallocate,
  SYS_fchmod,
  SYS_fchmodat,
  SYS_fchmodat2,
  SYS_fchown,
  SYS_fchownat,
  SYS_fdatasync,
  SYS_fsync,
  SYS_ftruncate,
  SYS_futimesat,
  SYS_lchown,
  SYS_readahead,
  SYS_sync,
  SYS_sync_file_range,
  SYS_syncfs,
  SYS_truncate,
  SYS_utime,
  SYS_utimensat,
  SYS_utimes,
} from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { chmodAt, chownAt, FILE_BYTES_MAX, truncateAt, utimesAt } from "../vfs/attributes.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { noteModified } from "../vfs/notify.ts";
import type { Path } from "../vfs/path.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import { Stat } from "../vfs/stat.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

function placeOf(t: Task, dirfd: number, addr: number, atFlags: number): Path | number {
  const path = copyInPath(t, addr);
  if (typeof path === "number") return path;
  return resolve(t, dirfd, path, (atFlags & AT_SYMLINK_NOFOLLOW) === 0, atFlags);
}

/** A descriptor that may do more than name a place. */
function usable(t: Task, fd: number): FileDescription | number {
  const file = t.fds.get(fd);
  return file === undefined || (file.flags & O_PATH) !== 0 ? -EBADF : file;
}

function changeMode(t: Task, place: Path | number, mode: number): number {
  if (typeof place === "number") return place;
  // Linux refuses to change the mode of a symbolic link.
  if (place.dentry.inode?.isSymlink) return -EOPNOTSUPP;
  return chmodAt(t, place, mode);
}
const chmod = (t: Task, a: SyscallArgs): number =>
  changeMode(t, placeOf(t, AT_FDCWD, a.addr(0), 0), a.int(1));
const fchmodat = (t: Task, a: SyscallArgs): number =>
  changeMode(t, placeOf(t, a.int(0), a.addr(1), 0), a.int(2));
function fchmodat2(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return changeMode(t, placeOf(t, a.int(0), a.addr(1), flags), a.int(2));
}
function fchmod(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  return file.path === null ? file.chmod(t, a.int(1) & 0o7777) : chmodAt(t, file.path, a.int(1));
}

function changeOwner(t: Task, place: Path | number, uid: number, gid: number): number {
  return typeof place === "number" ? place : chownAt(t, place, uid, gid);
}
const chown = (t: Task, a: SyscallArgs): number =>
  changeOwner(t, placeOf(t, AT_FDCWD, a.addr(0), 0), a.uint(1), a.uint(2));
const lchown = (t: Task, a: SyscallArgs): number =>
  changeOwner(t, placeOf(t, AT_FDCWD, a.addr(0), AT_SYMLINK_NOFOLLOW), a.uint(1), a.uint(2));
function fchownat(t: Task, a: SyscallArgs): number {
  const flags = a.int(4);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return changeOwner(t, placeOf(t, a.int(0), a.addr(1), flags), a.uint(2), a.uint(3));
}
function fchown(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  if (file.path === null) return file.chown(t, a.uint(1), a.uint(2));
  return chownAt(t, file.path, a.uint(1), a.uint(2));
}

/** What to set both times to; null leaves one. */
interface Times {
  atimeNs: number | null;
  mtimeNs: number | null;
  bothNow: boolean;
}

function setTimes(t: Task, place: Path | number, times: Times | number): number {
  if (typeof times === "number") return times;
  if (typeof place === "number") return place;
  return utimesAt(t, place, times.atimeNs, times.mtimeNs, times.bothNow);
}

function now(t: Task): Times {
  const atimeNs = t.kernel.clock.realtimeNs();
  return { atimeNs, mtimeNs: atimeNs, bothNow: true };
}

/** struct timespec[2] with UTIME_NOW and UTIME_OMIT; 0: both now. */
function readTimespecs(t: Task, addr: number): Times | number {
  if (addr === 0) return now(t);
  const values: (number | null)[] = [];
  let nows = 0;
  for (let i = 0; i < 2; i++) {
    const seconds = t.mm.readI64(addr + 16 * i);
    const nanos = t.mm.readI64(addr + 16 * i + 8);
    if (t.mm.faulted) return -EFAULT;
    if (nanos === UTIME_NOW) {
      values.push(t.kernel.clock.realtimeNs());
      nows++;
    } else if (nanos === UTIME_OMIT) values.push(null);
    else if (nanos < 0 || nanos > 999_999_999) return -EINVAL;
    else values.push(seconds * 1e9 + nanos);
  }
  return { atimeNs: values[0], mtimeNs: values[1], bothNow: nows === 2 };
}

/** struct timeval[2]. */
function readTimevals(t: Task, addr: number): Times | number {
  if (addr === 0) return now(t);
  const values: number[] = [];
  for (let i = 0; i < 2; i++) {
    const seconds = t.mm.readI64(addr + 16 * i);
    const micros = t.mm.readI64(addr + 16 * i + 8);
    if (t.mm.faulted) return -EFAULT;
    if (micros < 0 || micros > 999_999) return -EINVAL;
    values.push(seconds * 1e9 + micros * 1000);
  }
  return { atimeNs: values[0], mtimeNs: values[1], bothNow: false };
}

function utimensat(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const times = readTimespecs(t, a.addr(2));
  if (a.addr(1) !== 0) return setTimes(t, placeOf(t, a.int(0), a.addr(1), flags), times);
  // futimens(3).
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  return file.path === null ? 0 : setTimes(t, file.path, times);
}
function utimes(t: Task, a: SyscallArgs): number {
  const times = readTimevals(t, a.addr(1));
  return setTimes(t, placeOf(t, AT_FDCWD, a.addr(0), 0), times);
}
function futimesat(t: Task, a: SyscallArgs): number {
  const times = readTimevals(t, a.addr(2));
  return setTimes(t, placeOf(t, a.int(0), a.addr(1), 0), times);
}
function utime(t: Task, a: SyscallArgs): number {
  const addr = a.addr(1);
  let times: Times = now(t);
  if (addr !== 0) {
    const atimeNs = t.mm.readI64(addr) * 1e9;
    const mtimeNs = t.mm.readI64(addr + 8) * 1e9;
    if (t.mm.faulted) return -EFAULT;
    times = { atimeNs, mtimeNs, bothNow: false };
  }
  return setTimes(t, placeOf(t, AT_FDCWD, a.addr(0), 0), times);
}

function truncate(t: Task, a: SyscallArgs): number {
  const place = placeOf(t, AT_FDCWD, a.addr(0), 0);
  return typeof place === "number" ? place : truncateAt(t, place, a.long(1));
}
function ftruncate(t: Task, a: SyscallArgs): number {
  const length = a.long(1);
  const file = usable(t, a.int(0));
  if (length < 0) return -EINVAL;
  if (typeof file === "number") return file;
  const inode = file.path?.dentry.inode;
  if (inode?.isDirectory) return -EINVAL;
  if (!file.isWritable) return -EINVAL;
  if (length > FILE_BYTES_MAX) return -EFBIG;
  const result = file.truncate(t, length);
  if (result >= 0 && file.path !== null) noteModified(file.path.dentry);
  return result;
}
const scratchStat = new Stat();
function fallocate(t: Task, a: SyscallArgs): number {
  const offset = a.long(2);
  const length = a.long(3);
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  if (offset < 0 || length <= 0) return -EINVAL;
  if (!file.isWritable) return -EBADF;
  if (offset + length > FILE_BYTES_MAX) return -EFBIG;
  if (file.stat(scratchStat) === 0 && (scratchStat.mode & S_IFMT) === S_IFIFO) return -ESPIPE;
  const inode = file.path?.dentry.inode;
  if (inode?.isDirectory) return -EISDIR;
  if (file.path !== null && !inode?.isRegular) return -ENODEV;
  return file.allocate(t, a.int(1), offset, length);
}

function fsync(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  return typeof file === "number" ? file : file.sync(t);
}
function sync(t: Task, _a: SyscallArgs): number {
  for (const mount of t.kernel.mounts.mounts) mount.fileSystem.sync();
  return 0;
}
function syncfs(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  return file.path === null ? 0 : file.path.mount.fileSystem.sync();
}
function syncFileRange(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  if (a.long(1) < 0 || a.long(2) < 0 || (a.uint(3) & ~7) !== 0) return -EINVAL;
  return file.path === null ? -ESPIPE : file.sync(t);
}
function fadvise(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  if (file.path === null && file.seek(t, 0, 1) === -ESPIPE) return -ESPIPE;
  return a.uint(3) > POSIX_FADV_MAX || a.long(2) < 0 ? -EINVAL : 0;
}
function readahead(t: Task, a: SyscallArgs): number {
  const file = usable(t, a.int(0));
  if (typeof file === "number") return file;
  if (!file.isReadable) return -EBADF;
  return file.path?.dentry.inode?.isRegular ? 0 : -EINVAL;
}

export const attrSyscalls: SyscallFamily = [
  [SYS_chmod, chmod],
  [SYS_fchmod, fchmod],
  [SYS_fchmodat, fchmodat],
  [SYS_fchmodat2, fchmodat2],
  [SYS_chown, chown],
  [SYS_lchown, lchown],
  [SYS_fchown, fchown],
  [SYS_fchownat, fchownat],
  [SYS_utimensat, utimensat],
  [SYS_utimes, utimes],
  [SYS_futimesat, futimesat],
  [SYS_utime, utime],
  [SYS_truncate, truncate],
  [SYS_ftruncate, ftruncate],
  [SYS_fallocate, fallocate],
  [SYS_fsync, fsync],
  [SYS_fdatasync, fsync],
  [SYS_sync, sync],
  [SYS_syncfs, syncfs],
  [SYS_sync_file_range, syncFileRange],
  [SYS_fadvise64, fadvise],
  [SYS_readahead, readahead],
];
