// A sandbox on a TAP device, with the host's kernel as the peer, in a network namespace of the test's own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { CLI, command, type Outcome } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import { NetworkNamespace } from "./support/netns.ts";
import { until } from "./support/processes.ts";

const INSIDE = "10.77.0.2";
const OUTSIDE = "10.77.0.1";

describeWith(["root", "ip", "nginx", "iperf3", "tcpdump", "curl", "python3", "ping"], "TAP", () => {
  let ns: NetworkNamespace;
  let dir = "";
  const children: ChildProcess[] = [];
  /** A child's death is not yet its sandbox's: the device is free when the pipe to it has closed. */
  const ended: Promise<unknown>[] = [];

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "netcell-tap-"));
    ns = new NetworkNamespace();
    // The device is made inside the namespace, and netcell runs there too and attaches it by name.
    ns.exec("ip", "tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr");
    ns.exec("ip", "addr", "add", `${OUTSIDE}/24`, "dev", "tap0");
    ns.exec("ip", "link", "set", "tap0", "up");
    ns.exec("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGTERM");
    await Promise.all(ended.splice(0));
  });
  afterAll(() => {
    ns?.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  const tapFlags = (...more: string[]): string[] => [
    "run",
    "--net",
    "tap=tap0",
    "--ip",
    `${INSIDE}/24`,
    "--router",
    OUTSIDE,
    ...more,
    "--",
  ];
  const inside = (argv: string[], ...flags: string[]): Promise<Outcome> =>
    command(ns.wrap(process.execPath, CLI, ...tapFlags(...flags), ...argv), {
      cwd: dir,
      limitMs: 80_000,
    });

  /** A server in the sandbox, up until the test ends. */
  function serve(argv: string[], ...flags: string[]): ChildProcess {
    const [program, ...args] = ns.wrap(process.execPath, CLI, ...tapFlags(...flags), ...argv);
    const child = spawn(program, args, { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    ended.push(once(child, "exit"));
    return child;
  }

  async function reachable(port: number): Promise<void> {
    await until(() => {
      try {
        ns.exec(
          "/usr/bin/python3",
          "-c",
          `import socket; socket.create_connection(("${INSIDE}", ${port}), 1)`,
        );
        return true;
      } catch {
        return false;
      }
    });
  }

  it("is pinged from outside, and pings outside", async () => {
    const r = await inside([
      "/usr/bin/python3",
      "-c",
      `
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(5)
for n in (8, 1400, 4000):
    s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, n) + b"p" * n, ("${OUTSIDE}", 0)); print(len(s.recv(65536)))`,
    ]);
    expect(r.stdout).toBe("16\n1408\n4008\n");
    const server = serve(["sh", "-c", "echo up; sleep 60"]);
    await new Promise((go) => server.stdout?.once("data", go));
    expect(ns.exec("ping", "-c", "3", "-i", "0.2", "-W", "5", INSIDE)).toContain(" 0% packet loss");
    expect(ns.exec("ping", "-c", "2", "-i", "0.2", "-s", "8000", "-W", "5", INSIDE)).toContain(
      " 0% packet loss",
    );
  });

  it("serves nginx to curl, with a clean capture on both sides", async () => {
    // The sandbox has the host's programs, not its /var/lib.
    const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((what) => `${what}_temp_path /tmp/nginx-${what};`)
      .join(" ");
    writeFileSync(
      join(dir, "nginx.conf"),
      `daemon off; worker_processes 1; error_log stderr; pid /tmp/nginx.pid; user root;
events { worker_connections 256; }
http { access_log off; ${scratch} server { listen 80; root ${dir}/www; } }`,
    );
    await command([
      "sh",
      "-c",
      `mkdir -p ${dir}/www && head -c 3000000 /dev/urandom > ${dir}/www/big && echo hello > ${dir}/www/index.html`,
    ]);
    const pcap = join(dir, "inside.pcap");
    const outside = join(dir, "outside.pcap");
    const dump = ns.spawn("tcpdump", "-i", "tap0", "-U", "-s", "0", "-w", outside);
    await new Promise((go) => dump.stderr?.once("data", go));
    serve(["nginx", "-c", `${dir}/nginx.conf`], "--pcap", pcap);
    await reachable(80);
    expect(ns.exec("curl", "-sS", `http://${INSIDE}/`)).toBe("hello\n");
    const sum = (await command(["sha256sum", `${dir}/www/big`])).stdout.split(" ")[0];
    expect(ns.exec("sh", "-c", `curl -sS http://${INSIDE}/big | sha256sum`)).toContain(sum);
    dump.kill("SIGINT");
    await new Promise((go) => dump.once("exit", go));
    expect(readCapture(pcap).complaints).toEqual([]);
    // The host leaves its own checksums to the device (partial): only what came from us is judged.
    const fromUs = readCapture(outside).complaints.filter((line) =>
      line.includes(`${INSIDE}.80 >`),
    );
    expect(fromUs).toEqual([]);
  });

  it.each([
    ["into the sandbox", []],
    ["out of the sandbox", ["-R"]],
    ["in four streams", ["-P", "4"]],
    ["both ways at once", ["--bidir"]],
    ["with datagrams", ["-u", "-b", "100M", "-l", "1400"]],
    ["with datagrams outwards", ["-u", "-b", "100M", "-l", "1400", "-R"]],
  ])("runs iperf3 %s with the server inside", async (_, more) => {
    serve(["iperf3", "-s"]);
    await reachable(5201);
    const result = JSON.parse(ns.exec("iperf3", "-c", INSIDE, "-t", "2", "-J", ...more));
    const { end } = result;
    expect((end.sum_received ?? end.sum).bytes).toBeGreaterThan(10_000_000);
    if (end.sum_bidir_reverse !== undefined) {
      expect(end.sum_received_bidir_reverse.bytes).toBeGreaterThan(10_000_000);
    }
    if (end.sum?.lost_percent !== undefined) expect(end.sum.lost_percent).toBeLessThan(20);
  });

  it.each([
    ["out of the sandbox", []],
    ["into the sandbox", ["-R"]],
  ])("runs iperf3 %s with the client inside", async (_, more) => {
    ns.spawn("iperf3", "-s", "-1", "-B", OUTSIDE);
    await until(() => ns.exec("ss", "-ltn").includes(":5201"));
    const r = await inside(["iperf3", "-c", OUTSIDE, "-t", "2", "-J", ...more]);
    expect(r.stderr).toBe("");
    expect(JSON.parse(r.stdout).end.sum_received.bytes).toBeGreaterThan(10_000_000);
  });

  it("says nothing but ARP in 60 quiet seconds", async () => {
    const quiet = join(dir, "quiet.pcap");
    const r = await inside(["sleep", "60"], "--pcap", quiet);
    expect(r.status).toBe(0);
    const { lines } = readCapture(quiet);
    const sent = lines.filter((line) => !/^(ARP|\s)/.test(line) && line.includes(`${INSIDE}`));
    expect(sent).toEqual([]);
  }, 90_000);
});
