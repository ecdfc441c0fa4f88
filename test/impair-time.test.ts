// `--impair` and `--time virtual`: a bad line seen by real programs, and a clock that does not wait.

import { createHash } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

describe("--time virtual", () => {
  it("sleeps for a day in no time, from the date that was asked for", async () => {
    const r = await cell(
      ["sh", "-c", "date -u +%F; sleep 86400; date -u +%F"],
      ["--time", "virtual=2030-01-01T12:00:00Z", "--net", "none"],
    );
    expect(r).toMatchObject({ status: 0, stdout: "2030-01-01\n2030-01-02\n", stderr: "" });
  });

  it("refuses a date that is none", async () => {
    const r = await cell(["true"], ["--time", "virtual=soon"]);
    expect(r.status).toBe(125);
    expect(r.stderr).toMatch(/^netcell: --time "virtual=soon" must be .*\n$/);
  });
});

describeWith(["ping"], "--impair", () => {
  it("delays frames both ways", async () => {
    const flags = ["--time", "virtual", "--impair", "delay=300ms"];
    const r = await cell(["ping", "-c", "2", "10.0.2.2"], flags);
    expect(r.stdout).toContain("2 received");
    // The second needs no neighbour discovery before it.
    expect(r.stdout).toMatch(/icmp_seq=2 .* time=6\d\d(\.\d+)? ms/);
  });

  it("loses frames", async () => {
    const flags = ["--time", "virtual", "--impair", "loss=100%"];
    const r = await cell(["ping", "-c", "2", "-W", "1", "10.0.2.2"], flags);
    expect(r.stdout).toContain("0 received");
  });

  it.each([
    ["loss=much", /impair: "loss=much" cannot be read/],
    ["gravity=1", /impair: "gravity" is no impairment/],
  ])("refuses %s", async (spec, message) => {
    const r = await cell(["true"], ["--impair", spec]);
    expect(r.status).toBe(125);
    expect(r.stderr).toMatch(message);
  });
});

describe("a transfer over a bad line", () => {
  const bytes = Buffer.alloc(300_000, "a line that is long enough to be cut into many segments. ");
  const server = createServer((socket) => socket.end(bytes));
  afterAll(() => server.close());

  it("arrives whole", async () => {
    await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
    const { port } = server.address() as AddressInfo;
    const script = `exec 3<>/dev/tcp/host.netcell.internal/${port}; sha256sum <&3`;
    const line = "loss=2%,delay=2ms,jitter=1ms,reorder=2%,duplicate=2%,corrupt=1%";
    const flags = ["--allow", `host:${port}`, "--seed", "7", "--impair", line];
    const r = await cell(["bash", "-c", script], flags);
    expect(r.stdout.split(" ")[0]).toBe(createHash("sha256").update(bytes).digest("hex"));
  });
});
