// Flags that several verbs have, declared once; what stood on the command line, and a refusal of what means nothing
// there: where a flag is passed over in silence, something else was done than was asked.

import type { Command } from "commander";
import { NetcellError } from "../sandbox/errors.ts";

export const collect = (value: string, previous: string[] | undefined): string[] => [
  ...(previous ?? []),
  value,
];

/** What a sandbox is like, by the flags' names: run, fuzz and replay all have them. */
export const SANDBOX_FLAGS = [
  ...(["rootfs", "bind", "tmpfs", "write", "workdir", "env", "user"] as const),
  ...(["memory", "cpus", "pids", "files"] as const),
] as const;

/** hasShort: with the letters of docker's flags; replay has -e for something else. */
export function addSandboxFlags(command: Command, { hasShort }: { hasShort: boolean }): Command {
  const flag = (letter: string, long: string): string => (hasShort ? `-${letter}, ${long}` : long);
  return command
    .optionsGroup("Program and files:")
    .option("--rootfs <dir>", "what the program sees as / (default: the host's programs)")
    .option(
      "--bind <src:dst[:ro|rw]>",
      "show a file or directory of the host (default: ro)",
      collect,
    )
    .option("--tmpfs <dst[:size]>", "mount an empty in-memory directory", collect)
    .option("--write <mode>", "overlay (kept in memory, default), readonly, or through")
    .option(flag("w", "--workdir <dir>"), "where it starts (default: here, where that is seen)")
    .option(flag("e", "--env <k=v>"), "environment: NAME=VALUE, or NAME as it is here", collect)
    .option(flag("u", "--user <uid[:gid]>"), "user and group, in numbers (default: 0:0)")
    .optionsGroup("Limits:")
    .option(flag("m", "--memory <size>"), "at most so much (default: 4g)")
    .option("--cpus <n>", "CPU time, as that of so many CPUs: 1.5 (default: all)")
    .option("--pids <n>", "tasks: processes and their threads (default: 4096)")
    .option("--files <n>", "open files (default: 65536)");
}

/** Those of them that were given. */
export function sandboxFlagsOf<F extends Partial<Record<(typeof SANDBOX_FLAGS)[number], unknown>>>(
  flags: F,
): Pick<F, (typeof SANDBOX_FLAGS)[number]> {
  const picked: Partial<F> = {};
  for (const name of SANDBOX_FLAGS) if (flags[name] !== undefined) picked[name] = flags[name];
  return picked as Pick<F, (typeof SANDBOX_FLAGS)[number]>;
}

/** The names of the flags that stand on the command line: not of those that have their default. */
export function givenFlags(command: Command): ReadonlySet<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((name) => command.getOptionValueSource(name) === "cli"));
}

/** why: the rest of a sentence that begins with the flag. */
export function refuseFlags(
  given: ReadonlySet<string>,
  names: readonly string[],
  why: string,
): void {
  const odd = names.find((name) => given.has(name));
  if (odd !== undefined) throw new NetcellError("ERR_USAGE", `--${odd} ${why}.`);
}

/** What stands on a command line: operands in front of the --, a program behind it, and which flags. */
export interface Words {
  before: readonly string[];
  program: readonly string[];
  given: ReadonlySet<string>;
}

/** The parser drops the --, or leaves it among the operands. */
export function partOperands(
  operands: readonly string[],
  argv: readonly string[],
): Pick<Words, "before" | "program"> {
  const at = argv.indexOf("--");
  const program = at < 0 ? [] : argv.slice(at + 1);
  const before = operands.slice(0, operands.length - program.length);
  if (at >= 0 && before.at(-1) === "--") before.pop();
  return { before, program };
}
