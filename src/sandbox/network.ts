// The network around a sandbox, from the monitor's side: the gateway with its link, a TAP device, or none;
// and the capture file. Everything opened here is closed here.

import { closeSync, constants, openSync } from "node:fs";
import type { NetworkConfig } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { SandboxOptions } from "./options.ts";

export interface SandboxNetwork {
  config: NetworkConfig;
  /** The Sentry's end of the link, -1 for none. */
  readonly sentryFd: number;
  /** Where the Sentry writes captured frames, -1 for nowhere. */
  readonly pcapFd: number;
  /** The Sentry was started with them: our copies can go. */
  sentryHasLink(): void;
  close(): Promise<void>;
}

function openPcap(options: SandboxOptions): number {
  if (options.pcap === undefined) return -1;
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
    return openSync(options.pcap, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `pcap file "${options.pcap}" cannot be written.`, error);
  }
}

export async function openNetwork(options: SandboxOptions): Promise<SandboxNetwork> {
  const pcapFd = openPcap(options);
  return {
    config: { kind: "none" },
    sentryFd: -1,
    pcapFd,
    sentryHasLink: () => {
      if (pcapFd >= 0) closeSync(pcapFd);
    },
    close: async () => {},
  };
}
