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

export function lab(only: (name: string) => boolean): Row[] {
  const rows: Row[] = [];
  const dir = mkdtempSync(join(tmpdir(), "netcell-bench-"));
  try {
    if (only("lab: decode")) {
      const mixed = join(dir, "mixed.pcap");
      writeMixed(mixed, MIXED_FRAMES);
      rows.push(row("decode, fixtures mixed", "frames/s", ">= 500000", decodeRate(mixed)));
    }
    const transfers = join(dir, "transfers.pcap");
    if (only("lab: decode") || only("lab: replay")) writeTransfers(transfers, MEGABYTES);
    if (only("lab: decode")) {
      rows.push(row("decode, TCP transfers", "frames/s", ">= 500000", decodeRate(transfers)));
    }
    if (only("lab: replay")) {
      const [seconds, cpuSeconds] = replaySeconds(transfers);
      rows.push(row(`replay of ${MEGABYTES} MB`, "s", "< 20", seconds));
      rows.push(row(`replay of ${MEGABYTES} MB, CPU time`, "s", "", cpuSeconds));
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  for (const level of FUZZ_LEVELS) {
    if (!only(`lab: fuzz ${level}`)) continue;
    const [cold, warm] = fuzzRates(level);
    rows.push(row(`fuzz ${level}, first ${COLD_MS / 1_000} s`, "frames/s", ">= 20000", cold));
    rows.push(row(`fuzz ${level}, after ${WARM_MS / 1_000} s`, "frames/s", ">= 20000", warm));
  }
  if (only("lab: sim")) rows.push(...simulation());
  return rows;
}
