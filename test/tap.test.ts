// A sandbox on a TAP device, with the host's kernel as the peer, in a network namespace of the test's own.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { command, type Outcome } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import { NetworkNamespace } from "./support/netns.ts";
import { until } from "./support/processes.ts";
import { TapBench, withoutOffloads } from "./support/tap.ts";

const INSIDE = "10.77.0.2";
const OUTSIDE = "10.77.0.1";
/** Enough for windows to open and queues to fill; all of it is recorded. */
const SIZE = ["-n", "200M"];
const FLAGS = ["--ip", `${INSIDE}/24`, "--router", OUTSIDE];

/** A veth pair from the sandbox's host to a third machine, without offloads: what passes is as on a cable. */
function joinByWire(near: NetworkNamespace, far: NetworkNamespace): void {
  near.exec(..."ip link add near0 type veth peer name far0 netns".split(" "), far.name);
  near.exec(..."ip addr add 10.88.0.1/24 dev near0".split(" "));
  far.exec(..."ip addr add 10.88.0.2/24 dev far0".split(" "));
  near.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  withoutOffloads(near, "near0");
  near.exec("ip", "link", "set", "near0", "up");
  far.exec("ip", "link", "set", "far0", "up");
  far.exec("ip", "route", "add", "default", "via", "10.88.0.1");
}

describeWith(["root", "ip", "nginx", "iperf3", "tcpdump", "curl", "python3", "ping"], "TAP", () => {
  let tap: TapBench;
  let ns: NetworkNamespace;
  let dir = "";

  beforeAll(() => {
    tap = new TapBench("tap0", [`${OUTSIDE}/24`]);
    ({ ns, directory: dir } = tap);
    ns.exec("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  const inside = (argv: string[], ...flags: string[]): Promise<Outcome> =>
    tap.inside([...FLAGS, ...flags], argv);
  const serve = (argv: string[], ...flags: string[]): ChildProcess =>
    tap.serve([...FLAGS, ...flags], argv);

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
      await tap.reachable(INSIDE, 80);
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
    ["into the sandbox", SIZE],
    ["out of the sandbox", [...SIZE, "-R"]],
    ["in four streams", [...SIZE, "-P", "4"]],
    ["both ways at once", [...SIZE, "--bidir"]],
    ["with datagrams", ["-t", "2", "-u", "-b", "100M", "-l", "1400"]],
    ["with datagrams outwards", ["-t", "2", "-u", "-b", "100M", "-l", "1400", "-R"]],
  ])("runs iperf3 %s with the server inside", async (_, more) => {
    await tap.serveIperf(FLAGS);
    const result = JSON.parse(ns.exec("iperf3", "-c", INSIDE, "-J", ...more));
    expect(result.error).toBeUndefined();
    const { end } = result;
    expect((end.sum_received ?? end.sum).bytes).toBeGreaterThan(10_000_000);
    if (end.sum_bidir_reverse !== undefined) {
      expect(end.sum_received_bidir_reverse.bytes).toBeGreaterThan(10_000_000);
    }
    // Datagrams may be lost where the machine is busy; most arrive.
    if (end.sum?.lost_percent !== undefined) expect(end.sum.lost_percent).toBeLessThan(60);
  });

  it.each([
    ["out of the sandbox", SIZE],
    ["into the sandbox", [...SIZE, "-R"]],
  ])("runs iperf3 %s with the client inside", async (_, more) => {
    ns.spawn("iperf3", "-s", "-1", "-B", OUTSIDE);
    await until(() => ns.exec("ss", "-ltn").includes(":5201"));
    const r = await inside(["iperf3", "-c", OUTSIDE, "-J", ...more]);
    expect(r.stderr).toBe("");
    expect(JSON.parse(r.stdout).end.sum_received.bytes).toBeGreaterThan(10_000_000);
  });

  it("says nothing but ARP while nobody wants anything", async () => {
    const quiet = join(dir, "quiet.pcap");
    const r = await inside(["sleep", "15"], "--pcap", quiet);
    expect(r.status).toBe(0);
    const { lines } = readCapture(quiet);
    const sent = lines.filter((line) => !/^(ARP|\s)/.test(line) && line.includes(`${INSIDE}`));
    expect(sent).toEqual([]);
  });
});
