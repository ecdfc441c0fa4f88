// `netcell fuzz`: which campaign the command line asks for, or which case once more (--repeat). The campaigns:
// fuzz-campaign.ts on parts of netcell, fuzz-program.ts on a server in a sandbox.

import { readFileSync } from "node:fs";
import { caseFromJson, targetOf } from "../lab/fuzz/index.ts";
import type { Words } from "./flags.ts";
import { exchange, watched } from "./fuzz-failure.ts";
import {
  type FuzzFlags,
  refuseCampaignFlags,
  refuseServerFlags,
  seedOf,
  usage,
} from "./fuzz-flags.ts";

/** Runs a case file again and shows the exchange. */
async function repeat(path: string, flags: FuzzFlags, given: ReadonlySet<string>): Promise<number> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    throw usage(`${path} cannot be read.`);
  }
  const file = caseFromJson(text);
  if (typeof file === "string") throw usage(`${path}: ${file}.`);
  if (file.target === "program") {
    const { repeatProgram } = await import("./fuzz-program.ts");
    return repeatProgram(text, path, flags);
  }
  const target = targetOf(file.target);
  if (target === null) throw usage(`${path}: there is no target "${file.target}".`);
  refuseServerFlags(given, file.target);
  const { failure, frames } = watched(target, file.case);
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ failure, frames: frames.length })}\n`);
  } else {
    process.stdout.write(exchange(frames));
    const what = failure === null ? "no law is broken" : `${failure.law}: ${failure.message}`;
    process.stdout.write(`${what}\n`);
  }
  return failure === null ? 0 : 1;
}

export async function fuzz({ before, program, given }: Words, flags: FuzzFlags): Promise<number> {
  const isProgram = program.length > 0;
  if (flags.repeat !== undefined) {
    refuseCampaignFlags(given);
    if (before.length > 0 || isProgram) throw usage("--repeat takes a case file and no target.");
    return repeat(flags.repeat, flags, given);
  }
  if (isProgram && before.length === 0) {
    const { fuzzProgram } = await import("./fuzz-program.ts");
    return fuzzProgram(program, flags, seedOf(flags));
  }
  const [target] = before;
  if (isProgram || before.length !== 1 || targetOf(target) === null) {
    throw usage("fuzz takes wire, stack or tcp, or -- and a program.");
  }
  refuseServerFlags(given, target);
  const { FuzzCampaign } = await import("./fuzz-campaign.ts");
  return new FuzzCampaign(target, flags, seedOf(flags)).run();
}
