// Signals: sending, choosing who gets them, and what happens on the way back to the program: handlers,
// default actions, stops, and the restart of interrupted system calls (signal(7)).

import {
  EAGAIN,
  EINTR,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOINTR,
  ERESTARTSYS,
} from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import { REG_RAX, REG_RIP } from "../../abi/registers.ts";
import { RLIMIT_SIGPENDING } from "../../abi/resource.ts";
import { SI_KERNEL, SigInfo } from "../../abi/siginfo.ts";
import {
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SIG_DFL,
  SIG_IGN,
  SIGCONT,
  SIGKILL,
  SIGRTMIN,
  SIGSEGV,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
} from "../../abi/signal.ts";
import { SYS_restart_syscall } from "../../abi/syscall-numbers.ts";
import { signalStatusWord } from "../../abi/wait.ts";
import type { Context } from "../platform/platform.ts";
import {
  DEFAULT_CONTINUE,
  DEFAULT_CORE,
  DEFAULT_IGNORE,
  DEFAULT_STOP,
  DEFAULT_TERMINATE,
  defaultActionOf,
  type SignalAction,
} from "./signal-actions.ts";
import { UNBLOCKABLE_LOW } from "./signal-set.ts";
import type { Task } from "./task.ts";
import { exitTask, groupExit } from "./task-exit.ts";
import { continueGroup, enterStop, startGroupStop } from "./task-stop.ts";
import type { ThreadGroup } from "./thread-group.ts";

/** Real-time signals that may wait in the whole sandbox, whatever RLIMIT_SIGPENDING allows a process. */
const QUEUED_SIGNALS_MAX = 65_536;

/** A signal to a whole process. 0, or -EAGAIN when the queue of real-time signals is full. */
export function sendToGroup(group: ThreadGroup, info: SigInfo): number {
  if (group.isZombie) return 0;
  return send(group, null, info);
}

/** A signal to one task. */
export function sendToTask(t: Task, info: SigInfo): number {
  if (t.context === null) return 0;
  return send(t.threadGroup, t, info);
}

/** The kernel's own signal to a process: no sender. */
export function sendKernelSignal(group: ThreadGroup, signo: number): void {
  sendToGroup(group, new SigInfo(signo, SI_KERNEL));
}

export function raiseSignal(t: Task, signo: number): void {
  sendToTask(t, new SigInfo(signo, SI_KERNEL));
}

/**
 * A fault's signal: cannot be ignored or blocked. If it is, the default action comes back and the
 * program dies of it (force_sig_info).
 */
export function forceSignal(t: Task, info: SigInfo): void {
  const actions = t.threadGroup.actions;
  const signo = info.signo;
  if (t.signalMask.has(signo) || actions.get(signo).handler === SIG_IGN) {
    actions.set(signo, { ...actions.get(signo), handler: SIG_DFL });
    t.signalMask.delete(signo);
  }
  t.pending.enqueue(info);
}

function send(group: ThreadGroup, target: Task | null, info: SigInfo): number {
  const kernel = group.kernel;
  const signo = info.signo;
  discardOpposites(group, signo);
  if (signo === SIGKILL) {
    groupExit(group, signalStatusWord(SIGKILL, false));
    return 0;
  }
  if (isDropped(group, target, signo)) return 0;
  const pending = target === null ? group.pending : target.pending;
  const { queuedSignals } = kernel;
  if (
    signo >= SIGRTMIN &&
    (queuedSignals >= QUEUED_SIGNALS_MAX || pending.count >= group.rlimit(RLIMIT_SIGPENDING).soft)
  ) {
    // Linux still delivers what kill(2) sent, without its information; only sigqueue fails.
    if (info.code < 0) return -EAGAIN;
    if (pending.set.has(signo)) return 0;
  }
  pending.enqueue(info);
  const receiver = target ?? chooseReceiver(group, signo);
  if (receiver !== null && !receiver.signalMask.has(signo)) {
    if (isFatal(group, signo)) groupExit(group, signalStatusWord(signo, false));
    else kernel.kick(receiver);
  }
  group.signalWaiters.notify(POLLIN);
  return 0;
}

/** SIGCONT and the stop signals take each other out of the queues; SIGCONT lets a stopped process go on. */
function discardOpposites(group: ThreadGroup, signo: number): void {
  if (signo === SIGCONT) {
    for (const stop of [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]) discardEverywhere(group, stop);
    continueGroup(group);
  } else if (defaultActionOf(signo) === DEFAULT_STOP) {
    discardEverywhere(group, SIGCONT);
  }
}

function discardEverywhere(group: ThreadGroup, signo: number): void {
  group.pending.discard(signo);
  for (const task of group.tasks) task.pending.discard(signo);
}

/** Ignored, and nobody who blocks it could ever come to see it. */
function isDropped(group: ThreadGroup, target: Task | null, signo: number): boolean {
  if (!group.actions.isIgnored(signo)) return false;
  const t = target ?? group.anyTask;
  return t === null || !(t.signalMask.has(signo) || (t.hasSavedMask && t.savedMask.has(signo)));
}

/** Will kill the process for sure: then it need not wait for the receiver to come by. */
function isFatal(group: ThreadGroup, signo: number): boolean {
  return (
    group.actions.get(signo).handler === SIG_DFL && defaultActionOf(signo) === DEFAULT_TERMINATE
  );
}

