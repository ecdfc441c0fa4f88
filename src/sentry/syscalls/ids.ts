// Who a task is: user and group ids, supplementary groups, capabilities (credentials(7),
// capabilities(7)). Each thread has its own credentials in the kernel; libc keeps them alike.

import {
  CAP_SETGID,
  CAP_SETPCAP,
  CAP_SETUID,
  LINUX_CAPABILITY_VERSION_1,
  LINUX_CAPABILITY_VERSION_2,
  LINUX_CAPABILITY_VERSION_3,
} from "../../abi/capability.ts";
import { EFAULT, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import {
  SYS_capget,
  SYS_capset,
  SYS_getegid,
  SYS_geteuid,
  SYS_getgid,
  SYS_getgroups,
  SYS_getresgid,
  SYS_getresuid,
  SYS_getuid,
  SYS_setfsgid,
  SYS_setfsuid,
  SYS_setgid,
  SYS_setgroups,
  SYS_setregid,
  SYS_setresgid,
  SYS_setresuid,
  SYS_setreuid,
  SYS_setuid,
} from "../../abi/syscall-numbers.ts";
import { i32Le, setU32Le, u32Le } from "../../base/bytes.ts";
import { type Credentials, withFsUid, withUserIds } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const NGROUPS_MAX = 65_536;
/** -1: leave as it is. */
const KEEP = 0xffff_ffff;
const scratch = new Uint8Array(32);

function changeUids(t: Task, uid: number, euid: number, suid: number): number {
  const old = t.creds;
  t.creds = withUserIds(old, uid, euid, suid, t.securebits);
  if (euid !== old.euid) {
    t.threadGroup.dumpable = 0;
    t.parentDeathSignal = 0;
  }
  return 0;
}

function changeGids(t: Task, gid: number, egid: number, sgid: number): number {
  if (egid !== t.creds.egid) {
    t.threadGroup.dumpable = 0;
    t.parentDeathSignal = 0;
  }
  t.creds = t.creds.with({ gid, egid, sgid, fsgid: egid });
  return 0;
}

function sysSetuid(t: Task, a: SyscallArgs): number {
  const id = a.uint(0);
  if (id === KEEP) return -EINVAL;
  const c = t.creds;
  if (c.hasCapability(CAP_SETUID)) return changeUids(t, id, id, id);
  return id === c.uid || id === c.suid ? changeUids(t, c.uid, id, c.suid) : -EPERM;
}

function sysSetgid(t: Task, a: SyscallArgs): number {
  const id = a.uint(0);
  if (id === KEEP) return -EINVAL;
  const c = t.creds;
  if (c.hasCapability(CAP_SETGID)) return changeGids(t, id, id, id);
  return id === c.gid || id === c.sgid ? changeGids(t, c.gid, id, c.sgid) : -EPERM;
}

function sysSetreuid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const uid = a.uint(0) === KEEP ? c.uid : a.uint(0);
  const euid = a.uint(1) === KEEP ? c.euid : a.uint(1);
  if (!c.hasCapability(CAP_SETUID)) {
    if (uid !== c.uid && uid !== c.euid) return -EPERM;
    if (euid !== c.uid && euid !== c.euid && euid !== c.suid) return -EPERM;
  }
  const setsSaved = a.uint(0) !== KEEP || (a.uint(1) !== KEEP && euid !== c.uid);
  return changeUids(t, uid, euid, setsSaved ? euid : c.suid);
}

function sysSetregid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const gid = a.uint(0) === KEEP ? c.gid : a.uint(0);
  const egid = a.uint(1) === KEEP ? c.egid : a.uint(1);
  if (!c.hasCapability(CAP_SETGID)) {
    if (gid !== c.gid && gid !== c.egid) return -EPERM;
    if (egid !== c.gid && egid !== c.egid && egid !== c.sgid) return -EPERM;
  }
  const setsSaved = a.uint(0) !== KEEP || (a.uint(1) !== KEEP && egid !== c.gid);
  return changeGids(t, gid, egid, setsSaved ? egid : c.sgid);
}

