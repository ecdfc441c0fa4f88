// The campaign of `netcell fuzz -- PROGRAM`: servers in sandboxes side by side, each used until it dies; what killed
// one is tried again on fresh ones and made smaller. Not the command: fuzz-program.ts. A crash is what the kernel saw:
// a signal, an exit, a sanitizer's report, a task that is never idle again.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Coverage,
  featureOf,
  ProgramInputs,
  type ProgramStep,
  programPlace,
  type ServerPort,
  smallerCases,
} from "../lab/fuzz/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { type Crash, FuzzedServer } from "./fuzz-server.ts";
import type { RunFlags } from "./run-options.ts";

const SHRINK_RUNS_MAX = 200;
const SHRINK_MS = 30_000;
const KEPT_MAX = 500;
const PROGRESS_MS = 250;
const SEED_STEP = 7_919;

/** A server to be fuzzed, where it listens, and what its sandbox is like. */
export interface Fuzzed {
  argv: readonly string[];
  port: ServerPort;
  flags: RunFlags;
}

export interface SearchConfig {
  seed: number;
  workers: number;
  runs: number;
  forMs: number;
  /** A folder. */
  corpus: string | undefined;
  /** Raw frames besides. */
  hasFrames: boolean;
}

export interface FoundCrash {
  steps: ProgramStep[];
  crash: Crash;
}

const deaf = ({ argv, port }: Fuzzed): NetcellError => {
  const where = `port ${port.port}${port.isUdp ? "/udp" : ""}`;
  const message = `nothing listens on ${where} once ${argv[0]} waits; say --port.`;
  return new NetcellError("ERR_USAGE", message);
};

export async function started(fuzzed: Fuzzed): Promise<FuzzedServer> {
  const server = await FuzzedServer.start(fuzzed);
  if (!fuzzed.port.isUdp) await server.findFamilies();
  if (server.families.length > 0) return server;
  await server.close();
  throw deaf(fuzzed);
}

/** All steps on a server; the first crash. What it answered to each step is appended to `answers`. */
export async function play(
  server: FuzzedServer,
  steps: readonly ProgramStep[],
  answers: Uint8Array[][] = [],
): Promise<Crash | null> {
  for (const step of steps) {
    const said: Uint8Array[] = [];
    answers.push(said);
    const crash = await server.step(step, said);
    if (crash !== null) return crash;
    if (server.families.length === 0) throw deaf(server.fuzzed);
  }
  return server.finish();
}

/** What all workers of a campaign share. */
export class ProgramSearch {
  readonly fuzzed: Fuzzed;
  readonly #config: SearchConfig;
  readonly #workers: SearchWorker[] = [];
  readonly #coverage = new Coverage();
  readonly #startMs = performance.now();
  #kept = 0;
  #shownMs = 0;
  #isOver = false;
  isInterrupted = false;
  #hasCrash = false;
  cases = 0;

  constructor(fuzzed: Fuzzed, config: SearchConfig) {
    this.fuzzed = fuzzed;
    this.#config = config;
    const place = config.hasFrames ? programPlace(fuzzed.port.port) : null;
    const corpus = this.#corpus();
    for (let i = 0; i < config.workers; i++) {
      const seed = (config.seed + i * SEED_STEP) | 0;
      const inputs = new ProgramInputs(corpus, { seed, frames: place, isUdp: fuzzed.port.isUdp });
      this.#workers.push(new SearchWorker(this, inputs));
    }
  }

