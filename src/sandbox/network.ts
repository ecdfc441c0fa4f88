// The network around a sandbox, from the monitor's side: the gateway with its link, a TAP device, or none;
// and the capture file. Everything opened here is closed here. Throws ERR_USAGE and ERR_HOST. In two steps, for
// the sake of start-up time: openNetwork has what the Sentry is started with, start() loads and makes the
// gateway while the Sentry starts.

import { closeSync, constants, openSync } from "node:fs";
import { isIPv4 } from "node:net";
import { EBUSY, EPERM, errnoName } from "../abi/errno.ts";
import { SeededRng } from "../base/rng.ts";
import type { Rule } from "../gateway/index.ts";
import { close, getrandom } from "../host/libc.ts";
import { openTap } from "../host/tun.ts";
import { SOCK_STREAM } from "../host/unix-socket.ts";
import { EventLoopLink } from "../link/host/index.ts";
import {
  type Conditions,
  gsoBytesOf,
  PERFECT,
  parseConditions,
  VNET_HEADER,
} from "../link/index.ts";
import { IpAddr, parseIp } from "../netstack/index.ts";
import type { NetworkConfig } from "../sentry/control/protocol.ts";
import { SecureRng } from "../sentry/loop/secure-rng.ts";
import { MonitorClock } from "./clock.ts";
import { NetcellError } from "./errors.ts";
import { gatewayIp6 } from "./gateway-ip6.ts";
import type { OutsideLink, SandboxOptions } from "./options.ts";
import { socketPair } from "./start-processes.ts";

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
const DHCP = "dhcp";
const GATEWAY_ADDRESS = "10.0.2.15/24";
const GATEWAY_ROUTER = "10.0.2.2";
/** With --impair: as a line is that one could have. */
const IMPAIRED_MTU = 1500;
/** A link of our own making carries whole 64 KiB packets. */
const GATEWAY_MTU = 65_520;
const TAP_MTU = 1500;
const ROUTER_MAC = "02:6e:63:00:00:02";
/** RFC 8200 5. */
const IPV6_MIN_MTU = 1280;
const GUEST_MAC = "02:6e:63:00:00:0f";

function checkCidr(option: string, text: string): { address: string; bits: number } {
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d{1,2})$/.exec(text);
  if (match === null || !isIPv4(match[1]) || Number(match[2]) > 32) {
    throw new NetcellError("ERR_USAGE", `${option} "${text}" must be like 10.0.2.15/24.`);
  }
  return { address: match[1], bits: Number(match[2]) };
}

/** "auto", or an address with its prefix. */
function checkIp6(options: SandboxOptions, kind: string): void {
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
function conditions(options: SandboxOptions): Conditions | null {
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

function checkAddress(option: string, text: string): string {
  if (!isIPv4(text)) {
    throw new NetcellError("ERR_USAGE", `${option} "${text}" is no IPv4 address.`);
  }
  return text;
}

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

function openPcap(options: SandboxOptions): number {
  if (options.pcap === undefined) return -1;
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
    return openSync(options.pcap, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `pcap file "${options.pcap}" cannot be written.`, error);
  }
}

/** Every option is checked before anything is opened. */
export async function openNetwork(options: SandboxOptions): Promise<SandboxNetwork> {
  const allow = await rules("allow", options.allow);
  const deny = await rules("deny", options.deny);
  const publish = (options.publish ?? []).map(published);
  const kind = options.net ?? "gateway";
  const isTap = kind.startsWith("tap");
  if (options.ip === DHCP && !isTap) {
    throw new NetcellError("ERR_USAGE", `ip ${DHCP} needs net tap; the gateway is no DHCP server.`);
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
  if (isTap) return openTapNetwork(options, kind, cidr);
  const pcapFd = openPcap(options);
  const closePcap = (): void => {
    if (pcapFd >= 0) closeSync(pcapFd);
  };
  if (kind === "none" || cidr === undefined) {
    return {
      config: { kind: "none" },
      sentryFd: -1,
      pcapFd,
      sentryHasLink: closePcap,
      start: async () => {},
      close: async () => {},
    };
  }
  try {
    return await openLink(options, { cidr, allow, deny, publish, pcapFd });
  } catch (error) {
    closePcap();
    throw error;
  }
}

function openTapNetwork(options: SandboxOptions, kind: string, cidr?: string): SandboxNetwork {
  const asksDhcp = options.ip === DHCP || (cidr === undefined && options.ip6 === undefined);
  if (asksDhcp && options.router !== undefined) {
    throw new NetcellError("ERR_USAGE", "router needs ip, for example 10.0.0.2/24.");
  }
  const name = kind === "tap" ? "" : kind.slice("tap=".length);
  const fd = openTap(name, VNET_HEADER);
  if (fd < 0) {
    const device = name === "" ? "a new TAP device" : `the TAP device ${name}`;
    const why =
      fd === -EPERM
        ? `is not allowed: run as root, or have root make one for you ("ip tuntap add dev ${name || "NAME"} mode tap user ${process.getuid?.()}")${name === "" ? " and use --net tap=NAME" : ""}`
        : fd === -EBUSY
          ? "is in use by another process"
          : `cannot be opened (${errnoName(-fd)})`;
    throw new NetcellError("ERR_HOST", `${device} ${why}.`);
  }
  let pcapFd: number;
  try {
    pcapFd = openPcap(options);
  } catch (error) {
    close(fd);
    throw error;
  }
  const config: NetworkConfig = {
    kind: "tap",
    mtu: options.mtu ?? TAP_MTU,
    mac: options.mac ?? randomMac(),
  };
  if (cidr !== undefined) config.address = cidr;
  if (asksDhcp) config.dhcp = true;
  if (options.router !== undefined) config.router = options.router;
  if (options.ip6 !== undefined) config.address6 = options.ip6;
  if (options.router6 !== undefined) config.router6 = options.router6;
  if (options.dns !== undefined) config.dns = options.dns;
  const impair = conditions(options);
  if (impair !== null) config.impair = impair;
  const release = (): void => {
    close(fd);
    if (pcapFd >= 0) closeSync(pcapFd);
  };
  let held = true;
  const once = (): void => {
    if (held) release();
    held = false;
  };
  return {
    config,
    sentryFd: fd,
    pcapFd,
    sentryHasLink: once,
    start: async () => {},
    close: async () => once(),
  };
}

/** Locally administered, one station. */
function randomMac(): string {
  const bytes = new Uint8Array(6);
  getrandom(bytes, 0, bytes.length);
  bytes[0] = (bytes[0] & 0xfc) | 2;
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(":");
}

interface GatewayPlan {
  cidr: string;
  allow: Rule[];
  deny: Rule[];
  publish: Published[];
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

async function openLink(options: SandboxOptions, plan: GatewayPlan): Promise<SandboxNetwork> {
  checkCidr("ip", plan.cidr);
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
        `port ${at}:${hostPort} cannot be published (${code}).`,
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
