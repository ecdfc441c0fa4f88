// Makes the recordings of fixtures/pcap again, from real programs on a TAP device, and looks at each: it decodes,
// its checksums are right, and it shows what its sentence says. With NETCELL_WRITE_FIXTURES=1 they take the place
// of those in the repository (then run npm run fixtures, and look at the difference).

import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { FrameDecoder } from "../../src/lab/index.ts";
import { examine, type IndexedCapture } from "../../src/lab/testing/capture-index.ts";
import { CaptureReader, sourceOf } from "../../src/link/index.ts";
import { describeWith } from "../support/needs.ts";
import type { NetworkNamespace } from "../support/netns.ts";
import { DEVICE, joinFar, OUTSIDE, OUTSIDE6, RECORDED } from "../support/recorded-captures.ts";
import { TapBench, withoutOffloads } from "../support/tap.ts";

const DIRECTORY = new URL("../../fixtures/pcap/", import.meta.url).pathname;
const INDEX = join(DIRECTORY, "index.json");
const BYTES_MAX = 20_000;
const WRITES = process.env.NETCELL_WRITE_FIXTURES === "1";
const NEEDED = "root ip nginx iperf3 curl python3 ping traceroute ssh dnsmasq".split(" ");

function lines(file: Uint8Array, verbosity: number): string[] {
  const reader = new CaptureReader(sourceOf(file));
  const decoder = new FrameDecoder({ verbosity });
  const found: string[] = [];
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    found.push(decoder.text(frame));
  }
  return found;
}

describeWith(NEEDED, "recordings", () => {
  let tap: TapBench;
  let far: NetworkNamespace;

  beforeAll(() => {
    tap = new TapBench(DEVICE, [`${OUTSIDE}/24`, `${OUTSIDE6}/64 nodad`]);
    withoutOffloads(tap.ns, DEVICE);
    far = joinFar(tap);
  });
  afterEach(() => tap.finish());
  afterAll(() => {
    tap?.remove();
    far?.remove();
  });

  it.each(RECORDED.map((r) => [r.file, r] as const))("%s", async (file, recorded) => {
    const path = join(tap.directory, file);
    await recorded.record(tap, path);
    const bytes = readFileSync(path);
    const text = [...lines(bytes, 0), ...lines(bytes, 1)];
    for (const what of recorded.shows) expect(text.join("\n")).toMatch(what);
    const found = examine(bytes, "recorded");
    if (recorded.isDamaged !== true) expect(found.badChecksums).toBe(0);
    expect(found.replay?.failed).toBe(undefined);
    if (!WRITES) return;
    expect(bytes.length).toBeLessThan(BYTES_MAX);
    copyFileSync(path, join(DIRECTORY, file));
    const old: IndexedCapture[] = existsSync(INDEX) ? JSON.parse(readFileSync(INDEX, "utf8")) : [];
    const entry: IndexedCapture = { file, about: recorded.about, origin: "recorded", ...found };
    const all = [...old.filter((other) => other.file !== file), entry];
    writeFileSync(INDEX, `[\n${all.map((one) => `  ${JSON.stringify(one)}`).join(",\n")}\n]\n`);
  });
});
