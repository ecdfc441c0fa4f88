// The end of tasks and processes: leaving, zombies, orphans, what parents and terminals are told
// (exit(2), exit_group(2), wait(2) "zombie", prctl(2) PR_SET_CHILD_SUBREAPER).

import { POLLIN } from "../../abi/poll.ts";
import { CLD_DUMPED, CLD_EXITED, CLD_KILLED, SI_USER, SigInfo } from "../../abi/siginfo.ts";
import {
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
} from "../../abi/signal.ts";
import { TICK_NS } from "../../abi/time.ts";
import { CORE_DUMPED, signalStatusWord, wExitStatus, wifExited, wTermSig } from "../../abi/wait.ts";
import type { ProcessGroup } from "./process-group.ts";
import { releaseRobustList } from "./robust-list.ts";
import type { Task } from "./task.ts";
import { sendKernelSignal, sendToGroup } from "./task-signals.ts";
import { checkGroupStopped, releaseStopped } from "./task-stop.ts";
import type { ThreadGroup } from "./thread-group.ts";

/** Every task of the process leaves at its next chance. status: the word that wait4 will show. */
export function groupExit(group: ThreadGroup, status: number): void {
  if (group.isExiting || group.isZombie) return;
  group.isExiting = true;
  group.exitStatus = status;
  group.stoppingSignal = 0;
  group.isStopped = false;
  releaseStopped(group);
  for (const task of group.tasks) group.kernel.kick(task);
}

/** One task leaves for good. Precondition: its context is not running. */
export function exitTask(t: Task, status: number): void {
  const context = t.context;
  if (context === null) return;
  const kernel = t.kernel;
  const group = t.threadGroup;
  if (t === group.leader && !group.isExiting && group.execTask === null) group.exitStatus = status;

  kernel.futexes.forget(t.futexWaiter);
  t.dropWaits();
  t.isParked = false;
  t.isStopped = false;
  kernel.timers.disarm(t.timer);
  t.endSyscall();
  releaseUserMemory(t);

  t.context = null;
  context.release();
  t.mm.notePeak();
  group.usage.maxRssKiB = Math.max(group.usage.maxRssKiB, t.mm.peakResidentBytes / 1024);
  t.mm.decRef();
  t.fds.decRef(t);
  t.fs.refs--;
  t.pending.clear();
  group.timers.onTaskExit(t);
  group.tasks.delete(t);
  addUsage(t, group);
  if (t !== group.leader) kernel.pids.tasks.delete(t.tid);
  group.taskWaiters.notify(POLLIN);
  if (group.tasks.size === 0) endGroup(group);
  else checkGroupStopped(group);
}

/** What a task owes to those who share its memory: robust locks, its tid word, the vfork parent. */
export function releaseUserMemory(t: Task): void {
  if (t.robustListHead !== 0) {
    releaseRobustList(t);
    t.robustListHead = 0;
  }
  if (t.clearChildTid !== 0) {
    // Nobody is to be told when this was the last user of the memory; then writing is harmless.
    if (t.mm.writeU32(t.clearChildTid, 0) === 0) t.kernel.futexes.wakeAt(t, t.clearChildTid, 1);
    t.clearChildTid = 0;
  }
  if (t.isVforkChild) {
    t.isVforkChild = false;
    t.vforkWaiters.notify(POLLIN);
  }
}

function addUsage(t: Task, group: ThreadGroup): void {
  const usage = group.usage;
  usage.utimeNs += t.utimeNs;
  usage.stimeNs += t.stimeNs;
  usage.minorFaults += t.minorFaults;
  usage.majorFaults += t.majorFaults;
  usage.voluntarySwitches += t.voluntarySwitches;
  usage.involuntarySwitches += t.involuntarySwitches;
}

function endGroup(group: ThreadGroup): void {
  const kernel = group.kernel;
  group.isZombie = true;
  group.isExiting = true;
  kernel.liveGroups--;
  group.timers.clear();
  group.pending.clear();
  leaveTerminal(group);
  hangUpOrphans(group);
  if (kernel.init === group) {
    kernel.init = null;
    if (kernel.initExitKillsAll) kernel.killAll();
  }
  reparentChildren(group);
  group.exitWaiters.notify(POLLIN);
  const onExit = group.onExit;
  group.onExit = null;
  notifyParentOfExit(group);
  if (onExit !== null) onExit(group.exitStatus);
}

/** A session without its leader loses the terminal; whoever was in the foreground is told. */
function leaveTerminal(group: ThreadGroup): void {
  const session = group.processGroup?.session;
  if (session === undefined || session.leader !== group) return;
  session.leader = null;
  const tty = session.tty;
  if (tty === null) return;
  const foreground = tty.foreground;
  session.tty = null;
  tty.onSessionLeaderExit(session);
  if (foreground !== null) signalProcessGroup(foreground, SIGHUP, SIGCONT);
}

