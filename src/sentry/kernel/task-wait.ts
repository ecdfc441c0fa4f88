// Waiting for children: wait4(2), waitid(2). Which child, what it did, and reaping it.

import { ECHILD } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import {
  CLD_CONTINUED,
  CLD_DUMPED,
  CLD_EXITED,
  CLD_KILLED,
  CLD_STOPPED,
} from "../../abi/siginfo.ts";
import { SIGCHLD, SIGCONT } from "../../abi/signal.ts";
import {
  __WALL,
  __WCLONE,
  CONTINUED_STATUS_WORD,
  CORE_DUMPED,
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  stopStatusWord,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  wExitStatus,
  wifExited,
  wTermSig,
} from "../../abi/wait.ts";
import type { Task } from "./task.ts";
import { reap } from "./task-exit.ts";
import type { ThreadGroup } from "./thread-group.ts";

/** What wait found out about one child. Reused by the caller. */
export class WaitResult {
  group: ThreadGroup | null = null;
  /** The pid is kept apart: the child may be reaped by then. */
  pid = 0;
  /** wait4's word. */
  status = 0;
  /** waitid's si_code and si_status. */
  code = 0;
  value = 0;
}

export interface WaitTarget {
  /** P_ALL, P_PID, P_PGID (0: the caller's own group) or P_PIDFD. */
  type: number;
  id: number;
  /** For P_PIDFD. */
  group: ThreadGroup | null;
}

/** 1: found, `out` is filled (and the child reaped or its change taken); 0: WNOHANG and nothing; -errno; BLOCKED. */
export function waitForChild(
  t: Task,
  target: WaitTarget,
  options: number,
  out: WaitResult,
): number {
  let hasCandidate = false;
  for (const child of t.threadGroup.children) {
    if (!matches(t, child, target, options)) continue;
    hasCandidate = true;
    if (take(child, options, out)) return 1;
  }
  if (!hasCandidate) return -ECHILD;
  if ((options & WNOHANG) !== 0) return 0;
  return t.blockOn(t.threadGroup.childWaiters, POLLIN);
}

function matches(t: Task, child: ThreadGroup, target: WaitTarget, options: number): boolean {
  switch (target.type) {
    case P_PID:
      if (child.tgid !== target.id) return false;
      break;
    case P_PGID:
      if (child.pgid !== (target.id === 0 ? t.threadGroup.pgid : target.id)) return false;
      break;
    case P_PIDFD:
      if (child !== target.group) return false;
      break;
    case P_ALL:
      break;
  }
  if ((options & __WALL) !== 0) return true;
  // "Clone" children are those whose end is not told by SIGCHLD.
  return ((options & __WCLONE) !== 0) === (child.exitSignal !== SIGCHLD);
}

function take(child: ThreadGroup, options: number, out: WaitResult): boolean {
  const keep = (options & WNOWAIT) !== 0;
  if (child.isZombie) {
    if ((options & WEXITED) === 0) return false;
    const status = child.exitStatus;
    if (wifExited(status)) fill(out, child, status, CLD_EXITED, wExitStatus(status));
    else {
      const code = (status & CORE_DUMPED) !== 0 ? CLD_DUMPED : CLD_KILLED;
      fill(out, child, status, code, wTermSig(status));
    }
    if (!keep) reap(child);
    return true;
  }
  if (child.isStopped && child.stopUnreported && (options & WSTOPPED) !== 0) {
    fill(out, child, stopStatusWord(child.stopSignal), CLD_STOPPED, child.stopSignal);
    if (!keep) child.stopUnreported = false;
    return true;
  }
  if (child.continueUnreported && (options & WCONTINUED) !== 0) {
    fill(out, child, CONTINUED_STATUS_WORD, CLD_CONTINUED, SIGCONT);
    if (!keep) child.continueUnreported = false;
    return true;
  }
  return false;
}

function fill(
  out: WaitResult,
  child: ThreadGroup,
  status: number,
  code: number,
  value: number,
): void {
  out.group = child;
  out.pid = child.tgid;
  out.status = status;
  out.code = code;
  out.value = value;
}
