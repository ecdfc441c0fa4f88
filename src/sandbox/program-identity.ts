// As whom a program runs in a sandbox, with which limits, and what its environment holds: of ours only what it cannot
// do without. Made into what the Sentry is told.

import type { SpawnRequest } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { SpawnOptions } from "./options.ts";

/** The one above means "none" (setresuid(2)). */
const ID_MAX = 0xffff_fffe;

function parseUser(text: string): [number, number] {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  const ids: [number, number] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || ids.some((id) => id > ID_MAX)) {
    throw new NetcellError("ERR_USAGE", `user "${text}" must be UID or UID:GID, in numbers.`);
  }
  return ids;
}

function environment(given: Record<string, string> | string[] | undefined): string[] {
  if (Array.isArray(given)) return given;
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

const finite = (limit: number): number | null => (Number.isFinite(limit) ? limit : null);

/** Throws ERR_USAGE. */
export function spawnRequest(
  id: number,
  argv: readonly string[],
  options: SpawnOptions,
  defaultWorkdir: string,
): SpawnRequest {
  const [uid, gid] = parseUser(options.user ?? "0:0");
  const request: SpawnRequest = {
    type: "spawn",
    id,
    argv: [...argv],
    env: environment(options.env),
    workdir: options.workdir ?? defaultWorkdir,
    uid,
    gid,
  };
  const { groups, umask, noNewPrivileges, oomScoreAdj, rlimits, capabilities, tty } = options;
  if (groups !== undefined) request.groups = groups;
  if (umask !== undefined) request.umask = umask;
  if (noNewPrivileges !== undefined) request.noNewPrivileges = noNewPrivileges;
  if (oomScoreAdj !== undefined) request.oomScoreAdj = oomScoreAdj;
  if (capabilities !== undefined) request.capabilities = capabilities;
  if (tty !== undefined) request.tty = tty;
  if (rlimits !== undefined) {
    request.rlimits = rlimits.map(({ resource, soft, hard }) => [
      resource,
      finite(soft),
      finite(hard),
    ]);
  }
  return request;
}
