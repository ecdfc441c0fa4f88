// mount, umount2, pivot_root (mount(2), umount2(2), pivot_root(2)). No propagation: making a mount private is
// accepted, making it shared or a slave has no one to share with.

import { CAP_SYS_ADMIN } from "../../abi/capability.ts";
import { EBUSY, EINVAL, ELOOP, ENODEV, ENOTDIR, EPERM } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_MOVE,
  MS_PER_MOUNT,
  MS_PROPAGATION,
  MS_REC,
  MS_REMOUNT,
  UMOUNT_NOFOLLOW,
} from "../../abi/mount.ts";
import { SYS_mount, SYS_pivot_root, SYS_umount2 } from "../../abi/syscall-numbers.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { isBelow, type MountNamespace, topmost } from "../vfs/mount-namespace.ts";
import type { Path } from "../vfs/path.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const DATA_BYTES_MAX = 4096;

const namespaceOf = (t: Task): MountNamespace => t.fs.root.mount.namespace ?? t.kernel.mounts;

function placeAt(t: Task, addr: number, follow = true): Path | number {
  const path = copyInPath(t, addr);
  return typeof path === "number" ? path : resolve(t, AT_FDCWD, path, follow);
}

function optionalString(t: Task, addr: number): ByteString | number {
  return addr === 0 ? "" : t.mm.copyInString(addr, DATA_BYTES_MAX);
}

function mount(t: Task, a: SyscallArgs): number {
  let flags = a.uint(3);
  if ((flags & MS_MGC_MSK) >>> 0 === MS_MGC_VAL) flags &= 0xffff;
  const source = optionalString(t, a.addr(0));
  if (typeof source === "number") return source;
  const target = placeAt(t, a.addr(1));
  if (typeof target === "number") return target;
  if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  if (target.mount.namespace === null) return -EINVAL;
  if ((flags & MS_REMOUNT) !== 0) return remount(target, flags);
  if ((flags & MS_BIND) !== 0) return bind(t, source, target, flags);
  if ((flags & MS_PROPAGATION) !== 0) return 0;
  if ((flags & MS_MOVE) !== 0) return moveMount(t, source, target);
  const type = t.mm.copyInString(a.addr(2), DATA_BYTES_MAX);
  if (typeof type === "number") return type;
  const data = optionalString(t, a.addr(4));
  if (typeof data === "number") return data;
  return mountNew(t, type, source, target, flags, data);
}

function mountNew(
  t: Task,
  type: ByteString,
  source: ByteString,
  target: Path,
  flags: number,
  data: ByteString,
): number {
  const namespace = namespaceOf(t);
  const known = namespace.table.types.get(type);
  if (known === undefined) return -ENODEV;
  if (!target.dentry.inode?.isDirectory) return -ENOTDIR;
  const fs = known.create(t, namespace.table.allocateDev(), source, data);
  if (typeof fs === "number") return fs;
  namespace.mountAt(target, fs, flags & MS_PER_MOUNT, source || "none");
  return 0;
}

function remount(target: Path, flags: number): number {
  if (target.dentry !== target.mount.root) return -EINVAL;
  target.mount.flags = flags & MS_PER_MOUNT;
  return 0;
}

function bind(t: Task, source: ByteString, target: Path, flags: number): number {
  const from = resolve(t, AT_FDCWD, source, true);
  if (typeof from === "number") return from;
  const fromDir = from.dentry.inode?.isDirectory === true;
  if (fromDir !== (target.dentry.inode?.isDirectory === true)) return -ENOTDIR;
  if (from.mount.namespace === null) return -EINVAL;
  namespaceOf(t).bind(from, target, (flags & MS_REC) !== 0);
  return 0;
}

function moveMount(t: Task, source: ByteString, target: Path): number {
  const from = resolve(t, AT_FDCWD, source, true);
  if (typeof from === "number") return from;
  if (from.dentry !== from.mount.root) return -EINVAL;
  for (let m = target.mount; ; ) {
    if (m === from.mount) return -ELOOP;
    if (m.parent === null) break;
    m = m.parent;
  }
  return namespaceOf(t).move(from.mount, target);
}

function umount2(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return -EINVAL;
  if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  const place = placeAt(t, a.addr(0), (flags & UMOUNT_NOFOLLOW) === 0);
  if (typeof place === "number") return place;
  // "." may stand under what was mounted over it since (pivot_root(".", ".")).
  const target = topmost(place.mount, place.dentry);
  if (target.dentry !== target.mount.root) return -EINVAL;
  if ((flags & MNT_EXPIRE) !== 0) return -EINVAL;
  if (target.mount === t.fs.root.mount) return -EBUSY;
  const detach = (flags & MNT_DETACH) !== 0;
  if (!detach && isInUse(t, target.mount)) return -EBUSY;
  return namespaceOf(t).unmount(target.mount, detach);
}

/** Some task has its root or working directory in it. */
function isInUse(t: Task, mount: Path["mount"]): boolean {
  for (const task of t.kernel.pids.tasks.values()) {
    if (task.fs.cwd.mount === mount || task.fs.root.mount === mount) return true;
  }
  return false;
}

function pivotRoot(t: Task, a: SyscallArgs): number {
  if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  const newRoot = placeAt(t, a.addr(0));
  if (typeof newRoot === "number") return newRoot;
  const putOld = placeAt(t, a.addr(1));
  if (typeof putOld === "number") return putOld;
  if (!newRoot.dentry.inode?.isDirectory || !putOld.dentry.inode?.isDirectory) return -ENOTDIR;
  const oldRoot = t.fs.root;
  if (putOld.mount !== newRoot.mount || !isBelow(putOld.dentry, newRoot.dentry)) return -EINVAL;
  const result = namespaceOf(t).pivot(newRoot, putOld, oldRoot);
  if (result < 0) return result;
  // Every task that stood at the old root stands at the new one.
  for (const task of t.kernel.pids.tasks.values()) {
    if (task.fs.root.equals(oldRoot)) task.fs.root = newRoot;
    if (task.fs.cwd.equals(oldRoot)) task.fs.cwd = newRoot;
  }
  return 0;
}

export const mountSyscalls: SyscallFamily = [
  [SYS_mount, mount],
  [SYS_umount2, umount2],
  [SYS_pivot_root, pivotRoot],
];
