// A worker of `netcell fuzz`: a thread with a campaign of its own. Tells the main thread how far it is and what it
// found; cases that others kept come in between. The case being run lies in shared memory, for the one that never
// ends: nobody inside this thread can tell of it.

import { parentPort, workerData } from "node:worker_threads";
import {
  Campaign,
  type Case,
  caseFromJson,
  caseToJson,
  type Found,
  shrink,
  targetOf,
} from "../lab/fuzz/index.ts";

export interface WorkerConfig {
  target: string;
  seed: number;
  /** Infinity: until told to stop. */
  runs: number;
  /** Case files as text. */
  corpus: string[];
  /** Length of the text of the case being run, then the text. */
  current: SharedArrayBuffer;
}

export type FromWorker =
  | {
      type: "progress";
      cases: number;
      frames: number;
      virtualNs: number;
      coverage: number;
      corpus: number;
      cpuUs: number;
    }
  | { type: "kept"; text: string }
  | { type: "found"; text: string; law: string; message: string; step: number; shrinkRuns: number }
  | { type: "done" };

const SLICE_MS = 150;

const config = workerData as WorkerConfig;
const port = parentPort;
if (port === null) throw new Error("not a worker");
const target = targetOf(config.target);
if (target === null) throw new Error(`no target ${config.target}`);

const campaign = new Campaign(target, { seed: config.seed });
const length = new Int32Array(config.current, 0, 1);
const text = new Uint8Array(config.current, 4);
const encoder = new TextEncoder();
let isStopped = false;
const others: string[] = [];

const say = (message: FromWorker): void => port.postMessage(message);

campaign.onKept = (kept) => say({ type: "kept", text: caseToJson(config.target, kept) });
campaign.onCase = (about) => {
  const { written } = encoder.encodeInto(caseToJson(config.target, about), text);
  Atomics.store(length, 0, written);
};
port.on("message", (message: { type: "stop" } | { type: "case"; text: string }) => {
  if (message.type === "stop") isStopped = true;
  else others.push(message.text);
});

function progress(): void {
  const { cases, frames, virtualNs, coverage, corpus } = campaign;
  const { user, system } = process.cpuUsage();
  const cpuUs = user + system;
  say({
    ...{ type: "progress", cases, frames, virtualNs, cpuUs },
    coverage: coverage.count,
    corpus: corpus.length,
  });
}

function load(json: string): Found<unknown> | null {
  const file = caseFromJson(json);
  if (typeof file === "string" || file.target !== config.target) return null;
  return campaign.load(file.case as Case<unknown>);
}

function found({ case: broken, failure }: Found<unknown>): void {
  const small = shrink(target as NonNullable<typeof target>, broken, failure);
  const { law, message, step } = small.failure;
  say({
    type: "found",
    text: caseToJson(config.target, small.case, small.failure),
    ...{ law, message, step },
    shrinkRuns: small.runs,
  });
}

/** What the corpus holds, then what others keep, then cases of our own. */
async function work(): Promise<void> {
  const known = [...config.corpus].reverse();
  while (!isStopped && (known.length > 0 || campaign.cases < config.runs)) {
    const end = performance.now() + SLICE_MS;
    while (performance.now() < end && (known.length > 0 || campaign.cases < config.runs)) {
      const other = known.pop() ?? others.pop();
      const broken = other === undefined ? campaign.next() : load(other);
      if (broken !== null) {
        progress();
        return found(broken);
      }
    }
    progress();
    await new Promise(setImmediate);
  }
}

async function main(): Promise<void> {
  await work();
  say({ type: "done" });
  port?.close();
}

void main();
