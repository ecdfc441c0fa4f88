// Running the two sides of a measurement, native and netcell, in turn, and reporting them side by side.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../bin/netcell.js", import.meta.url));
const PROGRAMS = fileURLToPath(new URL("../../bench/programs/", import.meta.url));

export interface Row {
  name: string;
  unit: string;
  native: number | null;
  netcell: number | null;
  /** What the project wants to reach, as text: "<= 4 us". */
  target: string;
}

export interface Workplace {
  dir: string;
  micro: string;
  net: string;
  remove(): void;
}

export function workplace(): Workplace {
  const dir = mkdtempSync(join(tmpdir(), "netcell-bench-"));
  const micro = join(dir, "micro");
  const net = join(dir, "net");
  try {
    execFileSync("gcc", ["-O2", "-static", "-pthread", "-o", micro, join(PROGRAMS, "micro.c")]);
    execFileSync("gcc", ["-O2", "-static", "-o", net, join(PROGRAMS, "net.c")]);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw new Error("the benchmarks are C programs: install gcc and libc6-dev", { cause: error });
  }
  return { dir, micro, net, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
  elapsedMs: number;
}

export function execute(argv: readonly string[], cwd: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(argv[0], argv.slice(1), { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (c: Buffer) => {
      stdout += c.toString();
    });
    child.stderr.on("data", (c: Buffer) => {
      stderr += c.toString();
    });
    child.on("error", reject);
    child.on("close", (status) =>
      resolve({ status, stdout, stderr, elapsedMs: performance.now() - started }),
    );
  });
}

export const inCell = (argv: readonly string[], ...flags: string[]): string[] => [
  process.execPath,
  CLI,
  "run",
  ...flags,
  "--",
  ...argv,
];

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : sorted[sorted.length >> 1];
}

const cellOf = (value: number | null): string =>
  value === null ? "-" : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

export function printTable(rows: readonly Row[]): void {
  const lines = [["", "unit", "native", "netcell", "ratio", "target"]];
  for (const r of rows) {
    const ratio =
      r.native === null || r.netcell === null ? "-" : `${(r.netcell / r.native).toPrecision(3)}x`;
    lines.push([r.name, r.unit, cellOf(r.native), cellOf(r.netcell), ratio, r.target]);
  }
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  for (const line of lines) {
    const text = line.map((c, i) => (i < 2 ? c.padEnd(widths[i]) : c.padStart(widths[i])));
    process.stdout.write(`${text.join("  ").trimEnd()}\n`);
  }
}
