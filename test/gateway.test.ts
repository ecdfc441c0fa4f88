// The default network: through the gateway to servers on the host's loopback, by rule.

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { cell } from "./support/cell.ts";
import { describeWith, missing } from "./support/needs.ts";

const BYTES = 100 * 1024 * 1024;
const HOST = "host.netcell.internal";

describeWith(["curl", "python3"], "gateway", () => {
  const body = randomBytes(1 << 20);
  const bodyHash = createHash("sha256");
  for (let i = 0; i < BYTES / body.length; i++) bodyHash.update(body);
  const expectedHash = bodyHash.digest("hex");
  let server: Server;
  let port = 0;
  let dir = "";

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "netcell-gateway-"));
    server = createServer(async (request, response) => {
      if (request.method === "PUT") {
        const hash = createHash("sha256");
        for await (const chunk of request) hash.update(chunk as Buffer);
        response.end(hash.digest("hex"));
        return;
      }
      if (request.url === "/small") {
        response.end("small answer");
        return;
      }
      response.setHeader("content-length", BYTES);
      for (let i = 0; i < BYTES / body.length; i++) {
        if (!response.write(body)) await new Promise((go) => response.once("drain", go));
      }
      response.end();
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
    rmSync(dir, { recursive: true, force: true });
  });

  it("carries 100 MiB down, byte for byte", async () => {
    const r = await cell(
      ["sh", "-c", `curl -sS http://${HOST}:${port}/ | sha256sum`],
      ["--allow", `host:${port}`],
    );
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe(`${expectedHash}  -\n`);
  });

  it("carries 100 MiB up, byte for byte", async () => {
    const r = await cell(
      [
        "sh",
        "-c",
        `head -c ${BYTES} /dev/zero | curl -sS -T - http://${HOST}:${port}/ -H 'expect:'`,
      ],
      ["--allow", `host:${port}`],
    );
    const zeros = createHash("sha256").update(Buffer.alloc(BYTES)).digest("hex");
    expect(r.stdout).toBe(zeros);
  });

  it("refuses at once without a rule, and says which rule would allow it", async () => {
    const code = `
import socket, time
t = time.monotonic()
try:
    socket.create_connection(("10.0.2.2", ${port}), 10)
except OSError as e:
    print(type(e).__name__, time.monotonic() - t < 0.1)`;
    const r = await cell(["/usr/bin/python3", "-c", code]);
    expect(r.stdout).toBe("ConnectionRefusedError True\n");
    expect(r.stderr).toMatch(
      new RegExp(`netcell: refused tcp .*:${port}: .*allow with --allow host:${port}`),
    );
  });

  it("refuses a name that resolves to a forbidden address", async () => {
    const r = await cell(
      ["curl", "-sS", "--max-time", "10", `http://localhost.localdomain:${port}/small`],
      ["--allow", `localhost.localdomain:${port}`, "--allow", `localhost:${port}`],
    );
    expect(r.status).not.toBe(0);
    expect(r.stdout).toBe("");
    const direct = await cell(
      [
        "/usr/bin/python3",
        "-c",
        `
import socket
try: print(socket.gethostbyname("localhost.netcell-test.internal"))
except OSError as e: print("no such name")`,
      ],
      ["--allow", "all"],
    );
    expect(direct.stdout).toBe("no such name\n");
  });

  it("echoes datagrams", async () => {
    const echo = createSocket("udp4");
    echo.on("message", (m, from) => echo.send(m, from.port, from.address));
    await new Promise<void>((done) => echo.bind(0, "127.0.0.1", done));
    const code = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
for n in (1, 500, 1400, 9000):
    s.sendto(b"u" * n, ("${HOST}", ${echo.address().port})); print(len(s.recv(65536)))`;
    const r = await cell(
      ["/usr/bin/python3", "-c", code],
      ["--allow", `udp:host:${echo.address().port}`],
    );
    echo.close();
    expect(r.stdout).toBe("1\n500\n1400\n9000\n");
  });

  it("answers ping of the router", async () => {
    const code = `
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(10)
s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"netcell", ("10.0.2.2", 0))
data = s.recv(1500); print(data[0], data[8:])`;
    const r = await cell(["/usr/bin/python3", "-c", code]);
    expect(r.stdout).toBe("0 b'netcell'\n");
  });

  it("holds 200 connections at once", async () => {
    const code = `
import socket
cs = [socket.create_connection(("${HOST}", ${port}), 20) for _ in range(200)]
for c in cs: c.sendall(b"GET /small HTTP/1.0\\r\\n\\r\\n")
n = 0
for c in cs:
    data = b""
    while True:
        part = c.recv(4096)
        if not part: break
        data += part
    n += data.endswith(b"small answer")
print(n)`;
    const r = await cell(["/usr/bin/python3", "-c", code], ["--allow", `host:${port}`]);
    expect(r.stdout).toBe("200\n");
  });

  it.skipIf(missing("tcpdump") !== null)(
    "writes a capture that tcpdump reads without a complaint",
    async () => {
      const pcap = join(dir, "out.pcap");
      const r = await cell(
        ["curl", "-sS", `http://${HOST}:${port}/small`],
        ["--allow", `host:${port}`, "--pcap", pcap],
      );
      expect(r.stdout).toBe("small answer");
      const { lines, complaints } = readCapture(pcap);
      expect(complaints).toEqual([]);
      expect(lines.join("\n")).toContain("Flags [S]");
      expect(lines.join("\n")).toMatch(/ARP|A\?/);
    },
  );
});
