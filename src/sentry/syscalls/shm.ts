// System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2). Semaphores and message queues of System
// V are not offered.

import { CAP_IPC_LOCK } from "../../abi/capability.ts";
import { EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM } from "../../abi/errno.ts";
import * as ipc from "../../abi/ipc.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_shmget } from "../../abi/syscall-numbers.ts";
import { setU16Le, setU32Le, setU64Le, u32Le } from "../../base/bytes.ts";
import { SharedSegment } from "../kernel/shared-segments.ts";
import type { Task } from "../kernel/task.ts";
import { mapMemory, PLACE_FIXED, PLACE_HINT, PLACE_NOREPLACE, unmapMemory } from "../mm/map.ts";
import { PAGE_BYTES, PAGE_MASK, pageUp } from "../mm/page.ts";
import { SharedMemory } from "../mm/shared-memory.ts";
import { VMA_SHARED } from "../mm/vma.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** Segments are files of the kernel's own tmpfs (00:01), as in Linux's /proc/PID/maps. */
const SHMEM_DEVICE = 1;
const NS_PER_S = 1_000_000_000;

function sysShmget(t: Task, a: SyscallArgs): number {
  const key = a.int(0);
  const bytes = a.size(1);
  const flags = a.int(2);
  const segments = t.kernel.sharedSegments;
  const found = segments.withKey(key);
  if (found !== null) {
    if ((flags & ipc.IPC_CREAT) !== 0 && (flags & ipc.IPC_EXCL) !== 0) return -EEXIST;
    const wanted = ((flags >> 6) | (flags >> 3) | flags) & 6;
    if (!found.allows(t.creds, wanted)) return -EACCES;
    return bytes > found.bytes ? -EINVAL : found.id;
  }
  if (key !== ipc.IPC_PRIVATE && (flags & ipc.IPC_CREAT) === 0) return -ENOENT;
  if (bytes === 0 || bytes > ipc.SHMMAX) return -EINVAL;
  // No huge pages are set aside.
  if ((flags & ipc.SHM_HUGETLB) !== 0) return -ENOMEM;
  const { memoryFile } = t.kernel;
  if (bytes > memoryFile.limitBytes) return -ENOMEM;
  const id = segments.freeId();
  if (id < 0) return -ENOSPC;
  const name = `/SYSV${(key >>> 0).toString(16).padStart(8, "0")} (deleted)`;
  const memory = new SharedMemory(memoryFile, pageUp(bytes), name, SHMEM_DEVICE, id);
  const now = t.kernel.clock.realtimeNs();
  const { tgid } = t.threadGroup;
  segments.add(new SharedSegment(id, key, memory, bytes, flags & 0o777, t.creds, tgid, now));
  return id;
}

function sysShmat(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  const place = placeOf(a.addr(1), flags);
  if (place < 0) return place;
  const segment = t.kernel.sharedSegments.withId(a.int(0));
  if (segment === null) return -EINVAL;
  const isReadOnly = (flags & ipc.SHM_RDONLY) !== 0;
  const isCode = (flags & ipc.SHM_EXEC) !== 0;
  const wanted = 4 | (isReadOnly ? 0 : 2) | (isCode ? 1 : 0);
  if (!segment.allows(t.creds, wanted)) return -EACCES;
  const prot = PROT_READ | (isReadOnly ? 0 : PROT_WRITE) | (isCode ? PROT_EXEC : 0);
  const addr = mapMemory(t.mm, {
    addr: a.addr(1) - (a.addr(1) % PAGE_BYTES),
    length: segment.memory.length,
    place,
    prot,
    maxProt: isReadOnly ? prot : prot | PROT_EXEC,
    flags: VMA_SHARED,
    mappable: segment.memory,
    offset: 0,
    populate: false,
    mayLock: t.creds.hasCapability(CAP_IPC_LOCK),
    label: "",
  });
  if (addr === -EEXIST) return -EINVAL;
  if (addr < 0) return addr;
  segment.lpid = t.threadGroup.tgid;
  segment.atimeNs = t.kernel.clock.realtimeNs();
  return addr;
}

function placeOf(addr: number, flags: number): number {
  const replaces = (flags & ipc.SHM_REMAP) !== 0;
  if (addr === 0) return replaces ? -EINVAL : PLACE_HINT;
  if (addr % PAGE_BYTES !== 0) {
    if ((flags & ipc.SHM_RND) === 0) return -EINVAL;
    if (addr < PAGE_BYTES) return replaces ? -EINVAL : PLACE_HINT;
  }
  return replaces ? PLACE_FIXED : PLACE_NOREPLACE;
}

function sysShmdt(t: Task, a: SyscallArgs): number {
  const addr = a.addr(0);
  if ((addr & PAGE_MASK) !== 0) return -EINVAL;
  // The first piece that was attached at addr says which segment; pieces of it may have been unmapped.
  let memory: SharedMemory | null = null;
  const pieces: { start: number; end: number }[] = [];
  for (const vma of t.mm.vmas.items) {
    if (!(vma.mappable instanceof SharedMemory) || vma.start - vma.offset !== addr) continue;
    if (memory === null && segmentOf(t, vma.mappable) !== null) memory = vma.mappable;
    if (vma.mappable === memory) pieces.push({ start: vma.start, end: vma.end });
  }
  if (memory === null) return -EINVAL;
  const segment = segmentOf(t, memory);
  if (segment !== null) {
    segment.lpid = t.threadGroup.tgid;
    segment.dtimeNs = t.kernel.clock.realtimeNs();
  }
  for (const { start, end } of pieces) {
    const r = unmapMemory(t.mm, start, end - start);
    if (r < 0) return r;
  }
  return 0;
}

