// mmap(2), munmap(2), mprotect(2), brk(2), mremap(2), madvise(2), msync(2), mincore(2), mlock(2) and kin,
// protection keys and NUMA policy as a machine with neither shows them. Here: decoding and checking what
// was asked; the work is in ../mm.

import { CAP_IPC_LOCK } from "../../abi/capability.ts";
import {
  EACCES,
  EBADF,
  EBUSY,
  EFAULT,
  EINVAL,
  ENOMEM,
  ENOSPC,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
} from "../../abi/errno.ts";
import * as mman from "../../abi/mman.ts";
import { MS_NOEXEC } from "../../abi/mount.ts";
import { RLIMIT_MEMLOCK } from "../../abi/resource.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { adviseMemory } from "../mm/advise.ts";
import { lockAll, lockMemory, unlockAll, unlockMemory } from "../mm/lock.ts";
import * as map from "../mm/map.ts";
import type { Mappable } from "../mm/mappable.ts";
import { PAGE_BYTES, PAGE_MASK, pageUp } from "../mm/page.ts";
import { protectMemory } from "../mm/protect.ts";
import { remapMemory } from "../mm/remap.ts";
import { SharedMemory } from "../mm/shared-memory.ts";
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_NORESERVE, VMA_SHARED } from "../mm/vma.ts";
import { type FileDescription, O_PATH } from "../vfs/file-description.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** Flags that MAP_SHARED_VALIDATE knows; others are EOPNOTSUPP. */
const KNOWN_FLAGS =
  mman.MAP_TYPE |
  mman.MAP_FIXED |
  mman.MAP_ANONYMOUS |
  mman.MAP_32BIT |
  mman.MAP_GROWSDOWN |
  mman.MAP_DENYWRITE |
  mman.MAP_EXECUTABLE |
  mman.MAP_LOCKED |
  mman.MAP_NORESERVE |
  mman.MAP_POPULATE |
  mman.MAP_NONBLOCK |
  mman.MAP_STACK |
  mman.MAP_HUGETLB |
  mman.MAP_FIXED_NOREPLACE;
const PROT_ALL = mman.PROT_READ | mman.PROT_WRITE | mman.PROT_EXEC;
/** Device and first inode number of shared anonymous memory, as in the kernel's own tmpfs (00:01). */
const SHMEM_DEVICE = 1;
let shmemInode = 1024;

const hasCapabilityToLock = (t: Task): boolean => t.creds.hasCapability(CAP_IPC_LOCK);

function sysMmap(t: Task, a: SyscallArgs): number {
  const addr = a.addr(0);
  const length = a.size(1);
  const flags = a.int(3);
  const offset = a.addr(5);
  const type = flags & mman.MAP_TYPE;
  if ((offset & PAGE_MASK) !== 0 || length === 0) return -EINVAL;
  if (length > t.mm.maxAddress) return -ENOMEM;
  if (type < mman.MAP_SHARED || type > mman.MAP_SHARED_VALIDATE) return -EINVAL;
  const isShared = type !== mman.MAP_PRIVATE;
  if (type === mman.MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS) !== 0) return -EOPNOTSUPP;
  let vmaFlags = isShared ? VMA_SHARED : 0;
  if ((flags & mman.MAP_LOCKED) !== 0) vmaFlags |= VMA_LOCKED;
  if ((flags & mman.MAP_NORESERVE) !== 0) vmaFlags |= VMA_NORESERVE;
  if ((flags & mman.MAP_GROWSDOWN) !== 0) vmaFlags |= VMA_GROWSDOWN;
  const mayLock = hasCapabilityToLock(t);
  if ((vmaFlags & VMA_LOCKED) !== 0 && !mayLock) {
    if (t.threadGroup.rlimit(RLIMIT_MEMLOCK).soft === 0) return -EPERM;
  }
  const request: map.MapRequest = {
    addr,
    length,
    place: placeOf(flags),
    prot: a.int(2) & PROT_ALL,
    maxProt: PROT_ALL,
    flags: vmaFlags,
    mappable: null,
    offset,
    populate: (flags & (mman.MAP_POPULATE | mman.MAP_NONBLOCK)) === mman.MAP_POPULATE,
    mayLock,
    label: "",
    lazy: (flags & (mman.MAP_STACK | mman.MAP_NORESERVE)) !== 0,
  };
  if ((flags & mman.MAP_ANONYMOUS) !== 0) return mapAnonymous(t, request, flags, isShared);
  const file = t.fds.get(a.int(4));
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  if ((flags & (mman.MAP_HUGETLB | mman.MAP_GROWSDOWN)) !== 0) return -EINVAL;
  return mapFile(t, request, file, isShared);
}

