// Structures on their way to the program: built in one scratch buffer and copied out as a whole.

import { EFAULT } from "../../abi/errno.ts";
import {
  devMajor,
  devMinor,
  STAT_ATIME,
  STAT_BLKSIZE,
  STAT_BLOCKS,
  STAT_BYTES,
  STAT_CTIME,
  STAT_DEV,
  STAT_GID,
  STAT_INO,
  STAT_MODE,
  STAT_MTIME,
  STAT_NLINK,
  STAT_RDEV,
  STAT_SIZE,
  STAT_UID,
  STATX_ATIME,
  STATX_ATTR_MOUNT_ROOT,
  STATX_ATTRIBUTES,
  STATX_ATTRIBUTES_MASK,
  STATX_BASIC_STATS,
  STATX_BLKSIZE,
  STATX_BLOCKS,
  STATX_BTIME,
  STATX_BTIME_BIT,
  STATX_BYTES,
  STATX_CTIME,
  STATX_DEV_MAJOR,
  STATX_DEV_MINOR,
  STATX_GID,
  STATX_INO,
  STATX_MASK,
  STATX_MNT_ID_AT,
  STATX_MNT_ID_BIT,
  STATX_MODE,
  STATX_MTIME,
  STATX_NLINK,
  STATX_RDEV_MAJOR,
  STATX_RDEV_MINOR,
  STATX_SIZE,
  STATX_UID,
} from "../../abi/stat.ts";
import { setU16Le, setU32Le, setU64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { Stat } from "../vfs/stat.ts";

export const scratch = new Uint8Array(256);

function putTime(at: number, timeNs: number): void {
  const seconds = Math.floor(timeNs / 1e9);
  setU64Le(scratch, at, seconds);
  setU64Le(scratch, at + 8, Math.floor(timeNs - seconds * 1e9));
}

/** 0 or -EFAULT. */
export function copyOutScratch(t: Task, addr: number, length: number): number {
  return t.mm.copyOut(addr, scratch, 0, length) === length ? 0 : -EFAULT;
}

export function copyOutStat(t: Task, addr: number, s: Stat): number {
  scratch.fill(0, 0, STAT_BYTES);
  setU64Le(scratch, STAT_DEV, s.dev);
  setU64Le(scratch, STAT_INO, s.ino);
  setU64Le(scratch, STAT_NLINK, s.nlink);
  setU32Le(scratch, STAT_MODE, s.mode);
  setU32Le(scratch, STAT_UID, s.uid);
  setU32Le(scratch, STAT_GID, s.gid);
  setU64Le(scratch, STAT_RDEV, s.rdev);
  setU64Le(scratch, STAT_SIZE, s.size);
  setU64Le(scratch, STAT_BLKSIZE, s.blksize);
  setU64Le(scratch, STAT_BLOCKS, s.blocks);
  putTime(STAT_ATIME, s.atimeNs);
  putTime(STAT_MTIME, s.mtimeNs);
  putTime(STAT_CTIME, s.ctimeNs);
  return copyOutScratch(t, addr, STAT_BYTES);
}

/** mountId 0: not known. */
export function copyOutStatx(
  t: Task,
  addr: number,
  s: Stat,
  mountId: number,
  isMountRoot: boolean,
): number {
  scratch.fill(0, 0, STATX_BYTES);
  const mask = STATX_BASIC_STATS | STATX_BTIME_BIT | (mountId > 0 ? STATX_MNT_ID_BIT : 0);
  setU32Le(scratch, STATX_MASK, mask);
  setU32Le(scratch, STATX_BLKSIZE, s.blksize);
  setU64Le(scratch, STATX_ATTRIBUTES, isMountRoot ? STATX_ATTR_MOUNT_ROOT : 0);
  setU64Le(scratch, STATX_ATTRIBUTES_MASK, STATX_ATTR_MOUNT_ROOT);
  setU32Le(scratch, STATX_NLINK, s.nlink);
  setU32Le(scratch, STATX_UID, s.uid);
  setU32Le(scratch, STATX_GID, s.gid);
  setU16Le(scratch, STATX_MODE, s.mode);
  setU64Le(scratch, STATX_INO, s.ino);
  setU64Le(scratch, STATX_SIZE, s.size);
  setU64Le(scratch, STATX_BLOCKS, s.blocks);
  putTime(STATX_ATIME, s.atimeNs);
  putTime(STATX_BTIME, s.btimeNs);
  putTime(STATX_CTIME, s.ctimeNs);
  putTime(STATX_MTIME, s.mtimeNs);
  setU32Le(scratch, STATX_RDEV_MAJOR, devMajor(s.rdev));
  setU32Le(scratch, STATX_RDEV_MINOR, devMinor(s.rdev));
  setU32Le(scratch, STATX_DEV_MAJOR, devMajor(s.dev));
  setU32Le(scratch, STATX_DEV_MINOR, devMinor(s.dev));
  setU64Le(scratch, STATX_MNT_ID_AT, mountId);
  return copyOutScratch(t, addr, STATX_BYTES);
}