function segmentOf(t: Task, memory: SharedMemory): SharedSegment | null {
  const segment = t.kernel.sharedSegments.withId(memory.mapInode);
  return segment?.memory === memory ? segment : null;
}

const record = new Uint8Array(ipc.SHMID_BYTES);

function statSegment(t: Task, segment: SharedSegment, to: number): number {
  record.fill(0);
  setU32Le(record, ipc.IPC_PERM_KEY, segment.key >>> 0);
  setU32Le(record, ipc.IPC_PERM_UID, segment.uid);
  setU32Le(record, ipc.IPC_PERM_GID, segment.gid);
  setU32Le(record, ipc.IPC_PERM_CUID, segment.cuid);
  setU32Le(record, ipc.IPC_PERM_CGID, segment.cgid);
  setU32Le(record, ipc.IPC_PERM_MODE, segment.mode | (segment.isDoomed ? ipc.SHM_DEST : 0));
  setU16Le(record, ipc.IPC_PERM_SEQ, segment.sequence);
  setU64Le(record, ipc.SHMID_SEGSZ, segment.bytes);
  setU64Le(record, ipc.SHMID_ATIME, Math.floor(segment.atimeNs / NS_PER_S));
  setU64Le(record, ipc.SHMID_DTIME, Math.floor(segment.dtimeNs / NS_PER_S));
  setU64Le(record, ipc.SHMID_CTIME, Math.floor(segment.ctimeNs / NS_PER_S));
  setU32Le(record, ipc.SHMID_CPID, segment.cpid);
  setU32Le(record, ipc.SHMID_LPID, segment.lpid);
  setU64Le(record, ipc.SHMID_NATTCH, segment.memory.attachCount);
  const n = t.mm.copyOut(to, record, 0, ipc.SHMID_BYTES);
  return n < 0 ? n : 0;
}

function setSegment(t: Task, segment: SharedSegment, from: number): number {
  const n = t.mm.copyIn(from, record, 0, ipc.SHMID_BYTES);
  if (n < 0) return n;
  segment.uid = u32Le(record, ipc.IPC_PERM_UID);
  segment.gid = u32Le(record, ipc.IPC_PERM_GID);
  segment.mode = u32Le(record, ipc.IPC_PERM_MODE) & 0o777;
  segment.ctimeNs = t.kernel.clock.realtimeNs();
  return 0;
}

/** IPC_INFO: struct shminfo64; SHM_INFO: struct shm_info. Both answer with the highest index in use. */
function segmentsInfo(t: Task, command: number, to: number): number {
  const segments = t.kernel.sharedSegments;
  const words = new Uint8Array(command === ipc.IPC_INFO ? 72 : 48);
  if (command === ipc.IPC_INFO) {
    const limits = [ipc.SHMMAX, 1, ipc.SHMMNI, ipc.SHMMNI, ipc.SHMMAX / PAGE_BYTES];
    limits.forEach((value, i) => {
      setU64Le(words, 8 * i, value);
    });
  } else {
    const all = segments.all();
    setU32Le(words, 0, all.length);
    setU64Le(words, 8, all.reduce((sum, s) => sum + s.memory.length, 0) / PAGE_BYTES);
    setU64Le(words, 16, all.reduce((sum, s) => sum + s.memory.residentBytes, 0) / PAGE_BYTES);
  }
  const n = t.mm.copyOut(to, words, 0, words.length);
  return n < 0 ? n : Math.max(0, segments.highestIndex);
}

function sysShmctl(t: Task, a: SyscallArgs): number {
  const command = a.int(1);
  const segments = t.kernel.sharedSegments;
  if (a.int(0) < 0 || command < 0) return -EINVAL;
  if (command === ipc.IPC_INFO || command === ipc.SHM_INFO) {
    return segmentsInfo(t, command, a.addr(2));
  }
  const byIndex = command === ipc.SHM_STAT || command === ipc.SHM_STAT_ANY;
  const segment = byIndex ? segments.atIndex(a.int(0)) : segments.withId(a.int(0));
  if (segment === null) return -EINVAL;
  switch (command) {
    case ipc.IPC_STAT:
    case ipc.SHM_STAT:
      if (!segment.allows(t.creds, 4)) return -EACCES;
      return statSegment(t, segment, a.addr(2)) || (byIndex ? segment.id : 0);
    case ipc.SHM_STAT_ANY:
      return statSegment(t, segment, a.addr(2)) || segment.id;
    case ipc.IPC_SET:
      return segment.isOwnedBy(t.creds) ? setSegment(t, segment, a.addr(2)) : -EPERM;
    case ipc.IPC_RMID:
      if (!segment.isOwnedBy(t.creds)) return -EPERM;
      segments.doom(segment);
      return 0;
    case ipc.SHM_LOCK:
    case ipc.SHM_UNLOCK:
      // Nothing is ever swapped out; who may ask is what is left of it.
      if (!segment.isOwnedBy(t.creds) && !t.creds.hasCapability(CAP_IPC_LOCK)) return -EPERM;
      return segment.isDoomed ? -EIDRM : 0;
    default:
      return -EINVAL;
  }
}

export const shmFamily: SyscallFamily = [
  [SYS_shmget, sysShmget],
  [SYS_shmat, sysShmat],
  [SYS_shmdt, sysShmdt],
  [SYS_shmctl, sysShmctl],
];
