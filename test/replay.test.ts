// `netcell replay` on captures of real programs: against the stack, against a program, saved and reported; and what
// other readers make of the captures that we write, and we of theirs.

import { execFileSync } from "node:child_process";
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cell, netcell } from "./support/cell.ts";
import { describeWith, which } from "./support/needs.ts";

const HOST = "host.netcell.internal";
const ECHO = `
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 7000)); s.listen()
while True:
  c, _ = s.accept()
  while True:
    d = c.recv(65536)
    if not d: break
    c.sendall(d.upper())
  c.close()`;

const UDP_ECHO = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 7000))
while True:
  d, a = s.recvfrom(2000); s.sendto(d, a)`;
const UDP_CLIENT = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
for n in (0, 1, 1400):
  s.sendto(b"x" * n, ("some.host", 7000)); assert len(s.recv(2000)) == n`;
const HTTP6 = `
import socket
s = socket.socket(socket.AF_INET6); s.setsockopt(1, 2, 1); s.bind(("::", 8080)); s.listen()
while True:
  c, _ = s.accept()
  c.recv(1000); c.send(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + b"netcell " * 50); c.close()`;

interface ParsedPacket {
  header: { capturedLength: number; originalLength: number; timestampSeconds: number };
  data: Buffer;
}
interface PcapParser {
  on(event: "packet", listener: (packet: ParsedPacket) => void): void;
  on(event: "end", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
}
// Of 2012, without types.
const pcapParser = createRequire(import.meta.url)("pcap-parser") as {
  parse(stream: NodeJS.ReadableStream): PcapParser;
};

function parsed(file: string): Promise<ParsedPacket[]> {
  return new Promise((resolve, reject) => {
    const packets: ParsedPacket[] = [];
    const parser = pcapParser.parse(createReadStream(file));
    parser.on("packet", (packet) => packets.push(packet));
    parser.on("end", () => resolve(packets));
    parser.on("error", reject);
  });
}

describeWith(["tshark", "tcpdump", "curl", "python3"], "replay", () => {
  const folder = mkdtempSync(join(tmpdir(), "netcell-replay-"));
  const at = (name: string): string => join(folder, name);
  const server = createServer((_, response) => response.end("x".repeat(60_000)));
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    port = (server.address() as AddressInfo).port;
    for (const suffix of ["pcap", "pcapng"]) {
      // With its end the sandbox takes the link away: the last FIN shall still be seen.
      const get = `curl -s -o /dev/null http://${HOST}:${port}/ && sleep 0.3`;
      const argv = ["sh", "-c", get];
      const r = await cell(argv, ["--allow", "host", "--pcap", at(`curl.${suffix}`)]);
      expect(r.status).toBe(0);
    }
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const tshark = (argv: readonly string[]): string =>
    execFileSync(which("tshark") ?? "", argv, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });

  it("says in each packet's comment what sent it", () => {
    const fields = ["-T", "fields", "-e", "tcp.len", "-e", "tcp.flags.syn", "-e", "frame.comment"];
    const lines = tshark(["-r", at("curl.pcapng"), "-Y", `tcp.dstport == ${port}`, ...fields]);
    const rows = lines
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
    expect(rows[0]).toEqual(["0", "1", expect.stringMatching(/^curl\[\d+\] connect\(\d+\)$/)]);
    const sent = rows.filter(([length]) => length !== "0");
    expect(sent).toHaveLength(1);
    expect(sent[0][2]).toMatch(/^curl\[\d+\] (sendto|write|sendmsg)\(\d+\)$/);
    for (const [, , comment] of rows) expect(comment).not.toBe("");
  });

  it("plays it to the stack, and saves and reports what came of it", async () => {
    for (const side of ["client", "server"]) {
      const save = at(`saved-${side}`);
      const flags = ["--side", side, "--save", save, "--report", at("report.html")];
      const r = await netcell(["replay", ...flags, at("curl.pcapng")]);
      expect(r.stdout).toMatch(/^ok \d+ udp .*\n(.*\n)*ok \d+ tcp .*\n/);
      expect(r.status).toBe(0);
      expect(readFileSync(at("report.html"), "utf8")).toContain("<canvas>");
      const scripts = execFileSync("/bin/sh", ["-c", `ls ${save}*.pkt`], { encoding: "utf8" });
      const drilled = await netcell(["drill", ...scripts.trim().split("\n")]);
      expect(drilled).toMatchObject({ status: 0 });
      expect(existsSync(scripts.trim().split("\n")[0].replace(".pkt", ".test.ts"))).toBe(true);
    }
  });

  it("plays it to a program, and finds the byte that is another", async () => {
    const capture = at("curl.pcapng");
    const argv = ["python3", "-c", ECHO];
    const other = await netcell(["replay", "--port", "7000", capture, "--", ...argv]);
    expect(other.status).toBe(1);
    expect(other.stdout).toMatch(/byte 0 of what the program sent differs: captured "HTTP/);
    const loose = await netcell(["replay", "--loose", "--port", "7000", capture, "--", ...argv]);
    expect(loose.stdout).toMatch(/^ok \d+ tcp .*the program took \d+ bytes and sent \d+/m);
    expect(loose.status).toBe(0);
    const client = ["curl", "-s", "-o", "/dev/null", `http://${HOST}:${port}/`];
    const same = await netcell(["replay", "--side", "server", capture, "--", ...client]);
    expect(same.stdout).toMatch(
      /^ok \d+ tcp .*the program took \d+ bytes and sent \d+ as captured/m,
    );
    expect(same.status).toBe(0);
  });

  it("plays datagrams, and IPv6, to servers and to clients", async () => {
    const fixture = (name: string): string =>
      new URL(`../fixtures/pcap/${name}`, import.meta.url).pathname;
    const udp = ["replay", "--only", "1", fixture("udp.pcap"), "--", "python3", "-c"];
    const server = await netcell([...udp, UDP_ECHO]);
    expect(server.stdout).toContain("the program was sent 3 datagrams and sent 3 as captured");
    const client = await netcell([...udp.toSpliced(1, 0, "--side", "server"), UDP_CLIENT]);
    expect(client.stdout).toContain("the program was sent 3 datagrams and sent 3 as captured");
    const get = ["curl", "-sSg", "-o", "/dev/null", "http://[2001:db8::9]:8080/"];
    const six = await netcell(["replay", "--side", "server", fixture("curl6.pcap"), "--", ...get]);
    expect(six.stdout).toMatch(/^ok 1 tcp \[2001:db8::a\].*sent 82 as captured/m);
    const page = await netcell(["replay", fixture("curl6.pcap"), "--", "python3", "-c", HTTP6]);
    expect(page.stdout).toMatch(/^ok 1 tcp .*took 82 bytes and sent 419 as captured/m);
  });

  it("passes over frames of a link type that it does not know, and says where they begin", async () => {
    const bytes = readFileSync(at("curl.pcap"));
    // LINKTYPE_IEEE802_11, in the file's header.
    bytes.writeUInt32LE(105, 20);
    writeFileSync(at("radio.pcap"), bytes);
    const { status, stdout, stderr } = await netcell(["replay", at("radio.pcap")]);
    expect(stderr).toMatch(
      /radio\.pcap: at byte 24: link type 105 is not known; (\d+) of \1 frames/,
    );
    expect(stdout).toMatch(/^0 passed, 0 failed, 0 skipped/);
    expect(status).toBe(1);
  });

  it("writes what others read: pcap-parser, tcpdump, tshark", async () => {
    const frames = Number(
      tshark(["-r", at("curl.pcap"), "-T", "fields", "-e", "frame.number"])
        .trim()
        .split("\n")
        .at(-1),
    );
    const packets = await parsed(at("curl.pcap"));
    expect(packets).toHaveLength(frames);
    for (const { header, data } of packets) {
      expect(data).toHaveLength(header.capturedLength);
      expect(header.originalLength).toBe(header.capturedLength);
      expect(Math.abs(header.timestampSeconds - Date.now() / 1000)).toBeLessThan(3600);
    }
  });

  it("reads what others write: tcpdump's and tshark's copies are the same capture", async () => {
    const tcpdump = which("tcpdump") ?? "";
    execFileSync(tcpdump, ["-r", at("curl.pcapng"), "-w", at("td.pcap")], { stdio: "ignore" });
    for (const format of ["pcap", "nsecpcap", "pcapng", "modpcap"]) {
      tshark(["-r", at("curl.pcapng"), "-F", format, "-w", at(`ts.${format}`)]);
    }
    const decode = async (file: string): Promise<string> =>
      (await netcell(["replay", "--decode", "--time", "none", at(file)])).stdout;
    const ours = await decode("curl.pcapng");
    expect(ours.split("\n").length).toBeGreaterThan(10);
    for (const file of ["td.pcap", "ts.pcap", "ts.nsecpcap", "ts.pcapng", "ts.modpcap"]) {
      expect(await decode(file)).toBe(ours);
    }
    const comments = async (file: string): Promise<unknown[]> => {
      const r = await netcell(["replay", "--decode", "--json", at(file)]);
      return r.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).comments);
    };
    expect(await comments("ts.pcapng")).toEqual(await comments("curl.pcapng"));
  });
});
