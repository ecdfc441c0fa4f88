// The whole grid of goodput against its guards: see src/lab/sim/goodput.test.ts.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { cellName } from "../../src/lab/sim/goodput.ts";
import {
  type GoodputGuards,
  GRID,
  judge,
  measure,
  SEEDS,
} from "../../src/lab/testing/goodput-guards.ts";

const guards = JSON.parse(
  readFileSync(new URL("../../fixtures/goodput.json", import.meta.url), "utf8"),
) as GoodputGuards;

it.each(GRID.map((cell) => [cellName(cell), cell] as const))("goodput of %s", (_name, cell) => {
  const { shares } = measure(cell, SEEDS);
  expect(judge(cell, shares, guards)).toMatchObject({ isOk: true });
});
