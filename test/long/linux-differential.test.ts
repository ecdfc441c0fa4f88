// The long campaign of test/linux-differential.test.ts: seeds that nobody chose. NETCELL_RUNS and NETCELL_SEED
// as in tcp-properties.test.ts (a hundredth of the runs: each takes a second of real time).

import { expect, it } from "vitest";
import { acks, burst, linux, ours, transmissions } from "../support/differential.ts";
import { describeWith } from "../support/needs.ts";

const runs = Math.ceil(Number(process.env.NETCELL_RUNS ?? 2_000) / 100);
const first = Number(process.env.NETCELL_SEED ?? Date.now() % 1_000_000);

describeWith(["root", "python3", "ip"], "our sender and Linux's", () => {
  it.each(Array.from({ length: runs }, (_, i) => first + i))("seed %i", (seed) => {
    const s = burst(seed);
    const [a, b] = [ours(s), linux(s)];
    expect(acks(a)).toEqual(acks(b));
    expect(transmissions(a)).toEqual(transmissions(b));
  });
});
