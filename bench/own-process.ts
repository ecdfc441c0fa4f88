// Benchmarks that run in a process of their own each: what one leaves on the heap, and teaches the compiler, the next
// one would pay. measured: MTU 1500 1.26 Gbit/s after the others, 1.8 to 2.4 alone; decoding TCP 424,000 frames/s
// after other captures, 625,000 alone.

import { execute, type Row } from "./harness.ts";

export interface OwnProcess {
  /** As on the command line: "stack: connect and close". */
  name: string;
  run: () => Row[] | Promise<Row[]>;
}

const FLAG = "--own-process=";

/** The rows of the benchmark that this process was started for; null: of none. */
export async function rowsAsked(all: readonly OwnProcess[]): Promise<Row[] | null> {
  const flag = process.argv.find((arg) => arg.startsWith(FLAG));
  const found = all.find(({ name }) => name === flag?.slice(FLAG.length));
  return found === undefined ? null : found.run();
}

export async function runEachAlone(
  all: readonly OwnProcess[],
  only: (name: string) => boolean,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name } of all.filter((benchmark) => only(benchmark.name))) {
    const argv = [process.execPath, process.argv[1], `${FLAG}${name}`];
    const { status, stdout, stderr } = await execute(argv, process.cwd());
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    process.stderr.write(stderr);
    rows.push(...JSON.parse(stdout));
  }
  return rows;
}
