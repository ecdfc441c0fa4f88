// Starting a process from outside the sandbox: the first program, and every later exec into it.

import { EACCES, EAGAIN, ENOENT, ENOTDIR } from "../../abi/errno.ts";
import { RLIM_INFINITY, RLIMIT_NOFILE } from "../../abi/resource.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { ProcessTimers } from "../time/process-timers.ts";
import type { FdTable } from "../vfs/fd-table.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { FsContext } from "../vfs/fs-context.ts";
import { openForExec } from "../vfs/open.ts";
import { resolve } from "../vfs/resolve.ts";
import type { Credentials } from "./credentials.ts";
import type { Kernel } from "./kernel.ts";
import { type ControllingTerminal, ProcessGroup, Session } from "./process-group.ts";
import { type Rlimit, Rlimits } from "./rlimits.ts";
import { SignalActions } from "./signal-actions.ts";
import { Task } from "./task.ts";
import { installProgram, loadProgram } from "./task-exec.ts";
import { ThreadGroup } from "./thread-group.ts";

export interface SpawnOptions {
  /** argv[0] is looked up in PATH of envp when it has no slash. */
  argv: readonly ByteString[];
  envp: readonly ByteString[];
  cwd: ByteString;
  creds: Credentials;
  /** Taken over, also when the spawn fails. */
  fds: FdTable;
  umask?: number;
  noNewPrivs?: boolean;
  oomScoreAdj?: number;
  /** Limits that differ from the defaults, by RLIMIT_*. */
  rlimits?: ReadonlyMap<number, Rlimit>;
  /** Becomes the controlling terminal, with the new process in the foreground. */
  tty?: ControllingTerminal;
  /** Once, at the end, with wait4's status word. */
  onExit?: (status: number) => void;
}

const AT_FDCWD = -100;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function spawnProcess(kernel: Kernel, options: SpawnOptions): ThreadGroup | number {
  const t = makeTask(kernel, options);
  const group = t.threadGroup;
  const result = startProgram(t, options);
  if (result < 0) {
    options.fds.decRef(t);
    kernel.pids.giveBack(t.tid);
    return result;
  }
  const pids = kernel.pids;
  const session = new Session(t.tid, group);
  const processGroup = new ProcessGroup(t.tid, session);
  pids.sessions.set(t.tid, session);
  pids.processGroups.set(t.tid, processGroup);
  group.processGroup = processGroup;
  processGroup.members.add(group);
  if (options.tty !== undefined) {
    session.tty = options.tty;
    options.tty.session = session;
    options.tty.foreground = processGroup;
  }
  group.onExit = options.onExit ?? null;
  pids.tasks.set(t.tid, t);
  pids.groups.set(group.tgid, group);
  group.tasks.add(t);
  kernel.liveGroups++;
  if (kernel.init === null && t.tid === 1) kernel.init = group;
  kernel.makeReady(t);
  return group;
}

function makeTask(kernel: Kernel, options: SpawnOptions): Task {
  const limits = Rlimits.defaults(kernel.limits);
  for (const [resource, { soft, hard }] of options.rlimits ?? []) {
    // The sandbox's own limit stands above, as fs.nr_open does; engines ask for a million and use a hundred.
    const most = resource === RLIMIT_NOFILE ? kernel.limits.descriptorsPerProcess : RLIM_INFINITY;
    limits.set(resource, { soft: Math.min(soft, most), hard: Math.min(hard, most) });
  }
  const tid = kernel.pids.allocate();
  const timers = new ProcessTimers(kernel);
  const group = new ThreadGroup(kernel, tid, new SignalActions(), limits, timers);
  timers.attach(group);
  timers.onLimitChange();
  const root = kernel.mounts.root;
  const fs = new FsContext(root, root);
  fs.umask = options.umask ?? 0o022;
  // The one task that has no memory yet: finding and reading its program needs a task, and gives it one.
  const noMemory = null as unknown as MemoryManager;
  const t = new Task(kernel, tid, group, noMemory, options.fds, fs, options.creds, null);
  group.leader = t;
  group.startTimeNs = kernel.clock.monotonicNs();
  t.startTimeNs = group.startTimeNs;
  group.oomScoreAdj = options.oomScoreAdj ?? 0;
  t.noNewPrivs = options.noNewPrivs ?? false;
  return t;
}

function startProgram(t: Task, options: SpawnOptions): number {
  if (t.kernel.pids.tasks.size >= t.kernel.limits.tasks) return -EAGAIN;
  const cwd = resolve(t, AT_FDCWD, options.cwd, true);
  if (typeof cwd === "number") return cwd;
  if (!cwd.dentry.inode?.isDirectory) return -ENOTDIR;
  t.fs.cwd = cwd;
  const name = options.argv[0];
  if (name === undefined || name === "") return -ENOENT;
  let last = -ENOENT;
  for (const path of candidates(name, options.envp)) {
    const file = openForExec(t, AT_FDCWD, path, 0);
    if (typeof file === "number") {
      // As execvp(3): a file we may not run is worth telling, but the search goes on.
      if (last === -ENOENT || file === -EACCES) last = file;
      continue;
    }
    return startFile(t, file, path, options);
  }
  return last;
}

function startFile(t: Task, file: FileDescription, path: string, options: SpawnOptions): number {
  const wait = loadProgram(t, file, path, options.argv, options.envp);
  file.decRef();
  if (typeof wait === "number") return wait;
  installProgram(t, wait);
  return 0;
}

function candidates(name: ByteString, envp: readonly ByteString[]): ByteString[] {
  if (name.includes("/")) return [name];
  const entry = envp.find((e) => e.startsWith("PATH="));
  const path = entry === undefined ? DEFAULT_PATH : entry.slice("PATH=".length);
  return path.split(":").map((dir) => (dir === "" ? name : `${dir}/${name}`));
}