function sysSetresuid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const ids = [a.uint(0), a.uint(1), a.uint(2)];
  if (!c.hasCapability(CAP_SETUID)) {
    for (const id of ids) {
      if (id !== KEEP && id !== c.uid && id !== c.euid && id !== c.suid) return -EPERM;
    }
  }
  return changeUids(
    t,
    ids[0] === KEEP ? c.uid : ids[0],
    ids[1] === KEEP ? c.euid : ids[1],
    ids[2] === KEEP ? c.suid : ids[2],
  );
}

function sysSetresgid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const ids = [a.uint(0), a.uint(1), a.uint(2)];
  if (!c.hasCapability(CAP_SETGID)) {
    for (const id of ids) {
      if (id !== KEEP && id !== c.gid && id !== c.egid && id !== c.sgid) return -EPERM;
    }
  }
  return changeGids(
    t,
    ids[0] === KEEP ? c.gid : ids[0],
    ids[1] === KEEP ? c.egid : ids[1],
    ids[2] === KEEP ? c.sgid : ids[2],
  );
}

function writeThree(t: Task, a: SyscallArgs, x: number, y: number, z: number): number {
  if (t.mm.writeU32(a.addr(0), x) < 0 || t.mm.writeU32(a.addr(1), y) < 0) return -EFAULT;
  return t.mm.writeU32(a.addr(2), z);
}

/** Always answers the old id: who wants to know whether it worked asks again. */
function sysSetfsuid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const id = a.uint(0);
  const isAllowed =
    c.hasCapability(CAP_SETUID) || id === c.uid || id === c.euid || id === c.suid || id === c.fsuid;
  if (id !== KEEP && isAllowed) t.creds = withFsUid(c, id, t.securebits);
  return c.fsuid;
}

function sysSetfsgid(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const id = a.uint(0);
  const isAllowed =
    c.hasCapability(CAP_SETGID) || id === c.gid || id === c.egid || id === c.sgid || id === c.fsgid;
  if (id !== KEEP && isAllowed) t.creds = c.with({ fsgid: id });
  return c.fsgid;
}

function sysGetgroups(t: Task, a: SyscallArgs): number {
  const groups = t.creds.groups;
  const room = a.int(0);
  if (room < 0) return -EINVAL;
  if (room === 0) return groups.length;
  if (room < groups.length) return -EINVAL;
  for (let i = 0; i < groups.length; i++) {
    if (t.mm.writeU32(a.addr(1) + 4 * i, groups[i]) < 0) return -EFAULT;
  }
  return groups.length;
}

function sysSetgroups(t: Task, a: SyscallArgs): number {
  if (!t.creds.hasCapability(CAP_SETGID)) return -EPERM;
  const count = a.uint(0);
  if (count > NGROUPS_MAX) return -EINVAL;
  const groups: number[] = [];
  for (let i = 0; i < count; i++) {
    const gid = t.mm.readU32(a.addr(1) + 4 * i);
    if (t.mm.faulted) return -EFAULT;
    if (gid === KEEP) return -EINVAL;
    groups.push(gid);
  }
  t.creds = t.creds.with({ groups: groups.sort((x, y) => x - y) });
  return 0;
}

/** Words per set in the caller's version of the structs; -EINVAL after telling which version we speak. */
function capWords(t: Task, headerAddr: number): number {
  const version = t.mm.readU32(headerAddr);
  if (t.mm.faulted) return -EFAULT;
  switch (version) {
    case LINUX_CAPABILITY_VERSION_1:
      return 1;
    case LINUX_CAPABILITY_VERSION_2:
    case LINUX_CAPABILITY_VERSION_3:
      return 2;
  }
  if (t.mm.writeU32(headerAddr, LINUX_CAPABILITY_VERSION_3) < 0) return -EFAULT;
  return -EINVAL;
}

