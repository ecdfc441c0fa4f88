// Goal: our sender decides as Linux's does. Method: both send to the same receiver, see support/differential.ts;
// what TCP_INFO tells after each acknowledgment, and what was sent, must be the same.

import { expect, it } from "vitest";
import {
  acks,
  burst,
  linux,
  ours,
  type Scenario,
  scenario,
  transmissions,
} from "./support/differential.ts";
import { describeWith } from "./support/needs.ts";

describeWith(["root", "python3", "ip"], "our sender and Linux's", () => {
  it.each<[string, Scenario]>([
    ["without loss", scenario([])],
    ["one segment", scenario([[12, 1]])],
    [
      "two in a row",
      scenario([
        [4, 1],
        [5, 1],
      ]),
    ],
    [
      "every other of ten",
      scenario([
        [10, 1],
        [12, 1],
        [14, 1],
        [16, 1],
        [18, 1],
      ]),
    ],
    [
      "a whole burst",
      scenario([
        [10, 1],
        [11, 1],
        [12, 1],
        [13, 1],
        [14, 1],
        [15, 1],
      ]),
    ],
    ["drawn by seed 1", burst(1)],
    ["drawn by seed 2", burst(2)],
    ["drawn by seed 3", burst(3)],
  ])("%s: the same TCP_INFO after every acknowledgment, the same segments", (_name, s) => {
    const [a, b] = [ours(s), linux(s)];
    expect(acks(a).length).toBeGreaterThan(40);
    expect(acks(a)).toEqual(acks(b));
    expect(transmissions(a)).toEqual(transmissions(b));
  });
});