  /** Every file of the folder is an input as it stands. */
  #corpus(): Uint8Array[] {
    const { corpus } = this.#config;
    if (corpus === undefined) return [];
    mkdirSync(corpus, { recursive: true });
    const files = readdirSync(corpus, { withFileTypes: true }).filter((entry) => entry.isFile());
    return files
      .map((entry) => new Uint8Array(readFileSync(join(corpus, entry.name))))
      .filter((bytes) => bytes.length > 0);
  }

  /** Until time is up, or a crash that a fresh server shows as well. */
  async run(): Promise<FoundCrash | null> {
    const ends = await Promise.allSettled(
      this.#workers.map((worker) =>
        worker.search().finally(() => {
          this.#isOver = true;
        }),
      ),
    );
    let found: FoundCrash | null = null;
    for (const end of ends) {
      if (end.status === "rejected") throw end.reason;
      found ??= end.value;
    }
    return found;
  }

  /** What was found so far is still confirmed, but not made smaller. */
  interrupt(): void {
    this.isInterrupted = true;
    this.#isOver = true;
  }

  /** Counts the case that is about to begin; false: there shall be none. */
  begins(): boolean {
    const { runs, forMs } = this.#config;
    if (this.#isOver || performance.now() - this.#startMs >= forMs) return false;
    if (this.cases >= runs) return false;
    this.cases++;
    this.#show();
    return true;
  }

  /** The first crash ends the campaign; false: another worker has had one before. */
  claims(): boolean {
    if (this.#hasCrash) return false;
    this.#hasCrash = true;
    this.#isOver = true;
    return true;
  }

  learn(steps: readonly ProgramStep[], answers: readonly Uint8Array[][]): void {
    if (this.fuzzed.port.isUdp) {
      for (const [i, step] of steps.entries()) {
        if (step.do !== "datagram") continue;
        const features = answers[i].map((answer) => featureOf(answer, step.bytes));
        if (this.#coverage.add(features) > 0) this.#keep(step.bytes);
      }
      return;
    }
    if (this.#coverage.add(answers.flat().map((answer) => featureOf(answer))) === 0) return;
    const sent = steps.flatMap((step) => (step.do === "send" ? [...step.bytes] : []));
    this.#keep(Uint8Array.from(sent));
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#kept >= KEPT_MAX) return;
    this.#kept++;
    for (const worker of this.#workers) worker.inputs.keep(bytes);
    const { corpus } = this.#config;
    if (corpus === undefined) return;
    writeFileSync(join(corpus, `input-${Date.now()}-${this.#kept}`), bytes);
  }

  #show(): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = now;
    process.stderr.write(`\r\x1b[K${this.line()}`);
  }

  line(): string {
    const { seconds } = this;
    const rate = (this.cases / seconds).toFixed(0);
    return `program: ${seconds.toFixed(0)} s, ${this.cases} cases, ${rate} cases/s, kinds of answers ${this.coverage}`;
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }
  get coverage(): number {
    return this.#coverage.count;
  }
}

/** One server at a time, in a sandbox of its own. */
class SearchWorker {
  readonly inputs: ProgramInputs;
  readonly #search: ProgramSearch;
  /** What this server was given since it started. */
  readonly #history: ProgramStep[] = [];
  #probe: FuzzedServer | null = null;

  constructor(search: ProgramSearch, inputs: ProgramInputs) {
    this.#search = search;
    this.inputs = inputs;
  }

  async search(): Promise<FoundCrash | null> {
    const server = await started(this.#search.fuzzed);
    try {
      while (this.#search.begins()) {
        const { steps } = this.inputs.next(server.families);
        const answers: Uint8Array[][] = [];
        this.#history.push(...steps);
        const crash = await play(server, steps, answers);
        if (crash !== null) {
          if (!this.#search.claims()) return null;
          await server.close();
          return await this.#confirm(steps, crash).finally(() => this.#probe?.close());
        }
        this.#search.learn(steps, answers);
      }
      return null;
    } finally {
      await server.close();
    }
  }

  /**
   * Whether these steps break that law. A server that lives on is used for the next try; one that died proves
   * nothing before a fresh one has died of the same.
   */
  async #fails(steps: readonly ProgramStep[], law: string): Promise<boolean> {
    for (const isFresh of [false, true]) {
      const server = isFresh ? null : this.#probe;
      this.#probe = server ?? (await started(this.#search.fuzzed));
      const crash = await play(this.#probe, steps);
      if (crash === null) return false;
      await this.#probe.close();
      this.#probe = null;
      if (crash.law !== law) return false;
      if (server === null) return true;
    }
    return false;
  }

  async #confirm(last: ProgramStep[], crash: Crash): Promise<FoundCrash> {
    let steps = (await this.#fails(last, crash.law)) ? last : this.#history;
    // Each try is a new server: time decides, where the program is slow to start.
    const end = performance.now() + SHRINK_MS;
    let runs = 0;
    for (let isBetter = true; isBetter && runs < SHRINK_RUNS_MAX; ) {
      isBetter = false;
      for (const smaller of smallerCases(steps)) {
        const isTime = performance.now() > end || this.#search.isInterrupted;
        if (runs++ >= SHRINK_RUNS_MAX || isTime) return { steps, crash };
        if (!(await this.#fails(smaller, crash.law))) continue;
        steps = smaller;
        isBetter = true;
        break;
      }
    }
    return { steps, crash };
  }
}
