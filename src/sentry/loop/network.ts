// The Sentry's network: its stack, and the link that the monitor gave it (gateway's socketpair or TAP),
// recorded on the way if asked. Addresses were checked by the monitor; still they are parsed here.

import { POLLIN, POLLOUT } from "../../abi/poll.ts";
import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import { FdLink } from "../../link/host/index.ts";
import { CaptureLink, PcapWriter } from "../../link/index.ts";
import { IpAddr, type LinkEndpoint, Stack } from "../../netstack/index.ts";
import { type NetworkConfig, SENTRY_FD } from "../control/protocol.ts";
import type { HostFiles, HostPoller } from "../host.ts";

const DEFAULT_MTU = 1500;

export function parseIpv4(text: string): IpAddr {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((p) => !(p >= 0 && p <= 255))) {
    throw new Error(`"${text}" is no IPv4 address`);
  }
  return IpAddr.v4(parts[0], parts[1], parts[2], parts[3]);
}

function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

export interface NetworkOptions {
  config: NetworkConfig;
  /** pcap: us; pcapng by the name of the file. */
  pcapFormat: "us" | "pcapng" | null;
  clock: Clock;
  rng: Rng;
  limits: Limits;
  files: HostFiles;
}

export class Network {
  readonly stack: Stack;
  readonly #link: FdLink | null = null;
  #watched = POLLIN;

  constructor(options: NetworkOptions) {
    const { config, clock, rng, limits } = options;
    this.stack = new Stack({ clock, rng, limits });
    if (config.kind === "none" || config.address === undefined) return;
    const link = new FdLink({
      fd: SENTRY_FD.link,
      kind: config.kind === "tap" ? "tap" : "stream",
      mtu: config.mtu ?? DEFAULT_MTU,
      mac: parseMac(config.mac ?? "02:6e:63:00:00:0f"),
    });
    this.#link = link;
    const [address, bits] = config.address.split("/");
    const anywhere = new IpAddr().setV4(0);
    this.stack.attach(this.#recorded(link, options), {
      name: "eth0",
      addresses: [{ addr: parseIpv4(address), prefixBits: Number(bits) }],
      routes:
        config.router === undefined
          ? []
          : [{ dst: anywhere, prefixBits: 0, gateway: parseIpv4(config.router) }],
    });
  }

  #recorded(link: FdLink, options: NetworkOptions): LinkEndpoint {
    if (options.pcapFormat === null) return link;
    const { files, clock } = options;
    const sink = {
      write(bytes: Uint8Array, offset: number, length: number): void {
        for (let done = 0; done < length; ) {
          const n = files.write(SENTRY_FD.pcap, bytes, offset + done, length - done);
          if (n <= 0) return;
          done += n;
        }
      },
    };
    // Frame by frame: a sandbox may end at any moment.
    return new CaptureLink(link, new PcapWriter(sink, options.pcapFormat, true), clock);
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
