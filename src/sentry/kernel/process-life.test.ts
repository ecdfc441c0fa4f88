import { describe, expect, it } from "vitest";
import { EAGAIN, ECHILD, EFAULT, EINTR, EINVAL, EPERM, ESRCH } from "../../abi/errno.ts";
import { REG_RAX, REG_RSP } from "../../abi/registers.ts";
import * as sched from "../../abi/sched.ts";
import { SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM } from "../../abi/signal.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { P_PID, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED } from "../../abi/wait.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { contextOf, KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";
import type { Task } from "./task.ts";

const STATUS = USER_BASE + 0x100;
const SIGINFO = USER_BASE + 0x200;
const TID = USER_BASE + 0x400;

const fork = (f: KernelFixture, t: Task): Task => f.task(f.call(t, nr.SYS_fork) as number);
const wait = (f: KernelFixture, t: Task, pid: number, options = 0) =>
  f.call(t, nr.SYS_wait4, pid, STATUS, options, 0);

describe("fork", () => {
  it("gives the child its own copy of memory and a zero in RAX", () => {
    const f = new KernelFixture();
    const parent = f.process();
    parent.mm.writeU32(TID, 7);
    const child = fork(f, parent);
    expect(contextOf(child).result).toBe(0);
    expect(contextOf(child).isRunning).toBe(true);
    child.mm.writeU32(TID, 8);
    expect(parent.mm.readU32(TID)).toBe(7);
    expect(f.call(child, nr.SYS_getppid)).toBe(parent.tid);
    expect(f.call(child, nr.SYS_getpgrp)).toBe(parent.tid);
  });

  it("fails with EAGAIN at the sandbox's limit of tasks", () => {
    const f = new KernelFixture({ limits: { ...DEFAULT_LIMITS, tasks: 2 } });
    const parent = f.process();
    fork(f, parent);
    expect(f.call(parent, nr.SYS_fork)).toBe(-EAGAIN);
  });

  it("leaves nothing behind when the platform has no context left", () => {
    const f = new KernelFixture();
    const parent = f.process();
    f.platform.contextsLeft = 0;
    expect(f.call(parent, nr.SYS_fork)).toBe(-EAGAIN);
    expect(f.kernel.pids.tasks.size).toBe(1);
    expect(f.platform.spaces.at(-1)?.isReleased).toBe(true);
  });
});

describe("wait4", () => {
  it("sleeps until a child exits, then reaps it", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const child = fork(f, parent);
    const pid = child.tid;
    expect(wait(f, parent, -1)).toBeNull();
    f.call(child, nr.SYS_exit_group, 42);
    expect(f.result(parent)).toBe(pid);
    expect(parent.mm.readU32(STATUS)).toBe(42 << 8);
    expect(f.kernel.findTask(pid)).toBeNull();
    expect(wait(f, parent, -1)).toBe(-ECHILD);
  });

  it("leaves a zombie alone with WNOWAIT and tells of it with waitid", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const child = fork(f, parent);
    const pid = child.tid;
    f.call(parent, nr.SYS_kill, pid, SIGTERM);
    for (let i = 0; i < 2; i++) {
      const options = WEXITED | (i === 0 ? WNOWAIT : 0);
      expect(f.call(parent, nr.SYS_waitid, P_PID, pid, SIGINFO, options, 0)).toBe(0);
      expect(parent.mm.readI32(SIGINFO)).toBe(SIGCHLD);
      expect(parent.mm.readI32(SIGINFO + 8)).toBe(2); // CLD_KILLED
      expect(parent.mm.readI32(SIGINFO + 24)).toBe(SIGTERM);
    }
    expect(wait(f, parent, pid, WNOHANG)).toBe(-ECHILD);
  });

  it("answers 0 with WNOHANG while the child lives", () => {
    const f = new KernelFixture();
    const parent = f.process();
    fork(f, parent);
    expect(wait(f, parent, -1, WNOHANG)).toBe(0);
  });

  it("reaps by itself when SIGCHLD is ignored, and wait then finds no child", () => {
    const f = new KernelFixture();
    const parent = f.process();
    parent.threadGroup.actions.set(SIGCHLD, {
      handler: SIG_IGN,
      flags: 0,
      restorer: 0,
      maskLow: 0,
      maskHigh: 0,
    });
    const child = fork(f, parent);
    expect(wait(f, parent, -1)).toBeNull();
    f.call(child, nr.SYS_exit_group, 0);
    expect(f.result(parent)).toBe(-ECHILD);
  });

  it("reports stops and continues once each", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const child = fork(f, parent);
    f.call(parent, nr.SYS_kill, child.tid, SIGSTOP);
    expect(contextOf(child).isRunning).toBe(false);
    expect(child.stateLetter).toBe("T");
    expect(wait(f, parent, child.tid, WUNTRACED | WNOHANG)).toBe(child.tid);
    expect(parent.mm.readU32(STATUS)).toBe((SIGSTOP << 8) | 0x7f);
    expect(wait(f, parent, child.tid, WUNTRACED | WNOHANG)).toBe(0);
    f.call(parent, nr.SYS_kill, child.tid, SIGCONT);
    expect(contextOf(child).isRunning).toBe(true);
    expect(wait(f, parent, child.tid, WCONTINUED | WNOHANG)).toBe(child.tid);
    expect(parent.mm.readU32(STATUS)).toBe(0xffff);
  });

  it("kills a stopped process with SIGKILL", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const child = fork(f, parent);
    f.call(parent, nr.SYS_kill, child.tid, SIGSTOP);
    f.call(parent, nr.SYS_kill, child.tid, SIGKILL);
    expect(wait(f, parent, child.tid)).toBe(child.tid);
    expect(parent.mm.readU32(STATUS)).toBe(SIGKILL);
  });

  it("does not see somebody else's child", () => {
    const f = new KernelFixture();
    const first = f.process();
    const second = f.process();
    const child = fork(f, first);
    expect(wait(f, second, child.tid)).toBe(-ECHILD);
  });
});

