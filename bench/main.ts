// npm run bench [-- NAME...] [--json]: native and netcell side by side; the stack
// alone (`stack`, `stack: connect`); the laboratory (`lab`, `lab: fuzz`); the packet scripts (`drill`). Reports;
// judges nothing.

import { drill } from "./drill.ts";
import { printTable, type Row, workplace } from "./harness.ts";
import { lab } from "./lab.ts";
import { network } from "./network.ts";
import { stack, stackRow } from "./stack.ts";
import { idle, micro, startUp } from "./system.ts";

const names = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const asJson = process.argv.includes("--json");
const only = (name: string): boolean => names.length === 0 || names.some((n) => name.includes(n));

const own = await stackRow(process.argv);
if (own !== null) {
  process.stdout.write(JSON.stringify(own));
  // The other stack of `stack` has timers that nothing ends.
  process.exit();
}

const rows: Row[] = [];
if (names.length === 0 || names.some((n) => n.startsWith("stack")))
  rows.push(...(await stack(only)));
if (names.length === 0 || names.some((n) => n.startsWith("lab"))) rows.push(...lab(only));
if (only("drill")) rows.push(...(await drill()));
if (names.length === 0 || names.some((n) => !/^(stack|lab|drill)/.test(n))) await besideNative();

async function besideNative(): Promise<void> {
  const place = workplace();
  try {
    rows.push(...(await micro(place, only)));
    if (only("start")) rows.push(await startUp(place));
    if (only("idle")) rows.push(...(await idle(place)));
    rows.push(...(await network(place, only)));
  } finally {
    place.remove();
  }
}

if (asJson) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else printTable(rows);
