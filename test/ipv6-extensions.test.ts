// IPv6 extension headers by a program inside, with the host's kernel as the peer; over the loopback:
// host-programs.test.ts.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWith } from "./support/needs.ts";
import { TapBench } from "./support/tap.ts";

const PROGRAM = fileURLToPath(new URL("programs/ipv6-extensions-wire.py", import.meta.url));

describeWith(["root", "ip", "python3", "tcpdump"], "IPv6 extension headers on TAP", () => {
  let tap: TapBench;

  beforeAll(async () => {
    tap = new TapBench("tap0", ["fd00:77::1/64 nodad"]);
    const server = tap.ns.spawn("python3", PROGRAM, "serve");
    await new Promise((go) => server.stdout?.once("data", go));
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  it("reach a Linux, whole and in pieces, and come from it", async () => {
    copyFileSync(PROGRAM, join(tap.directory, "program.py"));
    const flags = ["--ip6", "fd00:77::2/64", "--router6", "fd00:77::1"];
    const run = await tap.inside(flags, ["python3", "program.py"]);
    expect(run.stderr).toBe("");
    // As between two of Linux.
    expect(run.stdout.trimEnd().split("\n")).toEqual([
      "0 0 10: 10 ; 2 2 hop 8 dst 16",
      "1 0 10: 10 hop 8; 2 2 hop 8 dst 16",
      "0 2 10: 10 dst 16; 2 2 hop 8 dst 16",
      "1 2 10: 10 hop 8 dst 16; 2 2 hop 8 dst 16",
      "0 32 10: 10 dst 256; 2 2 hop 8 dst 16",
      "16 40 10: 10 hop 128 dst 320; 2 2 hop 8 dst 16",
      "1 2 1428: 1428 hop 8 dst 16; 1420 1420 hop 8 dst 16 pieces 1496",
      "1 2 1429: 1429 hop 8 dst 16 pieces 1496; 1421 1421 hop 8 dst 16 pieces 1496",
      "0 2 4000: 4000 dst 16 pieces 1496; 3992 3992 hop 8 dst 16 pieces 1496",
      "2 0 4000: 4000 hop 16 pieces 1496; 3992 3992 hop 8 dst 16 pieces 1496",
      "flow: 10 flow 00054321 hop 16",
      "tcp 0 200000 1428",
      "tcp 2 200000 1412",
      "tcp 40 200000 1108",
    ]);
  });
});
