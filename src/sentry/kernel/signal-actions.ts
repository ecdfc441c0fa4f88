// What a process does about each signal (sigaction(2)); shared by tasks made with CLONE_SIGHAND.

import {
  SA_NODEFER,
  SIG_DFL,
  SIG_IGN,
  SIGABRT,
  SIGBUS,
  SIGCHLD,
  SIGCONT,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGQUIT,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
  SIGXCPU,
  SIGXFSZ,
} from "../../abi/signal.ts";

export interface SignalAction {
  /** SIG_DFL, SIG_IGN or the handler's address. */
  handler: number;
  flags: number;
  restorer: number;
  maskLow: number;
  maskHigh: number;
}

const DEFAULT_ACTION: Readonly<SignalAction> = {
  handler: SIG_DFL,
  flags: 0,
  restorer: 0,
  maskLow: 0,
  maskHigh: 0,
};

export const DEFAULT_TERMINATE = 0;
export const DEFAULT_CORE = 1;
export const DEFAULT_IGNORE = 2;
export const DEFAULT_STOP = 3;
export const DEFAULT_CONTINUE = 4;

/** What happens to a signal that nobody handles: DEFAULT_*. */
export function defaultActionOf(signo: number): number {
  switch (signo) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
      return DEFAULT_IGNORE;
    case SIGCONT:
      return DEFAULT_CONTINUE;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return DEFAULT_STOP;
    case SIGQUIT:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGSYS:
      return DEFAULT_CORE;
    default:
      return DEFAULT_TERMINATE;
  }
}

export class SignalActions {
  #actions: Readonly<SignalAction>[] = new Array(65).fill(DEFAULT_ACTION);

  get(signo: number): Readonly<SignalAction> {
    return this.#actions[signo];
  }
  set(signo: number, action: Readonly<SignalAction>): void {
    this.#actions[signo] = action;
  }
  isIgnored(signo: number): boolean {
    const handler = this.#actions[signo].handler;
    if (handler === SIG_IGN) return signo !== SIGKILL && signo !== SIGSTOP;
    return handler === SIG_DFL && defaultActionOf(signo) === DEFAULT_IGNORE;
  }
  fork(): SignalActions {
    const copy = new SignalActions();
    copy.#actions = this.#actions.slice();
    return copy;
  }
  /** execve: handlers go, ignored signals stay ignored. */
  resetHandlers(): void {
    for (let signo = 1; signo <= 64; signo++) {
      const action = this.#actions[signo];
      if (action === DEFAULT_ACTION) continue;
      this.#actions[signo] =
        action.handler === SIG_IGN ? { ...DEFAULT_ACTION, handler: SIG_IGN } : DEFAULT_ACTION;
    }
  }
  /** CLONE_CLEAR_SIGHAND: everything but the ignored. The same rule as exec's. */
  clear(): void {
    this.resetHandlers();
  }
  /** SA_RESETHAND, and a fault whose handler cannot run. */
  resetToDefault(signo: number): void {
    const old = this.#actions[signo];
    this.#actions[signo] = { ...old, handler: SIG_DFL, flags: old.flags & ~SA_NODEFER };
  }
}
