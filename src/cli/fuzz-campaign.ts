// A campaign of `netcell fuzz wire|stack|tcp`: its workers, the corpus folder, a line of progress on a terminal, and
// what is left of a failure. Not the command: fuzz.ts. The main thread only listens: a worker that says nothing for
// long has met a case that never ends, which is a failure like any other.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type Case, caseFromJson, type Failure, targetOf } from "../lab/fuzz/index.ts";
import { type Report, writeFailure } from "./fuzz-failure.ts";
import { bounds, type FuzzFlags, onInterrupt, workersOf } from "./fuzz-flags.ts";
import type { FromWorker, WorkerConfig } from "./fuzz-worker.ts";
import { tell } from "./output.ts";

const CASE_BYTES_MAX = 4 << 20;
/** A worker that has said nothing for so long is stuck in one case. */
const STUCK_MS = 30_000;
const PROGRESS_MS = 250;

interface Totals {
  cases: number;
  frames: number;
  virtualNs: number;
  coverage: number;
  corpus: number;
  cpuUs: number;
}

const NOTHING: Totals = { cases: 0, frames: 0, virtualNs: 0, coverage: 0, corpus: 0, cpuUs: 0 };

export class FuzzCampaign {
  readonly #target: string;
  readonly #flags: FuzzFlags;
  readonly #seed: number;
  readonly #workers: { worker: Worker; current: SharedArrayBuffer; heardMs: number }[] = [];
  readonly #totals: Totals[] = [];
  readonly #known = new Set<string>();
  readonly #startMs = performance.now();
  #found: { text: string; failure: Failure } | null = null;
  #shownMs = 0;
  #isEnding = false;
  #isInterrupted = false;

  constructor(target: string, flags: FuzzFlags, seed: number) {
    this.#target = target;
    this.#flags = flags;
    this.#seed = seed;
  }

  #corpus(): string[] {
    const { corpus } = this.#flags;
    if (corpus === undefined) return [];
    mkdirSync(corpus, { recursive: true });
    const texts: string[] = [];
    for (const name of readdirSync(corpus).sort()) {
      if (!name.endsWith(".json")) continue;
      const text = readFileSync(join(corpus, name), "utf8");
      const file = caseFromJson(text);
      if (typeof file === "string") tell(`${join(corpus, name)} is passed over: ${file}.`);
      else if (file.target === this.#target) texts.push(text);
      this.#known.add(name);
    }
    return texts;
  }