function placeOf(flags: number): number {
  if ((flags & mman.MAP_FIXED_NOREPLACE) !== 0) return map.PLACE_NOREPLACE;
  if ((flags & mman.MAP_FIXED) !== 0) return map.PLACE_FIXED;
  return (flags & mman.MAP_32BIT) !== 0 ? map.PLACE_LOW : map.PLACE_HINT;
}

function mapAnonymous(t: Task, request: map.MapRequest, flags: number, isShared: boolean): number {
  // No huge pages are set aside, as on a Linux with vm.nr_hugepages 0.
  if ((flags & mman.MAP_HUGETLB) !== 0) return -ENOMEM;
  if (!isShared) {
    request.offset = 0;
    return map.mapMemory(t.mm, request);
  }
  if ((flags & mman.MAP_GROWSDOWN) !== 0) return -EINVAL;
  const memoryFile = t.kernel.memoryFile;
  const bytes = pageUp(request.length);
  if (bytes > memoryFile.limitBytes && (flags & mman.MAP_NORESERVE) === 0) return -ENOMEM;
  const name = "/dev/zero (deleted)";
  const shared = new SharedMemory(memoryFile, bytes, name, SHMEM_DEVICE, shmemInode++);
  request.mappable = shared;
  request.offset = 0;
  const result = map.mapMemory(t.mm, request);
  // The VMA holds its own reference.
  shared.decRef();
  return result;
}

function mapFile(
  t: Task,
  request: map.MapRequest,
  file: FileDescription,
  isShared: boolean,
): number {
  if (request.offset + pageUp(request.length) > Number.MAX_SAFE_INTEGER) return -EOVERFLOW;
  if (!file.isReadable) return -EACCES;
  const writes = (request.prot & mman.PROT_WRITE) !== 0;
  if (isShared && !file.isWritable) {
    if (writes) return -EACCES;
    request.maxProt &= ~mman.PROT_WRITE;
  }
  if (file.path !== null && (file.path.mount.flags & MS_NOEXEC) !== 0) {
    if ((request.prot & mman.PROT_EXEC) !== 0) return -EPERM;
    request.maxProt &= ~mman.PROT_EXEC;
  }
  const refused = file.checkMap(isShared, writes);
  if (refused < 0) return refused;
  // Sealed against writing: mprotect must not bring it back.
  if (isShared && file.checkMap(true, true) < 0) request.maxProt &= ~mman.PROT_WRITE;
  const mappable: Mappable | number = file.mappable(t);
  if (typeof mappable === "number") return mappable;
  request.mappable = mappable;
  return map.mapMemory(t.mm, request);
}

const sysMunmap = (t: Task, a: SyscallArgs): number => map.unmapMemory(t.mm, a.addr(0), a.size(1));
const sysMprotect = (t: Task, a: SyscallArgs): number =>
  protectMemory(t.mm, a.addr(0), a.size(1), a.uint(2));
const sysBrk = (t: Task, a: SyscallArgs): number => map.setBreak(t.mm, a.addr(0));
const sysMremap = (t: Task, a: SyscallArgs): number =>
  remapMemory(t.mm, a.addr(0), a.size(1), a.size(2), a.int(3), a.addr(4), hasCapabilityToLock(t));
const sysMadvise = (t: Task, a: SyscallArgs): number =>
  adviseMemory(t.mm, a.addr(0), a.size(1), a.int(2));

