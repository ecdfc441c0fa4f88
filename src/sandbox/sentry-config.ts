// What the Sentry is told at its start, made of the options of a sandbox; and where its log goes.

import { constants, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { MS } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import type { SentryConfig } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { FilesPlan } from "./files.ts";
import type { SandboxNetwork } from "./network.ts";
import type { SandboxOptions } from "./options.ts";

export const STDERR = 2;

/** A round number of seconds, in 2023: when virtual time starts unless told otherwise. */
const VIRTUAL_START_MS = 1_700_000_000_000;

export function sentryConfig(
  options: SandboxOptions,
  files: FilesPlan,
  network: SandboxNetwork,
  hasLog: boolean,
): SentryConfig {
  const config: SentryConfig = {
    hostname: options.hostname ?? "netcell",
    root: files.root,
    network: network.config,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    hasLink: network.sentryFd >= 0,
    pcapFormat: network.pcapFd < 0 ? null : options.pcap?.endsWith(".pcapng") ? "pcapng" : "us",
    hasLog,
    strace: options.strace === true,
    cpus: availableParallelism(),
  };
  if (options.domainname !== undefined) config.domainname = options.domainname;
  if (options.sysctl !== undefined) config.sysctl = options.sysctl;
  if (options.seed !== undefined) config.seed = options.seed;
  if (options.time === "virtual")
    config.virtualStartNs = (options.timeStartMs ?? VIRTUAL_START_MS) * MS;
  return config;
}

export function openLog(options: SandboxOptions): number {
  if (options.log === undefined) return options.strace === true ? STDERR : -1;
  try {
    const { O_WRONLY, O_CREAT, O_APPEND } = constants;
    return openSync(options.log, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `log "${options.log}" cannot be written.`, error);
  }
}
