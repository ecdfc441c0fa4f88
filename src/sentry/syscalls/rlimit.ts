// Resource limits: getrlimit(2), setrlimit(2), prlimit64(2).

import { CAP_SYS_RESOURCE } from "../../abi/capability.ts";
import { EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE } from "../../abi/resource.ts";
import { SYS_getrlimit, SYS_prlimit64, SYS_setrlimit } from "../../abi/syscall-numbers.ts";
import { setU32Le, setU64Le, u32Le, u64Le } from "../../base/bytes.ts";
import type { Rlimit } from "../kernel/rlimits.ts";
import type { Task } from "../kernel/task.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const RLIMIT_BYTES = 16;
const scratch = new Uint8Array(RLIMIT_BYTES);

function putLimit(offset: number, value: number): void {
  if (value !== RLIM_INFINITY) {
    setU64Le(scratch, offset, value);
    return;
  }
  setU32Le(scratch, offset, 0xffff_ffff);
  setU32Le(scratch, offset + 4, 0xffff_ffff);
}
/** What is above 2^63 is as good as no limit. */
function takeLimit(offset: number): number {
  return u32Le(scratch, offset + 4) >= 0x7fff_ffff ? RLIM_INFINITY : u64Le(scratch, offset);
}

function writeLimit(t: Task, addr: number, limit: Rlimit): number {
  putLimit(0, limit.soft);
  putLimit(8, limit.hard);
  return t.mm.copyOut(addr, scratch, 0, RLIMIT_BYTES) === RLIMIT_BYTES ? 0 : -EFAULT;
}

function change(t: Task, group: ThreadGroup, resource: number, addr: number): number {
  if (t.mm.copyIn(addr, scratch, 0, RLIMIT_BYTES) !== RLIMIT_BYTES) return -EFAULT;
  const next: Rlimit = { soft: takeLimit(0), hard: takeLimit(8) };
  if (next.soft > next.hard) return -EINVAL;
  const old = group.rlimit(resource);
  // The sandbox's own limit on descriptors stands above every process, as fs.nr_open does.
  if (resource === RLIMIT_NOFILE && next.hard > t.kernel.limits.descriptorsPerProcess)
    return -EPERM;
  if (next.hard > old.hard && !t.creds.hasCapability(CAP_SYS_RESOURCE)) return -EPERM;
  group.limits.set(resource, next);
  if (resource === RLIMIT_CPU) group.timers.onLimitChange();
  return 0;
}

function sysGetrlimit(t: Task, a: SyscallArgs): number {
  if (a.uint(0) >= RLIM_NLIMITS) return -EINVAL;
  return writeLimit(t, a.addr(1), t.rlimit(a.uint(0)));
}

function sysSetrlimit(t: Task, a: SyscallArgs): number {
  if (a.uint(0) >= RLIM_NLIMITS) return -EINVAL;
  return change(t, t.threadGroup, a.uint(0), a.addr(1));
}

/** prlimit(2): the caller's ids must all match the target's, or it has CAP_SYS_RESOURCE. */
function mayChange(t: Task, target: Task): boolean {
  if (target.threadGroup === t.threadGroup || t.creds.hasCapability(CAP_SYS_RESOURCE)) return true;
  const { uid, gid } = t.creds;
  const c = target.creds;
  return (
    uid === c.uid &&
    uid === c.euid &&
    uid === c.suid &&
    gid === c.gid &&
    gid === c.egid &&
    gid === c.sgid
  );
}

function sysPrlimit(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const resource = a.uint(1);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  const target = pid === 0 ? t : t.kernel.findTask(pid);
  if (target === null) return -ESRCH;
  if (!mayChange(t, target)) return -EPERM;
  const group = target.threadGroup;
  const old = group.rlimit(resource);
  if (a.addr(2) !== 0) {
    const changed = change(t, group, resource, a.addr(2));
    if (changed < 0) return changed;
  }
  return a.addr(3) === 0 ? 0 : writeLimit(t, a.addr(3), old);
}

export const rlimitFamily: SyscallFamily = [
  [SYS_getrlimit, sysGetrlimit],
  [SYS_setrlimit, sysSetrlimit],
  [SYS_prlimit64, sysPrlimit],
];
