// The network around a sandbox, from the monitor's side: the gateway with its link, a TAP device, a switch that others
// are joined to, or none; and the capture file. Everything opened here is closed here. Throws ERR_USAGE and
// ERR_HOST. In two steps, for the sake of start-up time: openNetwork has what the Sentry is started with, start()
// loads and makes the gateway while the Sentry starts.

import { closeSync } from "node:fs";
import { NetcellError } from "./errors.ts";
import { checkRules, GATEWAY_ADDRESS, openGatewayNetwork } from "./gateway-network.ts";
import { openSwitchNetwork, openTapNetwork } from "./lan-network.ts";
import {
  checkAddress,
  checkCidr,
  checkIp6,
  conditions,
  DHCP,
  openPcap,
  type SandboxNetwork,
} from "./network-checks.ts";
import type { SandboxOptions } from "./options.ts";

export type { SandboxNetwork } from "./network-checks.ts";

/** Every option is checked before anything is opened. */
export async function openNetwork(options: SandboxOptions): Promise<SandboxNetwork> {
  const rules = await checkRules(options);
  const net = options.net ?? "gateway";
  const kind = net.split("=", 1)[0];
  const isLan = kind === "tap" || kind === "switch";
  if (options.ip === DHCP && !isLan) {
    const why = "ip dhcp needs net tap or switch; the gateway is no DHCP server.";
    throw new NetcellError("ERR_USAGE", why);
  }
  const given = options.ip === DHCP ? undefined : options.ip;
  const cidr = given ?? (kind === "gateway" ? GATEWAY_ADDRESS : undefined);
  if (cidr !== undefined) checkCidr("ip", cidr);
  if (options.router !== undefined) checkAddress("router", options.router);
  if (options.dns !== undefined) checkAddress("dns", options.dns);
  checkIp6(options, kind);
  if (conditions(options) !== null && kind === "none") {
    const what = options.impair === undefined ? "a rate" : "impair";
    throw new NetcellError("ERR_USAGE", `${what} needs a network.`);
  }
  // What nobody would enforce must not be asked for.
  const idle = (["allow", "deny", "publish"] as const).find((name) => options[name]?.length);
  if (isLan && idle !== undefined) {
    throw new NetcellError("ERR_USAGE", `${idle} is for the gateway; net ${kind} has none.`);
  }
  if (kind === "tap") return openTapNetwork(options, net.slice("tap=".length), cidr);
  if (kind === "switch") return openSwitchNetwork(options, net.slice("switch=".length), cidr);
  if (kind === "gateway" && cidr !== undefined) return openGatewayNetwork(options, rules, cidr);
  return noNetwork(options);
}

function noNetwork(options: SandboxOptions): SandboxNetwork {
  const pcapFd = openPcap(options);
  return {
    config: { kind: "none" },
    sentryFd: -1,
    pcapFd,
    sentryHasLink: () => {
      if (pcapFd >= 0) closeSync(pcapFd);
    },
    start: async () => {},
    close: async () => {},
  };
}
