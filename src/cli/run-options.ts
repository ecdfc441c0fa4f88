// From the flags of `netcell run`, and the bundle if one is named, to the library's options. No defaults of its own:
// the library has them. What is typed wins over what the bundle says.

import type { Bundle } from "../sandbox/bundle/read-bundle.ts";
import { NetcellError } from "../sandbox/errors.ts";
import type { BindMount, SandboxOptions, SpawnOptions, TmpfsMount } from "../sandbox/options.ts";
import {
  parseBitRate,
  parseCount,
  parseCpus,
  parseDuration,
  parseInteger,
  parseSize,
} from "./quantities.ts";

/** What the command line parser hands over: flag names in camel case. */
export interface RunFlags {
  rootfs?: string;
  bundle?: string;
  bind?: string[];
  tmpfs?: string[];
  write?: string;
  workdir?: string;
  env?: string[];
  user?: string;
  hostname?: string;
  tty?: boolean;
  net?: string;
  ip?: string;
  router?: string;
  ip6?: string;
  router6?: string;
  dns?: string;
  mtu?: string;
  mac?: string;
  allow?: string[];
  deny?: string[];
  publish?: string[];
  pcap?: string;
  memory?: string;
  cpus?: string;
  rate?: string;
  pids?: string;
  files?: string;
  sockets?: string;
  connections?: string;
  tmpfsSize?: string;
  timeout?: string;
  impair?: string;
  time?: string;
  seed?: string;
  strace?: boolean;
  log?: string;
}

function bindMount(text: string): BindMount {
  const match = /^([^:]+):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) {
    throw new NetcellError(
      "ERR_USAGE",
      `--bind "${text}" must be SRC:DST[:ro|rw] with an absolute DST.`,
    );
  }
  return { source: match[1], target: match[2], writable: match[3] === "rw" };
}

function tmpfsMount(text: string): TmpfsMount {
  const match = /^(\/[^:]*)(?::(.+))?$/.exec(text);
  if (match === null) {
    throw new NetcellError(
      "ERR_USAGE",
      `--tmpfs "${text}" must be DST[:SIZE] with an absolute DST.`,
    );
  }
  const mount: TmpfsMount = { target: match[1] };
  if (match[2] !== undefined) mount.sizeBytes = parseSize("--tmpfs", match[2]);
  return mount;
}

/** K=V sets, K alone takes the value from our own environment, as in docker. */
function environment(
  given: readonly string[],
  own: Record<string, string | undefined>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of given) {
    const equals = entry.indexOf("=");
    if (equals === 0 || entry === "") {
      throw new NetcellError("ERR_USAGE", `--env "${entry}" must be NAME=VALUE or NAME.`);
    }
    if (equals > 0) env[entry.slice(0, equals)] = entry.slice(equals + 1);
    else if (own[entry] !== undefined) env[entry] = own[entry];
  }
  return env;
}

/** host, virtual, or virtual=START: seconds since 1970, or a date as in ISO 8601. */
function sandboxTime(text: string): Pick<SandboxOptions, "time" | "timeStartMs"> {
  const MS_PER_S = 1000;
  if (text === "host" || text === "virtual") return { time: text };
  const start = /^virtual=(.+)$/.exec(text)?.[1] ?? "";
  const ms = /^\d+$/.test(start) ? Number(start) * MS_PER_S : Date.parse(start);
  if (!Number.isSafeInteger(ms) || ms < 0) {
    throw new NetcellError(
      "ERR_USAGE",
      `--time "${text}" must be host, virtual, or virtual=START like virtual=2030-01-01T00:00:00Z.`,
    );
  }
  return { time: "virtual", timeStartMs: ms };
}

