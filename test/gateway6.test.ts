// IPv6 through the gateway, to servers on the host's ::1.

import { createSocket } from "node:dgram";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, expect, it } from "vitest";
import { Recordings } from "./support/capture.ts";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const ROUTER = "fd00:6e63::2";

describeWith(["python3"], "the gateway with IPv6", () => {
  const recordings = new Recordings();
  afterAll(() => recordings.remove());

  it("carries TCP and UDP by rule, refuses the rest, and has none of it unasked", async () => {
    const tcp = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("hello");
    });
    await new Promise<void>((done) => tcp.listen(0, "::1", done));
    const udp = createSocket("udp6", (data, from) => udp.send(data, from.port, from.address));
    await new Promise<void>((done) => udp.bind(0, "::1", done));
    const tcpPort = (tcp.address() as AddressInfo).port;
    try {
      const program = `
import socket
print(socket.create_connection(("${ROUTER}", ${tcpPort}), 5).recv(100))
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(5)
u.sendto(b"d" * 5000, ("${ROUTER}", ${udp.address().port})); print(len(u.recv(9000)))
try: socket.create_connection(("2001:db8::1", 80), 5)
except OSError as e: print(e.strerror)`;
      const argv = ["/usr/bin/python3", "-c", program];
      const r = await cell(argv, ["--ip6", "auto", "--allow", "host", ...recordings.flags()]);
      expect(r.stdout).toBe("b'hello'\n5000\nConnection refused\n");
      expect(r.stderr).toContain("[2001:db8::1]:80");
      recordings.check();
      const without = await cell(["cat", "/proc/net/if_inet6"]);
      expect(without.stdout.split("\n").filter((line) => line.includes("eth0"))).toEqual([]);
    } finally {
      tcp.close();
      udp.close();
    }
  });
});
