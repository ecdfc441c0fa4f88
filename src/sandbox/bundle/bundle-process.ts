// The process of a bundle (runtime-spec, config.md "Process") as a program of ours: who it is, what it may, what it
// knows. Standard streams and terminal are the caller's.

import { CAPABILITY_NAMES } from "../../abi/capability.ts";
import { RLIMIT_NAMES } from "../../abi/resource.ts";
import type { CapabilitySets, SpawnOptions } from "../options.ts";
import type { Complain } from "./config-error.ts";
import type { OciProcess } from "./config-schema.ts";

/** Every number above stands for "no limit": 2^64 - 1 is what engines write, and JSON's numbers are doubles. */
const U64_HALF = 2 ** 63;
const RLIMIT = "RLIMIT_";

function rlimitsOf(process: OciProcess, complain: Complain): SpawnOptions["rlimits"] {
  const seen = new Set<number>();
  return (process.rlimits ?? []).map(({ type, soft, hard }, i) => {
    const where = `process.rlimits[${i}]`;
    const resource = type.startsWith(RLIMIT) ? RLIMIT_NAMES.indexOf(type.slice(RLIMIT.length)) : -1;
    if (resource < 0) throw complain(`${where}.type`, `"${type}" is no resource limit`);
    if (seen.has(resource)) throw complain(`${where}.type`, `${type} is there twice`);
    seen.add(resource);
    if (soft > hard) throw complain(`${where}.soft`, "is above the hard limit");
    const limit = (n: number): number => (n < U64_HALF ? n : Number.POSITIVE_INFINITY);
    return { resource, soft: limit(soft), hard: limit(hard) };
  });
}

function bitsOf(names: readonly string[], where: string, complain: Complain): [number, number] {
  const words: [number, number] = [0, 0];
  names.forEach((name, i) => {
    const cap = CAPABILITY_NAMES.indexOf(name);
    if (cap < 0) throw complain(`${where}[${i}]`, `"${name}" is no capability`);
    words[cap >>> 5] |= 1 << (cap & 31);
  });
  return words;
}

/** None at all unless the bundle grants them, as runc has it. */
function capabilitiesOf(process: OciProcess, complain: Complain): CapabilitySets {
  const given = process.capabilities ?? null;
  const set = (name: keyof CapabilitySets): [number, number] =>
    bitsOf(given?.[name] ?? [], `process.capabilities.${name}`, complain);
  const sets: CapabilitySets = {
    bounding: set("bounding"),
    effective: set("effective"),
    permitted: set("permitted"),
    inheritable: set("inheritable"),
    ambient: set("ambient"),
  };
  const { effective, permitted, inheritable, ambient } = sets;
  // cap_capset(): the new effective set must lie within the new permitted one.
  if ((effective[0] & ~permitted[0]) !== 0 || (effective[1] & ~permitted[1]) !== 0) {
    throw complain("process.capabilities.effective", "holds some that are not permitted");
  }
  // PR_CAP_AMBIENT_RAISE refuses what is not in both; runc then goes on without.
  for (const word of [0, 1]) ambient[word] &= permitted[word] & inheritable[word];
  return sets;
}

export interface BundleProgram {
  argv: string[];
  options: SpawnOptions;
  terminal: boolean;
  consoleSize: { rows: number; columns: number } | null;
}

export function bundleProgram(process: OciProcess, complain: Complain): BundleProgram {
  const { uid = 0, gid = 0, umask, additionalGids } = process.user ?? {};
  const options: SpawnOptions = {
    env: process.env ?? [],
    workdir: process.cwd,
    user: `${uid}:${gid}`,
    groups: additionalGids ?? [],
    capabilities: capabilitiesOf(process, complain),
    noNewPrivileges: process.noNewPrivileges === true,
  };
  if (umask !== undefined && umask !== null) options.umask = umask;
  const rlimits = rlimitsOf(process, complain);
  if (rlimits !== undefined) options.rlimits = rlimits;
  if (typeof process.oomScoreAdj === "number") options.oomScoreAdj = process.oomScoreAdj;
  const { height = 0, width = 0 } = process.consoleSize ?? {};
  return {
    argv: process.args ?? [],
    options,
    terminal: process.terminal === true,
    consoleSize: height > 0 && width > 0 ? { rows: height, columns: width } : null,
  };
}
