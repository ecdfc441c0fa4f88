// The same suite for everyone: run again by an ordinary user, and inside what a default container allows
// (no new namespaces, few capabilities). Needs root to become either; the suites themselves do not.

import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, it } from "vitest";
import { describeWith } from "./support/needs.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** What meets the host: its processes, descriptors, files and sockets. */
const HOST_SUITES = ["run", "bundle", "switch", "programs", "gateway", "gateway6", "confinement"];
/** An ordinary user may also read less, and is told other things. */
const USER_SUITES = [...HOST_SUITES, "real-programs", "bad-input"];
const NOBODY = 65_534;
/** What container engines leave to root. */
const CONTAINER_CAPABILITIES =
  "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";
/** Against hanging only. */
const LIMIT_MS = 30 * 60_000;

describeWith(["root", "setpriv"], "the suite", () => {
  let dir = "";
  beforeAll(() => {
    // A copy that anyone can read, wherever the checkout lies.
    dir = mkdtempSync(join(tmpdir(), "netcell-personas-"));
    chmodSync(dir, 0o755);
    for (const name of ["dist", "test", "package.json", "vitest.config.ts"]) {
      cpSync(join(PROJECT, name), join(dir, name), { recursive: true });
    }
    cpSync(join(PROJECT, "src"), join(dir, "src"), { recursive: true });
    // Vite writes beside the packages: a directory of our own, with links to what is installed.
    const modules = join(dir, "node_modules");
    mkdirSync(modules);
    mkdirSync(join(modules, ".vite-temp"));
    chmodSync(join(modules, ".vite-temp"), 0o777);
    for (const name of readdirSync(join(PROJECT, "node_modules"))) {
      if (!name.startsWith("."))
        symlinkSync(join(PROJECT, "node_modules", name), join(modules, name));
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function run(
    wrap: readonly string[],
    suites: readonly string[],
  ): Promise<{ status: number | null; output: string }> {
    const vitest = join(dir, "node_modules/vitest/vitest.mjs");
    const files = suites.map((name) => `test/${name}.test.ts`);
    const argv = [...wrap, process.execPath, vitest, "run", "--project", "e2e", ...files];
    const temporary = mkdtempSync(join(tmpdir(), "netcell-persona-tmp-"));
    chmodSync(temporary, 0o1777);
    return new Promise((resolve, reject) => {
      const child = spawn(argv[0], argv.slice(1), {
        cwd: dir,
        env: { ...process.env, HOME: temporary, TMPDIR: temporary, VITEST_CACHE_DIR: temporary },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      const add = (chunk: Buffer): void => {
        output += chunk.toString();
      };
      child.stdout.on("data", add);
      child.stderr.on("data", add);
      child.on("error", reject);
      child.on("close", (status) => {
        rmSync(temporary, { recursive: true, force: true });
        resolve({ status, output });
      });
    });
  }

  // Both at once: much of what they do is waiting.
  it.concurrent(
    "passes as an ordinary user",
    async ({ expect }) => {
      const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const { status, output } = await run(["setpriv", ...ids], USER_SUITES);
      expect(status, output).toBe(0);
    },
    LIMIT_MS,
  );

  it.concurrent(
    "passes in what a default container allows",
    async ({ expect }) => {
      const contained = join(dir, "test/support/contained.mjs");
      const wrap = ["setpriv", `--bounding-set=-all,${CONTAINER_CAPABILITIES}`];
      const { status, output } = await run([...wrap, process.execPath, contained], HOST_SUITES);
      expect(status, output).toBe(0);
    },
    LIMIT_MS,
  );
});
