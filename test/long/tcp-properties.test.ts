// The long campaign of src/netstack/tcp/properties.test.ts: other worlds at each run, worse wires, more of
// them. NETCELL_RUNS says how many (default 2000), NETCELL_SEED repeats a run; a failure prints both.

import fc from "fast-check";
import { describe, it } from "vitest";
import { transfer, WORLD } from "../../src/netstack/tcp/testing-transfer.ts";

const numRuns = Number(process.env.NETCELL_RUNS ?? 2_000);
const seed = Number(process.env.NETCELL_SEED ?? Date.now() | 0);

const world = fc.record({
  seed: fc.integer({ min: 1, max: 1 << 30 }),
  lossPercent: fc.constantFrom(...WORLD.lossPercent, 35, 60),
  dupPercent: fc.constantFrom(...WORLD.dupPercent),
  corruptPercent: fc.constantFrom(...WORLD.corruptPercent),
  reorderMs: fc.constantFrom(...WORLD.reorderMs, 500),
  delayMs: fc.constantFrom(...WORLD.delayMs, 600),
  bytes: fc.integer({ min: 1, max: 600_000 }),
  gso: fc.constantFrom(...WORLD.gso),
  congestion: fc.constantFrom(...WORLD.congestion),
  receiveBuffer: fc.constantFrom(...WORLD.receiveBuffer),
  readPieceBytes: fc.constantFrom(...WORLD.readPieceBytes),
  withoutSack: fc.constantFrom(...WORLD.withoutSack),
  socketMemoryBytes: fc.constantFrom(...WORLD.socketMemoryBytes),
});

/** Half of everything lost at 600 kB takes for ever: such worlds are small. */
const bounded = world.map((w) => (w.lossPercent > 20 ? { ...w, bytes: w.bytes % 20_000 } : w));

describe("two TCPs over a bad wire", () => {
  it(`keep every promise in ${numRuns} worlds, seed ${seed}`, () => {
    fc.assert(
      fc.property(bounded, (w) => {
        transfer(w);
      }),
      { numRuns, seed },
    );
  });
});
