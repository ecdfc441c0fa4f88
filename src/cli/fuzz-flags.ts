// The flags of `netcell fuzz` and what they mean: how long, how many, from which seed; and which of them a target
// has no use for.

import { NetcellError } from "../sandbox/errors.ts";
import { refuseFlags, SANDBOX_FLAGS } from "./flags.ts";
import { parseDuration } from "./quantities.ts";
import type { RunFlags } from "./run-options.ts";

export interface FuzzFlags extends Pick<RunFlags, (typeof SANDBOX_FLAGS)[number]> {
  seed?: string;
  runs?: string;
  time?: string;
  corpus?: string;
  workers?: string;
  json?: boolean;
  repeat?: string;
  out: string;
  level: string;
  port?: string;
}

const DEFAULT_MS = 60_000;
const WORKERS_MAX = 64;
const SEED_MAX = 2 ** 31 - 1;

const CAMPAIGN_FLAGS = ["seed", "runs", "time", "corpus", "workers", "out"];
const SERVER_FLAGS = ["port", "level"];

export const usage = (message: string): NetcellError => new NetcellError("ERR_USAGE", message);

function whole(flag: string, text: string, min: number, max: number): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < min || n > max) throw usage(`${flag} takes ${min} to ${max}.`);
  return n;
}

/** How long: as told, or a minute. */
export function bounds({ runs, time }: FuzzFlags): { runs: number; forMs: number } {
  const forever = Number.POSITIVE_INFINITY;
  const count = runs === undefined ? forever : whole("--runs", runs, 1, 2 ** 40);
  if (time !== undefined) return { runs: count, forMs: parseDuration("--time", time) };
  return { runs: count, forMs: runs === undefined ? DEFAULT_MS : forever };
}

export const workersOf = ({ workers }: FuzzFlags): number =>
  whole("--workers", workers ?? "1", 1, WORKERS_MAX);

/** As told, or any. */
export const seedOf = ({ seed }: FuzzFlags): number =>
  seed === undefined ? Math.floor(Math.random() * SEED_MAX) : whole("--seed", seed, 0, SEED_MAX);

/** Of a campaign on a part of netcell: there is no program, and no sandbox. */
export function refuseServerFlags(given: ReadonlySet<string>, target: string): void {
  const why = `is of a server in a sandbox (netcell fuzz ... -- PROGRAM), not of ${target}`;
  refuseFlags(given, [...SERVER_FLAGS, ...SANDBOX_FLAGS], why);
}

/** With --repeat: the case file says what there is to do, but for the sandbox of a program. */
export function refuseCampaignFlags(given: ReadonlySet<string>): void {
  const why = "is of a campaign: a case that is repeated says it itself";
  refuseFlags(given, [...CAMPAIGN_FLAGS, ...SERVER_FLAGS], why);
}

/** A terminal and a parent such as npm both pass an interrupt on: one comes twice. */
const SAME_INTERRUPT_MS = 500;

/** The first interrupt ends a campaign, which still says how far it came; another ends netcell. */
export function onInterrupt(stop: () => void): { remove: () => void } {
  let firstMs = -1;
  const on = (signal: NodeJS.Signals): void => {
    if (firstMs < 0) {
      firstMs = performance.now();
      stop();
    } else if (performance.now() - firstMs > SAME_INTERRUPT_MS) {
      remove();
      process.kill(process.pid, signal);
    }
  };
  const remove = (): void => {
    process.removeListener("SIGINT", on).removeListener("SIGTERM", on);
  };
  process.on("SIGINT", on).on("SIGTERM", on);
  return { remove };
}
