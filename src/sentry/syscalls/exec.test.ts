import { beforeEach, describe, expect, it } from "vitest";
import { E2BIG, EACCES, EFAULT, ENOENT, ENOEXEC, ENOTDIR } from "../../abi/errno.ts";
import { REG_RIP, REG_RSP } from "../../abi/registers.ts";
import { SIG_DFL, SIG_IGN, SIGTERM, SIGUSR1 } from "../../abi/signal.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { putByteString } from "../../base/bytes.ts";
import { makeBootTask } from "../boot/boot-task.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { SpawnOptions } from "../kernel/spawn.ts";
import type { Task } from "../kernel/task.ts";
import { FileFixture } from "../testing/file-fixture.ts";
import { contextOf, mapUser, USER_BASE } from "../testing/kernel-fixture.ts";
import { putFile, TINY_ELF_ENTRY, tinyElf } from "../testing/program-files.ts";
import { FdTable } from "../vfs/fd-table.ts";

const PATH = USER_BASE + 0x100;
const ARGV = USER_BASE + 0x200;
const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000;
const text = (s: string): Uint8Array => {
  const b = new Uint8Array(s.length);
  putByteString(b, 0, s);
  return b;
};

let f: FileFixture;
let boot: Task;

beforeEach(() => {
  f = new FileFixture();
  boot = makeBootTask(f.kernel, f.fileCounter);
  putFile(boot, "/prog", tinyElf(), 0o755);
  putFile(boot, "/plain", tinyElf(), 0o644);
  putFile(boot, "/rubbish", text("not a program"), 0o755);
  putFile(boot, "/script", text("#!/prog -x\n"), 0o755);
});

function spawn(options: Partial<SpawnOptions> = {}): Task {
  const group = f.kernel.spawn({
    argv: ["/prog", "one"],
    envp: ["PATH=/nowhere:/"],
    cwd: "/",
    creds: new Credentials({ uid: 0, gid: 0 }),
    fds: new FdTable(f.fileCounter),
    ...options,
  });
  if (typeof group === "number") throw new Error(`spawn: ${group}`);
  f.run();
  mapUser(group.leader.mm, USER_BASE, 0x10000);
  return group.leader;
}
function putStrings(t: Task, path: string, argv: readonly string[]): void {
  t.mm.copyOut(PATH, text(`${path}\0`), 0, path.length + 1);
  let at = ARGV + 0x100;
  argv.forEach((arg, i) => {
    t.mm.copyOut(at, text(`${arg}\0`), 0, arg.length + 1);
    t.mm.writeU64(ARGV + 8 * i, at);
    at += arg.length + 1;
  });
  t.mm.writeU64(ARGV + 8 * argv.length, 0);
}
function exec(t: Task, path: string, argv: readonly string[] = [path]): number | null {
  putStrings(t, path, argv);
  return f.call(t, nr.SYS_execve, PATH, ARGV, 0);
}
/** The strings that the new program finds on its stack. */
function argvOf(t: Task): string[] {
  const sp = contextOf(t).reg(REG_RSP);
  const count = t.mm.readU64(sp);
  return Array.from({ length: count }, (_, i) =>
    String(t.mm.copyInString(t.mm.readU64(sp + 8 + 8 * i), 1000)),
  );
}

describe("spawn", () => {
  it("starts pid 1 at the program's entry with its arguments", () => {
    const t = spawn();
    expect(t.tid).toBe(1);
    expect(contextOf(t).isRunning).toBe(true);
    expect(contextOf(t).reg(REG_RIP)).toBe(TINY_ELF_ENTRY);
    expect(contextOf(t).reg(REG_RSP) % 16).toBe(0);
    expect(argvOf(t)).toEqual(["/prog", "one"]);
    expect(t.comm).toBe("prog");
  });

  it("searches PATH for a name without a slash", () => {
    expect(spawn({ argv: ["prog"] }).comm).toBe("prog");
  });

  it("says why it cannot, and leaves pid 1 to the next", () => {
    const fail = (options: Partial<SpawnOptions>) =>
      f.kernel.spawn({
        argv: ["/prog"],
        envp: [],
        cwd: "/",
        creds: new Credentials({ uid: 1000, gid: 1000 }),
        fds: new FdTable(f.fileCounter),
        ...options,
      });
    expect(fail({ argv: ["/nope"] })).toBe(-ENOENT);
    expect(fail({ argv: ["/plain"] })).toBe(-EACCES);
    expect(fail({ cwd: "/prog" })).toBe(-ENOTDIR);
    expect(fail({ argv: [] })).toBe(-ENOENT);
    expect(f.kernel.isOver).toBe(false);
    expect(spawn().tid).toBe(1);
  });

  it("gives the exit status to who asked for it, and the kernel is over", () => {
    const statuses: number[] = [];
    const t = spawn({ onExit: (status) => statuses.push(status) });
    f.call(t, nr.SYS_exit_group, 7);
    expect(statuses).toEqual([7 << 8]);
    expect(f.kernel.isOver).toBe(true);
  });
});

