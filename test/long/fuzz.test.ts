// Goal: every planted fault is found within a minute of CPU time and shrunk to at most ten packets, and campaigns
// on what nobody has broken find nothing. NETCELL_SEED and NETCELL_RUNS (cases of each campaign) as elsewhere.

import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { Campaign } from "../../src/lab/fuzz/campaign.ts";
import { caseToJson } from "../../src/lab/fuzz/case-file.ts";
import { shrink } from "../../src/lab/fuzz/shrink.ts";
import { StackTarget } from "../../src/lab/fuzz/stack-target.ts";
import type { Target } from "../../src/lab/fuzz/target.ts";
import { TcpTarget } from "../../src/lab/fuzz/tcp-target.ts";
import { PLANTED } from "../../src/lab/fuzz/testing-faults.ts";
import { PLANTED_BLIND } from "../../src/lab/fuzz/testing-faults-blind.ts";
import { WireTarget } from "../../src/lab/fuzz/wire-target.ts";

const SEED = Number(process.env.NETCELL_SEED ?? 1);
const CASES = Number(process.env.NETCELL_RUNS ?? 20_000);
const SECONDS = 60;
const table: string[] = [];

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

describe("planted faults", () => {
  it.each([...PLANTED, ...PLANTED_BLIND])("$layer: $what", ({ layer, what, target }) => {
    const campaign = new Campaign(target, { seed: SEED });
    const start = cpuSeconds();
    let found = campaign.next();
    while (found === null && cpuSeconds() - start < SECONDS) found = campaign.next();
    if (found === null) throw new Error(`not found in ${campaign.cases} cases`);
    const seconds = (cpuSeconds() - start).toFixed(1);
    const { case: small, failure } = shrink(target, found.case, found.failure);
    table.push(`| ${layer} | ${what} | ${failure.law} | ${seconds} s | ${small.steps.length} |`);
    expect(small.steps.length).toBeLessThanOrEqual(10);
  });

  afterAll(() => {
    console.log(["| layer | fault | law | found after | steps |", ...table].join("\n"));
  });
});

describe("the heap", () => {
  it("holds no more after many cases than after few", () => {
    const { gc } = globalThis as { gc?: () => void };
    if (gc === undefined) throw new Error("run with --expose-gc");
    const target = new StackTarget();
    const steps = fc.sample(target.steps, { seed: SEED, numRuns: 60 });
    const usedAfter = (cases: number): number => {
      for (let i = 0; i < cases; i++) target.run(i & 255, steps);
      gc();
      return process.memoryUsage().heapUsed;
    };
    usedAfter(300);
    const before = usedAfter(300);
    const after = usedAfter(3_000);
    // A stack that was left alive holds hundreds of kilobytes: three thousand would show.
    expect((after - before) / 2 ** 20).toBeLessThan(16);
  });
});

describe("campaigns on what nobody has broken", () => {
  it.each([
    ["stack", new StackTarget() as unknown as Target<unknown>, CASES],
    ["tcp", new TcpTarget() as unknown as Target<unknown>, CASES / 20],
    ["wire", new WireTarget() as unknown as Target<unknown>, CASES / 20],
  ])("%s", (name, target, cases) => {
    const campaign = new Campaign(target, { seed: SEED });
    for (let i = 0; i < cases; i++) {
      const found = campaign.next();
      if (found === null) continue;
      const { case: small, failure } = shrink(target, found.case, found.failure);
      throw new Error(`${failure.message}\n${caseToJson(name, small, failure)}`);
    }
    console.log(`${name}: ${campaign.frames} frames, coverage ${campaign.coverage.count}`);
  });
});
