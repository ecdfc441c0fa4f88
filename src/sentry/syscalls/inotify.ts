// inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch.

import { EBADF, EINVAL, ENOTDIR } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import {
  IN_ALL_EVENTS,
  IN_CLOEXEC,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_NONBLOCK,
  IN_ONESHOT,
  IN_ONLYDIR,
} from "../../abi/inotify.ts";
import {
  SYS_inotify_add_watch,
  SYS_inotify_init,
  SYS_inotify_init1,
  SYS_inotify_rm_watch,
} from "../../abi/syscall-numbers.ts";
import { InotifyFile } from "../fs/anon/inotify.ts";
import type { Task } from "../kernel/task.ts";
import type { Inode } from "../vfs/inode.ts";
import { checkAccess, MAY_READ } from "../vfs/permissions.ts";
import { copyInPath, resolve } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

const KNOWN_BITS =
  IN_ALL_EVENTS |
  IN_ONLYDIR |
  IN_DONT_FOLLOW |
  IN_EXCL_UNLINK |
  IN_MASK_CREATE |
  IN_MASK_ADD |
  IN_ONESHOT;

function init(t: Task, flags: number): number {
  if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return -EINVAL;
  return newDescriptor(t, new InotifyFile(flags & IN_NONBLOCK), (flags & IN_CLOEXEC) !== 0);
}

function addWatch(t: Task, a: SyscallArgs): number {
  const mask = a.uint(2);
  if ((mask & IN_ALL_EVENTS) === 0 || (mask & ~KNOWN_BITS) !== 0) return -EINVAL;
  const both = IN_MASK_ADD | IN_MASK_CREATE;
  if ((mask & both) === both) return -EINVAL;
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  if (!(file instanceof InotifyFile)) return -EINVAL;
  const path = copyInPath(t, a.addr(1));
  if (typeof path === "number") return path;
  const place = resolve(t, AT_FDCWD, path, (mask & IN_DONT_FOLLOW) === 0);
  if (typeof place === "number") return place;
  const inode = place.dentry.inode as Inode;
  if ((mask & IN_ONLYDIR) !== 0 && !inode.isDirectory) return -ENOTDIR;
  const allowed = checkAccess(t.creds, inode, MAY_READ);
  return allowed < 0 ? allowed : file.watch(inode, mask);
}

function removeWatch(t: Task, a: SyscallArgs): number {
  const file = t.fds.get(a.int(0));
  if (file === undefined) return -EBADF;
  return file instanceof InotifyFile ? file.unwatch(a.int(1)) : -EINVAL;
}

export const inotifySyscalls: SyscallFamily = [
  [SYS_inotify_init, (t) => init(t, 0)],
  [SYS_inotify_init1, (t, a) => init(t, a.int(0))],
  [SYS_inotify_add_watch, addWatch],
  [SYS_inotify_rm_watch, removeWatch],
];
