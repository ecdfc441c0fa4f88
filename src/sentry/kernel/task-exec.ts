// execve(2): loads first, then (point of no return) ends the other threads and changes the process over.
// Set-user-ID and set-group-ID bits and file capabilities are not honoured: the sandbox behaves as if
// every program had no_new_privs where they are concerned (gVisor's default too).

import { SECBIT_KEEP_CAPS } from "../../abi/capability.ts";
import { EAGAIN, EINTR } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/poll.ts";
import { REG_CSGSFS, REG_EFL, REG_RIP, REG_RSP } from "../../abi/registers.ts";
import { SIGCHLD, SS_DISABLE } from "../../abi/signal.ts";
import type { ByteString } from "../../base/bytes.ts";
import { type LoadedProgram, load } from "../loader/load.ts";
import type { Context } from "../platform/platform.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { openForExec } from "../vfs/open.ts";
import { type Credentials, credentialsAfterExec } from "./credentials.ts";
import { BLOCKED, NO_RESULT, type Task } from "./task.ts";
import { killOtherThreads, releaseUserMemory } from "./task-exit.ts";

const AT_FDCWD = -100;
const COMM_BYTES_MAX = 15;
/** personality(2). */
const ADDR_NO_RANDOMIZE = 0x4_0000;
const EFLAGS_START = 0x202;
const USER_CS = 0x33;
const USER_SS = 0x2b;

/** A loaded program whose task still waits for the other threads to leave. */
export class ExecWait {
  readonly program: LoadedProgram;
  readonly context: Context;
  readonly creds: Credentials;

  constructor(program: LoadedProgram, context: Context, creds: Credentials) {
    this.program = program;
    this.context = context;
    this.creds = creds;
  }
}

/** Opens and loads. path: as the program named it. The task is unchanged whatever comes of it. */
export function loadProgram(
  t: Task,
  file: FileDescription,
  path: ByteString,
  argv: readonly ByteString[],
  envp: readonly ByteString[],
): ExecWait | number {
  const kernel = t.kernel;
  const creds = credentialsAfterExec(t.creds, t.securebits);
  const program = load({
    kernel,
    task: t,
    file,
    path,
    openInterpreter: (name) => openForExec(t, AT_FDCWD, name, 0),
    argv,
    envp,
    creds,
    secure: false,
    rlimits: t.threadGroup,
    randomize: (t.personality & ADDR_NO_RANDOMIZE) === 0,
  });
  if (typeof program === "number") return program;
  const context = program.mm.addressSpace.newContext();
  if (context === null) {
    program.mm.decRef();
    return -EAGAIN;
  }
  return new ExecWait(program, context, creds);
}

/** Runs and re-runs the second half: BLOCKED while threads are leaving, else NO_RESULT. */
export function finishExec(t: Task, wait: ExecWait): number {
  const group = t.threadGroup;
  if (group.tasks.size > 1) {
    // Two threads that execute at once: the first one wins, the other leaves.
    if (t.kernel.isDying(t)) return abandon(wait);
    if (group.execTask === null) killOtherThreads(t);
    t.syscallState = wait;
    const parked = t.blockOnKillable(group.taskWaiters, POLLIN, EINTR);
    return parked === BLOCKED ? BLOCKED : abandon(wait);
  }
  if (t.kernel.isDying(t)) return abandon(wait);
  becomeLeader(t);
  changeOver(t, wait);
  return NO_RESULT;
}

function abandon(wait: ExecWait): number {
  wait.context.release();
  wait.program.mm.decRef();
  return -EINTR;
}

/** The survivor takes the process's own id. Precondition: every other task has exited. */
function becomeLeader(t: Task): void {
  const group = t.threadGroup;
  group.execTask = null;
  if (group.leader === t) return;
  const pids = t.kernel.pids;
  pids.tasks.delete(t.tid);
  t.tid = group.tgid;
  t.startTimeNs = group.leader.startTimeNs;
  group.leader = t;
  pids.tasks.set(t.tid, t);
}

function changeOver(t: Task, wait: ExecWait): void {
  const group = t.threadGroup;
  const { context } = wait;
  const oldContext = t.context;
  if (oldContext !== null) {
    releaseUserMemory(t);
    const oldMm = t.mm;
    oldContext.release();
    oldMm.decRef();
  }
  installProgram(t, wait);

  if (t.fds.refs > 1) {
    const own = t.fds.fork();
    t.fds.decRef(t);
    t.fds = own;
  }
  t.fds.closeOnExec(t);
  // Handlers may be shared with another process (CLONE_SIGHAND without CLONE_THREAD).
  group.actions = group.actions.fork();
  group.actions.resetHandlers();
  group.timers.onExec();
  group.exitSignal = SIGCHLD;
  group.hasExecd = true;
  group.dumpable = 1;
  t.restartCall = null;
  t.altStack.address = 0;
  t.altStack.bytes = 0;
  t.altStack.flags = SS_DISABLE;
  t.securebits &= ~SECBIT_KEEP_CAPS;
  context.owner = t;
}

/** The part that a process's first program has too. */
export function installProgram(t: Task, wait: ExecWait): void {
  const { program, context } = wait;
  t.mm = program.mm;
  t.context = context;
  t.creds = wait.creds;
  t.comm = program.name.slice(0, COMM_BYTES_MAX);
  t.threadGroup.exe = program.exePath;
  context.owner = t;
  const regs = context.regs;
  regs.fill(0);
  setReg(regs, REG_RIP, program.entry);
  setReg(regs, REG_RSP, program.stackPointer);
  regs[2 * REG_EFL] = EFLAGS_START;
  regs[2 * REG_CSGSFS] = USER_CS;
  regs[2 * REG_CSGSFS + 1] = USER_SS << 16;
  context.fsBase = 0;
  context.gsBase = 0;
  context.resetFpState();
}

function setReg(regs: Int32Array, reg: number, value: number): void {
  regs[2 * reg] = value;
  regs[2 * reg + 1] = Math.floor(value / 0x1_0000_0000);
}
