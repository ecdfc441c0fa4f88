// Reading the Gofer's attribute blocks (the head of struct statx) where they stand: inodes keep a
// reference into the message copy that brought them and decode only what is asked.

import {
  makeDev,
  STATX_ATIME,
  STATX_BLKSIZE,
  STATX_BLOCKS,
  STATX_BTIME,
  STATX_CTIME,
  STATX_DEV_MAJOR,
  STATX_DEV_MINOR,
  STATX_GID,
  STATX_INO,
  STATX_MODE,
  STATX_MTIME,
  STATX_NLINK,
  STATX_RDEV_MAJOR,
  STATX_RDEV_MINOR,
  STATX_SIZE,
  STATX_UID,
} from "../../../abi/stat.ts";
import { i64Le, setU32Le, setU64Le, u16Le, u32Le, u64Le } from "../../../base/bytes.ts";
import type { Stat } from "../../vfs/stat.ts";

export const attrMode = (b: Uint8Array, o: number): number => u16Le(b, o + STATX_MODE);
export const attrUid = (b: Uint8Array, o: number): number => u32Le(b, o + STATX_UID);
export const attrGid = (b: Uint8Array, o: number): number => u32Le(b, o + STATX_GID);
export const attrNlink = (b: Uint8Array, o: number): number => u32Le(b, o + STATX_NLINK);
export const attrIno = (b: Uint8Array, o: number): number => u64Le(b, o + STATX_INO);
export const attrSize = (b: Uint8Array, o: number): number => u64Le(b, o + STATX_SIZE);
/** Which of the host's file systems it is on. */
export const attrDevice = (b: Uint8Array, o: number): number =>
  u32Le(b, o + STATX_DEV_MAJOR) * 0x10_0000 + u32Le(b, o + STATX_DEV_MINOR);

const timeAt = (b: Uint8Array, o: number): number => i64Le(b, o) * 1e9 + u32Le(b, o + 8);

export function setAttrSize(b: Uint8Array, o: number, size: number): void {
  setU64Le(b, o + STATX_SIZE, size);
  setU64Le(b, o + STATX_BLOCKS, Math.ceil(size / 4096) * 8);
}
export function setAttrMtime(b: Uint8Array, o: number, timeNs: number): void {
  for (const at of [STATX_MTIME, STATX_CTIME]) {
    const seconds = Math.floor(timeNs / 1e9);
    setU64Le(b, o + at, seconds);
    setU32Le(b, o + at + 8, timeNs - seconds * 1e9);
  }
}

/** Same file of the host: device, inode number and type. */
export function isSameFile(a: Uint8Array, ao: number, b: Uint8Array, bo: number): boolean {
  return (
    attrIno(a, ao) === attrIno(b, bo) &&
    attrDevice(a, ao) === attrDevice(b, bo) &&
    (attrMode(a, ao) & 0o170000) === (attrMode(b, bo) & 0o170000)
  );
}

/** All but st_dev and st_ino, which are the file system's to say. */
export function decodeAttr(b: Uint8Array, o: number, out: Stat): void {
  out.mode = attrMode(b, o);
  out.nlink = attrNlink(b, o);
  out.uid = attrUid(b, o);
  out.gid = attrGid(b, o);
  out.rdev = makeDev(u32Le(b, o + STATX_RDEV_MAJOR), u32Le(b, o + STATX_RDEV_MINOR));
  out.size = attrSize(b, o);
  out.blksize = u32Le(b, o + STATX_BLKSIZE);
  out.blocks = u64Le(b, o + STATX_BLOCKS);
  out.atimeNs = timeAt(b, o + STATX_ATIME);
  out.mtimeNs = timeAt(b, o + STATX_MTIME);
  out.ctimeNs = timeAt(b, o + STATX_CTIME);
  out.btimeNs = timeAt(b, o + STATX_BTIME);
}
