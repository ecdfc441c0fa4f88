// The flags of `netcell replay` and what they mean; and which of them say nothing where there is no program, or where
// frames are only printed.

import type { ReplayOptions } from "../lab/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { refuseFlags, SANDBOX_FLAGS, type Words } from "./flags.ts";
import { parseCount } from "./quantities.ts";
import type { RunFlags } from "./run-options.ts";

export interface ReplayFlags extends Pick<RunFlags, (typeof SANDBOX_FLAGS)[number]> {
  side: string;
  pace?: string;
  only?: string;
  diff?: boolean;
  seed?: string;
  pcap?: string;
  json?: boolean;
  loose?: boolean;
  report?: string;
  save?: string;
  port?: string;
  log?: string;
  strace?: boolean;
}

const PROGRAM_FLAGS = ["loose", "port", "log", "strace", ...SANDBOX_FLAGS];
const PLAY_FLAGS = ["side", "pace", "only", "diff", "seed", "pcap", "report", "save"];
const DECODE_FLAGS = ["verbose", "link", "absolute", "time"];

export function refuseReplayWords({ before, program, given }: Words): void {
  if (before.length !== 1) {
    throw new NetcellError("ERR_USAGE", "replay takes one capture; a program stands behind --.");
  }
  if (given.has("decode")) {
    if (program.length > 0) throw new NetcellError("ERR_USAGE", "--decode plays to no program.");
    refuseFlags(given, [...PLAY_FLAGS, ...PROGRAM_FLAGS], "plays, and --decode only prints");
    return;
  }
  refuseFlags(given, DECODE_FLAGS, "is of --decode");
  if (program.length > 0) return;
  refuseFlags(given, PROGRAM_FLAGS, "is of a program (netcell replay FILE -- PROGRAM)");
}

function choice<T extends string>(flag: string, value: string, choices: readonly T[]): T {
  const found = choices.find((known) => known === value);
  if (found !== undefined) return found;
  throw new NetcellError("ERR_USAGE", `${flag} takes ${choices.join(", ")}, not ${value}.`);
}

export function optionsOf(flags: ReplayFlags): ReplayOptions {
  const options: ReplayOptions = {
    side: choice("--side", flags.side, ["client", "server", "auto"] as const),
    pace: choice("--pace", flags.pace ?? "captured", ["captured", "fast"] as const),
    keep: flags.diff === true || flags.report !== undefined,
    samples: flags.report !== undefined,
  };
  if (flags.seed !== undefined) options.seed = parseCount("--seed", flags.seed);
  return options;
}

export function onlyOf(flags: ReplayFlags): ReadonlySet<number> | null {
  if (flags.only === undefined) return null;
  return new Set(flags.only.split(",").map((text) => parseCount("--only", text)));
}