describe("orphans", () => {
  it("go to pid 1, which is told when they end", () => {
    const f = new KernelFixture();
    const init = f.process();
    const middle = fork(f, init);
    const grandchild = fork(f, middle);
    f.call(middle, nr.SYS_exit_group, 0);
    expect(f.call(grandchild, nr.SYS_getppid)).toBe(1);
    wait(f, init, middle.tid);
    const pid = grandchild.tid;
    expect(wait(f, init, -1)).toBeNull();
    f.call(grandchild, nr.SYS_exit_group, 3);
    expect(f.result(init)).toBe(pid);
  });

  it("go to the nearest subreaper instead, if there is one", () => {
    const f = new KernelFixture();
    const init = f.process();
    const reaper = fork(f, init);
    f.call(reaper, nr.SYS_prctl, 36, 1);
    const middle = fork(f, reaper);
    const grandchild = fork(f, middle);
    f.call(middle, nr.SYS_exit_group, 0);
    expect(f.call(grandchild, nr.SYS_getppid)).toBe(reaper.tid);
  });

  it("get the signal that they asked for", () => {
    const f = new KernelFixture();
    const init = f.process();
    const middle = fork(f, init);
    const grandchild = fork(f, middle);
    f.call(grandchild, nr.SYS_prctl, 1, SIGTERM);
    f.call(middle, nr.SYS_exit_group, 0);
    expect(grandchild.hasExited).toBe(true);
  });
});

describe("threads", () => {
  const FLAGS =
    sched.CLONE_VM |
    sched.CLONE_FS |
    sched.CLONE_FILES |
    sched.CLONE_SIGHAND |
    sched.CLONE_THREAD |
    sched.CLONE_SETTLS |
    sched.CLONE_PARENT_SETTID |
    sched.CLONE_CHILD_CLEARTID;
  const thread = (f: KernelFixture, t: Task): Task =>
    f.task(f.call(t, nr.SYS_clone, FLAGS, USER_BASE + 0x8000, TID, TID, 0x7000) as number);

  it("share memory and pid, have their own stack and thread pointer", () => {
    const f = new KernelFixture();
    const main = f.process();
    const other = thread(f, main);
    expect(main.mm.readU32(TID)).toBe(other.tid);
    expect(contextOf(other).reg(REG_RSP)).toBe(USER_BASE + 0x8000);
    expect(contextOf(other).fsBase).toBe(0x7000);
    expect(f.call(other, nr.SYS_getpid)).toBe(main.tid);
    expect(f.call(other, nr.SYS_gettid)).toBe(other.tid);
  });

  it("clear their tid word and wake its waiter when they exit (pthread_join)", () => {
    const f = new KernelFixture();
    const main = f.process();
    const other = thread(f, main);
    expect(f.call(main, nr.SYS_futex, TID, 0, other.tid, 0)).toBeNull();
    f.call(other, nr.SYS_exit, 0);
    expect(f.result(main)).toBe(0);
    expect(main.mm.readU32(TID)).toBe(0);
    expect(main.threadGroup.isZombie).toBe(false);
  });

  it("all end with exit_group, running, sleeping and stopped ones alike", () => {
    const f = new KernelFixture();
    const main = f.process();
    const sleeper = thread(f, main);
    thread(f, main);
    expect(f.call(sleeper, nr.SYS_pause)).toBeNull();
    let status = -1;
    main.threadGroup.onExit = (s) => {
      status = s;
    };
    f.call(main, nr.SYS_exit_group, 5);
    expect(status).toBe(5 << 8);
    expect(f.kernel.pids.tasks.size).toBe(0);
    expect(f.platform.spaces[0].isReleased).toBe(true);
  });

  it("keep the process alive when the main thread leaves first; its code is the process's", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const main = fork(f, parent);
    const other = thread(f, main);
    f.call(main, nr.SYS_exit, 3);
    expect(wait(f, parent, main.tid, WNOHANG)).toBe(0);
    f.call(other, nr.SYS_exit, 9);
    expect(wait(f, parent, main.tid)).toBe(main.tid);
    expect(parent.mm.readU32(STATUS)).toBe(3 << 8);
  });

  it("cannot be made without what they must share", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(f.call(t, nr.SYS_clone, sched.CLONE_THREAD | sched.CLONE_VM, 0)).toBe(-EINVAL);
    expect(f.call(t, nr.SYS_clone, sched.CLONE_SIGHAND, 0)).toBe(-EINVAL);
    expect(f.call(t, nr.SYS_clone, sched.CLONE_NEWNET, 0)).toBe(-EINVAL);
  });
});

