// The Sentry's network: its stack, and the link that the monitor gave it (gateway's socketpair or TAP),
// recorded on the way if asked. Addresses were checked by the monitor; still they are parsed here.

import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import { type Rng, SeededRng } from "../../base/rng.ts";
import { FdLink } from "../../link/host/index.ts";
import { CaptureLink, type FrameCauses, ImpairedLink, PcapWriter } from "../../link/index.ts";
import {
  type AddressConfig,
  type AttachConfig,
  IpAddr,
  type Ipv6Config,
  type LinkEndpoint,
  type Nic,
  parseIp,
  type RouteConfig,
  Stack,
} from "../../netstack/index.ts";
import type { NetworkConfig } from "../control/protocol.ts";
import type { HostFiles, HostPoller } from "../host.ts";
import { NodeMacs } from "./node-macs.ts";

const DEFAULT_MTU = 1500;

function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

function addressOf(text: string): IpAddr {
  const addr = parseIp(text);
  if (addr === null) throw new Error(`"${text}" is no IP address`);
  return addr;
}

type Attached = Omit<AttachConfig, "addresses" | "routes"> & {
  addresses: AddressConfig[];
  routes: Omit<RouteConfig, "nicId">[];
};

function addFamily(to: Attached, cidr: string | undefined, router: string | undefined): void {
  if (cidr !== undefined && cidr !== "auto") {
    const [address, bits] = cidr.split("/");
    to.addresses.push({ addr: addressOf(address), prefixBits: Number(bits) });
  }
  if (router === undefined) return;
  const gateway = addressOf(router);
  const dst = gateway.isV4 ? new IpAddr().setV4(0) : new IpAddr();
  to.routes.push({ dst, prefixBits: 0, gateway });
}

function ipv6Of(config: NetworkConfig): Ipv6Config {
  const isAuto = config.address6 === "auto";
  return {
    mode: isAuto || config.router6 === undefined ? "auto" : "static",
    // A given address works from the program's first instruction on, as in a container.
    duplicateAddressDetection: isAuto,
  };
}

export interface NetworkOptions {
  config: NetworkConfig;
  /** -1: none. */
  linkFd: number;
  pcapFd: number;
  /** pcap: us; pcapng by the name of the file. */
  pcapFormat: "us" | "pcapng" | null;
  /** For the comments of pcapng; null: none. */
  causes: FrameCauses | null;
  clock: Clock;
  /** The same, standing still within a turn of the loop: the stack's. */
  turn: Clock;
  rng: Rng;
  limits: Limits;
  files: HostFiles;
}

export class Network {
  readonly stack: Stack;
  /** eth0. */
  readonly nic: Nic | null = null;
  readonly #link: FdLink | null = null;
  #watched = POLLIN;

  constructor(options: NetworkOptions) {
    const { config, turn, rng, limits } = options;
    turn.refresh?.();
    this.stack = new Stack({ clock: turn, rng, limits, macs: new NodeMacs() });
    if (options.linkFd < 0) return;
    const isAsked = config.dhcp === true;
    if (config.address === undefined && config.address6 === undefined && !isAsked) return;
    const link = new FdLink({
      fd: options.linkFd,
      kind: config.kind === "tap" ? "tap" : "stream",
      mtu: config.mtu ?? DEFAULT_MTU,
      mac: parseMac(config.mac ?? "02:6e:63:00:00:0f"),
    });
    this.#link = link;
    const attached: Attached = { name: "eth0", addresses: [], routes: [] };
    addFamily(attached, config.address, config.router);
    addFamily(attached, config.address6, config.router6);
    if (config.address6 !== undefined) attached.ipv6 = ipv6Of(config);
    this.nic = this.stack.attach(this.#impaired(this.#recorded(link, options), options), attached);
  }

  /** A capture shows the line itself: what was lost on the way out is not in it. */
  #impaired(link: LinkEndpoint, options: NetworkOptions): LinkEndpoint {
    const { config, clock, rng } = options;
    if (config.impair === undefined) return link;
    return new ImpairedLink(link, {
      clock,
      timers: this.stack.timers,
      // Of its own, so that what is lost does not depend on what else draws.
      rng: new SeededRng(rng.u32()),
      conditions: config.impair,
    });
  }

  #recorded(link: FdLink, options: NetworkOptions): LinkEndpoint {
    if (options.pcapFormat === null) return link;
    const { files, clock, pcapFd } = options;
    const sink = {
      write(bytes: Uint8Array, offset: number, length: number): void {
        for (let done = 0; done < length; ) {
          const n = files.write(pcapFd, bytes, offset + done, length - done);
          if (n <= 0) return;
          done += n;
        }
      },
    };
    // Frame by frame: a sandbox may end at any moment.
    const writer = new PcapWriter(sink, options.pcapFormat, true);
    return new CaptureLink(link, writer, clock, options.causes);
  }

  /** Lets the loop watch the link. */
  watch(poller: HostPoller): void {
    const link = this.#link;
    if (link === null) return;
    poller.watch(link.fd, POLLIN, (ready) => {
      if ((ready & POLLOUT) !== 0) link.writable();
      if ((ready & ~POLLOUT) !== 0) link.readable();
      if (link.isOver) poller.unwatch(link.fd);
      else this.update(poller);
    });
  }

  /** Watches for room to write exactly while something waits for it. */
  update(poller: HostPoller): void {
    const link = this.#link;
    if (link === null || link.isOver) return;
    const wanted = link.wantsWrite ? POLLIN | POLLOUT : POLLIN;
    if (wanted === this.#watched) return;
    this.#watched = wanted;
    poller.modify(link.fd, wanted);
  }
}
