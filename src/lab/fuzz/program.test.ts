// Goal: what servers of datagrams are given is what UDP can carry, the same for the same seed, and shrinks.

import { describe, expect, it } from "vitest";
import type { Family } from "../../netstack/index.ts";
import { featureOf, ProgramInputs, type ProgramStep, smallerCases } from "./program-steps.ts";

const inputs = (corpus: Uint8Array[], seed = 1): ProgramInputs =>
  new ProgramInputs(corpus, { seed, frames: null, isUdp: true });

const sizes = (steps: readonly ProgramStep[]): number[] =>
  steps.flatMap((step) => (step.do === "datagram" ? [step.bytes.length] : []));

describe("inputs of datagrams", () => {
  it("are one client's: a socket, then one to four datagrams, none larger than UDP carries", () => {
    const made = inputs([new Uint8Array(65_000).fill(7)]);
    for (let i = 0; i < 40; i++) {
      const { steps } = made.next([4]);
      expect(steps[0]).toEqual({ do: "connect", family: 4 });
      expect(sizes(steps).length).toBe(steps.length - 1);
      expect(steps.length).toBeLessThanOrEqual(5);
      for (const size of sizes(steps)) expect(size).toBeLessThanOrEqual(65_507);
    }
  });

  it("are the same for the same seed, others for another, with a corpus and without", () => {
    for (const corpus of [[], [Uint8Array.of(1, 2, 3, 4, 5, 6)]]) {
      const [a, b, c] = [inputs(corpus), inputs(corpus), inputs(corpus, 2)].map((made) =>
        Array.from({ length: 20 }, () => made.next([4, 6])),
      );
      expect(a).toEqual(b);
      expect(a).not.toEqual(c);
    }
  });

  it("shrink to fewer datagrams, and these to fewer bytes", () => {
    const steps: ProgramStep[] = [
      { do: "connect", family: 6 },
      { do: "datagram", bytes: Uint8Array.of(1, 2, 3, 4) },
    ];
    const smaller = [...smallerCases(steps)];
    expect(smaller).toContainEqual([steps[1]]);
    expect(smaller).toContainEqual([{ do: "connect", family: 4 }, steps[1]]);
    expect(smaller).toContainEqual([
      steps[0],
      { do: "datagram", bytes: Uint8Array.of(1, 2) },
    ] satisfies ProgramStep[]);
  });
});

it("inputs go over each family where somebody listens, over no other", () => {
  const made = inputs([Uint8Array.of(1)]);
  const families = (of: Family[]): Set<unknown> =>
    new Set(
      Array.from({ length: 20 }, () => made.next(of).steps[0]).map((step) =>
        step.do === "connect" ? step.family : 0,
      ),
    );
  expect(families([4, 6])).toEqual(new Set([4, 6]));
  expect(families([6])).toEqual(new Set([6]));
});

it("an answer that repeats the number of its question is of one kind, whatever the number", () => {
  const kind = (number: number, rest: number): number =>
    featureOf(Uint8Array.of(number, rest), Uint8Array.of(number, 99));
  expect(kind(1, 5)).toBe(kind(2, 5));
  expect(kind(1, 5)).not.toBe(kind(1, 6));
});
