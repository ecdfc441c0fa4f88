// `netcell run` as a user types it: output, exit statuses, signals, streams, environment, time-out.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, cell, command, netcell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-run-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("netcell run", () => {
  it("prints what the program prints", async () => {
    const r = await cell(["echo", "hello", "world"]);
    expect(r).toMatchObject({ status: 0, stdout: "hello world\n", stderr: "" });
  });

  it.each([0, 1, 42, 255])("passes on exit status %i", async (status) => {
    expect((await cell(["sh", "-c", `exit ${status}`])).status).toBe(status);
  });

  it.each([
    ["KILL", 137],
    ["TERM", 143],
    ["SEGV", 139],
    ["PIPE", 141],
  ])("reports death by SIG%s as %i", async (name, status) => {
    expect((await cell(["sh", "-c", `kill -${name} $$`])).status).toBe(status);
  });

  it("says 127 for a program that is not there", async () => {
    const r = await cell(["no-such-program"]);
    expect(r.status).toBe(127);
    expect(r.stderr).toMatch(/^netcell: .*no-such-program.*\n$/);
  });

  it("says what is not there: program, interpreter or directory", async () => {
    writeFileSync(join(dir, "script"), "#!/no/such/shell\n", { mode: 0o755 });
    const said = async (argv: string[], flags: string[] = []): Promise<string> =>
      (await cell(argv, flags, { cwd: dir })).stderr;
    expect(await said(["no-such-program"])).toMatch(/: there is no "no-such-program" in the PATH/);
    expect(await said(["./nothing"])).toMatch(/: there is no ".\/nothing" in the sandbox/);
    expect(await said(["./script"])).toMatch(
      /: ".\/script" needs an interpreter that is not there/,
    );
    expect(await said(["true"], ["-w", "/nowhere"])).toMatch(/: there is no directory \/nowhere/);
  });

  it("runs as any user that there can be", async () => {
    const r = await cell(["sh", "-c", "id -u; id -g"], ["--user", "4294967294:4294967293"]);
    expect(r.stdout).toBe("4294967294\n4294967293\n");
    const none = await cell(["true"], ["--user", "4294967295"]);
    expect(none.stderr).toMatch(/^netcell: user "4294967295" must be UID or UID:GID/);
  });

  it("says 126 for a file that cannot be executed", async () => {
    writeFileSync(join(dir, "plain"), "just text\n", { mode: 0o644 });
    const r = await cell(["./plain"], [], { cwd: dir });
    expect(r.status).toBe(126);
    expect(r.stderr).toMatch(/^netcell: .*plain.*\n$/);
    expect((await cell(["/etc"])).status).toBe(126);
  });

  it("says 125 for a wrong flag, in one sentence", async () => {
    const r = await netcell(["run", "--no-such-flag", "true"]);
    expect(r.status).toBe(125);
    expect(r.stderr).toMatch(/^netcell: .*--no-such-flag.*\n$/);
  });

  it("connects standard input", async () => {
    expect((await cell(["cat"], [], { input: "one\ntwo\n" })).stdout).toBe("one\ntwo\n");
    const big = Buffer.alloc(3_000_000, "netcell ");
    const r = await cell(["cat"], [], { input: big });
    expect(r.stdoutBytes.equals(big)).toBe(true);
  });

  it("keeps stdout and stderr apart", async () => {
    const r = await cell(["sh", "-c", "echo out; echo err >&2"]);
    expect(r).toMatchObject({ stdout: "out\n", stderr: "err\n" });
  });

  it("gives the environment that was asked for, and none of ours", async () => {
    const r = await cell(["env"], ["--env", "A=1", "-e", "B=two words"], {
      env: { NETCELL_SECRET: "no" },
    });
    expect(r.stdout).toContain("A=1\n");
    expect(r.stdout).toContain("B=two words\n");
    expect(r.stdout).not.toContain("NETCELL_SECRET");
  });

  it("keeps Node's certificates out of its own start, and hands the variable on when asked", async () => {
    const env = { NODE_EXTRA_CA_CERTS: "/nowhere.pem" };
    const argv = [CLI, "run", "--env", "NODE_EXTRA_CA_CERTS", "--", "env"];
    const r = await command(argv, { env });
    expect(r.stdout).toContain("NODE_EXTRA_CA_CERTS=/nowhere.pem\n");
    expect(r.stdout).not.toContain("NETCELL");
    // Node warns of a file that it was told to read and could not.
    expect(r.stderr).toBe("");
  });

  it("starts in the caller's directory, or where --workdir says", async () => {
    expect((await cell(["pwd"], [], { cwd: dir })).stdout).toBe(`${dir}\n`);
    expect((await cell(["pwd"], ["--workdir", "/usr/bin"])).stdout).toBe("/usr/bin\n");
  });

  it("keeps writes in the sandbox, unless told to let them through", async () => {
    await cell(["sh", "-c", "echo x > kept-inside"], [], { cwd: dir });
    expect((await cell(["cat", "kept-inside"], [], { cwd: dir })).status).toBe(1);
    await cell(["sh", "-c", "echo x > made-for-real"], ["--write", "through"], { cwd: dir });
    expect((await cell(["cat", "made-for-real"], [], { cwd: dir })).stdout).toBe("x\n");
  });

  it("ends a program at --timeout with status 124", async () => {
    const r = await cell(["sleep", "600"], ["--timeout", "300ms"]);
    expect(r.status).toBe(124);
  });

  it("runs as the user that --user names", async () => {
    expect((await cell(["id", "-u"], ["--user", "1234:77"])).stdout).toBe("1234\n");
    expect((await cell(["id", "-g"], ["--user", "1234:77"])).stdout).toBe("77\n");
  });

  it("shows the sandbox's processes only", async () => {
    const r = await cell(["sh", "-c", "ls /proc | grep '^[0-9]*$' | wc -l"]);
    expect(Number(r.stdout)).toBeGreaterThan(0);
    expect(Number(r.stdout)).toBeLessThanOrEqual(4);
  });
});

describeWith(
  ["root", "unshare", "mount", "busybox"],
  "a tree that the host has mounted noexec",
  () => {
    it("refuses to execute and to map code, as Linux does", async () => {
      const script = [
        `mount -t tmpfs -o noexec none ${dir}`,
        `cp "$(command -v busybox)" ${dir}/busybox`,
        // In the sandbox: run it, map it through the dynamic loader, read it.
        `exec "$@" --bind ${dir}:/n -- sh -c '/n/busybox true; echo $?; LD_PRELOAD=/n/busybox /bin/true; ` +
          `cmp /n/busybox /bin/busybox && grep " /n " /proc/mounts'`,
      ].join("\n");
      const r = await command([
        "unshare",
        "-m",
        "sh",
        "-ec",
        script,
        "sh",
        process.execPath,
        CLI,
        "run",
      ]);
      expect(r.stdout).toMatch(/^126\n.* \/n .*noexec/);
      expect(r.stderr).toMatch(/\/n\/busybox: Permission denied/);
    });
  },
);
