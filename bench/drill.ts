// The public corpus of packet scripts, all families, as `netcell drill` runs it on two processes: how long it
// takes, and how much of it passes. It is no part of this repository: NETCELL_PACKETDRILL names a checkout.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CLI, execute, type Row } from "./harness.ts";

const JOBS = "2";

/** Everything but the folder about PSP, which is no TCP. */
function folders(root: string): string[] {
  const tcp = join(root, "gtests/net/tcp");
  const inTcp = readdirSync(tcp, { withFileTypes: true }).filter((e) => e.isDirectory());
  return [...inTcp.map((e) => join(tcp, e.name)), join(root, "gtests/net/packetdrill/tests")];
}

export async function drill(): Promise<Row[]> {
  const root = process.env.NETCELL_PACKETDRILL;
  if (root === undefined) {
    process.stderr.write(
      "the packet scripts are left out: NETCELL_PACKETDRILL names no checkout\n",
    );
    return [];
  }
  const flags = ["drill", "--json", "--family", "all", "--jobs", JOBS];
  const ran = await execute([process.execPath, CLI, ...flags, ...folders(root)], process.cwd());
  const last = ran.stdout.trimEnd().split("\n").at(-1) ?? "";
  const { passed, failed } = JSON.parse(last) as { passed: number; failed: number };
  const row = (name: string, unit: string, target: string, netcell: number): Row => ({
    name: `drill: ${name}`,
    unit,
    target,
    native: null,
    netcell,
  });
  return [
    row("whole corpus, 2 processes", "s", "< 30", ran.elapsedMs / 1_000),
    row("whole corpus, passed", "%", "", (100 * passed) / (passed + failed)),
  ];
}
