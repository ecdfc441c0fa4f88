// The one who sets a sandbox up before its first program: a task of root's that never runs. It gives the
// VFS the credentials, umask and starting point that every file operation asks for.

import { Credentials } from "../kernel/credentials.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { Rlimits } from "../kernel/rlimits.ts";
import { SignalActions } from "../kernel/signal-actions.ts";
import { Task } from "../kernel/task.ts";
import { ThreadGroup } from "../kernel/thread-group.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { ProcessTimers } from "../time/process-timers.ts";
import { FdTable, type FileCounter } from "../vfs/fd-table.ts";
import { FsContext } from "../vfs/fs-context.ts";

/** Precondition: kernel.mounts is set. */
export function makeBootTask(kernel: Kernel, files: FileCounter): Task {
  const limits = Rlimits.defaults(kernel.limits);
  const group = new ThreadGroup(kernel, 0, new SignalActions(), limits, new ProcessTimers(kernel));
  const { root } = kernel.mounts;
  const fs = new FsContext(root, root);
  fs.umask = 0;
  // It has no memory and no context because it never runs a program: nothing it does touches either.
  const noMemory = null as unknown as MemoryManager;
  const creds = new Credentials({ uid: 0, gid: 0 });
  return new Task(kernel, 0, group, noMemory, new FdTable(files), fs, creds, null);
}
