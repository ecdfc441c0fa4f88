// A sandbox behind the gateway: a link to this process, at whose other end stands the gateway, or whoever the caller
// of the library put there. Rules and published ports are checked here. Throws ERR_USAGE and ERR_HOST.

import { closeSync } from "node:fs";
import { isIPv4 } from "node:net";
import { SeededRng } from "../base/rng.ts";
import type { Rule } from "../gateway/index.ts";
import { close } from "../host/libc.ts";
import { SOCK_STREAM } from "../host/unix-socket.ts";
import { EventLoopLink } from "../link/host/index.ts";
import { gsoBytesOf } from "../link/index.ts";
import { IpAddr } from "../netstack/index.ts";
import type { NetworkConfig } from "../sentry/control/protocol.ts";
import { SecureRng } from "../sentry/loop/secure-rng.ts";
import { MonitorClock } from "./clock.ts";
import { NetcellError } from "./errors.ts";
import { gatewayIp6 } from "./gateway-ip6.ts";
import { checkCidr, conditions, openPcap, type SandboxNetwork } from "./network-checks.ts";
import type { OutsideLink, SandboxOptions } from "./options.ts";
import { socketPair } from "./start-processes.ts";

export const GATEWAY_ADDRESS = "10.0.2.15/24";
const GATEWAY_ROUTER = "10.0.2.2";
/** With --impair: as a line is that one could have. */
const IMPAIRED_MTU = 1500;
/** A link of our own making carries whole 64 KiB packets. */
const GATEWAY_MTU = 65_520;
const ROUTER_MAC = "02:6e:63:00:00:02";
const GUEST_MAC = "02:6e:63:00:00:0f";

async function rules(option: string, texts: readonly string[] | undefined): Promise<Rule[]> {
  if (texts === undefined || texts.length === 0) return [];
  const { parseRule, RuleError } = await import("../gateway/index.ts");
  return texts.map((text) => {
    try {
      return parseRule(text);
    } catch (error) {
      if (error instanceof RuleError)
        throw new NetcellError("ERR_USAGE", `${option}: ${error.message}`);
      throw error;
    }
  });
}

interface Published {
  protocol: "tcp" | "udp";
  address: string;
  hostPort: number;
  port: number;
}

function published(text: string): Published {
  const match = /^(?:(\d+\.\d+\.\d+\.\d+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text);
  const address = match?.[1] ?? "127.0.0.1";
  const hostPort = Number(match?.[2]);
  const port = Number(match?.[3]);
  if (match === null || !isIPv4(address) || hostPort > 65_535 || port < 1 || port > 65_535) {
    throw new NetcellError("ERR_USAGE", `publish "${text}" must be [ADDR:]HOSTPORT:PORT[/udp].`);
  }
  const protocol = match[4] === "udp" ? "udp" : "tcp";
  return { protocol, address, hostPort, port };
}

const toAddr = (text: string): IpAddr => {
  const [a, b, c, d] = text.split(".").map(Number);
  return IpAddr.v4(a, b, c, d);
};
const macBytes = (text: string): Uint8Array =>
  Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));

export interface GatewayRules {
  allow: Rule[];
  deny: Rule[];
  publish: Published[];
}

export async function checkRules(options: SandboxOptions): Promise<GatewayRules> {
  return {
    allow: await rules("allow", options.allow),
    deny: await rules("deny", options.deny),
    publish: (options.publish ?? []).map(published),
  };
}

interface GatewayPlan extends GatewayRules {
  cidr: string;
  pcapFd: number;
}

async function routerFor(cidr: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  if (cidr === GATEWAY_ADDRESS) return GATEWAY_ROUTER;
  const { IPv4CidrRange } = await import("ip-num");
  // As the default network has it: the second address of the guest's own.
  const range = IPv4CidrRange.fromCidr(cidr);
  const own = toAddr(cidr.split("/")[0]).v4 >>> 0;
  const SECOND = 2n;
  const candidate = Number(range.getFirst().getValue() + SECOND);
  const word = candidate === own ? candidate - 1 : candidate;
  return new IpAddr().setV4(word).toString();
}

