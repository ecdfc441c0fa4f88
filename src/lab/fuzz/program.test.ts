// Goal: what servers of datagrams are given is what UDP can carry, the same for the same seed, and shrinks.

import { describe, expect, it } from "vitest";
import { featureOf, ProgramInputs, type ProgramStep, smallerCases } from "./program-steps.ts";

const inputs = (corpus: Uint8Array[], seed = 1): ProgramInputs =>
  new ProgramInputs(corpus, { seed, frames: null, isUdp: true });

const sizes = (steps: readonly ProgramStep[]): number[] =>
  steps.flatMap((step) => (step.do === "datagram" ? [step.bytes.length] : []));

describe("inputs of datagrams", () => {
  it("are one client's: a socket, then one to four datagrams, none larger than UDP carries", () => {
    const made = inputs([new Uint8Array(65_000).fill(7)]);
    for (let i = 0; i < 40; i++) {
      const { steps } = made.next();
      expect(steps[0]).toEqual({ do: "connect" });
      expect(sizes(steps).length).toBe(steps.length - 1);
      expect(steps.length).toBeLessThanOrEqual(5);
      for (const size of sizes(steps)) expect(size).toBeLessThanOrEqual(65_507);
    }
  });

  it("are the same for the same seed, others for another, with a corpus and without", () => {
    for (const corpus of [[], [Uint8Array.of(1, 2, 3, 4, 5, 6)]]) {
      const [a, b, c] = [inputs(corpus), inputs(corpus), inputs(corpus, 2)].map((made) =>
        Array.from({ length: 20 }, () => made.next()),
      );
      expect(a).toEqual(b);
      expect(a).not.toEqual(c);
    }
  });

  it("shrink to fewer datagrams, and these to fewer bytes", () => {
    const steps: ProgramStep[] = [
      { do: "connect" },
      { do: "datagram", bytes: Uint8Array.of(1, 2, 3, 4) },
    ];
    const smaller = [...smallerCases(steps)];
    expect(smaller).toContainEqual([steps[1]]);
    expect(smaller).toContainEqual([
      steps[0],
      { do: "datagram", bytes: Uint8Array.of(1, 2) },
    ] satisfies ProgramStep[]);
  });
});

it("an answer that repeats the number of its question is of one kind, whatever the number", () => {
  const kind = (number: number, rest: number): number =>
    featureOf(Uint8Array.of(number, rest), Uint8Array.of(number, 99));
  expect(kind(1, 5)).toBe(kind(2, 5));
  expect(kind(1, 5)).not.toBe(kind(1, 6));
});
