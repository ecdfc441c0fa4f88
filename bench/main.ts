// npm run bench [-- NAME...] [--json]: native and netcell side by side. Reports; judges nothing.

import { printTable, type Row, workplace } from "./harness.ts";
import { network } from "./network.ts";
import { idle, micro, startUp } from "./system.ts";

const names = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const asJson = process.argv.includes("--json");
const only = (name: string): boolean => names.length === 0 || names.some((n) => name.includes(n));

const place = workplace();
const rows: Row[] = [];
try {
  rows.push(...(await micro(place, only)));
  if (only("start")) rows.push(await startUp(place));
  if (only("idle")) rows.push(...(await idle(place)));
  rows.push(...(await network(place, only)));
} finally {
  place.remove();
}
if (asJson) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else printTable(rows);