describe("vfork", () => {
  it("holds the parent until the child exits, and only death cuts that short", () => {
    const f = new KernelFixture();
    const parent = f.process();
    expect(f.call(parent, nr.SYS_vfork)).toBeNull();
    const child = f.task(parent.tid + 1);
    expect(child.mm).toBe(parent.mm);
    parent.signalMask.set(0, 0);
    f.call(child, nr.SYS_kill, parent.tid, SIGCHLD);
    f.call(child, nr.SYS_kill, parent.tid, SIGSTOP);
    expect(f.result(parent)).toBeNull();
    f.call(child, nr.SYS_kill, parent.tid, SIGCONT);
    f.call(child, nr.SYS_exit_group, 0);
    expect(f.result(parent)).toBe(parent.tid + 1);
  });

  it("does not keep a killed parent", () => {
    const f = new KernelFixture();
    const parent = f.process();
    f.call(parent, nr.SYS_vfork);
    const child = f.task(parent.tid + 1);
    f.call(child, nr.SYS_kill, parent.tid, SIGKILL);
    expect(parent.hasExited).toBe(true);
    expect(contextOf(child).isRunning).toBe(true);
  });
});

describe("process groups and sessions", () => {
  it("move by setpgid within the session only", () => {
    const f = new KernelFixture();
    const leader = f.process();
    const child = fork(f, leader);
    expect(f.call(leader, nr.SYS_setpgid, child.tid, child.tid)).toBe(0);
    expect(f.call(child, nr.SYS_getpgrp)).toBe(child.tid);
    expect(f.call(leader, nr.SYS_setpgid, 0, child.tid)).toBe(-EPERM);
    const stranger = f.process();
    expect(f.call(child, nr.SYS_setpgid, 0, stranger.tid)).toBe(-EPERM);
    expect(f.call(stranger, nr.SYS_setpgid, child.tid, 0)).toBe(-ESRCH);
  });

  it("signals reach every member of a group", () => {
    const f = new KernelFixture();
    const leader = f.process();
    const children = [fork(f, leader), fork(f, leader)];
    for (const child of children) f.call(leader, nr.SYS_setpgid, child.tid, children[0].tid);
    f.call(leader, nr.SYS_kill, -children[0].tid, SIGTERM);
    expect(children.every((child) => child.hasExited)).toBe(true);
    expect(leader.hasExited).toBe(false);
  });

  it("a stopped group that becomes an orphan gets SIGHUP and SIGCONT", () => {
    const f = new KernelFixture();
    const shell = fork(f, f.process());
    f.call(shell, nr.SYS_setsid);
    const job = fork(f, shell);
    f.call(shell, nr.SYS_setpgid, job.tid, job.tid);
    f.call(shell, nr.SYS_kill, job.tid, SIGSTOP);
    expect(job.stateLetter).toBe("T");
    f.call(shell, nr.SYS_exit_group, 0);
    expect(job.hasExited).toBe(true);
    expect(job.threadGroup.exitStatus).toBe(1); // SIGHUP
  });
});

describe("the kernel", () => {
  it("answers ENOSYS for an unknown call and logs it once", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(f.call(t, 511)).toBe(-38);
    expect(f.call(t, 511)).toBe(-38);
    expect(f.logLines.filter((line) => line.includes("511")).length).toBe(1);
    expect(f.call(t, -1)).toBe(-38);
  });

  it("writes results as 64-bit words", () => {
    const f = new KernelFixture({
      syscalls: [() => 0x7fff_1234_5000, () => -EFAULT, () => 0x9000_0000, () => -EINTR],
    });
    const t = f.process();
    for (const expected of [0x7fff_1234_5000, -EFAULT, 0x9000_0000]) {
      f.call(t, [0x7fff_1234_5000, -EFAULT, 0x9000_0000].indexOf(expected));
      expect(contextOf(t).reg(REG_RAX)).toBe(expected);
    }
  });

  it("ends a task whose address space died, as if by SIGKILL", () => {
    const f = new KernelFixture();
    const t = f.process();
    let status = -1;
    t.threadGroup.onExit = (s) => {
      status = s;
    };
    const context = contextOf(t);
    context.isRunning = false;
    context.trap = 4;
    f.kernel.onTrap(context);
    expect(status).toBe(SIGKILL);
  });
});