/** Groups that lose their last link to the session by this exit, and have stopped members (POSIX 3.2). */
function hangUpOrphans(group: ThreadGroup): void {
  const own = group.processGroup;
  if (own?.hasStoppedMember && own.isOrphaned(group)) signalProcessGroup(own, SIGHUP, SIGCONT);
  for (const child of group.children) {
    const other = child.processGroup;
    if (other === null || other === own || other.session !== own?.session) continue;
    if (other.hasStoppedMember && isOrphanedWithout(other, group)) {
      signalProcessGroup(other, SIGHUP, SIGCONT);
    }
  }
}

function isOrphanedWithout(group: ProcessGroup, leaving: ThreadGroup): boolean {
  for (const member of group.members) {
    const parent = member.parent;
    if (member.isZombie || parent === null || parent === leaving || parent.isZombie) continue;
    const parentGroup = parent.processGroup;
    if (parentGroup !== null && parentGroup !== group && parentGroup.session === group.session) {
      return false;
    }
  }
  return true;
}

function signalProcessGroup(group: ProcessGroup, ...signals: number[]): void {
  for (const member of [...group.members]) {
    for (const signo of signals) sendKernelSignal(member, signo);
  }
}

function reparentChildren(group: ThreadGroup): void {
  if (group.children.size === 0) return;
  const heir = findReaper(group);
  for (const child of [...group.children]) {
    group.children.delete(child);
    child.parent = heir;
    child.exitSignal = SIGCHLD;
    heir?.children.add(child);
    const death = child.leader.parentDeathSignal;
    if (death !== 0 && !child.isZombie) {
      sendToGroup(child, new SigInfo(death, SI_USER).setSender(group.tgid, group.leader.creds.uid));
    }
    if (child.isZombie) notifyParentOfExit(child);
  }
}

/** The nearest living ancestor that asked for orphans, else pid 1, else nobody. */
function findReaper(group: ThreadGroup): ThreadGroup | null {
  for (let a = group.parent; a !== null; a = a.parent) {
    if (a.isSubreaper && !a.isZombie) return a;
  }
  const init = group.kernel.init;
  return init === group ? null : init;
}

function notifyParentOfExit(group: ThreadGroup): void {
  const parent = group.parent;
  if (parent === null) {
    reap(group);
    return;
  }
  const status = group.exitStatus;
  const info = wifExited(status)
    ? childInfo(group, CLD_EXITED, wExitStatus(status))
    : childInfo(group, (status & CORE_DUMPED) !== 0 ? CLD_DUMPED : CLD_KILLED, wTermSig(status));
  let isAutoReaped = false;
  if (group.exitSignal === SIGCHLD) {
    const action = parent.actions.get(SIGCHLD);
    isAutoReaped = action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0;
    if (action.handler !== SIG_IGN) sendToGroup(parent, info);
  } else if (group.exitSignal !== 0) {
    info.signo = group.exitSignal;
    sendToGroup(parent, info);
  }
  if (isAutoReaped) reap(group);
  parent.childWaiters.notify(POLLIN);
}

/** Stops and continues; code: CLD_STOPPED or CLD_CONTINUED. */
export function notifyParentOfChild(group: ThreadGroup, code: number, signo: number): void {
  const parent = group.parent;
  if (parent === null) return;
  const action = parent.actions.get(SIGCHLD);
  if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0) {
    sendToGroup(parent, childInfo(group, code, signo));
  }
  parent.childWaiters.notify(POLLIN);
}

export function childInfo(group: ThreadGroup, code: number, status: number): SigInfo {
  return new SigInfo(SIGCHLD, code)
    .setSender(group.tgid, group.leader.creds.uid)
    .setChild(status, Math.floor(group.utimeNs / TICK_NS), Math.floor(group.stimeNs / TICK_NS));
}

/** A zombie's last trace goes. Precondition: isZombie. */
export function reap(group: ThreadGroup): void {
  if (group.isReaped) return;
  group.isReaped = true;
  const kernel = group.kernel;
  const parent = group.parent;
  if (parent !== null) {
    parent.children.delete(group);
    parent.childUsage.add(group.usage);
    parent.childUsage.add(group.childUsage);
  }
  kernel.pids.groups.delete(group.tgid);
  kernel.pids.tasks.delete(group.tgid);
  leaveProcessGroup(group);
}

export function leaveProcessGroup(group: ThreadGroup): void {
  const processGroup = group.processGroup;
  if (processGroup === null) return;
  const pids = group.kernel.pids;
  const session = processGroup.session;
  processGroup.members.delete(group);
  group.processGroup = null;
  if (processGroup.members.size > 0) return;
  pids.processGroups.delete(processGroup.pgid);
  session.groups.delete(processGroup);
  if (session.tty?.foreground === processGroup) session.tty.foreground = null;
  if (session.groups.size === 0) pids.sessions.delete(session.sid);
}

/** execve of one thread: the others leave. */
export function killOtherThreads(t: Task): void {
  const group = t.threadGroup;
  group.execTask = t;
  group.stoppingSignal = 0;
  group.isStopped = false;
  releaseStopped(group);
  for (const other of group.tasks) if (other !== t) group.kernel.kick(other);
}

export const KILLED_STATUS = signalStatusWord(SIGKILL, false);
