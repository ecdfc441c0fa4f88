// process_vm_readv(2), process_vm_writev(2): copying between the caller's memory and another process's.

import { CAP_SYS_PTRACE } from "../../abi/capability.ts";
import { EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { IOV_MAX, UserIo } from "../mm/user-io.ts";
import type { UserMemory } from "../mm/user-memory.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const IOVEC_BYTES = 16;
const local = new UserIo();

function transfer(t: Task, a: SyscallArgs, write: boolean): number {
  const remoteIov = a.addr(3);
  const remoteCount = a.size(4);
  if (a.size(5) !== 0) return -EINVAL;
  if (a.size(2) > IOV_MAX || remoteCount > IOV_MAX) return -EINVAL;
  const error = local.setIovec(t.mm, a.addr(1), a.size(2));
  if (error < 0) return error;
  const target = t.kernel.pids.tasks.get(a.int(0));
  if (target === undefined || target.context === null) return -ESRCH;
  if (!mayAccess(t, target)) return -EPERM;
  let done = 0;
  for (let i = 0; i < remoteCount && local.remaining > 0; i++) {
    const base = t.mm.readU64(remoteIov + i * IOVEC_BYTES);
    if (t.mm.faulted) return done > 0 ? done : -EFAULT;
    const length = t.mm.readI64(remoteIov + i * IOVEC_BYTES + 8);
    if (t.mm.faulted || length < 0) return done > 0 ? done : t.mm.faulted ? -EFAULT : -EINVAL;
    const wanted = Math.min(length, local.remaining);
    const moved = movePiece(target.mm, base, wanted, write);
    if (moved > 0) done += moved;
    if (moved < wanted) return done > 0 ? done : -EFAULT;
  }
  return done;
}

/** Moves between the local cursor and [base, base+wanted) of the other memory: bytes moved. */
function movePiece(remote: UserMemory, base: number, wanted: number, write: boolean): number {
  let done = 0;
  while (done < wanted) {
    const n = remote.span(base + done, wanted - done, write);
    if (n <= 0) break;
    const bytes = remote.spanBytes;
    const at = remote.spanOffset;
    const moved = write ? local.copyIn(bytes, at, n) : local.copyOut(bytes, at, n);
    if (moved <= 0) break;
    if (write) remote.spanWritten(moved);
    done += moved;
    if (moved < n) break;
  }
  return done;
}

/** ptrace(2), "Ptrace access mode checking", PTRACE_MODE_ATTACH_REALCREDS. */
function mayAccess(t: Task, target: Task): boolean {
  if (t.threadGroup === target.threadGroup) return true;
  if (t.creds.hasCapability(CAP_SYS_PTRACE)) return true;
  const mine = t.creds;
  const theirs = target.creds;
  const sameUser = mine.uid === theirs.uid && mine.uid === theirs.euid && mine.uid === theirs.suid;
  const sameGroup = mine.gid === theirs.gid && mine.gid === theirs.egid && mine.gid === theirs.sgid;
  return sameUser && sameGroup && target.threadGroup.dumpable === 1;
}

export const processVmFamily: SyscallFamily = [
  [nr.SYS_process_vm_readv, (t, a) => transfer(t, a, false)],
  [nr.SYS_process_vm_writev, (t, a) => transfer(t, a, true)],
];
