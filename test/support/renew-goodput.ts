// Runs the whole grid of goodput and renews fixtures/goodput.json; prints what changed, the largest first.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cellName } from "../../src/lab/sim/goodput.ts";
import {
  type GoodputGuards,
  GRID,
  judge,
  measure,
  SEEDS,
} from "../../src/lab/testing/goodput-guards.ts";

const FILE = "fixtures/goodput.json";
const stopwatch = (): number => performance.now() * 1e6;

const old: GoodputGuards = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
const renewed: GoodputGuards = {};
let speed = 0;
const changes: { name: string; was: number; is: number; note: string }[] = [];
for (const cell of GRID) {
  const name = cellName(cell);
  const { shares, speed: ofCell } = measure(cell, SEEDS, stopwatch);
  renewed[name] = shares;
  speed += ofCell / GRID.length;
  if (old[name] === undefined) continue;
  const { was, is, isOk } = judge(cell, shares, old);
  if (was !== is) changes.push({ name, was, is, note: isOk ? "" : "beyond its tolerance" });
}
changes.sort((a, b) => Math.abs(b.is - b.was) - Math.abs(a.is - a.was));
for (const { name, was, is, note } of changes) {
  const per = (share: number): string => `${(share / 10).toFixed(1)}%`.padStart(7);
  console.log(`${name.padEnd(40)} ${per(was)} ->${per(is)} ${note}`);
}
const rows = Object.entries(renewed).map(([name, s]) => `  "${name}": ${JSON.stringify(s)}`);
writeFileSync(FILE, `{\n${rows.join(",\n")}\n}\n`);
console.log(
  `${GRID.length} cells, ${changes.length} changed; ${speed.toFixed(0)} simulated seconds per real second`,
);
