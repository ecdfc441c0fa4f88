// Who may do what to a file: mode bits, owner, groups and the capabilities that override them
// (path_resolution(7) "Permissions", capabilities(7)). No ACLs.

import {
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
} from "../../abi/capability.ts";
import { EACCES, EPERM, EROFS } from "../../abi/errno.ts";
import { MS_RDONLY } from "../../abi/mount.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_ISVTX } from "../../abi/stat.ts";
import type { Credentials } from "../kernel/credentials.ts";
import type { Inode } from "./inode.ts";
import type { Mount } from "./mount.ts";

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** 0 or -EACCES. mask: MAY_*. */
export function checkAccess(creds: Credentials, inode: Inode, mask: number): number {
  const mode = inode.mode;
  let bits: number;
  if (creds.fsuid === inode.uid) bits = mode >>> 6;
  else if (creds.inGroup(inode.gid)) bits = mode >>> 3;
  else bits = mode;
  if ((bits & mask) === mask) return 0;
  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  if (creds.hasCapability(CAP_DAC_OVERRIDE)) {
    if (isDirectory || (mask & MAY_EXEC) === 0 || (mode & 0o111) !== 0) return 0;
  }
  if (creds.hasCapability(CAP_DAC_READ_SEARCH)) {
    if (isDirectory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ) return 0;
  }
  return -EACCES;
}

/** A read-only mount refuses writing of files and directories, whoever asks (not of FIFOs and devices). */
export function checkMountWritable(mount: Mount, inode: Inode): number {
  if ((mount.flags & MS_RDONLY) === 0) return 0;
  const type = inode.mode & S_IFMT;
  return type === S_IFREG || type === S_IFDIR || type === S_IFLNK ? -EROFS : 0;
}

export function isOwnerOrCapable(creds: Credentials, inode: Inode): boolean {
  return creds.fsuid === inode.uid || creds.hasCapability(CAP_FOWNER);
}

/** Removing or renaming away an entry: search and write on the directory, and the sticky bit. */
export function checkRemove(creds: Credentials, dir: Inode, victim: Inode): number {
  const access = checkAccess(creds, dir, MAY_WRITE | MAY_EXEC);
  if (access < 0) return access;
  if ((dir.mode & S_ISVTX) !== 0 && creds.fsuid !== victim.uid && creds.fsuid !== dir.uid) {
    if (!creds.hasCapability(CAP_FOWNER)) return -EPERM;
  }
  return 0;
}

/** Mode after someone wrote the file or changed its owner: set-id bits go (unless CAP_FSETID, for writes). */
export function withoutSetId(creds: Credentials | null, mode: number): number {
  if ((mode & (S_ISUID | S_ISGID)) === 0 || (mode & S_IFMT) !== S_IFREG) return mode;
  if (creds?.hasCapability(CAP_FSETID)) return mode;
  let kept = mode & ~S_ISUID;
  if ((mode & 0o010) !== 0) kept &= ~S_ISGID;
  return kept;
}
