// `netcell replay --decode` beside tcpdump: the same lines for what our own stack puts on its link.

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Recordings } from "./support/capture.ts";
import { cell, netcell } from "./support/cell.ts";
import { describeWith, which } from "./support/needs.ts";

const HOST = "host.netcell.internal";

describeWith(["tcpdump", "curl", "python3"], "decoding", () => {
  const recordings = new Recordings();
  afterAll(() => recordings.remove());

  it("prints a sandbox's traffic as tcpdump does", async () => {
    const server = createServer((_, response) => response.end("x".repeat(100_000)));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const udp = createSocket("udp4", (data, from) => udp.send(data, from.port, from.address));
    await new Promise<void>((done) => udp.bind(0, "127.0.0.1", done));
    const port = (server.address() as AddressInfo).port;
    const program = `
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5)
u.sendto(b"d" * 3000, ("${HOST}", ${udp.address().port})); u.recv(9000)
u.sendto(b"d", ("192.0.2.1", 9))
p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); p.settimeout(5)
p.sendto(b"\\x08" + bytes(63), ("10.0.2.2", 0)); p.recv(900)`;
    const flags = recordings.flags();
    const line = `curl -s http://${HOST}:${port}/ | wc -c; /usr/bin/python3 -c '${program}'`;
    const r = await cell(["sh", "-c", line], ["--allow", "host", ...flags]);
    server.close();
    udp.close();
    expect(r.stdout).toBe("100000\n");
    const tcpdump = which("tcpdump") ?? "";
    for (const how of [[], ["-v"], ["-vv"], ["-e"], ["-S"]]) {
      const argv = ["-n", "-r", flags[1], ...how];
      const theirs = execFileSync(tcpdump, argv, { stdio: ["ignore", "pipe", "ignore"] });
      const ours = await netcell(["replay", "--decode", flags[1], ...how]);
      expect(ours.stderr).toBe("");
      // Nanoseconds, which tcpdump cuts off.
      const cut = (text: string): string[] =>
        text.replace(/^(\d\d:\d\d:\d\d\.\d{6})\d{3} /gm, "$1 ").split("\n");
      expect(cut(ours.stdout)).toEqual(cut(theirs.toString()));
    }
    const json = await netcell(["replay", "--decode", "--json", flags[1]]);
    const frames = json.stdout
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(
      frames.some((f) => f.layers.some((l: { protocol: string }) => l.protocol === "tcp")),
    ).toBe(true);
  });

  it("says where a broken file breaks, after what could be read", async () => {
    const file = join(recordings.directory, "broken.pcap");
    const bytes = Buffer.alloc(24 + 16 + 4);
    bytes.writeUInt32LE(0xa1b2c3d4, 0);
    bytes.writeUInt16LE(2, 4);
    bytes.writeUInt16LE(4, 6);
    bytes.writeUInt32LE(65_535, 16);
    bytes.writeUInt32LE(1, 20);
    bytes.writeUInt32LE(60, 32);
    writeFileSync(file, bytes);
    const r = await netcell(["replay", "--decode", file]);
    expect(r.status).toBe(1);
    expect(r.stderr).toBe(
      `netcell: ${file}: at byte 24: the file ends after 4 of a record's 60 bytes; 0 frames were read.\n`,
    );
    const none = await netcell(["replay", "--decode", join(recordings.directory, "none")]);
    expect(none.status).toBe(125);
    expect(none.stderr).toMatch(/there is no such file/);
  });
});
