// `netcell fuzz -- PROGRAM`: campaigns on a server in a sandbox, over its socket or with raw frames besides. One
// server is used until it dies; what killed it is tried again on fresh ones and made smaller. A crash is what the
// kernel saw: a signal, an exit, a sanitizer's report, a task that is never idle again.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SeededRng } from "../base/rng.ts";
import {
  Coverage,
  caseFromJson,
  caseToJson,
  featureOf,
  GUEST,
  GUEST_MAC,
  ProgramInputs,
  type ProgramStep,
  programPlace,
  smallerCases,
} from "../lab/fuzz/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { bounds, type FuzzFlags } from "./fuzz.ts";
import { exchange, type Seen, writeCapture } from "./fuzz-failure.ts";
import { type Crash, FuzzedServer } from "./fuzz-server.ts";
import { parseCount } from "./quantities.ts";

const TARGET = "program";
const SHRINK_RUNS_MAX = 200;
const SHRINK_MS = 30_000;
const KEPT_MAX = 500;
const PROGRESS_MS = 250;

const usage = (message: string): NetcellError => new NetcellError("ERR_USAGE", message);

async function started(argv: readonly string[], port: number): Promise<FuzzedServer> {
  const server = await FuzzedServer.start(argv, port);
  if (await server.isListening) return server;
  await server.close();
  throw usage(`nothing listens on port ${port} once ${argv[0]} waits; say --port.`);
}

/** All steps on a server; the first crash, and how many steps it took. */
async function play(
  server: FuzzedServer,
  steps: readonly ProgramStep[],
  answers: Uint8Array[],
): Promise<Crash | null> {
  for (const step of steps) {
    const crash = await server.step(step, answers);
    if (crash !== null) return crash;
  }
  return server.finish();
}

class ProgramFuzz {
  readonly #argv: readonly string[];
  readonly #flags: FuzzFlags;
  readonly #port: number;
  readonly #inputs: ProgramInputs;
  readonly #coverage = new Coverage();
  /** What this server was given since it started. */
  #history: ProgramStep[] = [];
  #probe: FuzzedServer | null = null;
  #kept = 0;
  #shownMs = 0;
  cases = 0;
  starts = 0;

  constructor(argv: readonly string[], flags: FuzzFlags, seed: number) {
    this.#argv = argv;
    this.#flags = flags;
    this.#port = parseCount("--port", flags.port ?? "80");
    if (flags.level !== "socket" && flags.level !== "packet") {
      throw usage("--level takes socket or packet.");
    }
    const place = flags.level === "packet" ? programPlace(GUEST, GUEST_MAC, this.#port) : null;
    this.#inputs = new ProgramInputs(this.#corpus(), new SeededRng(seed), seed, place);
  }

  /** Every file of the folder is an input as it stands. */
  #corpus(): Uint8Array[] {
    const { corpus } = this.#flags;
    if (corpus === undefined) return [];
    mkdirSync(corpus, { recursive: true });
    const files = readdirSync(corpus, { withFileTypes: true }).filter((entry) => entry.isFile());
    return files
      .map((entry) => new Uint8Array(readFileSync(join(corpus, entry.name))))
      .filter((bytes) => bytes.length > 0);
  }

  async #fresh(): Promise<FuzzedServer> {
    this.starts++;
    this.#history = [];
    return started(this.#argv, this.#port);
  }

  /** Until time is up, or a crash that a fresh server shows as well. */
  async search(): Promise<{ steps: ProgramStep[]; crash: Crash } | null> {
    const { runs, forMs } = bounds(this.#flags);
    const start = performance.now();
    const end = start + forMs;
    const server = await this.#fresh();
    try {
      while (performance.now() < end && this.cases < runs) {
        this.cases++;
        const { steps } = this.#inputs.next();
        const answers: Uint8Array[] = [];
        this.#history.push(...steps);
        const crash = await play(server, steps, answers);
        if (crash !== null) {
          await server.close();
          return await this.#confirm(steps, this.#history, crash).finally(() =>
            this.#probe?.close(),
          );
        }
        this.#learn(steps, answers);
        this.#show(start);
      }
      return null;
    } finally {
      await server.close();
    }
  }

