// Two sandboxes with a router between them (the host's kernel): BBR and AccECN from end to end over a bottleneck.
// What happened is read from TCP_INFO, TCP_CC_INFO and the counters.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWith } from "./support/needs.ts";
import { TapBench } from "./support/tap.ts";

const SERVER = "10.81.0.2";
const SERVER_FLAGS = ["--ip", `${SERVER}/24`, "--router", "10.81.0.1"];
const CLIENT_FLAGS = ["--net", "tap=tap1", "--ip", "10.81.1.2/24", "--router", "10.81.1.1"];
const BYTES = 1_500_000;

/** A server that says what it got; a client that sends, and prints what its connection has become. */
const TOOLS = `
import hashlib, json, os, socket, struct, sys
def counters():
    lines = open("/proc/net/netstat").read().split("\\n")
    out = {}
    for names, values in zip(lines[0::2], lines[1::2]):
        out.update(zip(names.split()[1:], map(int, values.split()[1:])))
    return out
def info(s):
    b = s.getsockopt(6, 11, 248)
    u32 = lambda at: struct.unpack_from("=I", b, at)[0]
    u64 = lambda at: struct.unpack_from("=Q", b, at)[0]
    return {"options": b[5], "min_rtt": u32(148), "retrans": u32(100), "pacing": u64(104),
        "acked": u64(120), "delivered": u32(192), "data_out": u32(156), "data_in": u32(152), "received": u64(128)}
def serve(port, count):
    l = socket.socket(); l.setsockopt(1, 2, 1); l.bind(("", port)); l.listen()
    print("up", flush=True)
    for _ in range(count):
        c, _ = l.accept()
        h = hashlib.sha256()
        while True:
            d = c.recv(65536)
            if not d: break
            h.update(d)
        c.sendall(json.dumps({"hash": h.hexdigest(), **info(c), "ect": counters()["InECT0Pkts"] + counters()["InECT1Pkts"]}).encode())
        c.close()
def send(host, port, congestion):
    s = socket.socket()
    if congestion: s.setsockopt(6, 13, congestion)
    s.connect((host, port))
    s.sendall(bytes(range(250)) * ${BYTES / 250}); s.shutdown(1)
    got = b""
    while True:
        d = s.recv(4096)
        if not d: break
        got += d
    cc = s.getsockopt(6, 26, 64)
    print(json.dumps({"there": json.loads(got), "cc": list(struct.unpack("=5I", cc)) if cc else [],
        "name": s.getsockopt(6, 13, 16).decode().strip("\\0"), **info(s)}))
`;
const HASH = createHash("sha256")
  .update(
    Buffer.alloc(
      BYTES,
      Uint8Array.from({ length: 250 }, (_, i) => i),
    ),
  )
  .digest("hex");

interface Report {
  options: number;
  min_rtt: number;
  retrans: number;
  pacing: number;
  acked: number;
  delivered: number;
  data_out: number;
  data_in: number;
  received: number;
}
interface Sent extends Report {
  there: Report & { hash: string; ect: number };
  cc: number[];
  name: string;
}

describeWith(["root", "ip", "python3"], "two sandboxes", () => {
  let tap: TapBench;

  beforeAll(() => {
    tap = new TapBench("tap0", ["10.81.0.1/24"]);
    for (const line of [
      "ip tuntap add dev tap1 mode tap vnet_hdr",
      "ip addr add 10.81.1.1/24 dev tap1",
      "ip link set tap1 up",
      "sysctl -qw net.ipv4.ip_forward=1",
    ]) {
      tap.exec(line);
    }
    writeFileSync(join(tap.directory, "tools.py"), TOOLS);
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  const python = (code: string): string[] => [
    "/usr/bin/python3",
    "-c",
    `import sys; sys.path.insert(0, "${tap.directory}")\nfrom tools import *\n${code}`,
  ];

  async function exchange(setup: string, congestion: string, line: string): Promise<Sent> {
    // The probe of the port is a client that says nothing.
    tap.serve(SERVER_FLAGS, python(`${setup}\nserve(5000, 2)`));
    await tap.reachable(SERVER, 5000);
    const flags = [...CLIENT_FLAGS, "--seed", "3", "--impair", line];
    const r = await tap.inside(flags, python(`${setup}\nsend("${SERVER}", 5000, ${congestion})`));
    expect(r.stderr).toBe("");
    return JSON.parse(r.stdout) as Sent;
  }

  it("BBR finds the rate and the round trip of a bottleneck that loses", async () => {
    const sent = await exchange("", 'b"bbr"', "rate=20mbit,delay=10ms,loss=1%");
    expect([sent.name, sent.there.hash]).toEqual(["bbr", HASH]);
    const [bandwidth, , minRttUs] = sent.cc;
    expect(bandwidth).toBeGreaterThan(0);
    // Ten milliseconds each way.
    expect(minRttUs).toBeGreaterThanOrEqual(20_000);
    expect(sent.min_rtt).toBeGreaterThanOrEqual(20_000);
    // Paced, which is a number and not "without bound".
    expect(sent.pacing).toBeGreaterThan(0);
    expect(sent.pacing).toBeLessThan(2 ** 53);
    expect(sent.retrans).toBeGreaterThan(0);
    expect(sent.data_out).toBeGreaterThan(sent.retrans);
    // By sequence numbers, as Linux: the SYN and the FIN count one each.
    expect([sent.acked, sent.there.received]).toEqual([BYTES + 2, BYTES + 1]);
  });

  it("both agree on AccECN, and the marks of data arrive", async () => {
    const setup = 'open("/proc/sys/net/ipv4/tcp_ecn", "w").write("3")';
    const sent = await exchange(setup, "None", "rate=50mbit,delay=2ms,queue=40");
    expect(sent.there.hash).toBe(HASH);
    const TCPI_OPT_ECN = 8;
    const TCPI_OPT_ECN_SEEN = 16;
    expect(sent.options & TCPI_OPT_ECN).toBe(TCPI_OPT_ECN);
    expect(sent.there.options & TCPI_OPT_ECN).toBe(TCPI_OPT_ECN);
    expect(sent.there.options & TCPI_OPT_ECN_SEEN).toBe(TCPI_OPT_ECN_SEEN);
    // Nearly all of the segments: retransmissions are not marked.
    expect(sent.there.ect).toBeGreaterThan(BYTES / 1_460 / 2);
    expect(sent.there.data_in).toBeGreaterThanOrEqual(Math.floor(BYTES / 1_460));
  });

  it("without ECN on one side there is none", async () => {
    tap.serve(
      SERVER_FLAGS,
      python('open("/proc/sys/net/ipv4/tcp_ecn", "w").write("0")\nserve(5000, 2)'),
    );
    await tap.reachable(SERVER, 5000);
    const code =
      'open("/proc/sys/net/ipv4/tcp_ecn", "w").write("3")\nsend("10.81.0.2", 5000, None)';
    const r = await tap.inside(CLIENT_FLAGS, python(code));
    const sent = JSON.parse(r.stdout) as Sent;
    expect([sent.options & 8, sent.there.options & 8, sent.there.hash]).toEqual([0, 0, HASH]);
  });
});
