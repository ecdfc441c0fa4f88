// Process ids, process groups and sessions (setpgid(2), setsid(2), credentials(7)).
// The terminal's side of job control is in fs/devpts.

import { EACCES, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import {
  SYS_getpgid,
  SYS_getpgrp,
  SYS_getpid,
  SYS_getppid,
  SYS_getsid,
  SYS_gettid,
  SYS_setpgid,
  SYS_setsid,
} from "../../abi/syscall-numbers.ts";
import { ProcessGroup, Session } from "../kernel/process-group.ts";
import type { Task } from "../kernel/task.ts";
import { leaveProcessGroup } from "../kernel/task-exit.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** pid 0 is the caller; otherwise the process of that id, or null. */
function processOf(t: Task, pid: number): ThreadGroup | null {
  return pid === 0 ? t.threadGroup : (t.kernel.findTask(pid)?.threadGroup ?? null);
}

function sysGetpgid(t: Task, a: SyscallArgs): number {
  return processOf(t, a.int(0))?.pgid ?? -ESRCH;
}
function sysGetsid(t: Task, a: SyscallArgs): number {
  return processOf(t, a.int(0))?.sid ?? -ESRCH;
}

function sysSetpgid(t: Task, a: SyscallArgs): number {
  const self = t.threadGroup;
  const pid = a.int(0);
  const pgid = a.int(1) === 0 ? (pid === 0 ? self.tgid : pid) : a.int(1);
  if (pgid < 0) return -EINVAL;
  const group = pid === 0 ? self : t.kernel.findGroup(pid);
  if (group === null || group.processGroup === null) return -ESRCH;
  const session = group.processGroup.session;
  if (group !== self) {
    if (group.parent !== self) return -ESRCH;
    if (session !== self.processGroup?.session) return -EPERM;
    if (group.hasExecd) return -EACCES;
  }
  if (session.leader === group) return -EPERM;
  const pids = t.kernel.pids;
  let target = pids.processGroups.get(pgid);
  if (pgid !== group.tgid) {
    if (target === undefined || target.session !== session) return -EPERM;
  }
  if (target === group.processGroup) return 0;
  // Made before the old group is left, which may be the session's last.
  if (target === undefined) {
    target = new ProcessGroup(pgid, session);
    pids.processGroups.set(pgid, target);
  }
  leaveProcessGroup(group);
  group.processGroup = target;
  target.members.add(group);
  return 0;
}

function sysSetsid(t: Task): number {
  const group = t.threadGroup;
  const pids = t.kernel.pids;
  if (pids.processGroups.has(group.tgid)) return -EPERM;
  leaveProcessGroup(group);
  const session = new Session(group.tgid, group);
  const processGroup = new ProcessGroup(group.tgid, session);
  pids.sessions.set(session.sid, session);
  pids.processGroups.set(processGroup.pgid, processGroup);
  processGroup.members.add(group);
  group.processGroup = processGroup;
  return session.sid;
}

export const jobControlFamily: SyscallFamily = [
  [SYS_getpid, (t) => t.threadGroup.tgid],
  [SYS_gettid, (t) => t.tid],
  [SYS_getppid, (t) => t.threadGroup.ppid],
  [SYS_getpgrp, (t) => t.threadGroup.pgid],
  [SYS_getpgid, sysGetpgid],
  [SYS_getsid, sysGetsid],
  [SYS_setpgid, sysSetpgid],
  [SYS_setsid, sysSetsid],
];
