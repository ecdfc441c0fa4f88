// `netcell fuzz -- PROGRAM`: a campaign on a server in a sandbox, over its socket or with raw frames besides, what is
// left of a crash, and a crash once more (--repeat). The campaign itself: fuzz-search.ts.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { caseFromJson, caseToJson, type ProgramStep, type ServerPort } from "../lab/fuzz/index.ts";
import { SANDBOX_FLAGS, sandboxFlagsOf } from "./flags.ts";
import { exchange, type Seen, writeCapture } from "./fuzz-failure.ts";
import { bounds, type FuzzFlags, onInterrupt, usage, workersOf } from "./fuzz-flags.ts";
import { type FoundCrash, type Fuzzed, ProgramSearch, play, started } from "./fuzz-search.ts";
import type { Crash } from "./fuzz-server.ts";

const TARGET = "program";
const DEFAULT_PORT = "80";

/** PORT, PORT/tcp or PORT/udp, as --publish writes them. */
function serverPort(text: string): ServerPort {
  const match = /^(\d{1,5})(\/udp|\/tcp)?$/.exec(text);
  const port = match === null ? 0 : Number(match[1]);
  if (match === null || port < 1 || port > 0xffff) {
    throw usage(`--port "${text}" must be 1 to 65535, with /udp of a server of datagrams.`);
  }
  return { port, isUdp: match[2] === "/udp" };
}

/** As a shell reads it: a word, in quotes where it needs them. */
const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/**
 * The command for a case file. What the sandbox is like stands in the command, not in the file: whoever repeats a file
 * of somebody else's decides himself what it may see.
 */
function repeatCommand(file: string, flags: FuzzFlags): string {
  const words = SANDBOX_FLAGS.flatMap((name) =>
    [flags[name] ?? []].flat().flatMap((value) => [`--${name}`, value]),
  );
  return ["netcell", "fuzz", ...words, "--repeat", file].map(word).join(" ");
}

/** Runs the steps once more on a fresh server, and keeps the frames. */
async function watchedRun(
  fuzzed: Fuzzed,
  steps: readonly ProgramStep[],
): Promise<{ crash: Crash | null; frames: Seen[] }> {
  const server = await started(fuzzed);
  const frames: Seen[] = [];
  server.client.link.onFrame = (bytes, isOut) =>
    frames.push({ nowNs: frames.length * 1e6, bytes, isOut });
  try {
    return { crash: await play(server, steps), frames };
  } finally {
    await server.close();
  }
}

/** What the program said last, as lines of a report. */
const indented = (text: string): string =>
  text === "" ? "" : `${text.replace(/^/gm, "    | ")}\n`;

export async function fuzzProgram(
  argv: readonly string[],
  flags: FuzzFlags,
  seed: number,
): Promise<number> {
  if (flags.level !== "socket" && flags.level !== "packet") {
    throw usage("--level takes socket or packet.");
  }
  const port = serverPort(flags.port ?? DEFAULT_PORT);
  const fuzzed: Fuzzed = { argv, port, flags: sandboxFlagsOf(flags) };
  const search = new ProgramSearch(fuzzed, {
    ...{ seed, workers: workersOf(flags), ...bounds(flags), corpus: flags.corpus },
    hasFrames: flags.level === "packet",
  });
  const interrupt = onInterrupt(() => search.interrupt());
  const found = await search.run();
  interrupt.remove();
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const line = search.line();
  const { cases, coverage, seconds, isInterrupted } = search;
  const failure = found === null ? null : await kept(fuzzed, found, flags, seed);
  if (flags.json === true) {
    const report = { target: TARGET, seed, cases, seconds, coverage, isInterrupted, failure };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else {
    process.stdout.write(`${line}, seed ${seed}${isInterrupted ? ", interrupted" : ""}\n`);
    if (failure !== null) {
      const { law, message, files, repeat, stderr } = failure;
      const said = `${indented(stderr)}  ${files.join(", ")}`;
      process.stdout.write(`found: ${law}: ${message}\n${said}\n  repeat: ${repeat}\n`);
    }
  }
  return found === null ? 0 : 1;
}

interface ProgramReport extends Crash {
  steps: number;
  files: string[];
  repeat: string;
}

/** The case file and the capture of a crash. */
async function kept(
  fuzzed: Fuzzed,
  { steps, crash }: FoundCrash,
  flags: FuzzFlags,
  seed: number,
): Promise<ProgramReport> {
  mkdirSync(flags.out, { recursive: true });
  const base = join(flags.out, `program-${crash.law}-${seed}`);
  const failure = { law: crash.law, message: crash.message, step: steps.length };
  const file = JSON.parse(caseToJson(TARGET, { seed, steps }, failure)) as object;
  const { argv } = fuzzed;
  const port = flags.port ?? DEFAULT_PORT;
  writeFileSync(`${base}.json`, `${JSON.stringify({ ...file, argv, port })}\n`);
  const { frames } = await watchedRun(fuzzed, steps);
  writeCapture(`${base}.pcap`, frames);
  return {
    ...crash,
    steps: steps.length,
    files: [`${base}.json`, `${base}.pcap`],
    repeat: repeatCommand(`${base}.json`, flags),
  };
}

function isWhole(step: ProgramStep): boolean {
  if (step.do === "connect") return step.family === 4 || step.family === 6;
  return step.do === "end" || step.bytes instanceof Uint8Array;
}

/** --repeat of a case of a program. */
export async function repeatProgram(text: string, path: string, flags: FuzzFlags): Promise<number> {
  const file = caseFromJson(text);
  const { argv, port } = JSON.parse(text) as { argv?: unknown; port?: unknown };
  const isArgv = Array.isArray(argv) && argv.length > 0 && argv.every((a) => typeof a === "string");
  if (typeof file === "string" || !isArgv || typeof port !== "string") {
    throw usage(`${path}: it does not say which program.`);
  }
  const steps = file.case.steps as ProgramStep[];
  if (!steps.every(isWhole)) throw usage(`${path}: a step does not say its bytes or its family.`);
  const fuzzed = { argv: argv as string[], port: serverPort(port), flags: sandboxFlagsOf(flags) };
  const { crash, frames } = await watchedRun(fuzzed, steps);
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ failure: crash, frames: frames.length })}\n`);
  } else {
    const what = crash === null ? "nothing happens to it" : `${crash.law}: ${crash.message}`;
    process.stdout.write(`${exchange(frames)}${what}\n${indented(crash?.stderr ?? "")}`);
  }
  return crash === null ? 0 : 1;
}
