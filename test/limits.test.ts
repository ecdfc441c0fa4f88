// `--cpus` and `--rate`: what a sandbox takes by its own clocks. Both are bounds from above, so a busy machine can only
// make them easier to keep.

import { type AddressInfo, createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

/** CPU seconds and seconds of two processes that spin for a second each. */
const SPIN = `
import os, time
def taken(): t = os.times(); return t.user + t.system
def spin():
  begin, used = time.monotonic(), taken()
  while time.monotonic() - begin < 1: pass
  os.write(1, b"%f %f\\n" % (taken() - used, time.monotonic() - begin))
if os.fork() == 0:
  spin()
  os._exit(0)
spin()
os.wait()
`;

describeWith(["python3"], "--cpus", () => {
  it("holds for all processes together", async () => {
    const r = await cell(["python3", "-c", SPIN], ["--cpus", "0.3", "--net", "none"]);
    expect(r.stderr).toBe("");
    const rows = r.stdout.trim().split("\n");
    expect(rows).toHaveLength(2);
    let cpu = 0;
    let seconds = 0;
    for (const row of rows) {
      const [used, took] = row.split(" ").map(Number);
      cpu += used;
      seconds = Math.max(seconds, took);
    }
    expect(cpu).toBeGreaterThan(0);
    // A period's worth at either end, and what times(2) rounds.
    expect(cpu).toBeLessThan(0.3 * (seconds + 0.2) + 0.05);
  });

  it.each(["0", "none", "-1"])("refuses %s", async (cpus) => {
    const r = await cell(["true"], [`--cpus=${cpus}`]);
    expect(r).toMatchObject({ status: 125 });
    expect(r.stderr).toMatch(/^netcell: --cpus ".*" is no number of CPUs; .*\n$/);
  });

  it("refuses a clock that stands while programs run", async () => {
    const r = await cell(["true"], ["--cpus", "1", "--time", "virtual"]);
    expect(r).toMatchObject({ status: 125 });
    expect(r.stderr).toMatch(/^netcell: a limit of CPU time needs the host's clock: .*\n$/);
  });
});

describe("--rate", () => {
  const bytes = Buffer.alloc(400_000, "bytes that take their time ");
  const server = createServer((socket) => socket.end(bytes));
  afterAll(() => server.close());

  it("holds for what comes in", async () => {
    await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
    const { port } = server.address() as AddressInfo;
    const script = `exec 3<>/dev/tcp/host.netcell.internal/${port}
      read -r begin _ </proc/uptime; wc -c <&3; read -r end _ </proc/uptime; echo $begin $end`;
    const flags = ["--allow", `host:${port}`, "--rate", "8mbit"];
    const r = await cell(["bash", "-c", script], flags);
    const [count, times] = r.stdout.trim().split("\n");
    expect(Number(count)).toBe(bytes.length);
    const [begin, end] = times.split(" ").map(Number);
    // At a megabyte a second; what had come before the first look is in buffers that the window bounds.
    expect(end - begin).toBeGreaterThan(0.25);
  });

  it("refuses what is no rate, and a sandbox without a network", async () => {
    const odd = await cell(["true"], ["--rate", "10"]);
    expect(odd.stderr).toBe(
      'netcell: --rate "10" is no rate; write for example 10mbit or 500kbit.\n',
    );
    const none = await cell(["true"], ["--rate", "10mbit", "--net", "none"]);
    expect(none.stderr).toBe("netcell: a rate needs a network.\n");
  });
});
