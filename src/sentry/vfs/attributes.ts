// Changing attributes with the checks that Linux's notify_change does: chmod, chown, truncate and utimes,
// by place or by description.

import { CAP_CHOWN, CAP_FSETID } from "../../abi/capability.ts";
import { EACCES, EFBIG, EINVAL, EISDIR, EPERM, EROFS } from "../../abi/errno.ts";
import { MS_RDONLY } from "../../abi/mount.ts";
import { S_IFMT, S_ISGID, S_ISUID } from "../../abi/stat.ts";
import type { Task } from "../kernel/task.ts";
import {
  ATTR_ATIME,
  ATTR_GID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_SIZE,
  ATTR_UID,
  type AttrChange,
  type Inode,
} from "./inode.ts";
import { noteAttributes, noteModified } from "./notify.ts";
import type { Path } from "./path.ts";
import { checkAccess, isOwnerOrCapable, MAY_WRITE, withoutSetId } from "./permissions.ts";

/** Greatest file offset of the in-memory file systems; far below 2^53. */
export const FILE_BYTES_MAX = 2 ** 52;

export function newAttrChange(): AttrChange {
  return { mask: 0, mode: 0, uid: 0, gid: 0, size: 0, atimeNs: 0, mtimeNs: 0 };
}

export function truncateInode(t: Task, inode: Inode, length: number): number {
  if (length > FILE_BYTES_MAX) return -EFBIG;
  const change = newAttrChange();
  change.mask = ATTR_SIZE;
  change.size = length;
  const mode = withoutSetId(t.creds, inode.mode);
  if (mode !== inode.mode) {
    change.mask |= ATTR_MODE;
    change.mode = mode & 0o7777;
  }
  return inode.setAttr(t, change);
}

/** truncate(2). */
export function truncateAt(t: Task, place: Path, length: number): number {
  const inode = place.dentry.inode as Inode;
  if (length < 0) return -EINVAL;
  if (inode.isDirectory) return -EISDIR;
  if (!inode.isRegular) return -EINVAL;
  if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  const allowed = checkAccess(t.creds, inode, MAY_WRITE);
  if (allowed < 0) return allowed;
  const result = truncateInode(t, inode, length);
  if (result >= 0) noteModified(place.dentry);
  return result;
}

export function chmodAt(t: Task, place: Path, mode: number): number {
  const inode = place.dentry.inode as Inode;
  if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  if (!isOwnerOrCapable(t.creds, inode)) return -EPERM;
  const change = newAttrChange();
  change.mask = ATTR_MODE;
  change.mode = mode & 0o7777;
  const foreignGroup = !t.creds.inGroup(inode.gid) && !t.creds.hasCapability(CAP_FSETID);
  if (foreignGroup && !inode.isDirectory) change.mode &= ~S_ISGID;
  const result = inode.setAttr(t, change);
  if (result >= 0) noteAttributes(place.dentry);
  return result;
}

/** uid, gid: -1 (0xffffffff) leaves it. */
export function chownAt(t: Task, place: Path, uid: number, gid: number): number {
  const inode = place.dentry.inode as Inode;
  if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  const keepsUid = uid === 0xffff_ffff;
  const keepsGid = gid === 0xffff_ffff;
  if (!t.creds.hasCapability(CAP_CHOWN)) {
    if (!keepsUid && (t.creds.fsuid !== inode.uid || uid !== inode.uid)) return -EPERM;
    if (!keepsGid && t.creds.fsuid !== inode.uid) return -EPERM;
    if (!keepsGid && gid !== inode.gid && !t.creds.inGroup(gid)) return -EPERM;
  }
  const change = newAttrChange();
  if (!keepsUid) {
    change.mask |= ATTR_UID;
    change.uid = uid;
  }
  if (!keepsGid) {
    change.mask |= ATTR_GID;
    change.gid = gid;
  }
  // Even a chown to the same owner takes the set-id bits of an executable.
  if ((inode.mode & S_IFMT) !== 0 && !inode.isDirectory) {
    const mode = withoutSetId(null, inode.mode);
    if (mode !== inode.mode && (inode.mode & (S_ISUID | S_ISGID)) !== 0) {
      change.mask |= ATTR_MODE;
      change.mode = mode & 0o7777;
    }
  }
  if (change.mask === 0) return 0;
  const result = inode.setAttr(t, change);
  if (result >= 0) noteAttributes(place.dentry);
  return result;
}

/** Null: leave it. bothNow: the caller gave no times (write permission is enough). */
export function utimesAt(
  t: Task,
  place: Path,
  atimeNs: number | null,
  mtimeNs: number | null,
  bothNow: boolean,
): number {
  const inode = place.dentry.inode as Inode;
  if (atimeNs === null && mtimeNs === null) return 0;
  if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
  if (!isOwnerOrCapable(t.creds, inode)) {
    if (!bothNow) return -EPERM;
    if (checkAccess(t.creds, inode, MAY_WRITE) < 0) return -EACCES;
  }
  const change = newAttrChange();
  if (atimeNs !== null) {
    change.mask |= ATTR_ATIME;
    change.atimeNs = atimeNs;
  }
  if (mtimeNs !== null) {
    change.mask |= ATTR_MTIME;
    change.mtimeNs = mtimeNs;
  }
  const result = inode.setAttr(t, change);
  if (result >= 0) noteAttributes(place.dentry);
  return result;
}
