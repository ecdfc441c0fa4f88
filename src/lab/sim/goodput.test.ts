// The small grid of goodput against its stored guards. Beyond its tolerance: look why, and when it is meant, renew
// them with npm run goodput, which prints the differences.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type GoodputGuards,
  GRID,
  judge,
  measure,
  SEEDS,
  SMALL_GRID,
  smallSeeds,
  tolerance,
} from "../testing/goodput-guards.ts";
import { cellName, goodput } from "./goodput.ts";

const guards = JSON.parse(
  readFileSync(new URL("../../../fixtures/goodput.json", import.meta.url), "utf8"),
) as GoodputGuards;

describe("goodput", () => {
  it("has a guard for every cell and seed", () => {
    expect(Object.keys(guards)).toEqual(GRID.map(cellName));
    for (const shares of Object.values(guards)) expect(shares).toHaveLength(SEEDS.length);
  });

  it.each(SMALL_GRID.map((cell) => [cellName(cell), cell] as const))("of %s", (_name, cell) => {
    const { shares } = measure(cell, smallSeeds(cell));
    expect(judge(cell, shares, guards)).toMatchObject({ isOk: true });
  });

  it("is the same number for the same seed", () => {
    const cell = GRID[GRID.length - 1];
    expect(goodput(cell, 9).bitsPerSecond).toBe(goodput(cell, 9).bitsPerSecond);
  });

  it("is judged by what chance explains, and by no less than two per cent", () => {
    const [cell] = SMALL_GRID;
    const name = cellName(cell);
    expect(judge(cell, [900], { [name]: [990, 990, 990, 990] })).toMatchObject({ isOk: false });
    expect(judge(cell, [950], { [name]: [990, 990, 990, 990] })).toMatchObject({ isOk: true });
    expect(tolerance([100, 100, 100, 100], 4)).toBe(20);
    expect(tolerance([300, 500, 300, 500], 4)).toBeCloseTo(212, 0);
  });
});
