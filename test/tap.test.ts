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

/** A veth pair from the sandbox's host to a third machine, without offloads: what passes is as on a cable. */
function joinByWire(near: NetworkNamespace, far: NetworkNamespace): void {
  near.exec(..."ip link add near0 type veth peer name far0 netns".split(" "), far.name);
  near.exec(..."ip addr add 10.88.0.1/24 dev near0".split(" "));
  far.exec(..."ip addr add 10.88.0.2/24 dev far0".split(" "));
  near.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  // ETHTOOL_STXCSUM 0 and with it segmentation offload: there is no ethtool on every machine.
  near.exec(
    "/usr/bin/python3",
    "-c",
    `
import fcntl, socket, struct, ctypes
value = ctypes.create_string_buffer(struct.pack("II", 0x17, 0))
request = struct.pack("16sQ8x", b"near0", ctypes.addressof(value))
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)`,
  );
  near.exec("ip", "link", "set", "near0", "up");
  far.exec("ip", "link", "set", "far0", "up");
  far.exec("ip", "route", "add", "default", "via", "10.88.0.1");
}

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
    // Large packets are cut up and summed by the kernel as they leave: seen on a wire behind the host.
    const wire = new NetworkNamespace();
    const dumps: [string, ChildProcess][] = [];
    const record = async (where: NetworkNamespace, device: string): Promise<string> => {
      const file = join(dir, `${device}.pcap`);
      const dump = where.spawn("tcpdump", "-i", device, "-U", "-s", "0", "-w", file);
      dumps.push([file, dump]);
      await new Promise((go) => dump.stderr?.once("data", go));
      return file;
    };
    try {
      joinByWire(ns, wire);
      const onDevice = await record(ns, "tap0");
      const onWire = await record(wire, "far0");
      serve(["nginx", "-c", `${dir}/nginx.conf`], "--pcap", pcap);
      await reachable(80);
      const sum = (await command(["sha256sum", `${dir}/www/big`])).stdout.split(" ")[0];
      for (const place of [ns, wire]) {
        expect(place.exec("curl", "-sS", `http://${INSIDE}/`)).toBe("hello\n");
        expect(place.exec("sh", "-c", `curl -sS http://${INSIDE}/big | sha256sum`)).toContain(sum);
      }
      for (const [, dump] of dumps) {
        dump.kill("SIGINT");
        await once(dump, "exit");
      }
      expect(readCapture(pcap).complaints).toEqual([]);
      const fromUs = (line: string): boolean => line.includes(`${INSIDE}.80 >`);
      const seen = readCapture(onWire);
      expect(seen.lines.filter(fromUs).length).toBeGreaterThan(1000);
      expect(seen.complaints.filter(fromUs)).toEqual([]);
      const whole = (line: string): boolean => Number(/length (\d+)/.exec(line)?.[1]) <= 1448;
      expect(readCapture(onDevice).complaints.filter((l) => fromUs(l) && whole(l))).toEqual([]);
      expect(ns.exec("sh", "-c", "cat /proc/net/snmp")).toMatch(/\nTcp: .* 0\n/);
    } finally {
      wire.remove();
    }
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
    // Datagrams may be lost where the machine is busy; most arrive.
    if (end.sum?.lost_percent !== undefined) expect(end.sum.lost_percent).toBeLessThan(60);
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