describe("execve", () => {
  it("leaves the caller as it was when the program cannot be loaded", () => {
    const t = spawn();
    const mm = t.mm;
    expect(exec(t, "/nope")).toBe(-ENOENT);
    expect(exec(t, "/rubbish")).toBe(-ENOEXEC);
    expect(exec(t, "/")).toBe(-EACCES);
    putStrings(t, "/prog", []);
    expect(f.call(t, nr.SYS_execve, PATH, 0x10, 0)).toBe(-EFAULT);
    expect(t.mm).toBe(mm);
  });

  it("refuses one argument of more than 128 KiB", () => {
    const t = spawn();
    mapUser(t.mm, USER_BASE + 0x10_0000, 0x4_0000);
    putStrings(t, "/prog", ["x"]);
    const long = new Uint8Array(0x2_0001).fill(0x78);
    t.mm.copyOut(USER_BASE + 0x10_0000, long, 0, long.length);
    t.mm.writeU64(ARGV, USER_BASE + 0x10_0000);
    expect(f.call(t, nr.SYS_execve, PATH, ARGV, 0)).toBe(-E2BIG);
  });

  it("runs a script's interpreter with the script as its argument", () => {
    const t = spawn();
    exec(t, "/script", ["ignored", "a"]);
    expect(argvOf(t)).toEqual(["/prog", "-x", "/script", "a"]);
    expect(t.comm).toBe("script");
  });

  it("resets handlers, keeps what is ignored or pending, drops the alternate stack", () => {
    const t = spawn();
    const action = { handler: 0x40_1000, flags: 0, restorer: 0, maskLow: 0, maskHigh: 0 };
    const actions = t.threadGroup.actions;
    actions.set(SIGUSR1, action);
    actions.set(SIGTERM, { ...action, handler: SIG_IGN });
    t.altStack.bytes = 4096;
    t.signalMask.add(SIGUSR1);
    f.call(t, nr.SYS_kill, t.tid, SIGUSR1);
    exec(t, "/prog");
    expect(t.threadGroup.actions.get(SIGUSR1).handler).toBe(SIG_DFL);
    expect(t.threadGroup.actions.get(SIGTERM).handler).toBe(SIG_IGN);
    expect(t.isSignalPending(1 << (SIGUSR1 - 1), 0)).toBe(true);
    expect(t.altStack.bytes).toBe(0);
  });

  it("by a second thread ends the others and makes it the leader", () => {
    const t = spawn();
    const pid = t.tid;
    const second = f.task(f.call(t, nr.SYS_clone, THREAD, USER_BASE + 0x8000) as number);
    const sleeper = f.task(f.call(t, nr.SYS_clone, THREAD, USER_BASE + 0x9000) as number);
    expect(f.call(sleeper, nr.SYS_pause)).toBeNull();
    exec(second, "/prog");
    expect(t.hasExited && sleeper.hasExited).toBe(true);
    expect(second.tid).toBe(pid);
    expect(f.kernel.findTask(pid)).toBe(second);
    expect(contextOf(second).reg(REG_RIP)).toBe(TINY_ELF_ENTRY);
    expect(f.call(second, nr.SYS_getpid)).toBe(pid);
    expect(f.kernel.pids.tasks.size).toBe(1);
  });

  it("lets the parent of a vfork go, with its memory untouched", () => {
    const t = spawn();
    expect(f.call(t, nr.SYS_vfork)).toBeNull();
    const child = f.task(2);
    const mm = t.mm;
    exec(child, "/prog");
    expect(f.result(t)).toBe(2);
    expect(t.mm).toBe(mm);
    expect(child.mm).not.toBe(mm);
    expect(f.call(t, nr.SYS_setpgid, 2, 2)).toBe(-EACCES);
  });

  it("gives the old memory back", () => {
    const t = spawn();
    const space = contextOf(t).addressSpace;
    exec(t, "/prog");
    expect(space.isReleased).toBe(true);
  });
});