/** The main thread if it can take the signal, else any other that can. */
function chooseReceiver(group: ThreadGroup, signo: number): Task | null {
  const leader = group.leader;
  if (leader.context !== null && !leader.signalMask.has(signo)) return leader;
  for (const task of group.tasks) if (!task.signalMask.has(signo)) return task;
  return null;
}

/** A new mask; signals that it lets through for the first time are seen on the way to the program. */
export function applySignalMask(t: Task, low: number, high: number): void {
  const old = t.signalMask;
  const newlyBlockedLow = low & ~old.low & t.threadGroup.pending.set.low;
  const newlyBlockedHigh = high & ~old.high & t.threadGroup.pending.set.high;
  old.set(low & ~UNBLOCKABLE_LOW, high);
  if ((newlyBlockedLow | newlyBlockedHigh) === 0) return;
  // The process's signals that this task was chosen for now need another one.
  for (const other of t.threadGroup.tasks) {
    if (other === t) continue;
    const mask = other.signalMask;
    if (((newlyBlockedLow & ~mask.low) | (newlyBlockedHigh & ~mask.high)) !== 0) {
      t.kernel.kick(other);
    }
  }
}

/** dequeue_signal: the task's own first, then the process's. */
export function takeSignal(t: Task, low: number, high: number): SigInfo | null {
  const group = t.threadGroup;
  const info = t.pending.dequeue(low, high) ?? group.pending.dequeue(low, high);
  if (info !== null) group.timers.onSignalTaken(info);
  return info;
}

/**
 * Everything that stands between a task and its program: false when it must not run (stopped, exited).
 * Interrupted calls get their EINTR or their restart here, because that depends on the handler.
 */
export function prepareUserReturn(t: Task): boolean {
  const group = t.threadGroup;
  const kernel = t.kernel;
  for (;;) {
    if (kernel.isDying(t)) {
      exitTask(t, group.exitStatus);
      return false;
    }
    if (group.stoppingSignal !== 0) {
      enterStop(t);
      return false;
    }
    const info = takeSignal(t, ~t.signalMask.low, ~t.signalMask.high);
    if (info !== null) {
      act(t, info);
      continue;
    }
    if (t.restartErrno !== 0) restartCall(t, t.context as Context);
    if (!t.hasSavedMask) return true;
    t.hasSavedMask = false;
    applySignalMask(t, t.savedMask.low, t.savedMask.high);
    if (!kernel.hasDeliverableSignal(t)) return true;
  }
}

function act(t: Task, info: SigInfo): void {
  const group = t.threadGroup;
  const signo = info.signo;
  const action = group.actions.get(signo);
  if (action.handler === SIG_IGN) return;
  if (action.handler !== SIG_DFL) {
    runHandler(t, info, action);
    return;
  }
  switch (defaultActionOf(signo)) {
    case DEFAULT_IGNORE:
    case DEFAULT_CONTINUE:
      return;
    case DEFAULT_STOP:
      if (signo !== SIGSTOP && (group.processGroup?.isOrphaned() ?? true)) return;
      startGroupStop(group, signo);
      return;
    case DEFAULT_CORE:
      // No core file is written, but a parent is told of a dump only when there is one.
      groupExit(group, signalStatusWord(signo, false));
      return;
    default:
      groupExit(group, signalStatusWord(signo, false));
  }
}

function runHandler(t: Task, info: SigInfo, action: Readonly<SignalAction>): void {
  const signo = info.signo;
  const context = t.context as Context;
  if (t.restartErrno !== 0) {
    const errno = t.restartErrno;
    const isRestarted =
      errno === ERESTARTNOINTR || (errno === ERESTARTSYS && (action.flags & SA_RESTART) !== 0);
    if (isRestarted) restartCall(t, context);
    else {
      context.regs[2 * REG_RAX] = -EINTR;
      context.regs[2 * REG_RAX + 1] = -1;
      t.restartErrno = 0;
    }
  }
  const resumeMask = t.hasSavedMask ? t.savedMask : t.signalMask;
  if (!t.kernel.signalFrames.push(t, context, info, action, resumeMask)) {
    // The frame could not be written: SIGSEGV, and if that was the signal its handler is of no use.
    if (signo === SIGSEGV) t.threadGroup.actions.resetToDefault(SIGSEGV);
    forceSignal(t, new SigInfo(SIGSEGV, SI_KERNEL));
    return;
  }
  t.hasSavedMask = false;
  if ((action.flags & SA_RESETHAND) !== 0) t.threadGroup.actions.resetToDefault(signo);
  const mask = t.signalMask;
  const low = mask.low | action.maskLow;
  const high = mask.high | action.maskHigh;
  const self = (action.flags & SA_NODEFER) === 0;
  applySignalMask(
    t,
    self && signo <= 32 ? low | (1 << (signo - 1)) : low,
    self && signo > 32 ? high | (1 << (signo - 33)) : high,
  );
}

/** Puts the program back before its `syscall` instruction. */
function restartCall(t: Task, context: Context): void {
  const regs = context.regs;
  const errno = t.restartErrno;
  t.restartErrno = 0;
  const nr = errno === ERESTART_RESTARTBLOCK ? SYS_restart_syscall : t.restartNr;
  // ERESTARTNOHAND, ERESTARTSYS and ERESTARTNOINTR without a handler all run the same call again.
  regs[2 * REG_RAX] = nr;
  regs[2 * REG_RAX + 1] = 0;
  const low = regs[2 * REG_RIP] >>> 0;
  regs[2 * REG_RIP] = low - 2;
  if (low < 2) regs[2 * REG_RIP + 1] -= 1;
}