  async run(): Promise<number> {
    const flags = this.#flags;
    const count = workersOf(flags);
    const { runs, forMs } = bounds(flags);
    const corpus = this.#corpus();
    const stop = (): void => this.#stop();
    const timer = Number.isFinite(forMs) ? setTimeout(stop, forMs) : null;
    const interrupt = onInterrupt(() => {
      this.#isInterrupted = true;
      stop();
    });
    const ends = Array.from({ length: count }, (_, i) =>
      this.#start(i, { runs: Math.ceil(runs / count), corpus }),
    );
    const watchdog = setInterval(() => this.#findStuck(), 1_000);
    await Promise.all(ends);
    if (timer !== null) clearTimeout(timer);
    clearInterval(watchdog);
    interrupt.remove();
    return this.#end();
  }

  #start(index: number, { runs, corpus }: { runs: number; corpus: string[] }): Promise<void> {
    const current = new SharedArrayBuffer(4 + CASE_BYTES_MAX);
    const config: WorkerConfig = {
      target: this.#target,
      seed: (this.#seed + index * 7_919) | 0,
      ...{ runs, corpus, current },
    };
    const worker = new Worker(new URL("../bin/fuzz-worker.js", import.meta.url), {
      workerData: config,
    });
    const entry = { worker, current, heardMs: performance.now() };
    this.#workers.push(entry);
    this.#totals.push(NOTHING);
    worker.on("message", (message: FromWorker) => {
      entry.heardMs = performance.now();
      this.#hear(index, message);
    });
    return new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.once("exit", () => {
        resolve();
      });
    });
  }

  #hear(index: number, message: FromWorker): void {
    if (message.type === "progress") {
      const { type: _, ...totals } = message;
      this.#totals[index] = totals;
      this.#show();
    } else if (message.type === "kept") this.#keep(index, message.text);
    else if (message.type === "found" && this.#found === null) {
      const { text, law, step } = message;
      this.#found = { text, failure: { law, message: message.message, step } };
      this.#stop();
    }
  }

  #keep(from: number, text: string): void {
    for (const [i, { worker }] of this.#workers.entries()) {
      if (i !== from) worker.postMessage({ type: "case", text });
    }
    const { corpus } = this.#flags;
    if (corpus === undefined) return;
    const name = `${this.#target}-${createHash("sha256").update(text).digest("hex").slice(0, 16)}.json`;
    if (this.#known.has(name)) return;
    this.#known.add(name);
    writeFileSync(join(corpus, name), text);
  }

  #findStuck(): void {
    const now = performance.now();
    for (const entry of this.#workers) {
      if (now - entry.heardMs < STUCK_MS || this.#isEnding) continue;
      const length = Atomics.load(new Int32Array(entry.current, 0, 1), 0);
      const text = new TextDecoder().decode(new Uint8Array(entry.current, 4, length).slice());
      const message = `one case took more than ${STUCK_MS / 1000} seconds`;
      this.#found ??= { text, failure: { law: "stuck", message, step: 0 } };
      this.#isEnding = true;
      for (const { worker } of this.#workers) void worker.terminate();
      return;
    }
  }

  #stop(): void {
    for (const { worker } of this.#workers) worker.postMessage({ type: "stop" });
  }

  #sum(): Totals & { seconds: number } {
    const sum = { ...NOTHING, seconds: (performance.now() - this.#startMs) / 1000 };
    for (const t of this.#totals) {
      sum.cases += t.cases;
      sum.frames += t.frames;
      sum.virtualNs += t.virtualNs;
      // Each worker knows what all have kept.
      sum.coverage = Math.max(sum.coverage, t.coverage);
      sum.corpus = Math.max(sum.corpus, t.corpus);
      sum.cpuUs = Math.max(sum.cpuUs, t.cpuUs);
    }
    return sum;
  }

  #line(): string {
    const t = this.#sum();
    const n = (value: number): string => Math.round(value).toLocaleString("en");
    return (
      `${this.#target}: ${n(t.seconds)} s, ${n(t.cases)} cases, ${n(t.frames)} frames, ` +
      `${n(t.frames / t.seconds)} frames/s, ${n(t.virtualNs / 1e9 / t.seconds)} simulated s/s, ` +
      `coverage ${n(t.coverage)}, corpus ${n(t.corpus)}`
    );
  }

  #show(): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = now;
    process.stderr.write(`\r\x1b[K${this.#line()}`);
  }

  #end(): number {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    const t = this.#sum();
    const report =
      this.#found === null ? null : this.#report(this.#found.text, this.#found.failure);
    if (this.#flags.json === true) {
      const { cases, frames, coverage, corpus, seconds } = t;
      const result = {
        ...{ target: this.#target, seed: this.#seed, cases, frames, coverage, corpus, seconds },
        framesPerCpuSecond: Math.round(frames / (t.cpuUs / 1e6)),
        simulatedSeconds: t.virtualNs / 1e9,
        isInterrupted: this.#isInterrupted,
        failure: report,
      };
      process.stdout.write(`${JSON.stringify(result)}\n`);
    } else {
      process.stdout.write(
        `${this.#line()}, seed ${this.#seed}${this.#isInterrupted ? ", interrupted" : ""}\n`,
      );
      if (report !== null) process.stdout.write(textOf(report));
    }
    return report === null ? 0 : 1;
  }

  #report(text: string, failure: Failure): Report {
    const file = caseFromJson(text);
    const target = targetOf(this.#target);
    if (typeof file === "string" || target === null) throw new Error("a worker's case is broken");
    return writeFailure(this.#flags.out, target, file.case as Case<unknown>, failure);
  }
}

function textOf(report: Report): string {
  const what = `${report.law}: ${report.message}`;
  return `found: ${what}\n  ${report.steps} steps, ${report.files.join(", ")}\n  repeat: ${report.repeat}\n`;
}
