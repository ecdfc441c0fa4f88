// The walls, looked at from outside: seccomp, no_new_privs, forbidden calls, and that nothing stays behind
// however a sandbox ends.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CPrograms } from "./support/build-c.ts";
import { CLI, cell } from "./support/cell.ts";
import { describeWith, which } from "./support/needs.ts";
import { allEnded, allGone, descendants, type HostProcess, until } from "./support/processes.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-confinement-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

/** A sandbox with a program that has started (it said so). */
async function start(
  argv: string[],
  flags: string[] = [],
): Promise<{ monitor: ChildProcess; all: HostProcess[] }> {
  const monitor = spawn(process.execPath, [CLI, "run", ...flags, "--", ...argv], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  running.push(monitor);
  await new Promise((go) => monitor.stdout?.once("data", go));
  const all = await until(() => {
    const found = descendants(monitor.pid as number);
    return found.some((p) => p.name === "netcell-stub") ? found : null;
  });
  return { monitor, all };
}

const BUSY = ["sh", "-c", "echo started; sleep 1000 & sleep 1000 & wait"];
const ended = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((go) => child.once("exit", (code) => go(code)));

describe("confinement", () => {
  it("names its processes, and locks each with seccomp and no_new_privs", async () => {
    const { all } = await start(BUSY);
    const names = new Set(all.map((p) => p.name));
    for (const name of ["netcell-sentry", "netcell-gofer", "netcell-stub"]) {
      expect(names).toContain(name);
    }
    const locks = (p: HostProcess): string => {
      let status: string;
      try {
        status = readFileSync(`/proc/${p.pid}/status`, "utf8");
      } catch {
        return "ended"; // a program of the script, meanwhile
      }
      const field = (name: string): string =>
        new RegExp(`^${name}:\\s*(\\d)`, "m").exec(status)?.[1] ?? "";
      return `seccomp ${field("Seccomp")}, no_new_privs ${field("NoNewPrivs")}`;
    };
    // A spare stub may just have been born: it has no program before it has its filter.
    const isLocked = (p: HostProcess): boolean =>
      ["ended", "seccomp 2, no_new_privs 1"].includes(locks(p));
    for (const p of all) {
      await until(() => isLocked(p)).catch(() => {});
      expect(`${p.name}: ${isLocked(p) ? "locked" : locks(p)}`).toBe(`${p.name}: locked`);
    }
    for (const name of ["netcell-sentry", "netcell-gofer"]) {
      const p = all.find((one) => one.name === name) as HostProcess;
      expect(locks(p)).toBe("seccomp 2, no_new_privs 1");
    }
    for (const p of all.filter(({ name }) => name === "netcell-sentry")) {
      for (const tid of readdirSync(`/proc/${p.pid}/task`)) {
        const status = readFileSync(`/proc/${p.pid}/task/${tid}/status`, "utf8");
        expect(/^Seccomp:\s*(\d)/m.exec(status)?.[1]).toBe("2");
      }
    }
  });

  it("shows ps only the sandbox's processes", async () => {
    const r = await cell(["ps", "-e", "-o", "pid,comm"]);
    const names = r.stdout
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/)[1]);
    expect(names).toEqual(["ps"]);
  });
});

