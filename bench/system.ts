// System calls, memory, processes, files, start-up, idling: what a program feels without a network.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { execute, inCell, median, type Row, type Workplace } from "./harness.ts";

const MICRO: readonly (readonly [string, string, string, number])[] = [
  ["syscall", "trapped syscall", "<= 4 us", 1e3],
  ["clock_gettime", "clock_gettime", "<= 0.060 us", 1e3],
  ["read_zero", "read 1 byte of /dev/zero", "", 1e3],
  ["pipe", "pipe ping-pong", "", 1e3],
  ["futex", "futex ping-pong", "", 1e3],
  ["touch", "page touch (256 MiB)", "<= 2x", 1e3],
  ["forkexec", "fork+exec+wait, static", "<= 3000 us", 1e3],
  ["forkexec_dynamic", "fork+exec+wait, dynamic", "<= 6000 us", 1e3],
  ["stat", "stat", "", 1e3],
  ["open_read_close", "open+read+close", "", 1e3],
];

async function figure(argv: readonly string[], cwd: string): Promise<number | null> {
  const ran = await execute(argv, cwd);
  const match = /^\S+ ([\d.]+)\n$/.exec(ran.stdout);
  if (match !== null) return Number(match[1]);
  process.stderr.write(`${argv.join(" ")}: status ${ran.status}\n${ran.stderr}`);
  return null;
}

export async function micro(place: Workplace, only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [op, name, target, divisor] of MICRO) {
    if (!only(op)) continue;
    const native = await figure([place.micro, op], place.dir);
    const netcell = await figure(inCell([place.micro, op]), place.dir);
    rows.push({
      name,
      unit: "us",
      native: native === null ? null : native / divisor,
      netcell: netcell === null ? null : netcell / divisor,
      target,
    });
  }
  return rows;
}

export async function startUp(place: Workplace): Promise<Row> {
  const times: { native: number[]; netcell: number[] } = { native: [], netcell: [] };
  for (let i = 0; i < 11; i++) {
    times.native.push((await execute(["/bin/true"], place.dir)).elapsedMs);
    times.netcell.push((await execute(inCell(["/bin/true"]), place.dir)).elapsedMs);
  }
  return {
    name: "/bin/true, start to finish",
    unit: "ms",
    native: median(times.native),
    netcell: median(times.netcell),
    target: process.versions.node.startsWith("20.") ? "<= 300 ms" : "<= 160 ms",
  };
}

function family(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]));
    } catch {
      // it ended while we looked
    }
  }
  const found = [root];
  for (let i = 0; i < found.length; i++) {
    for (const [pid, parent] of parents) if (parent === found[i]) found.push(pid);
  }
  return found;
}

const pssKb = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);

/** Scheduler's own account of time on a CPU, in ns: /proc/PID/schedstat, all threads. */
function cpuNs(pid: number): number {
  let sum = 0;
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "utf8").split(" ")[0]);
  }
  return sum;
}

export async function idle(place: Workplace): Promise<Row[]> {
  const [program, ...args] = inCell(["sleep", "1000"]);
  const child = spawn(program, args, { cwd: place.dir, stdio: "ignore" });
  const wait = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms));
  await wait(3000);
  const pids = family(child.pid as number);
  const total = (): number => pids.reduce((sum, pid) => sum + cpuNs(pid), 0);
  const before = total();
  await wait(10_000);
  const usedMs = (total() - before) / 1e6;
  const memoryMb = pids.reduce((sum, pid) => sum + pssKb(pid), 0) / 1024;
  child.kill("SIGTERM");
  await new Promise((go) => child.once("exit", go));
  return [
    { name: "idle CPU in 10 s", unit: "ms", native: 0, netcell: usedMs, target: "<= 20 ms" },
    {
      name: "memory of all processes (PSS)",
      unit: "MiB",
      native: null,
      netcell: memoryMb,
      target: "",
    },
  ];
}
