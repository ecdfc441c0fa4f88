// File calls relative to a directory descriptor (openat(2) and its family), for the gofer server. Names are
// byte strings without NUL (the caller has checked); results are >= 0 or -errno. One name buffer of two
// slots at fixed addresses: nothing is allocated per call.

import { O_CLOEXEC, OPEN_HOW_BYTES } from "../abi/fcntl.ts";
import { STATX_BASIC_STATS, STATX_BTIME_BIT, STATX_BYTES } from "../abi/stat.ts";
import {
  SYS_fchmod,
  SYS_fchmodat2,
  SYS_fchownat,
  SYS_fstatfs,
  SYS_getdents64,
  SYS_linkat,
  SYS_lseek,
  SYS_mkdirat,
  SYS_openat,
  SYS_openat2,
  SYS_readlinkat,
  SYS_renameat2,
  SYS_statx,
  SYS_symlinkat,
  SYS_unlinkat,
  SYS_utimensat,
} from "../abi/syscall-numbers.ts";
import { type ByteString, putByteString, setU64Le } from "../base/bytes.ts";
import { addressOf, io, sys } from "./raw-syscall.ts";

const SLOT_BYTES = 8192;
const names = new Uint8Array(2 * SLOT_BYTES);
const nameAt = addressOf(names);
const secondNameAt = nameAt + SLOT_BYTES;
const how = new Uint8Array(OPEN_HOW_BYTES);
const howAt = addressOf(how);
const times = new Uint8Array(32);
const timesAt = addressOf(times);

/** Longest name or path these calls take. */
export const PATH_BYTES_MAX = SLOT_BYTES - 1;

function put(name: ByteString): number {
  names[putByteString(names, 0, name)] = 0;
  return nameAt;
}
function putSecond(name: ByteString): number {
  names[SLOT_BYTES + putByteString(names, SLOT_BYTES, name)] = 0;
  return secondNameAt;
}

/** Where statx puts what it learns. */
export const statxBuffer = new Uint8Array(STATX_BYTES);
const statxAt = addressOf(statxBuffer);

/** Fills statxBuffer. */
export function statxAtDir(dirFd: number, name: ByteString, flags: number): number {
  return sys(SYS_statx, dirFd, put(name), flags, STATX_BASIC_STATS | STATX_BTIME_BIT, statxAt, 0);
}
/** O_CLOEXEC is implied. */
export function openAt(dirFd: number, name: ByteString, flags: number, mode: number): number {
  return sys(SYS_openat, dirFd, put(name), flags | O_CLOEXEC, mode, 0, 0);
}
/** openat2(2): -ENOSYS before Linux 5.6, -EPERM under some container filters. */
export function openAt2(
  dirFd: number,
  name: ByteString,
  flags: number,
  mode: number,
  resolve: number,
): number {
  setU64Le(how, 0, flags | O_CLOEXEC);
  setU64Le(how, 8, mode);
  setU64Le(how, 16, resolve);
  return sys(SYS_openat2, dirFd, put(name), howAt, OPEN_HOW_BYTES, 0, 0);
}
/** The next entries (struct linux_dirent64) in bytes[0..]; 0 at the end. */
export function getDents(dirFd: number, bytes: Uint8Array): number {
  return io(SYS_getdents64, dirFd, bytes, 0, bytes.length, 0);
}
export function rewindDir(dirFd: number): number {
  return sys(SYS_lseek, dirFd, 0, 0, 0, 0, 0);
}
/** Length; the target's bytes are in linkBuffer. */
export const linkBuffer = new Uint8Array(4096);
const linkAt = addressOf(linkBuffer);
export function readlinkAt(dirFd: number, name: ByteString): number {
  return sys(SYS_readlinkat, dirFd, put(name), linkAt, linkBuffer.length, 0, 0);
}
/** struct statfs (120 bytes) in statfsBuffer. */
export const statfsBuffer = new Uint8Array(128);
export function statfsOf(fd: number): number {
  return io(SYS_fstatfs, fd, statfsBuffer, 0, 0, 0);
}

export function mkdirAt(dirFd: number, name: ByteString, mode: number): number {
  return sys(SYS_mkdirat, dirFd, put(name), mode, 0, 0, 0);
}
export function symlinkAt(target: ByteString, dirFd: number, name: ByteString): number {
  return sys(SYS_symlinkat, putSecond(target), dirFd, put(name), 0, 0, 0);
}
/** Never follows: links the name itself. */
export function linkAtDir(
  dirFd: number,
  name: ByteString,
  newDirFd: number,
  newName: ByteString,
): number {
  return sys(SYS_linkat, dirFd, put(name), newDirFd, putSecond(newName), 0, 0);
}
export function unlinkAt(dirFd: number, name: ByteString, flags: number): number {
  return sys(SYS_unlinkat, dirFd, put(name), flags, 0, 0, 0);
}
export function renameAt2(
  dirFd: number,
  name: ByteString,
  newDirFd: number,
  newName: ByteString,
  flags: number,
): number {
  return sys(SYS_renameat2, dirFd, put(name), newDirFd, putSecond(newName), flags, 0);
}
/** Does not follow a symbolic link. */
export function chownAt(dirFd: number, name: ByteString, uid: number, gid: number): number {
  return sys(SYS_fchownat, dirFd, put(name), uid, gid, 0x100, 0);
}
/** Linux 6.6: the only chmod that does not follow; -ENOSYS before. */
export function chmodAt2(dirFd: number, name: ByteString, mode: number): number {
  return sys(SYS_fchmodat2, dirFd, put(name), mode, 0x100, 0, 0);
}
export function fchmod(fd: number, mode: number): number {
  return sys(SYS_fchmod, fd, mode, 0, 0, 0, 0);
}

const UTIME_OMIT = 0x3fffffff;
/** Seconds and nanoseconds; a NaN of seconds leaves that stamp alone. Does not follow. */
export function setTimesAt(
  dirFd: number,
  name: ByteString,
  atimeS: number,
  atimeNs: number,
  mtimeS: number,
  mtimeNs: number,
): number {
  setU64Le(times, 0, Number.isNaN(atimeS) ? 0 : atimeS);
  setU64Le(times, 8, Number.isNaN(atimeS) ? UTIME_OMIT : atimeNs);
  setU64Le(times, 16, Number.isNaN(mtimeS) ? 0 : mtimeS);
  setU64Le(times, 24, Number.isNaN(mtimeS) ? UTIME_OMIT : mtimeNs);
  return sys(SYS_utimensat, dirFd, put(name), timesAt, 0x100, 0, 0);
}
