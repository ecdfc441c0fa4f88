// The root object of one sandbox's kernel: what every task shares. Driven by the loop (src/sentry/loop)
// through onTrap, runReady and the timers; it never waits for anything itself.

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { Stack } from "../../netstack/index.ts";
import type { HostFiles, HostPoller } from "../host.ts";
import type { MemoryFile } from "../mm/memory-file.ts";
import type { Platform } from "../platform/platform.ts";
import type { MountNamespace } from "../vfs/mount-namespace.ts";
import type { Task } from "./task.ts";

export interface KernelDeps {
  platform: Platform;
  memoryFile: MemoryFile;
  clock: Clock;
  /** Repeatable with --seed. */
  rng: Rng;
  limits: Limits;
  hostFiles: HostFiles;
  poller: HostPoller;
  stack: Stack;
  hostname: string;
  log: (line: string) => void;
}

/** PENDING: the full class is being written. */
export interface Kernel extends KernelDeps {
  readonly timers: TimerQueue;
  readonly mounts: MountNamespace;
  parkUntil(task: Task, deadlineNs: number): void;
  wake(task: Task): void;
  hasDeliverableSignal(task: Task): boolean;
}
