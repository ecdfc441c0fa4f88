// Extended attributes: setxattr, getxattr, listxattr, removexattr with their l and f forms (xattr(7)).

import { CAP_SYS_ADMIN } from "../../abi/capability.ts";
import {
  E2BIG,
  EBADF,
  EFAULT,
  EINVAL,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  EROFS,
} from "../../abi/errno.ts";
import { AT_FDCWD, O_PATH } from "../../abi/fcntl.ts";
import { MS_RDONLY } from "../../abi/mount.ts";
import { S_ISVTX } from "../../abi/stat.ts";
import {
  SYS_fgetxattr,
  SYS_flistxattr,
  SYS_fremovexattr,
  SYS_fsetxattr,
  SYS_getxattr,
  SYS_lgetxattr,
  SYS_listxattr,
  SYS_llistxattr,
  SYS_lremovexattr,
  SYS_lsetxattr,
  SYS_removexattr,
  SYS_setxattr,
} from "../../abi/syscall-numbers.ts";
import { type ByteString, putByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { Inode } from "../vfs/inode.ts";
import { noteAttributes } from "../vfs/notify.ts";
import type { Path } from "../vfs/path.ts";
import { checkAccess, isOwnerOrCapable, MAY_READ, MAY_WRITE } from "../vfs/permissions.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily, SyscallHandler } from "./family.ts";

const NAME_BYTES_MAX = 255;
const VALUE_BYTES_MAX = 65_536;

type Finder = (t: Task, a: SyscallArgs) => Path | number;

function byPath(follow: boolean): Finder {
  return (t, a) => {
    const path = copyInPath(t, a.addr(0));
    return typeof path === "number" ? path : resolve(t, AT_FDCWD, path, follow);
  };
}
const byDescriptor: Finder = (t, a) => {
  const file = t.fds.get(a.int(0));
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  return file.path ?? -EOPNOTSUPP;
};

function readName(t: Task, addr: number): ByteString | number {
  const name = t.mm.copyInString(addr, NAME_BYTES_MAX + 1);
  if (typeof name === "number") return name === -EFAULT ? name : -ERANGE;
  return name.length === 0 ? -ERANGE : name;
}

/** xattr(7): who may touch which namespace. mask: MAY_READ or MAY_WRITE. */
function checkName(t: Task, inode: Inode, name: ByteString, mask: number): number {
  if (name.startsWith("trusted.")) {
    if (t.creds.hasCapability(CAP_SYS_ADMIN)) return 0;
    return mask === MAY_WRITE ? -EPERM : -ENODATA;
  }
  if (name.startsWith("security.")) {
    if (mask === MAY_READ) return 0;
    return t.creds.hasCapability(CAP_SYS_ADMIN) ? 0 : -EPERM;
  }
  if (!name.startsWith("user.")) return -EOPNOTSUPP;
  if (!inode.isRegular && !inode.isDirectory) return mask === MAY_WRITE ? -EPERM : -ENODATA;
  if (mask === MAY_WRITE && inode.isDirectory && (inode.mode & S_ISVTX) !== 0) {
    if (!isOwnerOrCapable(t.creds, inode)) return -EPERM;
  }
  return checkAccess(t.creds, inode, mask);
}

const setter =
  (find: Finder): SyscallHandler =>
  (t, a) => {
    const size = a.size(3);
    const flags = a.int(4);
    if ((flags & ~3) !== 0) return -EINVAL;
    const name = readName(t, a.addr(1));
    if (typeof name === "number") return name;
    if (size > VALUE_BYTES_MAX) return -E2BIG;
    const value = new Uint8Array(size);
    if (size > 0 && t.mm.copyIn(a.addr(2), value, 0, size) !== size) return -EFAULT;
    const place = find(t, a);
    if (typeof place === "number") return place;
    const inode = place.dentry.inode as Inode;
    if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
    const allowed = checkName(t, inode, name, MAY_WRITE);
    if (allowed < 0) return allowed;
    const result = inode.setXattr(t, name, value, flags);
    if (result >= 0) noteAttributes(place.dentry);
    return result;
  };

const getter =
  (find: Finder): SyscallHandler =>
  (t, a) => {
    const size = a.size(3);
    const name = readName(t, a.addr(1));
    if (typeof name === "number") return name;
    const place = find(t, a);
    if (typeof place === "number") return place;
    const inode = place.dentry.inode as Inode;
    const allowed = checkName(t, inode, name, MAY_READ);
    if (allowed < 0) return allowed;
    const value = inode.getXattr(t, name);
    if (typeof value === "number") return value;
    if (size === 0) return value.length;
    if (value.length > size) return -ERANGE;
    const copied = t.mm.copyOut(a.addr(2), value, 0, value.length);
    return copied === value.length ? copied : -EFAULT;
  };

const lister =
  (find: Finder): SyscallHandler =>
  (t, a) => {
    const size = a.size(2);
    const place = find(t, a);
    if (typeof place === "number") return place;
    const names = (place.dentry.inode as Inode).listXattr(t);
    if (typeof names === "number") return names;
    const isAdmin = t.creds.hasCapability(CAP_SYS_ADMIN);
    const shown = names.filter((name) => isAdmin || !name.startsWith("trusted."));
    const text = shown.map((name) => `${name}\0`).join("");
    if (size === 0) return text.length;
    if (text.length > size) return -ERANGE;
    const bytes = new Uint8Array(text.length);
    putByteString(bytes, 0, text);
    const copied = text.length === 0 ? 0 : t.mm.copyOut(a.addr(1), bytes, 0, bytes.length);
    return copied === bytes.length ? copied : -EFAULT;
  };

const remover =
  (find: Finder): SyscallHandler =>
  (t, a) => {
    const name = readName(t, a.addr(1));
    if (typeof name === "number") return name;
    const place = find(t, a);
    if (typeof place === "number") return place;
    const inode = place.dentry.inode as Inode;
    if ((place.mount.flags & MS_RDONLY) !== 0) return -EROFS;
    const allowed = checkName(t, inode, name, MAY_WRITE);
    if (allowed < 0) return allowed;
    const result = inode.removeXattr(t, name);
    if (result >= 0) noteAttributes(place.dentry);
    return result;
  };

export const xattrSyscalls: SyscallFamily = [
  [SYS_setxattr, setter(byPath(true))],
  [SYS_lsetxattr, setter(byPath(false))],
  [SYS_fsetxattr, setter(byDescriptor)],
  [SYS_getxattr, getter(byPath(true))],
  [SYS_lgetxattr, getter(byPath(false))],
  [SYS_fgetxattr, getter(byDescriptor)],
  [SYS_listxattr, lister(byPath(true))],
  [SYS_llistxattr, lister(byPath(false))],
  [SYS_flistxattr, lister(byDescriptor)],
  [SYS_removexattr, remover(byPath(true))],
  [SYS_lremovexattr, remover(byPath(false))],
  [SYS_fremovexattr, remover(byDescriptor)],
];
