// Runs the built command line the way a user does, and collects what it did.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../../dist/bin/netcell.js", import.meta.url));

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stdoutBytes: Buffer;
  stderr: string;
  elapsedMs: number;
}

export interface CellOptions {
  input?: string | Uint8Array;
  cwd?: string;
  env?: Record<string, string>;
  /** Ends a run that hangs, so that the test fails with its output instead of a time-out. */
  limitMs?: number;
  /** Is given the process, to send it signals. */
  onStarted?: (child: ChildProcess) => void;
}

/** `netcell ARGS...`; stdin is `input`, or empty. */
export function netcell(args: readonly string[], options: CellOptions = {}): Promise<Outcome> {
  return command([process.execPath, CLI, ...args], options);
}

/** `netcell run -- ARGV...` with flags in front. */
export function cell(
  argv: readonly string[],
  flags: readonly string[] = [],
  options: CellOptions = {},
): Promise<Outcome> {
  return netcell(["run", ...flags, "--", ...argv], options);
}

export function command(argv: readonly string[], options: CellOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(argv[0], argv.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    options.onStarted?.(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), options.limitMs ?? 50_000);
    child.stdout.on("data", (c: Buffer) => out.push(c));
    child.stderr.on("data", (c: Buffer) => err.push(c));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      const stdoutBytes = Buffer.concat(out);
      resolve({
        status,
        signal,
        stdoutBytes,
        stdout: stdoutBytes.toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
        elapsedMs: performance.now() - started,
      });
    });
  });
}
