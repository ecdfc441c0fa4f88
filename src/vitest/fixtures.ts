// Vitest's test with fixtures: `sim`, a world in virtual time whose every frame is recorded, and `stack`, one stack
// in it. When the test fails, its seed is printed and the recording is kept.

import { test as base, type RunnerTestCase } from "vitest";
import { Recording, World } from "../lab/index.ts";
import type { Stack } from "../netstack/index.ts";
import { keepArtefact } from "./artefacts.ts";
import { seedOf } from "./seed.ts";

const NS_PER_MS = 1e6;

declare module "vitest" {
  interface TaskMeta {
    /** Of the world of a test with `sim`; reporters that show what is known of a test have it. */
    simulated?: { seconds: number; secondsPerSecond: number | null };
  }
}

export interface NetcellFixtures {
  sim: World;
  /** Not attached to anything yet: sim.join and sim.plug do that. */
  stack: Stack;
}

/** "suite > test", as reporters print it. */
export function fullName(task: Pick<RunnerTestCase, "name" | "suite">): string {
  const names = [task.name];
  for (let suite = task.suite; suite !== undefined; suite = suite.suite) {
    if (suite.name !== "") names.unshift(suite.name);
  }
  return names.join(" > ");
}

const paceOf = (speed: number): string => `${speed.toFixed(0)} simulated seconds per real one`;

/** What a failure says and keeps; the text is for people. */
export function report(name: string, world: World): string {
  const { recording, seed, speed } = world;
  const seconds = (world.nowNs / 1e9).toFixed(3);
  const pace = speed === null ? "" : `, ${paceOf(speed)}`;
  const lines = [
    `netcell: "${name}" failed at ${seconds} s${pace}; NETCELL_SEED=${seed} repeats its world`,
  ];
  if (recording !== null && recording.frames > 0) {
    const path = keepArtefact(name, "sim.pcapng", recording.toBytes());
    const missed = recording.missed > 0 ? `, ${recording.missed} more did not fit` : "";
    lines.push(`netcell: ${recording.frames} frames${missed}: ${path}`);
  }
  return lines.join("\n");
}

export const test = base.extend<NetcellFixtures>({
  sim: async ({ task, onTestFailed }, use) => {
    const name = fullName(task);
    const world = new World({
      seed: seedOf(name),
      recording: new Recording(),
      stopwatch: () => performance.now() * NS_PER_MS,
    });
    onTestFailed(() => {
      process.stderr.write(`${report(name, world)}\n`);
    });
    await use(world);
    task.meta.simulated = { seconds: world.nowNs / 1e9, secondsPerSecond: world.speed };
    world.close();
  },
  stack: async ({ sim }, use) => {
    await use(sim.stack());
  },
});

/** The other name of the same. */
export const it = test;
