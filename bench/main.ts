// npm run bench [-- NAME...] [--json]: native and netcell side by side; the stack
// alone (`stack`, `stack: connect`); the laboratory (`lab`, `lab: fuzz`); the packet scripts (`drill`). Reports;
// judges nothing.

import { drill } from "./drill.ts";
import { printTable, type Row, workplace } from "./harness.ts";
import { LAB } from "./lab.ts";
import { network } from "./network.ts";
import { rowsAsked, runEachAlone } from "./own-process.ts";
import { STACK } from "./stack.ts";
import { idle, micro, startUp } from "./system.ts";

const names = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const asJson = process.argv.includes("--json");
const only = (name: string): boolean => names.length === 0 || names.some((n) => name.includes(n));

const asked = await rowsAsked([...STACK, ...LAB]);
if (asked !== null) {
  process.stdout.write(JSON.stringify(asked));
  // The other stack of `stack` has timers that nothing ends.
  process.exit();
}

const rows: Row[] = await runEachAlone([...STACK, ...LAB], only);
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
