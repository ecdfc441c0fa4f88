// `netcell switch` and `--net switch=SOCKET`: sandboxes on one Ethernet, without any right on the host.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CLI, cell, netcell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

let dir = "";
let socket = "";
const children: ChildProcess[] = [];

/** A netcell that goes on; resolves when it has written those words. */
function start(args: readonly string[], words: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes(words)) resolve(child);
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.on("close", () => reject(new Error(`ended with: ${text}`)));
  });
}

async function end(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.kill(signal);
  return new Promise((resolve) => child.once("close", resolve));
}

const on = (ip: string, ...more: string[]): string[] => [
  "--net",
  `switch=${socket}`,
  "--ip",
  ip,
  ...more,
];
/** Up until its keyboard ends. */
const station = (ip: string, script = "", ...more: string[]): Promise<ChildProcess> =>
  start(["run", ...on(ip, ...more), "--", "sh", "-c", `${script} echo up; cat`], "up\n");

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-switch-"));
  socket = join(dir, "lan");
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describeWith(["ping"], "a switch", () => {
  it("lets sandboxes hear each other, in both families, and ends with its socket", async () => {
    const lan = await start(["switch", socket], "is up");
    await station("10.1.0.1/24", "", "--ip6", "fd00:1::1/64");
    const r = await cell(
      ["sh", "-c", "ping -c 2 10.1.0.1 && ping -c 1 fd00:1::1 && ip -o link show eth0"],
      on("10.1.0.2/24", "--ip6", "fd00:1::2/64"),
    );
    expect(r.stdout).toContain("2 received");
    expect(r.stdout).toContain("1 received");
    expect(r.stdout).toContain("mtu 1500");
    expect(r.stderr).toBe("");
    expect(await end(lan)).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  it("says its MTU, and passes what stations without offload can read", async () => {
    await start(["switch", "--mtu", "9000", socket], "is up");
    await station("10.1.0.1/24");
    const flags = on("10.1.0.2/24", "--impair", "delay=1ms", "--mtu", "4000");
    const r = await cell(["ping", "-c", "1", "-M", "do", "-s", "3900", "10.1.0.1"], flags);
    expect(r.stdout).toContain("1 received");
    const above = await cell(["true"], on("10.1.0.3/24", "--mtu", "9001"));
    expect(above.stderr).toBe("netcell: mtu 9001 is above the switch's, 9000.\n");
  });

  it("is not disturbed by who sends nonsense, or says nothing", async () => {
    await start(["switch", socket], "is up");
    await station("10.1.0.1/24");
    const closed = [Buffer.alloc(100, 255), Buffer.from([70, 0, 0, 0, ...Array(80).fill(1)])].map(
      (bytes) =>
        new Promise((resolve) => {
          const hostile = connect(socket, () => hostile.write(bytes));
          hostile.on("error", () => {}).on("close", resolve);
        }),
    );
    const silent = connect(socket);
    silent.on("error", () => {});
    await Promise.all(closed);
    const r = await cell(["ping", "-c", "1", "10.1.0.1"], on("10.1.0.2/24"));
    expect(r.stdout).toContain("1 received");
    silent.destroy();
  });

  it("takes the place of one that was killed, and of nobody else", async () => {
    const first = await start(["switch", socket], "is up");
    const second = await netcell(["switch", socket]);
    expect(second).toMatchObject({ status: 125 });
    expect(second.stderr).toMatch(/^netcell: the switch cannot listen at .*: somebody else does/);
    await end(first, "SIGKILL");
    expect(existsSync(socket)).toBe(true);
    expect(await end(await start(["switch", socket], "is up"))).toBe(0);
    writeFileSync(join(dir, "file"), "kept");
    const file = await netcell(["switch", join(dir, "file")]);
    expect(file.stderr).toMatch(/there is a file of that name\.\n$/);
  });
});

const SERVE = `
import hashlib, socket
listener = socket.create_server(("", 7))
print("listening", flush=True)
peer, _ = listener.accept()
digest = hashlib.sha256()
while data := peer.recv(1 << 20): digest.update(data)
peer.sendall(digest.digest())
`;
const SEND = `
import hashlib, random, socket
data = random.Random(7).randbytes(20_000_000)
peer = socket.create_connection(("10.1.0.1", 7))
peer.sendall(data)
peer.shutdown(socket.SHUT_WR)
print(peer.recv(100) == hashlib.sha256(data).digest())
`;

describeWith(["iperf3", "python3"], "a switch under load", () => {
  it("carries a stream whole", async () => {
    await start(["switch", socket], "is up");
    await start(["run", ...on("10.1.0.1/24"), "--", "python3", "-c", SERVE], "listening");
    const r = await cell(["python3", "-c", SEND], on("10.1.0.2/24"));
    expect(r).toMatchObject({ status: 0, stdout: "True\n", stderr: "" });
  });

  it("serves iperf3", async () => {
    await start(["switch", socket], "is up");
    const serve = ["run", ...on("10.1.0.1/24"), "--", "iperf3", "-s", "-1", "--forceflush"];
    await start(serve, "listening");
    const r = await cell(["iperf3", "-J", "-n", "50M", "-c", "10.1.0.1"], on("10.1.0.2/24"));
    expect(r.status).toBe(0);
    const { end: sums } = JSON.parse(r.stdout) as { end: { sum_sent: { bytes: number } } };
    expect(sums.sum_sent.bytes).toBeGreaterThanOrEqual(50 * 1024 * 1024);
  });
});

describe("--net switch", () => {
  it("says what is missing", async () => {
    const lone = await cell(["true"], ["--net", `switch=${dir}/nobody`, "--ip", "10.1.0.1/24"]);
    expect(lone).toMatchObject({ status: 125 });
    expect(lone.stderr).toBe(
      `netcell: the switch at ${dir}/nobody does not run; start it with "netcell switch ${dir}/nobody".\n`,
    );
    const nameless = await cell(["true"], ["--net", "switch=x"]);
    expect(nameless.stderr).toMatch(/^netcell: net switch needs ip, for example /);
    const open = await cell(["true"], [...on("10.1.0.1/24"), "--allow", "all"]);
    expect(open.stderr).toBe("netcell: allow is for the gateway; net switch has none.\n");
  });
});
