// IPv6 of a sandbox on a TAP device, with the host's kernel as the peer and, where checksums are looked at,
// a third machine on a wire behind it.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { describeWith } from "./support/needs.ts";
import { NetworkNamespace } from "./support/netns.ts";
import { TapBench, withoutOffloads } from "./support/tap.ts";

const INSIDE = "fd00:77::2";
const OUTSIDE = "fd00:77::1";
const FAR = "fd00:88::2";
const ADVERTISED = "2001:db8:77";

/** A router's voice: a prefix, an MTU and a life, once in half a second. */
const ADVERTISE = `
import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
i = socket.if_nametoindex("tap6")
s.setsockopt(41, 18, 255); s.setsockopt(41, 17, i)
ra = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
ra += struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 7200, 3600, 0) + socket.inet_pton(socket.AF_INET6, "${ADVERTISED}::")
ra += struct.pack("!BBHI", 5, 1, 0, 1400)
while True:
    try: s.sendto(ra, ("ff02::1", 0, 0, i))
    except OSError: pass # nobody at the device yet
    time.sleep(0.5)`;

describeWith(["root", "ip", "iperf3", "tcpdump", "curl", "python3", "ping"], "TAP, IPv6", () => {
  let tap: TapBench;
  let ns: NetworkNamespace;
  let wire: NetworkNamespace;
  let dir = "";

  beforeAll(() => {
    tap = new TapBench("tap6", [`${OUTSIDE}/64 nodad`, `${ADVERTISED}::1/64 nodad`]);
    ({ ns, directory: dir } = tap);
    wire = new NetworkNamespace();
    tap.exec(`ip link add near0 type veth peer name far0 netns ${wire.name}`);
    tap.exec("ip addr add fd00:88::1/64 dev near0 nodad");
    tap.exec("sysctl -qw net.ipv6.conf.all.forwarding=1");
    withoutOffloads(ns, "near0");
    tap.exec("ip link set near0 up");
    wire.exec(..."ip link set far0 up".split(" "));
    wire.exec(...`ip addr add ${FAR}/64 dev far0 nodad`.split(" "));
    wire.exec(..."ip -6 route add default via fd00:88::1".split(" "));
  });
  afterEach(() => tap.finish());
  afterAll(() => {
    tap?.remove();
    wire?.remove();
  });

  const STATIC = ["--ip6", `${INSIDE}/64`, "--router6", OUTSIDE];

  it("is pinged from outside in any size, serves the web, and its packets are clean on a wire", async () => {
    writeFileSync(join(dir, "index.html"), "hello\n");
    writeFileSync(join(dir, "big"), Buffer.alloc(3_000_000, "netcell "));
    tap.serve(STATIC, ["/usr/bin/python3", "-m", "http.server", "--bind", "::", "8000"]);
    await tap.reachable(INSIDE, 8000);
    const file = join(dir, "far0.pcap");
    const dump = wire.spawn("tcpdump", "-i", "far0", "-U", "-s", "0", "-w", file);
    await new Promise((go) => dump.stderr?.once("data", go));
    for (const place of [ns, wire]) {
      for (const size of ["56", "5000"]) {
        const ping = ["ping", "-6", "-c", "2", "-i", "0.2", "-s", size, "-W", "5", INSIDE];
        expect(place.exec(...ping)).toContain(" 0% packet loss");
      }
      const url = `http://[${INSIDE}]:8000`;
      expect(place.exec("curl", "-sSg", `${url}/index.html`)).toBe("hello\n");
      const length = place.exec("sh", "-c", `curl -sSg '${url}/big' | wc -c`);
      expect(Number(length)).toBe(3_000_000);
    }
    dump.kill("SIGINT");
    await once(dump, "exit");
    const { lines, complaints } = readCapture(file);
    const fromUs = (line: string): boolean => line.includes(`${INSIDE}.8000 >`);
    expect(lines.filter(fromUs).length).toBeGreaterThan(100);
    expect(complaints.filter((line) => line.includes(`${INSIDE}`) && fromUs(line))).toEqual([]);
  });

  it.each([[[]], [["-R"]]])("runs iperf3 %j", async (more) => {
    await tap.serveIperf(STATIC);
    const result = JSON.parse(ns.exec("iperf3", "-6", "-c", INSIDE, "-n", "200M", "-J", ...more));
    expect(result.error).toBeUndefined();
    expect(result.end.sum_received.bytes).toBeGreaterThan(10_000_000);
  });

  it("makes its address from what a router advertises, and reaches what is beyond", async () => {
    const router = ns.spawn("/usr/bin/python3", "-c", ADVERTISE);
    try {
      const program = `
import socket, time
for _ in range(100):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        s.connect(("${FAR}", 9))
        # Before duplicate detection is over there is only the link-local address.
        if not s.getsockname()[0].startswith("fe80:"): break
    except OSError: pass
    time.sleep(0.1)
print(s.getsockname()[0].startswith("${ADVERTISED}:"), s.getsockopt(41, 24))
p = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, 58); p.settimeout(5)
p.sendto(bytes([128, 0, 0, 0, 0, 0, 0, 1]) + bytes(3000), ("${FAR}", 0)); print(len(p.recv(65536)))`;
      const r = await tap.inside(["--ip6", "auto"], ["/usr/bin/python3", "-c", program]);
      expect(r.stderr).toBe("");
      expect(r.stdout).toBe("True 1400\n3008\n");
    } finally {
      router.kill();
    }
  });
});
