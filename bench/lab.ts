// The laboratory: how fast captures are decoded and played again, how many frames a campaign gets through, how much
// faster than the world's a simulation's time runs. No other program does the same beside it.

import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Campaign, targetOf } from "../src/lab/fuzz/index.ts";
import { FrameDecoder, replayCapture } from "../src/lab/index.ts";
import { cellName, type GoodputCell, goodput } from "../src/lab/sim/goodput.ts";
import { CaptureReader, sourceOf } from "../src/link/index.ts";
import type { Row } from "./harness.ts";
import { writeMixed, writeTransfers } from "./lab-captures.ts";
import type { OwnProcess } from "./own-process.ts";
import { bestRate, cpuMs } from "./stack-rates.ts";

const MEGABYTES = 100;
const MIXED_FRAMES = 100_000;
const OUTPUT_BYTES = 64 * 1024;
/** A slice of decoding between two looks at the clock. */
const FRAMES_AT_ONCE = 2_000;
const FUZZ_LEVELS = ["wire", "stack", "tcp"];
/** Of CPU time: a short campaign's, and then what a long one gets to. */
const COLD_MS = 5_000;
const WARM_MS = 20_000;
const CASES_AT_ONCE = 4;
const CELL: GoodputCell = { congestion: "cubic", loss: 0.001, rttMs: 50, buffer: 1 };

const row = (name: string, unit: string, target: string, netcell: number): Row => ({
  name: `lab: ${name}`,
  unit,
  target,
  native: null,
  netcell,
});

/** Frames per second of CPU time, as `netcell replay --decode` prints them, without the writing. */
function decodeRate(path: string): number {
  const file = new Uint8Array(readFileSync(path));
  const decoder = new FrameDecoder();
  let reader = new CaptureReader(sourceOf(file));
  const perMs = bestRate(() => {
    for (let n = 0; n < FRAMES_AT_ONCE; n++) {
      let frame = reader.next();
      if (frame === null) {
        reader = new CaptureReader(sourceOf(file));
        frame = reader.next();
        if (frame === null) throw new Error(`${path} holds no frame`);
      }
      decoder.print(frame);
      decoder.endLine();
      if (decoder.printedLength >= OUTPUT_BYTES) decoder.clear();
    }
    return FRAMES_AT_ONCE;
  });
  return perMs * 1_000;
}

/** Seconds by the clock and of CPU time. */
function replaySeconds(path: string): [number, number] {
  const fd = openSync(path, "r");
  const started = performance.now();
  const startedCpu = cpuMs();
  const reader = new CaptureReader({
    read: (into, offset, length) => readSync(fd, into, offset, length, null),
  });
  replayCapture(reader, {}, null, ({ state, verdict }) => {
    if (state !== "passed") throw new Error(`a transfer is played otherwise: ${verdict}`);
  });
  closeSync(fd);
  return [(performance.now() - started) / 1_000, (cpuMs() - startedCpu) / 1_000];
}

/** Frames per second of CPU time, in the first seconds and once all is compiled. */
function fuzzRates(level: string): [number, number] {
  const target = targetOf(level);
  if (target === null) throw new Error(`no target ${level}`);
  const campaign = new Campaign(target, { seed: 1 });
  const rateUntil = (ms: number): number => {
    const [frames, started] = [campaign.frames, cpuMs()];
    for (const until = started + ms; cpuMs() < until; ) {
      for (let i = 0; i < CASES_AT_ONCE; i++) {
        const found = campaign.next();
        if (found !== null) throw new Error(`${level}: ${found.failure.message}`);
      }
    }
    return ((campaign.frames - frames) / (cpuMs() - started)) * 1_000;
  };
  const cold = rateUntil(COLD_MS);
  rateUntil(WARM_MS - COLD_MS);
  return [cold, rateUntil(COLD_MS)];
}

function simulation(): Row[] {
  const stopwatch = (): number => Number(process.hrtime.bigint());
  goodput(CELL, 1);
  const { speed, bitsPerSecond } = goodput(CELL, 1, stopwatch);
  const name = cellName(CELL);
  return [
    row(`simulated seconds a second, ${name}`, "s/s", "", speed ?? Number.NaN),
    row(`goodput of 10 Mbit/s, ${name}`, "Mbit/s", "", bitsPerSecond / 1e6),
  ];
}

/** With a folder for captures, which goes afterwards. */
function withFolder(run: (dir: string) => Row[]): () => Row[] {
  return () => {
    const dir = mkdtempSync(join(tmpdir(), "netcell-bench-"));
    try {
      return run(dir);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
}

function decoding(name: string, write: (path: string) => void): OwnProcess {
  const run = withFolder((dir) => {
    const path = join(dir, "frames.pcap");
    write(path);
    return [row(name, "frames/s", ">= 500000", decodeRate(path))];
  });
  return { name: `lab: ${name}`, run };
}

const replaying = withFolder((dir) => {
  const path = join(dir, "transfers.pcap");
  writeTransfers(path, MEGABYTES);
  const [seconds, cpuSeconds] = replaySeconds(path);
  return [
    row(`replay of ${MEGABYTES} MB`, "s", "< 20", seconds),
    row(`replay of ${MEGABYTES} MB, CPU time`, "s", "", cpuSeconds),
  ];
});

function fuzzing(level: string): Row[] {
  const [cold, warm] = fuzzRates(level);
  return [
    row(`fuzz ${level}, first ${COLD_MS / 1_000} s`, "frames/s", ">= 20000", cold),
    row(`fuzz ${level}, after ${WARM_MS / 1_000} s`, "frames/s", ">= 20000", warm),
  ];
}

export const LAB: readonly OwnProcess[] = [
  decoding("decode, fixtures mixed", (path) => writeMixed(path, MIXED_FRAMES)),
  decoding("decode, TCP transfers", (path) => writeTransfers(path, MEGABYTES)),
  { name: "lab: replay", run: replaying },
  ...FUZZ_LEVELS.map((level) => ({ name: `lab: fuzz ${level}`, run: () => fuzzing(level) })),
  { name: "lab: simulation", run: simulation },
];