  #show(start: number): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = now;
    const seconds = (now - start) / 1000;
    const rate = (this.cases / seconds).toFixed(0);
    const text = `${this.cases} cases, ${rate} cases/s, kinds of answers ${this.coverage}`;
    process.stderr.write(`\r\x1b[Kprogram: ${seconds.toFixed(0)} s, ${text}`);
  }

  #learn(steps: readonly ProgramStep[], answers: readonly Uint8Array[]): void {
    if (this.#coverage.add(answers.map(featureOf)) === 0) return;
    const sent = steps.flatMap((step) => (step.do === "send" ? [...step.bytes] : []));
    const bytes = Uint8Array.from(sent);
    this.#inputs.keep(bytes);
    const { corpus } = this.#flags;
    if (corpus === undefined || this.#kept++ >= KEPT_MAX) return;
    writeFileSync(join(corpus, `input-${Date.now()}-${this.#kept}`), bytes);
  }

  /**
   * Whether these steps break that law. A server that lives on is used for the next try; one that died proves
   * nothing before a fresh one has died of the same.
   */
  async #fails(steps: readonly ProgramStep[], law: string): Promise<boolean> {
    for (const isFresh of [false, true]) {
      const server = isFresh ? null : this.#probe;
      this.#probe = server ?? (await started(this.#argv, this.#port));
      const crash = await play(this.#probe, steps, []);
      if (crash === null) return false;
      await this.#probe.close();
      this.#probe = null;
      if (crash.law !== law) return false;
      if (server === null) return true;
    }
    return false;
  }

  async #confirm(
    last: ProgramStep[],
    all: ProgramStep[],
    crash: Crash,
  ): Promise<{ steps: ProgramStep[]; crash: Crash }> {
    let steps = (await this.#fails(last, crash.law)) ? last : all;
    // Each try is a new server: time decides, where the program is slow to start.
    const end = performance.now() + SHRINK_MS;
    let runs = 0;
    for (let isBetter = true; isBetter && runs < SHRINK_RUNS_MAX; ) {
      isBetter = false;
      for (const smaller of smallerCases(steps)) {
        if (runs++ >= SHRINK_RUNS_MAX || performance.now() > end) return { steps, crash };
        if (!(await this.#fails(smaller, crash.law))) continue;
        steps = smaller;
        isBetter = true;
        break;
      }
    }
    return { steps, crash };
  }

  get coverage(): number {
    return this.#coverage.count;
  }
}

/** Runs the steps once more on a fresh server, and keeps the frames. */
async function watchedRun(
  argv: readonly string[],
  port: number,
  steps: readonly ProgramStep[],
): Promise<{ crash: Crash | null; frames: Seen[] }> {
  const server = await started(argv, port);
  const frames: Seen[] = [];
  server.client.link.onFrame = (bytes, isOut) =>
    frames.push({ nowNs: frames.length * 1e6, bytes, isOut });
  try {
    return { crash: await play(server, steps, []), frames };
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
  const fuzz = new ProgramFuzz(argv, flags, seed);
  const start = performance.now();
  const found = await fuzz.search();
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const seconds = (performance.now() - start) / 1000;
  const report: Record<string, unknown> = {
    ...{ target: TARGET, seed, cases: fuzz.cases, seconds },
    ...{ coverage: fuzz.coverage, failure: null },
  };
  if (found !== null) {
    const { steps, crash } = found;
    mkdirSync(flags.out, { recursive: true });
    const base = join(flags.out, `program-${crash.law}-${seed}`);
    const failure = { law: crash.law, message: crash.message, step: steps.length };
    const file = JSON.parse(caseToJson(TARGET, { seed, steps }, failure)) as object;
    const port = flags.port ?? "80";
    writeFileSync(`${base}.json`, `${JSON.stringify({ ...file, argv, port })}\n`);
    const { frames } = await watchedRun(argv, Number(port), steps);
    writeCapture(`${base}.pcap`, frames);
    const repeat = `netcell fuzz --repeat ${base}.json`;
    report.failure = {
      ...crash,
      steps: steps.length,
      files: [`${base}.json`, `${base}.pcap`],
      repeat,
    };
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    const rate = (fuzz.cases / seconds).toFixed(0);
    process.stdout.write(
      `program: ${seconds.toFixed(0)} s, ${fuzz.cases} cases, ${rate} cases/s, kinds of answers ${fuzz.coverage}, seed ${seed}\n`,
    );
    if (found !== null) {
      const { law, message, files, repeat } = report.failure as Record<string, string>;
      const said = indented(found.crash.stderr);
      process.stdout.write(`found: ${law}: ${message}\n${said}  ${files}\n  repeat: ${repeat}\n`);
    }
  }
  return found === null ? 0 : 1;
}

/** --repeat of a case of a program. */
export async function repeatProgram(text: string, path: string, json: boolean): Promise<number> {
  const file = caseFromJson(text);
  const { argv, port } = JSON.parse(text) as { argv?: unknown; port?: unknown };
  const isArgv = Array.isArray(argv) && argv.length > 0 && argv.every((a) => typeof a === "string");
  if (typeof file === "string" || !isArgv || typeof port !== "string") {
    throw usage(`${path}: it does not say which program.`);
  }
  const steps = file.case.steps as ProgramStep[];
  const { crash, frames } = await watchedRun(argv as string[], Number(port), steps);
  if (json) process.stdout.write(`${JSON.stringify({ failure: crash, frames: frames.length })}\n`);
  else {
    const what = crash === null ? "nothing happens to it" : `${crash.law}: ${crash.message}`;
    process.stdout.write(`${exchange(frames)}${what}\n${indented(crash?.stderr ?? "")}`);
  }
  return crash === null ? 0 : 1;
}
