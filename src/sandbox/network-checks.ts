// What is common to all networks of a sandbox: their shape, and the checks of options that more than one has. Throws
// ERR_USAGE and ERR_HOST.

import { constants, openSync } from "node:fs";
import { isIPv4 } from "node:net";
import { type Conditions, PERFECT, parseConditions } from "../link/index.ts";
import { parseIp } from "../netstack/index.ts";
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
  /** Sets the other side going. ERR_HOST when a port cannot be published. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Instead of an address. */
export const DHCP = "dhcp";
/** RFC 8200 5. */
const IPV6_MIN_MTU = 1280;

export function checkCidr(option: string, text: string): { address: string; bits: number } {
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d{1,2})$/.exec(text);
  if (match === null || !isIPv4(match[1]) || Number(match[2]) > 32) {
    throw new NetcellError("ERR_USAGE", `${option} "${text}" must be like 10.0.2.15/24.`);
  }
  return { address: match[1], bits: Number(match[2]) };
}

/** "auto", or an address with its prefix. */
export function checkIp6(options: SandboxOptions, kind: string): void {
  const { ip6, router6 } = options;
  if (ip6 === undefined && router6 === undefined) return;
  if (kind === "none") throw new NetcellError("ERR_USAGE", "ip6 and router6 need a network.");
  if (ip6 === undefined) throw new NetcellError("ERR_USAGE", "router6 needs ip6.");
  if (options.mtu !== undefined && options.mtu < IPV6_MIN_MTU) {
    throw new NetcellError("ERR_USAGE", `ip6 needs an mtu of ${IPV6_MIN_MTU} or more.`);
  }
  const [address, bits, more] = ip6.split("/");
  const fits = /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= 128 && more === undefined;
  if (ip6 !== "auto" && !(isIpv6(address) && fits)) {
    throw new NetcellError("ERR_USAGE", `ip6 "${ip6}" must be auto, or like fd00::15/64.`);
  }
  if (router6 !== undefined && !isIpv6(router6)) {
    throw new NetcellError("ERR_USAGE", `router6 "${router6}" is no IPv6 address.`);
  }
}

/** A unicast one, and not IPv4 in disguise. */
function isIpv6(text: string): boolean {
  const addr = parseIp(text);
  return addr !== null && !addr.isV4 && !addr.isMulticast && !addr.isUnspecified;
}

/** How bad the link is: as asked for, and no faster than the limit. Null: as good as it can be. */
export function conditions(options: SandboxOptions): Conditions | null {
  const limit = options.limits?.linkBitsPerSecond ?? 0;
  if (options.impair === undefined) {
    return limit === 0 ? null : { ...PERFECT, rateBitsPerSecond: limit, discipline: "codel" };
  }
  const parsed = parseConditions(options.impair);
  if (typeof parsed === "string") throw new NetcellError("ERR_USAGE", `impair: ${parsed}.`);
  const { rateBitsPerSecond: rate } = parsed;
  if (limit > 0 && (rate === 0 || rate > limit)) parsed.rateBitsPerSecond = limit;
  return parsed;
}

export function checkAddress(option: string, text: string): string {
  if (!isIPv4(text)) {
    throw new NetcellError("ERR_USAGE", `${option} "${text}" is no IPv4 address.`);
  }
  return text;
}

export function openPcap(options: SandboxOptions): number {
  if (options.pcap === undefined) return -1;
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
    return openSync(options.pcap, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `pcap file "${options.pcap}" cannot be written.`, error);
  }
}
