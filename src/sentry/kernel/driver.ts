// How the loop drives the kernel. One event is one ordinary call that finishes.

import type { Context } from "../platform/platform.ts";

export interface KernelDriver {
  /** A context has stopped: handle the trap, then resume it or leave it parked. */
  onTrap(context: Context): void;
  /** Re-runs what was woken since; true if anything ran. */
  runReady(): boolean;
  /** Earliest of all kernel and stack timers, absolute monotonic; Infinity when none. */
  nextDeadlineNs(): number;
  onTimers(nowNs: number): void;
  /** Nothing is left to run, or the sandbox was told to end. */
  readonly isOver: boolean;
}
