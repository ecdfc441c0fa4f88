import { spawnSync } from "node:child_process";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { describe, expect, it } from "vitest";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../../..");

/** Runs a module in a Node process of its own, which locks itself in and then runs `body`. */
function runLocked(body: string): { status: number | null; signal: string | null; out: string } {
  const source = `
    import { closeInherited, lockSentry } from "./lockdown.ts";
    import * as host from "../../host/index.ts";
    import fs from "node:fs";
    const note = (...words) => host.write(1, new TextEncoder().encode(words.join(" ") + "\\n"), 0, words.join(" ").length + 1);
    const before = host.memfdCreate("netcell-test");
    const passwd = fs.openSync("/etc/passwd");
    closeInherited([0, 1, 2]);
    lockSentry();
    ${body}
    process.exit(0);`;
  const bundle = buildSync({
    stdin: { contents: source, resolveDir: here, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["koffi"],
    write: false,
  });
  const r = spawnSync(process.execPath, ["--input-type=module"], {
    input: bundle.outputFiles[0].text,
    cwd: root,
    encoding: "utf8",
  });
  return { status: r.status, signal: r.signal, out: r.stdout + r.stderr };
}

describe("a locked Sentry", () => {
  it("goes on computing, collecting garbage and compiling, with the descriptors it has", () => {
    const r = runLocked(`
      let kept = [];
      for (let i = 0; i < 3e6; i++) { if (i % 3 === 0) kept = []; kept.push({ i, text: "x" + i }); }
      const f = new Function("a", "b", "let s = 0; for (let i = 0; i < 1e6; i++) s += a * i + b; return s;");
      note("sum", f(2, 1));
      host.ftruncate(before, 100);
      note("size", host.sizeOf(before));
      note("other", host.sizeOf(passwd));
    `);
    expect(r.out).toContain("sum 1000000000000\nsize 100\nother -9\n");
    expect(r.status).toBe(0);
  });

  it("can open, connect and signal nothing", () => {
    const r = runLocked(`
      let code = "none";
      try { fs.readFileSync("/etc/passwd"); } catch (e) { code = e.code; }
      note("open", code);
      note("socket", host.sys(41, 2, 1, 0, 0, 0, 0));
      note("kill", host.kill(1, 0));
      note("tgkill", host.tgkill(1, 1, 0));
      note("memfd", host.memfdCreate("more"));
      note("clone3", host.sys(435, 0, 0, 0, 0, 0, 0));
      note("prctl", host.setDumpable(true));
    `);
    expect(r.out).toBe(
      "open EPERM\nsocket -1\nkill -1\ntgkill -1\nmemfd -1\nclone3 -38\nprctl -1\n",
    );
  });

  it.each([
    ["execve", "host.sys(59, 0, 0, 0, 0, 0, 0)"],
    ["ptrace", "host.sys(101, 0, 0, 0, 0, 0, 0)"],
    ["connect", "host.sys(42, 0, 0, 0, 0, 0, 0)"],
    ["fork by clone", "host.sys(56, 17, 0, 0, 0, 0, 0)"],
    ["io_uring", "host.sys(425, 1, 0, 0, 0, 0, 0)"],
  ])("is killed by %s", (_name, call) => {
    const r = runLocked(`${call}; note("alive");`);
    expect(r.signal).toBe("SIGSYS");
    expect(r.out).toBe("");
  });
});
