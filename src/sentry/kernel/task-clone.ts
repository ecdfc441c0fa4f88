// New tasks: clone(2), clone3(2), fork, vfork. What is shared and what is copied is decided here.

import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from "../../abi/capability.ts";
import { EAGAIN, EINTR, EINVAL, EPERM, ERESTARTNOINTR } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import { REG_RAX, REG_RSP } from "../../abi/registers.ts";
import { RLIMIT_NOFILE, RLIMIT_NPROC } from "../../abi/resource.ts";
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_CLEAR_SIGHAND_HIGH,
  CLONE_DETACHED,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NAMESPACES,
  CLONE_NEWUSER,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
} from "../../abi/sched.ts";
import { SIGCHLD, SS_DISABLE } from "../../abi/signal.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { ProcessTimers } from "../time/process-timers.ts";
import { PidFd } from "./pidfd.ts";
import { Task } from "./task.ts";
import { ThreadGroup } from "./thread-group.ts";

export interface CloneRequest {
  flags: number;
  /** Bits 32.. of clone3's flags. */
  flagsHigh: number;
  exitSignal: number;
  /** Stack pointer of the child; 0: the parent's. */
  stack: number;
  tls: number;
  pidfdAddress: number;
  parentTidAddress: number;
  childTidAddress: number;
}

/** A parent in vfork: its call is over when the child has let go of the memory. */
class VforkWait {
  readonly child: Task;
  readonly tid: number;
  constructor(child: Task) {
    this.child = child;
    this.tid = child.tid;
  }
}

/** Handles the call and its re-runs: the child's tid, -errno or BLOCKED. */
export function cloneTask(t: Task, request: CloneRequest): number {
  if (t.syscallState instanceof VforkWait) return waitForVfork(t, t.syscallState);
  const refusal = checkRequest(t, request);
  if (refusal < 0) return refusal;
  // A signal for the whole process must be seen either by the parent alone or by both.
  if (t.hasPendingSignal()) return -ERESTARTNOINTR;
  const child = makeChild(t, request);
  if (typeof child === "number") return child;
  t.kernel.makeReady(child);
  if ((request.flags & CLONE_VFORK) === 0) return child.tid;
  child.isVforkChild = true;
  const wait = new VforkWait(child);
  t.syscallState = wait;
  return waitForVfork(t, wait);
}

/** The tid is taken early: the child may be gone, or have another tid, when we look again. */
function waitForVfork(t: Task, wait: VforkWait): number {
  if (!wait.child.isVforkChild) return wait.tid;
  return t.blockOnKillable(wait.child.vforkWaiters, POLLIN, EINTR);
}

function checkRequest(t: Task, request: CloneRequest): number {
  const { flags, flagsHigh } = request;
  if ((flags & CLONE_THREAD) !== 0 && (flags & CLONE_SIGHAND) === 0) return -EINVAL;
  if ((flags & CLONE_SIGHAND) !== 0 && (flags & CLONE_VM) === 0) return -EINVAL;
  if ((flagsHigh & CLONE_CLEAR_SIGHAND_HIGH) !== 0 && (flags & CLONE_SIGHAND) !== 0) return -EINVAL;
  if ((flagsHigh & ~CLONE_CLEAR_SIGHAND_HIGH) !== 0) return -EINVAL;
  if ((flags & CLONE_PIDFD) !== 0 && (flags & (CLONE_THREAD | CLONE_DETACHED)) !== 0)
    return -EINVAL;
  if ((flags & CLONE_NAMESPACES) !== 0) {
    // There is one namespace of each kind: as a kernel that was built without them.
    const needsAdmin = (flags & CLONE_NEWUSER) === 0;
    return needsAdmin && !t.creds.hasCapability(CAP_SYS_ADMIN) ? -EPERM : -EINVAL;
  }
  const kernel = t.kernel;
  if (kernel.pids.tasks.size >= kernel.limits.tasks) return -EAGAIN;
  if (
    !t.creds.hasCapability(CAP_SYS_RESOURCE) &&
    !t.creds.hasCapability(CAP_SYS_ADMIN) &&
    countTasksOf(t) >= t.rlimit(RLIMIT_NPROC).soft
  ) {
    return -EAGAIN;
  }
  return 0;
}

function countTasksOf(t: Task): number {
  let count = 0;
  for (const other of t.kernel.pids.tasks.values()) if (other.creds.uid === t.creds.uid) count++;
  return count;
}

