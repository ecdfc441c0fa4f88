// Sandboxes on a TAP device in a network namespace of the test's own, with the host's kernel as the peer.
// Every sandbox records its link, and the end of each test reads the recordings. Needs root and iproute2.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Recordings } from "./capture.ts";
import { CLI, command, type Outcome } from "./cell.ts";
import { NetworkNamespace } from "./netns.ts";
import { until } from "./processes.ts";

/**
 * Switches off checksum and with it segmentation offload of a device (ETHTOOL_STXCSUM 0; not every machine
 * has ethtool): what passes it is as on a cable.
 */
export function withoutOffloads(ns: NetworkNamespace, device: string): void {
  ns.exec(
    "/usr/bin/python3",
    "-c",
    `
import fcntl, socket, struct, ctypes
value = ctypes.create_string_buffer(struct.pack("II", 0x17, 0))
request = struct.pack("16sQ8x", b"${device}", ctypes.addressof(value))
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)`,
  );
}

export class TapBench {
  /** The sandboxes' working directory. */
  readonly directory = mkdtempSync(join(tmpdir(), "netcell-tap-"));
  readonly ns = new NetworkNamespace();
  readonly recordings = new Recordings();
  readonly #device: string;
  #children: ChildProcess[] = [];
  /** A child's death is not yet its sandbox's: the device is free when the pipe to it has closed. */
  #ended: Promise<unknown>[] = [];

  /** The device is made inside the namespace; netcell runs there too and attaches it by name. */
  constructor(device: string, addresses: readonly string[]) {
    this.#device = device;
    this.exec(`ip tuntap add dev ${device} mode tap vnet_hdr`);
    for (const address of addresses) this.exec(`ip addr add ${address} dev ${device}`);
    this.exec(`ip link set ${device} up`);
  }

  /** A command line outside the sandbox, in the namespace, to its end. */
  exec(line: string): string {
    return this.ns.exec(...line.split(" "));
  }

  #argv(flags: readonly string[], argv: readonly string[]): string[] {
    const record = flags.includes("--pcap") ? [] : this.recordings.flags();
    const net = ["--net", `tap=${this.#device}`];
    return this.ns.wrap(process.execPath, CLI, "run", ...net, ...flags, ...record, "--", ...argv);
  }

  inside(flags: readonly string[], argv: readonly string[]): Promise<Outcome> {
    return command(this.#argv(flags, argv), { cwd: this.directory, limitMs: 80_000 });
  }

  /** A server in the sandbox, up until the test ends. */
  serve(flags: readonly string[], argv: readonly string[]): ChildProcess {
    const [program, ...args] = this.#argv(flags, argv);
    const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
    const child = spawn(program, args, { cwd: this.directory, stdio });
    this.#children.push(child);
    this.#ended.push(once(child, "exit"));
    return child;
  }

  /** An iperf3 server inside. It is waited for by its own words: a probe of its port would be a client to it. */
  async serveIperf(flags: readonly string[]): Promise<void> {
    const server = this.serve(flags, ["iperf3", "-s", "--forceflush"]);
    let said = "";
    await new Promise<void>((go, fail) => {
      server.stdout?.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("Server listening")) go();
      });
      server.once("exit", () => fail(new Error(`iperf3 -s ended: ${said}`)));
    });
  }

  /** Until a TCP port of the sandbox takes connections. */
  reachable(address: string, port: number): Promise<unknown> {
    const probe = `import socket; socket.create_connection(("${address}", ${port}), 1)`;
    return until(() => {
      try {
        this.ns.exec("/usr/bin/python3", "-c", probe);
        return true;
      } catch {
        return false;
      }
    });
  }

  /** After each test. */
  async finish(): Promise<void> {
    for (const child of this.#children.splice(0)) child.kill("SIGTERM");
    await Promise.all(this.#ended.splice(0));
    this.recordings.check();
  }

  /** After the last. */
  remove(): void {
    this.ns.remove();
    this.recordings.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