/** The options were checked. */
export async function openGatewayNetwork(
  options: SandboxOptions,
  rules: GatewayRules,
  cidr: string,
): Promise<SandboxNetwork> {
  const pcapFd = openPcap(options);
  try {
    return await openLink(options, { ...rules, cidr, pcapFd });
  } catch (error) {
    if (pcapFd >= 0) closeSync(pcapFd);
    throw error;
  }
}

async function openLink(options: SandboxOptions, plan: GatewayPlan): Promise<SandboxNetwork> {
  const router = await routerFor(plan.cidr, options.router);
  const impair = conditions(options);
  const mtu = options.mtu ?? (impair === null ? GATEWAY_MTU : IMPAIRED_MTU);
  const mac = options.mac ?? GUEST_MAC;
  const inside6 = gatewayIp6(options);
  const config: NetworkConfig = {
    kind: "gateway",
    address: plan.cidr,
    router,
    dns: options.dns ?? router,
    mtu,
    mac,
  };
  if (impair !== null) config.impair = impair;
  if (inside6 !== null) {
    config.address6 = inside6.cidr;
    config.router6 = inside6.router6.addr.toString();
  }
  const [ours, theirs] = socketPair(SOCK_STREAM);
  let held = true;
  let gateway: Promise<() => void> | null = null;
  return {
    config,
    sentryFd: theirs,
    pcapFd: plan.pcapFd,
    sentryHasLink: () => {
      held = false;
      close(theirs);
      if (plan.pcapFd >= 0) closeSync(plan.pcapFd);
    },
    start: async () => {
      const { outside } = options;
      gateway =
        outside === undefined
          ? startGateway(options, plan, router, mtu, ours)
          : Promise.resolve(startOutside(outside, mtu, ours));
      await gateway;
    },
    close: async () => {
      if (held) close(theirs);
      const closeOurs = (): void => void close(ours);
      const stop = gateway === null ? closeOurs : await gateway.catch(() => closeOurs);
      stop();
    },
  };
}

/** The caller on our end of the link; returns its undoing. */
function startOutside(
  outside: NonNullable<SandboxOptions["outside"]>,
  mtu: number,
  linkFd: number,
): () => void {
  const link = new EventLoopLink({
    fd: linkFd,
    mtu,
    mac: macBytes(ROUTER_MAC),
    onDelivered: () => held.onDelivered(),
    onClosed: () => {},
  });
  const held: OutsideLink = { link, onDelivered: () => {} };
  outside(held);
  return () => link.close();
}

function whyNotPublished(code: string | undefined, port: number): string {
  if (code === "EADDRINUSE") return "somebody else listens there";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address";
  if (code === "EACCES") return `port ${port} is root's; take one from 1024 on`;
  return String(code);
}

/** The gateway on our end of the link, which it takes over unless it fails; returns its undoing. */
async function startGateway(
  options: SandboxOptions,
  plan: GatewayPlan,
  router: string,
  mtu: number,
  linkFd: number,
): Promise<() => void> {
  const { address, bits } = checkCidr("ip", plan.cidr);
  const { Gateway } = await import("../gateway/index.ts");
  const impair = conditions(options);
  const inside6 = gatewayIp6(options);
  const gateway = new Gateway({
    clock: new MonitorClock(),
    rng: options.seed === undefined ? new SecureRng() : new SeededRng(~options.seed),
    allow: plan.allow,
    deny: plan.deny,
    router: toAddr(router),
    prefixBits: bits,
    guest: toAddr(address),
    ...(inside6 === null ? {} : { router6: inside6.router6 }),
    onRefused: (refusal) => options.onRefused?.(refusal),
  });
  for (const { protocol, address: at, hostPort, port } of plan.publish) {
    try {
      await gateway.publish(protocol, at, hostPort, port);
    } catch (error) {
      gateway.close();
      const code = (error as NodeJS.ErrnoException).code;
      throw new NetcellError(
        "ERR_HOST",
        `port ${at}:${hostPort} cannot be published: ${whyNotPublished(code, hostPort)}.`,
        error,
      );
    }
  }
  const link = new EventLoopLink({
    fd: linkFd,
    mtu,
    mac: macBytes(ROUTER_MAC),
    ...(impair === null ? {} : { gsoBytesMax: gsoBytesOf(impair) }),
    onDelivered: () => gateway.run(),
    onClosed: () => gateway.close(),
  });
  gateway.attach(link);
  return () => {
    gateway.close();
    link.close();
  };
}
