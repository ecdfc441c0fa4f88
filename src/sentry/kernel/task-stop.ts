// Group stops: a stop signal holds every task of a process until SIGCONT (signal(7), waitpid(2) WUNTRACED).

import { CLD_CONTINUED, CLD_STOPPED } from "../../abi/siginfo.ts";
import { SIGCONT } from "../../abi/signal.ts";
import type { Task } from "./task.ts";
import { notifyParentOfChild } from "./task-exit.ts";
import type { ThreadGroup } from "./thread-group.ts";

/** Every task is to stop at its next chance. */
export function startGroupStop(group: ThreadGroup, signo: number): void {
  group.stoppingSignal = signo;
  group.continueUnreported = false;
  for (const task of group.tasks) group.kernel.kick(task);
}

export function enterStop(t: Task): void {
  t.isStopped = true;
  checkGroupStopped(t.threadGroup);
}

/** Also called when a task leaves a group that is stopping: it may have been the last to be waited for. */
export function checkGroupStopped(group: ThreadGroup): void {
  if (group.stoppingSignal === 0 || group.isStopped || group.tasks.size === 0) return;
  for (const task of group.tasks) if (!task.isStopped) return;
  group.isStopped = true;
  group.stopSignal = group.stoppingSignal;
  group.stopUnreported = true;
  notifyParentOfChild(group, CLD_STOPPED, group.stopSignal);
}

export function continueGroup(group: ThreadGroup): void {
  if (group.stoppingSignal === 0) return;
  group.stoppingSignal = 0;
  const wasStopped = group.isStopped;
  group.isStopped = false;
  group.stopUnreported = false;
  releaseStopped(group);
  if (!wasStopped) return;
  group.continueUnreported = true;
  notifyParentOfChild(group, CLD_CONTINUED, SIGCONT);
}

/** Stopped tasks go on (or, when the group exits, go). */
export function releaseStopped(group: ThreadGroup): void {
  for (const task of group.tasks) {
    if (!task.isStopped) continue;
    task.isStopped = false;
    group.kernel.makeReady(task);
  }
}
