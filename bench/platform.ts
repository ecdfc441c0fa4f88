// What the platform costs by itself, without a kernel: `npm run build && node dist/bench/platform.js`.

import { getpid } from "../src/host/index.ts";
import { HostClock } from "../src/sentry/loop/host-clock.ts";
import { PROGRAMS, ToyMachine } from "../src/sentry/platform/systrap/toy-machine.ts";

const PAGE = 4096;
const AT = 0x900_0000;

function measure(name: string, rounds: number, body: () => void): void {
  for (let i = 0; i < rounds / 10; i++) body();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    body();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (q: number): string => times[Math.floor(q * rounds)].toFixed(2).padStart(8);
  process.stdout.write(`${name.padEnd(36)} p10 ${at(0.1)}  p50 ${at(0.5)}  p90 ${at(0.9)} us\n`);
}

const started = performance.now();
const m = new ToyMachine();
process.stdout.write(`platform up in ${(performance.now() - started).toFixed(1)} ms\n`);
const space = m.space();
m.loadCode(space, PROGRAMS.syscalls);
const c = m.context(space);
const data = m.page();
m.run(c);

measure("trap round trip", 20_000, () => m.run(c));
measure("map one page, then trap", 3_000, () => {
  space.map(AT, PAGE, 3, m.fd, data);
  m.run(c);
});
measure("protect, then trap", 3_000, () => {
  space.protect(AT, PAGE, 1);
  m.run(c);
});
measure("map 20 runs, then trap", 1_000, () => {
  for (let i = 0; i < 20; i++) space.map(AT + 2 * i * PAGE, PAGE, 3, m.fd, data);
  m.run(c);
});
measure("address space: new, run, release", 200, () => {
  const child = m.space();
  m.loadCode(child, PROGRAMS.syscalls);
  const d = m.context(child);
  d.copyFrom(c);
  m.run(d);
  d.release();
  child.release();
  m.platform.reapStubs();
});
const clock = new HostClock();
let sum = 0;
measure("1000 x clock.monotonicNs()", 200, () => {
  for (let i = 0; i < 1000; i++) sum += clock.monotonicNs();
});
measure("1000 x host call (getpid)", 200, () => {
  for (let i = 0; i < 1000; i++) sum += getpid();
});
m.dispose();
if (sum < 0) process.stdout.write("never\n");
