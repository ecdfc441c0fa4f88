// IPv4 options by a program inside, through a Linux router that follows source routes; over the loopback:
// host-programs.test.ts.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { describeWith } from "./support/needs.ts";
import { NetworkNamespace } from "./support/netns.ts";
import { TapBench } from "./support/tap.ts";

const PROGRAM = fileURLToPath(new URL("programs/ip-options-wire.py", import.meta.url));

describeWith(["root", "ip", "python3", "tcpdump"], "IPv4 options on TAP", () => {
  let tap: TapBench;
  let far: NetworkNamespace;

  beforeAll(async () => {
    tap = new TapBench("tap0", ["10.77.0.1/24"]);
    far = new NetworkNamespace();
    const { ns } = tap;
    ns.exec(..."ip link add near0 type veth peer name far0 netns".split(" "), far.name);
    ns.exec(..."ip addr add 10.88.0.1/24 dev near0".split(" "));
    far.exec(..."ip addr add 10.88.0.2/24 dev far0".split(" "));
    ns.exec("ip", "link", "set", "near0", "up");
    far.exec("ip", "link", "set", "far0", "up");
    far.exec("ip", "route", "add", "default", "via", "10.88.0.1");
    ns.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
    for (const each of [ns, far]) {
      each.exec("sysctl", "-qw", "net.ipv4.conf.all.accept_source_route=1");
    }
    const server = far.spawn("python3", PROGRAM, "serve");
    await new Promise((go) => server.stdout?.once("data", go));
  });
  afterEach(() => tap.finish());
  afterAll(() => {
    tap?.remove();
    far?.remove();
  });

  it("reach a Linux behind a Linux, and come back", async () => {
    const flags = ["--ip", "10.77.0.2/24", "--router", "10.77.0.1"];
    const on = "echo 1 > /proc/sys/net/ipv4/conf/all/accept_source_route";
    copyFileSync(PROGRAM, join(tap.directory, "program.py"));
    const script = `${on}; python3 program.py`;
    const pcap = join(tap.directory, "options.pcap");
    const run = await tap.inside([...flags, "--pcap", pcap], ["sh", "-c", script]);
    expect(run.stderr).toBe("");
    // Of what we send; where a source route has ended tcpdump reads the end of it from the wrong slot, and what Linux
    // quotes in its errors (port 5509) has been changed on the way.
    const isOurs = (line: string): boolean => /^ +10\.77\.0\.2\./.test(line);
    const complaints = readCapture(pcap).complaints.filter(isOurs);
    expect(complaints.filter((line) => !line.includes(".5509:"))).toEqual([]);
    const lines = run.stdout.split("\n");
    // As Linux has it in this place, but for UDP on source routes: its checksum covers the first hop there, and
    // nobody takes it.
    expect(lines.filter((line) => line.startsWith("tcp"))).toEqual([
      "tcp record 5000 0713040000000000000000000000000000000000 1428",
      "tcp times 5000 441c0501000000000000000000000000000000000000000000000000 1420",
      "tcp loose 5000 8307040a4d000100 1440",
      "tcp strict 5000 8907040a4d000100 1440",
      "tcp all 5000 8307040a4d0001071304000000000000000000000000000000000000 1420",
      `tcp long 5000 072704${"00".repeat(37)} 1408`,
    ]);
    expect(lines.filter((line) => line.startsWith("icmp"))).toEqual([
      "icmp record 0 0713140a4d00020a5800010a5800020a58000200",
      "icmp times 0 441c1d210a4d000254494d450a4d000154494d450a58000254494d45",
      "icmp loose 0 8307080a4d000100",
      "icmp strict 0 8907080a4d000100",
      "icmp all 0 0713140a4d00020a5800010a5800020a5800028307080a4d00010000",
      "icmp off the link [Errno 101] Network is unreachable",
      "icmp two hops 0 830b0c0a5800010a4d000100",
    ]);
    expect(lines.filter((line) => line.startsWith("udp"))).toEqual([
      "udp record b'10 0713100a4d00020a5800010a5800020000000000' ['0713140a4d00020a5800010a5800020a58000200'] ('10.88.0.2', 5502)",
      "udp times b'10 441c1d010a4d000254494d450a4d000154494d450a58000254494d45' ['441c1d210a4d000254494d450a4d000154494d450a58000254494d45'] ('10.88.0.2', 5502)",
      "udp loose b'10 8307080a58000100' [] ('10.88.0.2', 5502)",
      "udp strict b'10 8907080a58000100' [] ('10.88.0.2', 5502)",
      "udp all b'10 8307080a5800010713100a4d00020a5800010a580002000000000000' [] ('10.88.0.2', 5502)",
      "udp off the link [Errno 101] Network is unreachable",
      "udp two hops b'10 830b0c0a5800010a58000100' [] ('10.88.0.2', 5502)",
      "udp record b'3500 0713100a4d00020a5800010a5800020000000000' ['0713140a4d00020a5800010a5800020a58000200'] ('10.88.0.2', 5502)",
      "udp all b'3500 441c1d010a4d000254494d450a58000154494d450a58000254494d458307080a58000100' [] ('10.88.0.2', 5502)",
    ]);
    expect(lines.filter((line) => line.startsWith("closed"))).toEqual([
      "closed record [Errno 111] Connection refused",
      "closed all [Errno 111] Connection refused",
    ]);
  });
});
