// `netcell run`: one program in a fresh sandbox, joined to our own standard streams or terminal.

import { isatty } from "node:tty";
import { exitStatusOf, NetcellError } from "../sandbox/errors.ts";
import type { Refusal } from "../sandbox/options.ts";
import { adoptOrphans, reapOrphans } from "../sandbox/orphans.ts";
import { type Process, shellStatus } from "../sandbox/process.ts";
import { Registration } from "../sandbox/registry.ts";
import { startIn } from "../sandbox/sandbox.ts";
import type { StartedProcesses } from "../sandbox/start-processes.ts";
import { passThrough } from "../sandbox/terminal.ts";
import { noteOutput, tell } from "./output.ts";
import { type RunFlags, runPlan } from "./run-options.ts";
import { SignalForwarder } from "./signals.ts";

const STDIN = 0;
const STDOUT = 1;
/** What a shell adds to a signal's number. */
const SIGNALLED = 128;

/** Stubs of a Sentry that was killed end by themselves, within a few milliseconds. */
const ORPHANS_MS = 1000;

function reportRefusal(r: Refusal): void {
  const name = r.name === null ? "" : ` (${r.name})`;
  const port = r.port > 0 ? `:${r.port}` : "";
  tell(
    `refused ${r.protocol} ${r.address}${port}${name}: ${r.reason}; allow with --allow ${r.suggestedRule}`,
  );
}

/** Our terminal becomes the sandbox's: raw keys in, its screen out, sizes follow. Returns the undoing. */
function joinTerminal(child: Process): () => void {
  const { stdin, stdout } = process;
  noteOutput();
  const onResize = (): void => child.resize(stdout.rows, stdout.columns);
  const onData = (chunk: Buffer): void => {
    child.stdin?.write(chunk);
  };
  const restore = stdin.isTTY ? passThrough(stdin) : null;
  stdin.on("data", onData);
  stdin.on("end", () => child.stdin?.end());
  stdout.on("resize", onResize);
  return () => {
    stdin.off("data", onData);
    stdout.off("resize", onResize);
    restore?.();
    stdin.pause();
  };
}

async function follow(child: Process, hasTerminal: boolean): Promise<number> {
  const leave = hasTerminal ? joinTerminal(child) : null;
  const drained =
    child.stdout === null
      ? Promise.resolve()
      : new Promise<void>((resolve) => {
          child.stdout?.on("data", (chunk: Buffer) => process.stdout.write(chunk));
          child.stdout?.on("close", resolve);
        });
  try {
    const exit = await child.exited;
    await drained;
    return shellStatus(exit);
  } finally {
    leave?.();
  }
}

/**
 * Idle means idle: V8 would look for garbage after eight quiet seconds, on all its threads. measured: 26 ms of CPU
 * in ten idle seconds, 0.1 without. The price is that a full collection, when one is due, is made in one piece: some
 * 10 ms in which the gateway waits. Later than the start, because it takes a module to be loaded.
 */
function leaveGarbageAlone(): void {
  const AFTER_MS = 1000;
  setTimeout(() => {
    process.getBuiltinModule("node:v8").setFlagsFromString("--no-incremental-marking");
  }, AFTER_MS).unref();
}

/** The program's exit status, or netcell's own (docs: 124 to 127). early: processes that already start. */
export async function run(
  argv: string[],
  flags: RunFlags,
  early: StartedProcesses | null,
): Promise<number> {
  // Not process.stdin.isTTY: making that stream takes 2 ms, and often nobody needs it.
  const plan = await runPlan(argv, flags, process.env);
  const hasTerminal = plan.terminal ?? (isatty(STDIN) && isatty(STDOUT));
  const options = plan.program;
  if (hasTerminal) {
    const { rows, columns } = plan.consoleSize ?? { rows: 24, columns: 80 };
    const { stdout } = process;
    options.tty = { rows: stdout.rows ?? rows, columns: stdout.columns ?? columns };
    options.stdin = "pipe";
    options.stdout = "pipe";
  }
  const { notApplied = [] } = plan.bundle ?? {};
  if (notApplied.length > 0)
    tell(`the bundle asks for what is not done here: ${notApplied.join(", ")}.`);
  adoptOrphans();
  const sandbox = await startIn(early, { ...plan.sandbox, onRefused: reportRefusal });
  const signals = new SignalForwarder(sandbox);
  signals.listen();
  let registration: Registration | null = null;
  try {
    const child = await sandbox.spawn(plan.argv, options);
    signals.started(child);
    registration = new Registration(plan.argv, (signal) => child.kill(signal));
    leaveGarbageAlone();
    return await follow(child, hasTerminal);
  } catch (error) {
    if (!(error instanceof NetcellError)) throw error;
    tell(signals.endedBy === 0 ? error.message : signals.reason);
    return signals.endedBy === 0 ? exitStatusOf(error) : SIGNALLED + signals.endedBy;
  } finally {
    signals.stop();
    registration?.close();
    await sandbox.close();
    await reapOrphans(ORPHANS_MS);
  }
}
