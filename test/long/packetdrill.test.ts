// The public suites of packet scripts, from checkouts that environment variables name: they are not part of
// this repository (their licence is another one). docs/conformance.md explains what does not pass.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const NETCELL = join(dirname(fileURLToPath(import.meta.url)), "../../dist/bin/netcell.js");
const GOOGLE = process.env.NETCELL_PACKETDRILL;
const FREEBSD = process.env.NETCELL_TCP_TESTSUITE;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function drill(args: readonly string[]): Counts {
  let text: string;
  try {
    text = execFileSync(process.execPath, [NETCELL, "drill", "--json", ...args], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
  } catch (error) {
    // Status 1: some failed, which is what is counted here.
    text = (error as { stdout: string }).stdout;
  }
  return JSON.parse(text.trimEnd().split("\n").at(-1) as string) as Counts;
}

/** Everything but the folder about PSP, which is no TCP. */
function googleFolders(root: string): string[] {
  const tcp = join(root, "gtests/net/tcp");
  const folders = readdirSync(tcp, { withFileTypes: true }).filter((e) => e.isDirectory());
  return [...folders.map((e) => join(tcp, e.name)), join(root, "gtests/net/packetdrill/tests")];
}

const at = (root: string | undefined): boolean => root !== undefined && existsSync(root);

const google = at(GOOGLE) ? "" : " (skipped: NETCELL_PACKETDRILL names no checkout)";
describe.skipIf(!at(GOOGLE))(`google/packetdrill${google}`, () => {
  it("passes what it did, of 496 runs", { timeout: 300_000 }, () => {
    const sum = drill(["--family", "all", ...googleFolders(GOOGLE as string)]);
    expect(sum.passed + sum.failed + sum.skipped).toBe(496);
    expect(sum.passed).toBeGreaterThanOrEqual(GOOGLE_PASSED);
  });
});

/** Raised with every script that passes; never lowered without a line in docs/conformance.md. */
const GOOGLE_PASSED = 480;
const FREEBSD_PASSED = 900;

const freebsd = at(FREEBSD) ? "" : " (skipped: NETCELL_TCP_TESTSUITE names no checkout)";
describe.skipIf(!at(FREEBSD))(`freebsd-net/tcp-testsuite${freebsd}`, () => {
  it("passes at least 900 scripts", { timeout: 300_000 }, () => {
    const sum = drill(["--profile", "freebsd", FREEBSD as string]);
    expect(sum.passed).toBeGreaterThanOrEqual(FREEBSD_PASSED);
  });
});
