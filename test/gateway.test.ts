// The default network: through the gateway to servers on the host's loopback, by rule.

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Recordings, readCapture } from "./support/capture.ts";
import { type Outcome, cell as unrecorded } from "./support/cell.ts";
import { describeWith, missing } from "./support/needs.ts";

const BYTES = 100 * 1024 * 1024;
const HOST = "host.netcell.internal";

/** A port that nobody listens on just now. */
async function closedPort(): Promise<number> {
  const holder = createTcpServer();
  await new Promise<void>((done) => holder.listen(0, "127.0.0.1", done));
  const { port } = holder.address() as AddressInfo;
  await new Promise((done) => holder.close(done));
  return port;
}

/** Sends all, and resolves with all that came back. */
function exchange(port: number, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", reject);
    socket.on("data", (part) => parts.push(part));
    socket.on("end", () =>
      parts.length > 0 ? resolve(Buffer.concat(parts)) : reject(new Error("nothing came back")),
    );
    socket.write(bytes);
  });
}

/** Until the server is there. */
async function retry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((go) => setTimeout(go, 50));
    }
  }
}

describeWith(["curl", "python3"], "gateway", () => {
  const recordings = new Recordings();
  const cell = (argv: readonly string[], flags: readonly string[] = []): Promise<Outcome> =>
    unrecorded(argv, flags.includes("--pcap") ? flags : [...flags, ...recordings.flags()]);
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

  afterEach(() => recordings.check());
  afterAll(() => recordings.remove());

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
import socket
s = socket.socket()
s.settimeout(40)
try: s.connect(("10.0.2.2", ${port}))
except OSError as e: print(type(e).__name__)`;
    const r = await cell(["/usr/bin/python3", "-c", code]);
    expect(r.stdout).toBe("ConnectionRefusedError\n");
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

  it("answers datagrams and pings without a rule at once", async () => {
    const code = `
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(10)
u.connect(("192.0.2.1", 99)); u.send(b"x")
try: u.recv(10)
except OSError as e: print(e.strerror)
p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); p.settimeout(10)
p.setsockopt(socket.IPPROTO_IP, 11, 1)
p.sendto(b"\\x08" + bytes(7), ("192.0.2.1", 0))
try: p.recv(10)
except OSError as e: print(e.strerror)`;
    const r = await cell(["/usr/bin/python3", "-c", code]);
    expect(r.stdout).toBe("No route to host\nNo route to host\n");
    expect(r.stderr.split("\n")).toEqual([
      expect.stringMatching(/^netcell: refused udp 192.0.2.1:99: .*allow with --allow udp:/),
      expect.stringMatching(/^netcell: refused icmp 192.0.2.1: .*allow with --allow icmp:/),
      "",
    ]);
  });

  it("refuses a name without a rule at once, by its name, and says so once", async () => {
    const r = await cell(["curl", "-sS", "--retry", "0", "https://example.com"]);
    expect(r.status).toBe(7);
    const lines = r.stderr.split("\n").filter((line) => line.startsWith("netcell:"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\(example\.com\): .*allow with --allow example\.com:443$/);
  });

  it("passes on refusals, half-closes and resets", async () => {
    const peer = createTcpServer({ allowHalfOpen: true }, (socket) => {
      let heard = "";
      socket.on("error", () => {});
      socket.on("data", (data) => {
        heard += data;
        if (heard === "reset") socket.resetAndDestroy();
        if (heard === "first") socket.end("bye");
      });
      socket.on("end", () => {
        if (heard === "ask") socket.end(heard.toUpperCase());
        else if (heard === "firstlast") peer.emit("heard", heard);
      });
    });
    await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
    const { port: peerPort } = peer.address() as AddressInfo;
    const heard = new Promise((go) => peer.once("heard", go));
    const dead = await closedPort();
    const code = `
import socket
def dial(port): return socket.create_connection(("${HOST}", port), 10)
try: dial(${dead})
except OSError as e: print(e.strerror)
c = dial(${peerPort}); c.sendall(b"reset")
try: print(c.recv(10))
except OSError as e: print(e.strerror)
c = dial(${peerPort}); c.sendall(b"ask"); c.shutdown(socket.SHUT_WR); print(c.recv(10), c.recv(10))
c = dial(${peerPort}); c.sendall(b"first"); print(c.recv(10), c.recv(10)); c.sendall(b"last"); c.close()`;
    const r = await cell(
      ["/usr/bin/python3", "-c", code],
      ["--allow", `host:${peerPort}`, "--allow", `host:${dead}`],
    );
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("Connection refused\nConnection reset by peer\nb'ASK' b''\nb'bye' b''\n");
    expect(await heard).toBe("firstlast");
    peer.close();
  });

  it("publishes a port of a server inside, TCP and UDP", async () => {
    const [tcp, udp] = [await closedPort(), await closedPort()];
    const code = `
import socket
s = socket.socket(); s.bind(("", 8000)); s.listen()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 8001))
c, _ = s.accept(); data = b""
while len(data) < 1000000: data += c.recv(65536)
c.sendall(data[::-1]); c.close()
d, a = u.recvfrom(65536); u.sendto(d[::-1], a)`;
    const run = cell(
      ["/usr/bin/python3", "-c", code],
      ["--publish", `${tcp}:8000`, "--publish", `127.0.0.1:${udp}:8001/udp`],
    );
    const sent = randomBytes(1_000_000);
    const back = await retry(() => exchange(tcp, sent));
    expect(back.equals(Buffer.from(sent).reverse())).toBe(true);
    const client = createSocket("udp4");
    const answer = new Promise<Buffer>((go) => client.once("message", go));
    client.send("netcell", udp, "127.0.0.1");
    expect(String(await answer)).toBe("llecten");
    client.close();
    expect((await run).stderr).toBe("");
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
