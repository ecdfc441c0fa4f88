// memfd_create(2): an unnamed file in memory, with seals.

import { EINVAL, ENAMETOOLONG, EOPNOTSUPP } from "../../abi/errno.ts";
import {
  F_SEAL_EXEC,
  F_SEAL_SEAL,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
  O_LARGEFILE,
  O_RDWR,
} from "../../abi/fcntl.ts";
import { S_IFREG } from "../../abi/stat.ts";
import { SYS_memfd_create } from "../../abi/syscall-numbers.ts";
import { defaultTmpfsOptions, Tmpfs } from "../fs/tmpfs/tmpfs.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import { Dentry } from "../vfs/dentry.ts";
import { Mount } from "../vfs/mount.ts";
import { Path } from "../vfs/path.ts";
import { RegularFile } from "../vfs/regular-file.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

const NAME_BYTES_MAX = 249;

/** The file system that a kernel's memfds are in: mounted, but nowhere. */
const shmMounts = new WeakMap<Kernel, Mount>();

function shmMount(kernel: Kernel): Mount {
  const known = shmMounts.get(kernel);
  if (known !== undefined) return known;
  const { table } = kernel.mounts;
  const now = kernel.clock.realtimeNs();
  const options = defaultTmpfsOptions();
  const fs = new Tmpfs(table.allocateDev(), kernel.memoryFile, table.quota, options, now);
  fs.rootDentry = new Dentry("", null, fs.root);
  const id = table.allocateMountId();
  const mount = new Mount(id, fs, fs.rootDentry, null, null, 0, "tmpfs");
  shmMounts.set(kernel, mount);
  return mount;
}

function memfdCreate(t: Task, a: SyscallArgs): number {
  const flags = a.uint(1);
  const known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
  if ((flags & MFD_HUGETLB) !== 0) return -EOPNOTSUPP;
  if ((flags & ~known) !== 0) return -EINVAL;
  if ((flags & MFD_EXEC) !== 0 && (flags & MFD_NOEXEC_SEAL) !== 0) return -EINVAL;
  const name = t.mm.copyInString(a.addr(0), NAME_BYTES_MAX + 1);
  if (typeof name === "number") return name === -ENAMETOOLONG ? -EINVAL : name;
  const mount = shmMount(t.kernel);
  const fs = mount.fileSystem as Tmpfs;
  const noExec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const inode = fs.newRegular(t, S_IFREG | (noExec ? 0o666 : 0o777), t.creds.fsgid);
  if (typeof inode === "number") return inode;
  inode.nlink = 0;
  inode.seals = (flags & MFD_ALLOW_SEALING) !== 0 || noExec ? 0 : F_SEAL_SEAL;
  if (noExec) inode.seals |= F_SEAL_EXEC;
  const dentry = new Dentry(`memfd:${name}`, mount.root, inode);
  dentry.isDeleted = true;
  const file = new RegularFile(inode, O_RDWR | O_LARGEFILE);
  const path = new Path(mount, dentry);
  inode.openedAt = path;
  file.opened(path);
  return newDescriptor(t, file, (flags & MFD_CLOEXEC) !== 0);
}

export const memfdSyscalls: SyscallFamily = [[SYS_memfd_create, memfdCreate]];