function makeChild(t: Task, request: CloneRequest): Task | number {
  const { flags } = request;
  const kernel = t.kernel;
  const parentContext = t.context;
  if (parentContext === null) return -EINTR;
  const tid = kernel.pids.allocate();
  const group = (flags & CLONE_THREAD) !== 0 ? t.threadGroup : forkGroup(t, tid, request);
  const mm = shareOrFork(t, flags, group);
  if (typeof mm === "number") return mm;
  const context = mm.addressSpace.newContext();
  if (context === null) {
    mm.decRef();
    return -EAGAIN;
  }
  let pidfd = -1;
  if ((flags & CLONE_PIDFD) !== 0) {
    pidfd = t.fds.add(new PidFd(group, 0), true, 0, t.rlimit(RLIMIT_NOFILE).soft);
    if (pidfd >= 0 && t.mm.writeU32(request.pidfdAddress, pidfd) < 0) {
      t.fds.close(t, pidfd);
      pidfd = -EINVAL;
    }
    if (pidfd < 0) {
      context.release();
      mm.decRef();
      return pidfd;
    }
  }
  const shareFiles = (flags & CLONE_FILES) !== 0;
  if (shareFiles) t.fds.incRef();
  const fds = shareFiles ? t.fds : t.fds.fork();
  const shareFs = (flags & CLONE_FS) !== 0;
  if (shareFs) t.fs.refs++;
  const fs = shareFs ? t.fs : t.fs.fork();

  const child = new Task(kernel, tid, group, mm, fds, fs, t.creds, context);
  context.owner = child;
  context.copyFrom(parentContext);
  const regs = context.regs;
  regs[2 * REG_RAX] = 0;
  regs[2 * REG_RAX + 1] = 0;
  if (request.stack !== 0) {
    regs[2 * REG_RSP] = request.stack;
    regs[2 * REG_RSP + 1] = Math.floor(request.stack / 0x1_0000_0000);
  }
  if ((flags & CLONE_SETTLS) !== 0) context.fsBase = request.tls;
  inherit(child, t, flags);
  adopt(child, group, t);
  // As in Linux, a bad address here does not undo the clone.
  if ((flags & CLONE_PARENT_SETTID) !== 0) t.mm.writeU32(request.parentTidAddress, tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) child.mm.writeU32(request.childTidAddress, tid);
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTidAddress;
  return child;
}

function shareOrFork(t: Task, flags: number, group: ThreadGroup): MemoryManager | number {
  if ((flags & CLONE_VM) === 0) return t.mm.fork(group);
  t.mm.incRef();
  return t.mm;
}

/** The process that a clone without CLONE_THREAD makes; not yet in any table. */
function forkGroup(t: Task, tid: number, request: CloneRequest): ThreadGroup {
  const old = t.threadGroup;
  const { flags, flagsHigh } = request;
  const actions = (flags & CLONE_SIGHAND) !== 0 ? old.actions : old.actions.fork();
  if ((flagsHigh & CLONE_CLEAR_SIGHAND_HIGH) !== 0) actions.clear();
  const group = new ThreadGroup(
    t.kernel,
    tid,
    actions,
    old.limits.fork(),
    new ProcessTimers(t.kernel),
  );
  group.timers.attach(group);
  const sibling = (flags & CLONE_PARENT) !== 0;
  group.parent = sibling ? old.parent : old;
  group.exitSignal = sibling ? old.exitSignal : request.exitSignal;
  group.exe = old.exe;
  group.oomScoreAdj = old.oomScoreAdj;
  group.dumpable = old.dumpable;
  group.startTimeNs = t.kernel.clock.monotonicNs();
  return group;
}

function inherit(child: Task, t: Task, flags: number): void {
  child.comm = t.comm;
  child.signalMask.copyFrom(t.hasSavedMask ? t.savedMask : t.signalMask);
  child.noNewPrivs = t.noNewPrivs;
  child.securebits = t.securebits;
  child.timerSlackNs = t.timerSlackNs;
  child.personality = t.personality;
  const keepsSched = !t.schedResetOnFork;
  child.nice = keepsSched ? t.nice : Math.max(0, t.nice);
  child.schedPolicy = keepsSched ? t.schedPolicy : 0;
  child.schedPriority = keepsSched ? t.schedPriority : 0;
  child.affinity = t.affinity;
  child.ioPriority = t.ioPriority;
  child.startTimeNs = t.kernel.clock.monotonicNs();
  // A thread on its parent's alternate stack would write over it; a vfork child is alone while it runs.
  if ((flags & CLONE_VM) === 0 || (flags & CLONE_VFORK) !== 0) {
    child.altStack.address = t.altStack.address;
    child.altStack.bytes = t.altStack.bytes;
    child.altStack.flags = t.altStack.flags;
  } else child.altStack.flags = SS_DISABLE;
}

/** Enters the child in the tables, and a new process in its family. */
function adopt(child: Task, group: ThreadGroup, t: Task): void {
  const kernel = t.kernel;
  kernel.pids.tasks.set(child.tid, child);
  group.tasks.add(child);
  if (group === t.threadGroup) return;
  group.leader = child;
  kernel.pids.groups.set(group.tgid, group);
  kernel.liveGroups++;
  group.parent?.children.add(group);
  group.processGroup = t.threadGroup.processGroup;
  group.processGroup?.members.add(group);
}

export const FORK_REQUEST: Readonly<CloneRequest> = {
  flags: 0,
  flagsHigh: 0,
  exitSignal: SIGCHLD,
  stack: 0,
  tls: 0,
  pidfdAddress: 0,
  parentTidAddress: 0,
  childTidAddress: 0,
};
