// fixtures/goodput.json: what each cell of the grid gave with each seed when the guards were last renewed. A cell
// fails when the mean of its seeds is further from that than chance explains. Not part of the product.

import { cellName, type GoodputCell, goodput } from "../sim/goodput.ts";
import type { WorldConfig } from "../sim/world.ts";

/** Shares of the line in thousandths, by cell and in order of SEEDS. */
export type GoodputGuards = Record<string, number[]>;

export const SEEDS = [1, 2, 3, 4];
/** The whole grid is too slow for every run; SMALL_GRID is run each time. Without loss all seeds are alike. */
export const smallSeeds = ({ loss }: GoodputCell): number[] => SEEDS.slice(0, loss === 0 ? 1 : 2);

const CONGESTION = ["cubic", "reno", "bbr"];
const LOSS = [0, 0.001, 0.01, 0.05];
const RTT_MS = [10, 50, 200];
const BUFFER = [0.25, 1, 4];

export const GRID: readonly GoodputCell[] = CONGESTION.flatMap((congestion) =>
  LOSS.flatMap((loss) =>
    RTT_MS.flatMap((rttMs) => BUFFER.map((buffer) => ({ congestion, loss, rttMs, buffer }))),
  ),
);

export const SMALL_GRID = GRID.filter(
  ({ loss, rttMs, buffer }) => (loss === 0 || loss === 0.01) && rttMs === 50 && buffer !== 1,
);

const THOUSANDTHS = 1000;
/** Another packet lost is another number: below this nothing is said. */
const TOLERANCE_MIN = 20;
/** Of the guard. */
const TOLERANCE_SHARE = 0.05;
const DEVIATIONS = 3;

export function measure(
  cell: GoodputCell,
  seeds: readonly number[],
  stopwatch?: WorldConfig["stopwatch"],
): { shares: number[]; speed: number } {
  const runs = seeds.map((seed) => goodput(cell, seed, stopwatch));
  const speeds = runs.map(({ speed }) => speed ?? 0);
  return {
    shares: runs.map(({ share }) => Math.round(share * THOUSANDTHS)),
    speed: mean(speeds),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** How far the mean of `count` seeds may be from the guard's. */
export function tolerance(guard: readonly number[], count: number): number {
  const middle = mean(guard);
  const deviation = Math.sqrt(mean(guard.map((value) => (value - middle) ** 2)));
  const byChance = (DEVIATIONS * deviation * Math.SQRT2) / Math.sqrt(count);
  return Math.max(TOLERANCE_MIN, TOLERANCE_SHARE * middle, byChance);
}

export interface Judgment {
  name: string;
  was: number;
  is: number;
  allowed: number;
  isOk: boolean;
}

/** The same seeds on both sides. */
export function judge(
  cell: GoodputCell,
  shares: readonly number[],
  guards: GoodputGuards,
): Judgment {
  const name = cellName(cell);
  const guard = guards[name] ?? [];
  const was = mean(guard.slice(0, shares.length));
  const is = mean(shares);
  const allowed = tolerance(guard, shares.length);
  return { name, was, is, allowed, isOk: Math.abs(is - was) <= allowed };
}
