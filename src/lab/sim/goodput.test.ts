// The small grid of goodput against its stored guards. Beyond its tolerance: look why, and when it is meant, renew
// them with npm run goodput, which prints the differences.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import { IpAddr } from "../../netstack/index.ts";
import {
  type GoodputGuards,
  GRID,
  judge,
  measure,
  SEEDS,
  SMALL_GRID,
  smallSeeds,
  tolerance,
} from "../testing/goodput-guards.ts";
import { openConnection } from "./conversation.ts";
import { jainIndex } from "./fairness.ts";
import { cellName, goodput, shareLine } from "./goodput.ts";
import { StreamSink, StreamSource } from "./streams.ts";
import { World } from "./world.ts";

const guards = JSON.parse(
  readFileSync(new URL("../../../fixtures/goodput.json", import.meta.url), "utf8"),
) as GoodputGuards;

describe("pacing", () => {
  // Bursts of two segments, cut up by the stack itself, once left at twice the rate.
  it("keeps BBR from losing anything once its start is over, with a buffer of one round trip", () => {
    const world = new World({ seed: 1 });
    const [a, b] = [world.stack(), world.stack()];
    const conditions = { delayNs: 10 * MS, rateBitsPerSecond: 10e6, queueFrames: 17 };
    const line = world.join(a, b, { conditions, backConditions: { rateBitsPerSecond: 0 } });
    const { from, to } = openConnection(world, a, b, IpAddr.v4(10, 0, 0, 2), {
      configure: (endpoint) => {
        endpoint.options.congestion = "bbr";
      },
    });
    new StreamSource(from, 1e12);
    const sink = new StreamSink(to);
    world.run(SECOND);
    const [dropped, read] = [line.a.out.counters.droppedQueueFull, sink.read];
    world.run(5 * SECOND);
    expect(line.a.out.counters.droppedQueueFull).toBe(dropped);
    expect((sink.read - read) * 8).toBeGreaterThan(5 * 9.2e6);
  });
});

describe("fairness", () => {
  it.each([
    ["cubic", "cubic", 0.95],
    ["reno", "reno", 0.95],
    ["bbr", "bbr", 0.9],
    ["cubic", "reno", 0.9],
  ])("of %s and %s over one buffer of one round trip", (one, other, least) => {
    const shares = shareLine([one, other], { rttMs: 20, buffer: 1 }, 1, 20);
    expect(jainIndex(shares)).toBeGreaterThan(least);
    expect(shares[0] + shares[1]).toBeGreaterThan(0.9);
  });
});

describe("goodput", () => {
  it("has a guard for every cell and seed", () => {
    expect(Object.keys(guards)).toEqual(GRID.map(cellName));
    for (const shares of Object.values(guards)) expect(shares).toHaveLength(SEEDS.length);
  });

  it.each(SMALL_GRID.map((cell) => [cellName(cell), cell] as const))("of %s", (_name, cell) => {
    const { shares } = measure(cell, smallSeeds(cell));
    expect(judge(cell, shares, guards)).toMatchObject({ isOk: true });
  });

  it("is the same number for the same seed", () => {
    const cell = GRID[GRID.length - 1];
    expect(goodput(cell, 9).bitsPerSecond).toBe(goodput(cell, 9).bitsPerSecond);
  });

  it("is judged by what chance explains, and by no less than two per cent", () => {
    const [cell] = SMALL_GRID;
    const name = cellName(cell);
    expect(judge(cell, [900], { [name]: [990, 990, 990, 990] })).toMatchObject({ isOk: false });
    expect(judge(cell, [950], { [name]: [990, 990, 990, 990] })).toMatchObject({ isOk: true });
    expect(tolerance([100, 100, 100, 100], 4)).toBe(20);
    expect(tolerance([300, 500, 300, 500], 4)).toBeCloseTo(212, 0);
  });
});
