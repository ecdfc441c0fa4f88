// A property that holds in any world: fast-check draws the values, every run has a world of its own, and the shrunk
// counterexample is run once more to leave its capture.

import fc from "fast-check";
import { expect } from "vitest";
import { Recording, World } from "../lab/index.ts";
import { keepArtefact } from "./artefacts.ts";
import { seedOf } from "./seed.ts";

export interface PropertyOptions {
  /** 100 when not given. */
  numRuns?: number;
  /** Of the values and the worlds; NETCELL_SEED, or one made of the test's name, when not given. */
  seed?: number;
}

const DEFAULT_RUNS = 100;

type Body<T> = (world: World, value: T) => void | boolean | Promise<void | boolean>;

/** Runs `body` for many values; false or an error is a failure, reported with seed, value and capture. */
export async function checkProperty<T>(
  arbitrary: fc.Arbitrary<T>,
  body: Body<T>,
  options: PropertyOptions = {},
): Promise<void> {
  const name = expect.getState().currentTestName ?? "property";
  const seed = options.seed ?? seedOf(name);
  const run = async (value: T, recording?: Recording): Promise<void | boolean> => {
    const world = new World({ seed, recording });
    try {
      return await body(world, value);
    } finally {
      world.close();
    }
  };
  const property = fc.asyncProperty(arbitrary, (value) => run(value));
  const details = await fc.check(property, {
    seed: seed | 0,
    numRuns: options.numRuns ?? DEFAULT_RUNS,
  });
  if (!details.failed) return;
  const lines = [await fc.asyncDefaultReportMessage(details), `NETCELL_SEED=${seed} repeats it`];
  if (details.counterexample !== null) {
    const recording = new Recording();
    // It fails again, for that is what it is kept for.
    await run(details.counterexample[0], recording).catch(() => {});
    if (recording.frames > 0) {
      const path = keepArtefact(name, "counterexample.pcapng", recording.toBytes());
      lines.push(`${recording.frames} frames of the shrunk case: ${path}`);
    }
  }
  throw new Error(lines.join("\n"), { cause: details.errorInstance });
}