export function sandboxOptions(flags: RunFlags): SandboxOptions {
  const options: SandboxOptions = {};
  const limits: NonNullable<SandboxOptions["limits"]> = {};
  if (flags.rootfs !== undefined) options.rootfs = flags.rootfs;
  if (flags.bind !== undefined) options.binds = flags.bind.map(bindMount);
  if (flags.tmpfs !== undefined) options.tmpfs = flags.tmpfs.map(tmpfsMount);
  if (flags.write !== undefined) options.write = flags.write as SandboxOptions["write"];
  for (const name of [
    "hostname",
    "net",
    "ip",
    "router",
    "ip6",
    "router6",
    "dns",
    "mac",
    "pcap",
    "log",
    "impair",
  ] as const) {
    const value = flags[name];
    if (value !== undefined) options[name] = value;
  }
  if (flags.mtu !== undefined) options.mtu = parseCount("--mtu", flags.mtu);
  if (flags.allow !== undefined) options.allow = flags.allow;
  if (flags.deny !== undefined) options.deny = flags.deny;
  if (flags.publish !== undefined) options.publish = flags.publish;
  if (flags.time !== undefined) Object.assign(options, sandboxTime(flags.time));
  if (flags.seed !== undefined) options.seed = parseInteger("--seed", flags.seed);
  if (flags.strace === true) options.strace = true;
  if (flags.memory !== undefined) limits.memoryBytes = parseSize("--memory", flags.memory);
  if (flags.tmpfsSize !== undefined) limits.tmpfsBytes = parseSize("--tmpfs-size", flags.tmpfsSize);
  if (flags.cpus !== undefined) limits.millicores = parseCpus("--cpus", flags.cpus);
  if (flags.rate !== undefined) limits.linkBitsPerSecond = parseBitRate("--rate", flags.rate);
  if (flags.pids !== undefined) limits.tasks = parseCount("--pids", flags.pids);
  if (flags.files !== undefined) limits.files = parseCount("--files", flags.files);
  if (flags.sockets !== undefined) limits.sockets = parseCount("--sockets", flags.sockets);
  if (flags.connections !== undefined) {
    limits.connections = parseCount("--connections", flags.connections);
  }
  options.limits = limits;
  return options;
}

export function spawnOptions(
  flags: RunFlags,
  own: Record<string, string | undefined>,
): SpawnOptions {
  const options: SpawnOptions = { stdin: "inherit", stdout: "inherit", stderr: "inherit" };
  options.env = environment(flags.env ?? [], own);
  if (flags.workdir !== undefined) options.workdir = flags.workdir;
  if (flags.user !== undefined) options.user = flags.user;
  if (flags.timeout !== undefined) options.timeoutMs = parseDuration("--timeout", flags.timeout);
  return options;
}

/** What `netcell run` runs, where, and as whom. */
export interface RunPlan {
  argv: string[];
  sandbox: SandboxOptions;
  program: SpawnOptions;
  /** Null: when standard input and output are one. */
  terminal: boolean | null;
  consoleSize: { rows: number; columns: number } | null;
  /** Null without a bundle. */
  bundle: Bundle | null;
}

function withBundle(bundle: Bundle, plan: RunPlan): RunPlan {
  const { sandbox, program } = plan;
  const env = [
    ...((bundle.program.env as string[]) ?? []),
    ...Object.entries(program.env ?? {}).map(([name, value]) => `${name}=${value}`),
  ];
  // The last of each name, as engines have it that add to what an image says.
  const byName = new Map(env.map((entry) => [entry.slice(0, entry.indexOf("=")), entry]));
  return {
    argv: plan.argv.length > 0 ? plan.argv : bundle.argv,
    sandbox: {
      ...bundle.sandbox,
      ...sandbox,
      limits: { ...bundle.sandbox.limits, ...sandbox.limits },
    },
    program: { ...bundle.program, ...program, env: [...byName.values()] },
    terminal: plan.terminal ?? bundle.terminal,
    consoleSize: bundle.consoleSize,
    bundle,
  };
}

/** Throws ERR_USAGE. */
export async function runPlan(
  argv: string[],
  flags: RunFlags,
  own: Record<string, string | undefined>,
): Promise<RunPlan> {
  const plan: RunPlan = {
    argv,
    sandbox: sandboxOptions(flags),
    program: spawnOptions(flags, own),
    terminal: flags.tty ?? null,
    consoleSize: null,
    bundle: null,
  };
  if (flags.bundle === undefined) {
    if (argv.length > 0) return plan;
    throw new NetcellError("ERR_USAGE", "there is no program to run; name one, or a --bundle.");
  }
  if (flags.rootfs !== undefined) {
    throw new NetcellError("ERR_USAGE", "--rootfs and --bundle exclude each other.");
  }
  const { readBundle } = await import("../sandbox/bundle/read-bundle.ts");
  const all = withBundle(readBundle(flags.bundle), plan);
  if (all.argv.length > 0) return all;
  throw new NetcellError(
    "ERR_USAGE",
    `${flags.bundle}/config.json: process.args: there is no program to run; name one behind the options.`,
  );
}
