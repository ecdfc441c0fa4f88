// TCP's rarer agreements with the host's kernel over TAP: MD5 signatures (RFC 2385) and AccECN (RFC 9768).

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Outcome } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import type { NetworkNamespace } from "./support/netns.ts";
import { until } from "./support/processes.ts";
import { TapBench } from "./support/tap.ts";

const INSIDE = "10.78.0.2";
const OUTSIDE = "10.78.0.1";
const FLAGS = ["--ip", `${INSIDE}/24`, "--router", OUTSIDE];
const BYTES = 300_000;

/** For both ends: struct tcp_md5sig, an echo server for one connection, a client that checks the echo. */
const TOOLS = `
import socket, struct, sys
def sign(s, peer, key):
    addr = struct.pack("=H", 2) + b"\\0\\0" + socket.inet_aton(peer)
    head = struct.pack("=BBHi", 0, 0, len(key), 0)
    s.setsockopt(6, 14, addr.ljust(128, b"\\0") + head + key.ljust(80, b"\\0"))
def serve(port, peer=None, key=b""):
    s = socket.socket(); s.setsockopt(1, 2, 1)
    if key: sign(s, peer, key)
    s.bind(("", port)); s.listen(); print("up", flush=True)
    c, _ = s.accept()
    while True:
        data = c.recv(65536)
        if not data: break
        c.sendall(data)
    c.close()
def call(host, port, key=b"", patience=20):
    s = socket.socket(); s.settimeout(patience)
    if key: sign(s, host, key)
    s.connect((host, port))
    data = bytes(range(256)) * (${BYTES} // 256)
    import threading
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(1))).start()
    got = b""
    while True:
        part = s.recv(65536)
        if not part: break
        got += part
    return s, got == data
`;

describeWith(["root", "ip", "python3"], "TCP with the host's kernel", () => {
  let tap: TapBench;
  let ns: NetworkNamespace;
  let tools = "";

  beforeAll(() => {
    tap = new TapBench("tap0", [`${OUTSIDE}/24`]);
    ns = tap.ns;
    tools = join(tap.directory, "tools.py");
    writeFileSync(tools, TOOLS);
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  const python = (code: string): string[] => [
    "/usr/bin/python3",
    "-c",
    `import sys; sys.path.insert(0, "${tap.directory}")\nfrom tools import *\n${code}`,
  ];
  const inside = (code: string): Promise<Outcome> => tap.inside(FLAGS, python(code));
  /** A server outside, when it listens. */
  async function outside(code: string, port: number): Promise<void> {
    ns.spawn(...(python(code) as [string, ...string[]]));
    await until(() => ns.exec("ss", "-ltn").includes(`:${port}`));
  }

  it("signs what it sends and takes what is signed: a client inside", async () => {
    await outside(`serve(179, "${INSIDE}", b"the key")`, 179);
    const r = await inside(`print(call("${OUTSIDE}", 179, b"the key")[1])`);
    expect([r.stdout, r.stderr]).toEqual(["True\n", ""]);
  });

  it("and a server inside, which does not hear who has another key", async () => {
    tap.serve(FLAGS, python(`serve(180, "${OUTSIDE}", b"the key")`));
    const call = (key: string): string => {
      const code = `
try: print(call("${INSIDE}", 180, b"${key}", 2)[1])
except OSError as e: print(type(e).__name__)`;
      return ns.exec(...(python(code) as [string, ...string[]]));
    };
    // Refused or unreachable until it is up; then silence.
    await until(() => call("another") === "TimeoutError\n");
    expect(call("the key")).toBe("True\n");
  });

  it("agrees on AccECN, and carries data with it", async () => {
    let isKnown = true;
    try {
      ns.exec("sysctl", "-qw", "net.ipv4.tcp_ecn=3");
    } catch {
      // A kernel before AccECN: RFC 3168's ECN is what there is to agree on.
      ns.exec("sysctl", "-qw", "net.ipv4.tcp_ecn=1");
      isKnown = false;
    }
    await outside("serve(181)", 181);
    const pcap = join(tap.directory, "accecn.pcap");
    const code = `
open("/proc/sys/net/ipv4/tcp_ecn", "w").write("3")
s, same = call("${OUTSIDE}", 181)
print(same, s.getsockopt(6, 11, 104)[5] & 8)`;
    const r = await tap.inside([...FLAGS, "--pcap", pcap], python(code));
    expect([r.stdout, r.stderr]).toEqual(["True 8\n", ""]);
    // RFC 9768 table 2: the answer to AE, CWR and ECE; ECE alone is RFC 3168's.
    const [syn, synAck] = openingAces(readFileSync(pcap));
    expect(syn).toBe(7);
    expect(isKnown ? [2, 3, 4, 6] : [1]).toContain(synAck);
  });
});

/** AE, CWR and ECE of the SYN and of the SYN-ACK, in a capture of plain IPv4 over Ethernet. */
function openingAces(pcap: Buffer): number[] {
  const aces: number[] = [];
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    const frame = pcap.subarray(at + 16, at + 16 + length);
    at += 16 + length;
    if (frame.length < 54 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) continue;
    if ((frame[47] & 2) !== 0) aces.push(((frame[46] & 1) << 2) | (frame[47] >> 6));
  }
  return aces;
}