function sysCapget(t: Task, a: SyscallArgs): number {
  const words = capWords(t, a.addr(0));
  // A caller without data asks for the version only.
  if (words < 0) return words === -EINVAL && a.addr(1) === 0 ? 0 : words;
  const pid = t.mm.readI32(a.addr(0) + 4);
  if (t.mm.faulted) return -EFAULT;
  if (pid < 0) return -EINVAL;
  const target = pid === 0 ? t : t.kernel.findTask(pid);
  if (target === null) return -ESRCH;
  if (a.addr(1) === 0) return 0;
  const c = target.creds;
  for (let i = 0; i < words; i++) {
    setU32Le(scratch, 12 * i, c.capEffective[i]);
    setU32Le(scratch, 12 * i + 4, c.capPermitted[i]);
    setU32Le(scratch, 12 * i + 8, c.capInheritable[i]);
  }
  return t.mm.copyOut(a.addr(1), scratch, 0, 12 * words) === 12 * words ? 0 : -EFAULT;
}

function sysCapset(t: Task, a: SyscallArgs): number {
  const words = capWords(t, a.addr(0));
  if (words < 0) return words;
  const pid = t.mm.readI32(a.addr(0) + 4);
  if (t.mm.faulted) return -EFAULT;
  if (pid !== 0 && pid !== t.tid) return -EPERM;
  scratch.fill(0);
  if (t.mm.copyIn(a.addr(1), scratch, 0, 12 * words) !== 12 * words) return -EFAULT;
  const c = t.creds;
  const pair = (offset: number): [number, number] => [
    i32Le(scratch, offset),
    u32Le(scratch, 12 + offset) & 0x1ff,
  ];
  const effective = pair(0);
  const permitted = pair(4);
  const inheritable = pair(8);
  for (let i = 0; i < 2; i++) {
    if ((permitted[i] & ~c.capPermitted[i]) !== 0) return -EPERM;
    if ((effective[i] & ~permitted[i]) !== 0) return -EPERM;
    const mayInherit = c.hasCapability(CAP_SETPCAP)
      ? c.capInheritable[i] | c.capBounding[i]
      : c.capInheritable[i] | c.capPermitted[i];
    if ((inheritable[i] & ~mayInherit) !== 0) return -EPERM;
    if ((inheritable[i] & ~(c.capInheritable[i] | c.capBounding[i])) !== 0) return -EPERM;
  }
  t.creds = withCapabilities(c, effective, permitted, inheritable);
  return 0;
}

/** Ambient capabilities are always permitted and inheritable ones. */
function withCapabilities(
  c: Credentials,
  effective: [number, number],
  permitted: [number, number],
  inheritable: [number, number],
): Credentials {
  return c.with({
    capEffective: effective,
    capPermitted: permitted,
    capInheritable: inheritable,
    capAmbient: [
      c.capAmbient[0] & permitted[0] & inheritable[0],
      c.capAmbient[1] & permitted[1] & inheritable[1],
    ],
  });
}

export const idsFamily: SyscallFamily = [
  [SYS_getuid, (t) => t.creds.uid],
  [SYS_geteuid, (t) => t.creds.euid],
  [SYS_getgid, (t) => t.creds.gid],
  [SYS_getegid, (t) => t.creds.egid],
  [SYS_getresuid, (t, a) => writeThree(t, a, t.creds.uid, t.creds.euid, t.creds.suid)],
  [SYS_getresgid, (t, a) => writeThree(t, a, t.creds.gid, t.creds.egid, t.creds.sgid)],
  [SYS_setuid, sysSetuid],
  [SYS_setgid, sysSetgid],
  [SYS_setreuid, sysSetreuid],
  [SYS_setregid, sysSetregid],
  [SYS_setresuid, sysSetresuid],
  [SYS_setresgid, sysSetresgid],
  [SYS_setfsuid, sysSetfsuid],
  [SYS_setfsgid, sysSetfsgid],
  [SYS_getgroups, sysGetgroups],
  [SYS_setgroups, sysSetgroups],
  [SYS_capget, sysCapget],
  [SYS_capset, sysCapset],
];
