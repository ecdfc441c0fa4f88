// As whom a program runs in a sandbox and what its environment holds: of ours only what it cannot do without.

import { NetcellError } from "./errors.ts";

export function parseUser(text: string): [number, number] {
  const match = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(text);
  if (match === null) {
    throw new NetcellError("ERR_USAGE", `user "${text}" must be UID or UID:GID, in numbers.`);
  }
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

export function environment(given: Record<string, string> | undefined): string[] {
  const env: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
  };
  for (const name of ["PATH", "TERM", "LANG"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return Object.entries({ ...env, ...given }).map(([name, value]) => `${name}=${value}`);
}
