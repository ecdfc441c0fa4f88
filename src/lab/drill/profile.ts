// Whose defaults and whose command line a suite of scripts was written for. A profile is a table of values:
// tunables of the stack, sizes of buffers, names of sysctls and socket options. No behaviour of TCP here.

import type { Stack } from "../../netstack/index.ts";
import type { Command } from "./ast.ts";
import type { Environment } from "./commands.ts";
import type { Setting } from "./socket-options.ts";

const MiB = 1024 * 1024;

export type TcpSettings = Stack["tcp"]["settings"];

export interface Profile {
  /** Words that `#ifdef` finds defined. */
  readonly words: ReadonlySet<string>;
  /** Tunables of the stack that differ from Linux's. */
  readonly settings: Partial<TcpSettings>;
  /** Least, default and largest buffer, as Linux counts them: payload and as much again for overhead. */
  readonly wmem: readonly number[];
  readonly rmem: readonly number[];
  readonly bufferBytesMax: number;
  /** Most bytes the link cuts into segments itself; 0: the stack makes single segments. */
  readonly gsoBytesMax: number;
  /** MTU of the link when the script runs over IPv6. */
  readonly mtuV6: number;
  /** Order and padding of TCP options are the implementation's own affair (RFC 9293 3.2). */
  readonly anyOptionOrder: boolean;
  /** Sets a tunable by the name it has there. False: it has no such name. */
  sysctl(name: string, value: string, env: Environment): boolean;
  /** A line that begins with a program only that system has. False: it does not. */
  command(line: string, env: Environment, of: Command): boolean;
  /** Socket options that Linux lacks or counts otherwise. */
  option(level: number, name: number): Setting | undefined;
}

export const LINUX: Profile = {
  words: new Set(["Linux"]),
  settings: {},
  wmem: [4096, 16_384, 4 * MiB],
  rmem: [4096, 131_072, 6 * MiB],
  bufferBytesMax: 15 * MiB,
  gsoBytesMax: 65_535,
  mtuV6: 1520,
  anyOptionOrder: false,
  sysctl: () => false,
  command: () => false,
  option: () => undefined,
};
