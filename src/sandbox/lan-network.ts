// A sandbox as a station among others: on a TAP device of the host, or on a switch that other sandboxes are joined to
// through a unix socket (switch-server.ts). There is no policy here, and nothing of ours at the other end.

import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EAGAIN, EBUSY, ECONNREFUSED, EINTR, ENOENT, EPERM, errnoName } from "../abi/errno.ts";
import { close, getrandom } from "../host/libc.ts";
import { openTap } from "../host/tun.ts";
import { connectUnix, receiveBytes, sendBytes } from "../host/unix-socket.ts";
import { HELLO_BYTES, readHello, VNET_HEADER, writeHello } from "../link/index.ts";
import type { NetworkConfig } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import { conditions, DHCP, openPcap, type SandboxNetwork } from "./network-checks.ts";
import type { SandboxOptions } from "./options.ts";

const TAP_MTU = 1500;
/** A switch answers at once, or is none. */
const HELLO_MS = 3000;
const HELLO_POLL_MS = 5;

/** name: empty for a new device. */
export function openTapNetwork(
  options: SandboxOptions,
  name: string,
  cidr: string | undefined,
): SandboxNetwork {
  const asksDhcp = options.ip === DHCP || (cidr === undefined && options.ip6 === undefined);
  checkRouter(options, asksDhcp);
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
  try {
    return stationOn(fd, options, stationConfig("tap", options, TAP_MTU, cidr, asksDhcp));
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** path: of the switch's socket. The switch says the MTU. */
export async function openSwitchNetwork(
  options: SandboxOptions,
  path: string,
  cidr: string | undefined,
): Promise<SandboxNetwork> {
  const asksDhcp = options.ip === DHCP;
  if (!asksDhcp && cidr === undefined && options.ip6 === undefined) {
    const why = "net switch needs ip, for example 10.1.0.1/24, another one in every sandbox.";
    throw new NetcellError("ERR_USAGE", why);
  }
  checkRouter(options, asksDhcp);
  const { fd, mtu } = await joinSwitch(path, conditions(options) === null);
  try {
    if ((options.mtu ?? mtu) > mtu) {
      throw new NetcellError("ERR_USAGE", `mtu ${options.mtu} is above the switch's, ${mtu}.`);
    }
    return stationOn(fd, options, stationConfig("switch", options, mtu, cidr, asksDhcp));
  } catch (error) {
    close(fd);
    throw error;
  }
}

function checkRouter(options: SandboxOptions, asksDhcp: boolean): void {
  if (asksDhcp && options.router !== undefined) {
    throw new NetcellError("ERR_USAGE", "router needs ip, for example 10.0.0.2/24.");
  }
}

/** Says hello and hears the switch's. */
async function joinSwitch(
  path: string,
  takesSegments: boolean,
): Promise<{ fd: number; mtu: number }> {
  const fail = (why: string): NetcellError =>
    new NetcellError("ERR_HOST", `the switch at ${path} ${why}.`);
  const fd = connectUnix(path);
  if (fd === -ENOENT || fd === -ECONNREFUSED) {
    throw fail(`does not run; start it with "netcell switch ${path}"`);
  }
  if (fd < 0) throw fail(`cannot be reached (${errnoName(-fd)})`);
  const bytes = new Uint8Array(HELLO_BYTES);
  writeHello(bytes, { mtu: 0, takesSegments });
  let length = 0;
  try {
    if (sendBytes(fd, bytes, 0, bytes.length) !== bytes.length) throw fail("does not listen");
    const until = performance.now() + HELLO_MS;
    while (length < bytes.length) {
      // Never more than the hello: what comes behind it is for the Sentry.
      const n = receiveBytes(fd, bytes, length, bytes.length - length);
      if (n > 0) length += n;
      else if (n !== -EAGAIN && n !== -EINTR)
        throw fail("has closed the line: it is full, or no switch");
      else if (performance.now() > until) throw fail("does not answer");
      else await sleep(HELLO_POLL_MS);
    }
    const hello = readHello(bytes);
    if (hello === null) throw fail("speaks another language");
    return { fd, mtu: hello.mtu };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function stationConfig(
  kind: "tap" | "switch",
  options: SandboxOptions,
  mtu: number,
  cidr: string | undefined,
  asksDhcp: boolean,
): NetworkConfig {
  const config: NetworkConfig = {
    kind,
    mtu: options.mtu ?? mtu,
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
  return config;
}

/** Takes fd over, unless it throws. */
function stationOn(fd: number, options: SandboxOptions, config: NetworkConfig): SandboxNetwork {
  const pcapFd = openPcap(options);
  let held = true;
  const release = (): void => {
    if (!held) return;
    held = false;
    close(fd);
    if (pcapFd >= 0) closeSync(pcapFd);
  };
  return {
    config,
    sentryFd: fd,
    pcapFd,
    sentryHasLink: release,
    start: async () => {},
    close: async () => release(),
  };
}

/** Locally administered, one station. */
function randomMac(): string {
  const bytes = new Uint8Array(6);
  getrandom(bytes, 0, bytes.length);
  bytes[0] = (bytes[0] & 0xfc) | 2;
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(":");
}