describeWith(["root", "strace"], "the Sentry under strace", () => {
  it("makes none of the forbidden calls once it has started", async () => {
    const trace = join(dir, "trace");
    const { monitor, all } = await start([
      "sh",
      "-c",
      "echo started; read go; for i in 1 2 3 4 5; do cat /etc/passwd | sort | head -1; done; ls -lR /usr/bin | wc -l",
    ]);
    const sentry = all.find((p) => p.name === "netcell-sentry") as HostProcess;
    const strace = spawn(which("strace") as string, ["-f", "-o", trace, "-p", String(sentry.pid)], {
      stdio: "ignore",
    });
    running.push(strace);
    await until(() =>
      /^TracerPid:\t[^0]/m.test(readFileSync(`/proc/${sentry.pid}/status`, "utf8")),
    );
    monitor.stdin?.end("go\n");
    await ended(monitor);
    await ended(strace);
    const calls = readFileSync(trace, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${sentry.pid} `));
    expect(calls.length).toBeGreaterThan(10);
    const forbidden = calls.filter((line) =>
      /^\d+\s+(open|openat|openat2|socket|connect|bind|listen|execve|execveat|ptrace|fork|vfork)\(/.test(
        line,
      ),
    );
    expect(forbidden).toEqual([]);
  });
});

describeWith(["gcc"], "a program that forges its register frames", () => {
  const programs = new CPrograms();
  afterAll(() => programs.remove());

  it("has lost its pages before they are given to others", async () => {
    const r = await cell([programs.build("forge")], [], { cwd: programs.directory });
    expect(r).toMatchObject({ status: 0, stdout: "forged 1, status 0, leaks 0\n" });
  });
});

describe("the end of a sandbox", () => {
  it("leaves nothing after a normal exit", async () => {
    const { monitor, all } = await start(["sh", "-c", "echo started; sleep 0.3"]);
    await ended(monitor);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
  });

  it("leaves nothing after Ctrl-C", async () => {
    const { monitor, all } = await start(BUSY);
    monitor.kill("SIGINT");
    expect(await ended(monitor)).toBe(130);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
  });

  it.each(["netcell-sentry", "netcell-gofer"])("ends with 125 when %s is killed", async (name) => {
    const { monitor, all } = await start(BUSY);
    process.kill((all.find((p) => p.name === name) as HostProcess).pid, "SIGKILL");
    expect(await ended(monitor)).toBe(125);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
  });

  it("ends at SIGTERM although its kernel is stuck", async () => {
    const { monitor, all } = await start(BUSY);
    process.kill((all.find((p) => p.name === "netcell-sentry") as HostProcess).pid, "SIGSTOP");
    monitor.kill("SIGTERM");
    expect(await ended(monitor)).toBe(143);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
  });

  it("ends at the third SIGTERM although its program ignores them", async () => {
    const { monitor, all } = await start(["sh", "-c", "trap '' TERM; echo started; sleep 1000"]);
    monitor.kill("SIGTERM");
    const isOver = (): boolean => monitor.exitCode !== null || monitor.signalCode !== null;
    await until(isOver, 300).catch(() => {});
    expect(isOver()).toBe(false);
    const insist = setInterval(() => monitor.kill("SIGTERM"), 100);
    expect(await ended(monitor)).toBe(143);
    clearInterval(insist);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
  });

  it("dies with its monitor", async () => {
    const { monitor, all } = await start(BUSY);
    monitor.kill("SIGKILL");
    expect(await allEnded(all.map((p) => p.pid))).toBe(true);
  });

  it("goes on when one stub is killed: that program dies, no other", async () => {
    const { monitor, all } = await start([
      "sh",
      "-c",
      "echo started; sleep 1000; echo status $?; sleep 0.1; echo alive",
    ]);
    let out = "";
    monitor.stdout?.on("data", (c: Buffer) => {
      out += c.toString();
    });
    const sentry = all.find((p) => p.name === "netcell-sentry") as HostProcess;
    // Spare stubs wait for work too: newest first, until one was somebody's.
    let isOver = false;
    void ended(monitor).then(() => {
      isOver = true;
    });
    const isSeen = (): boolean => isOver || out.includes("status");
    const tried = new Set<number>();
    while (!isSeen()) {
      const pids = descendants(sentry.pid)
        .filter((p) => p.name === "netcell-stub" && !tried.has(p.pid))
        .map((p) => p.pid);
      const newest = Math.max(...pids);
      tried.add(newest);
      process.kill(newest, "SIGKILL");
      await until(isSeen, 500).catch(() => {});
    }
    const status = await ended(monitor);
    expect(await allGone(all.map((p) => p.pid))).toBe(true);
    // Whichever it was, the sandbox itself stayed healthy: the shell went on, or was reported killed.
    expect(status === 137 || out.includes("status 137\nalive\n")).toBe(true);
  });
});