function sysMsync(t: Task, a: SyscallArgs): number {
  const start = a.addr(0);
  const flags = a.int(2);
  if ((flags & ~(mman.MS_ASYNC | mman.MS_INVALIDATE | mman.MS_SYNC)) !== 0) return -EINVAL;
  if ((start & PAGE_MASK) !== 0) return -EINVAL;
  if ((flags & mman.MS_ASYNC) !== 0 && (flags & mman.MS_SYNC) !== 0) return -EINVAL;
  const end = start + pageUp(a.size(1));
  if (end > t.mm.maxAddress) return -ENOMEM;
  let result = t.mm.vmas.covers(start, end) ? 0 : -ENOMEM;
  for (let i = t.mm.vmas.indexAbove(start); i < t.mm.vmas.items.length; i++) {
    const vma = t.mm.vmas.items[i];
    if (vma.start >= end) break;
    if ((flags & mman.MS_INVALIDATE) !== 0 && (vma.flags & VMA_LOCKED) !== 0) return -EBUSY;
    if ((flags & mman.MS_SYNC) === 0 || !vma.isShared || !vma.mappable?.syncRange) continue;
    const from = Math.max(start, vma.start);
    const length = Math.min(end, vma.end) - from;
    const error = vma.mappable.syncRange(vma.offset + (from - vma.start), length);
    if (error < 0) result = error;
  }
  return result;
}

/** Pages that are backed; a file's pages count as in the page cache (mincore(2)). */
function sysMincore(t: Task, a: SyscallArgs): number {
  const mm = t.mm;
  const start = a.addr(0);
  const vector = a.addr(2);
  if ((start & PAGE_MASK) !== 0) return -EINVAL;
  const end = start + pageUp(a.size(1));
  if (end > mm.maxAddress) return -ENOMEM;
  let at = start;
  while (at < end) {
    const vma = mm.vmas.find(at);
    if (vma === null) return -ENOMEM;
    const stop = Math.min(end, vma.end, at + 4096 * PAGE_BYTES);
    const answer = new Uint8Array((stop - at) / PAGE_BYTES);
    for (let i = 0; i < answer.length; i++) {
      const page = at + i * PAGE_BYTES;
      answer[i] = vma.mappable !== null || mm.pmas.find(page) !== null ? 1 : 0;
    }
    const to = vector + (at - start) / PAGE_BYTES;
    if (mm.copyOut(to, answer, 0, answer.length) !== answer.length) return -EFAULT;
    at = stop;
  }
  return 0;
}

const sysMlock = (t: Task, a: SyscallArgs): number =>
  lockMemory(t.mm, a.addr(0), a.size(1), false, hasCapabilityToLock(t));
function sysMlock2(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  if ((flags & ~mman.MLOCK_ONFAULT) !== 0) return -EINVAL;
  return lockMemory(t.mm, a.addr(0), a.size(1), flags !== 0, hasCapabilityToLock(t));
}
const sysMunlock = (t: Task, a: SyscallArgs): number => unlockMemory(t.mm, a.addr(0), a.size(1));
const sysMlockall = (t: Task, a: SyscallArgs): number =>
  lockAll(t.mm, a.int(0), hasCapabilityToLock(t));
const sysMunlockall = (t: Task): number => unlockAll(t.mm);

/** Without protection keys in the processor only "no key" can be named (pkeys(7)). */
const sysPkeyMprotect = (t: Task, a: SyscallArgs): number =>
  a.int(3) === -1 ? protectMemory(t.mm, a.addr(0), a.size(1), a.uint(2)) : -EINVAL;
const sysPkeyAlloc = (_t: Task, a: SyscallArgs): number =>
  a.uint(0) !== 0 || a.uint(1) > 3 ? -EINVAL : -ENOSPC;
const sysPkeyFree = (): number => -EINVAL;

export const memoryFamily: SyscallFamily = [
  [nr.SYS_mmap, sysMmap],
  [nr.SYS_munmap, sysMunmap],
  [nr.SYS_mprotect, sysMprotect],
  [nr.SYS_brk, sysBrk],
  [nr.SYS_mremap, sysMremap],
  [nr.SYS_madvise, sysMadvise],
  [nr.SYS_msync, sysMsync],
  [nr.SYS_mincore, sysMincore],
  [nr.SYS_mlock, sysMlock],
  [nr.SYS_mlock2, sysMlock2],
  [nr.SYS_munlock, sysMunlock],
  [nr.SYS_mlockall, sysMlockall],
  [nr.SYS_munlockall, sysMunlockall],
  [nr.SYS_pkey_mprotect, sysPkeyMprotect],
  [nr.SYS_pkey_alloc, sysPkeyAlloc],
  [nr.SYS_pkey_free, sysPkeyFree],
];
