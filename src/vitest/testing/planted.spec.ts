// Tests that fail on purpose, run by a child of vitest.test.ts, which looks at what they leave.

import fc from "fast-check";
import { describe, expect } from "vitest";
import { openConnection, StreamSource } from "../../lab/index.ts";
import { IpAddr } from "../../netstack/index.ts";
import { checkProperty, test } from "../index.ts";

const B = IpAddr.v4(10, 0, 0, 2);

describe("planted", () => {
  test("fails with/an odd: name", ({ sim, stack }) => {
    const other = sim.stack();
    sim.join(stack, other);
    const { to } = openConnection(sim, stack, other, B);
    expect(to).not.toBeEstablished();
  });

  test("passes", ({ sim }) => {
    sim.join(sim.stack(), sim.stack());
    sim.run(1e9);
  });

  test("breaks a property", async () => {
    await checkProperty(fc.nat(100_000), (world, bytes) => {
      const [a, b] = [world.stack(), world.stack()];
      world.join(a, b);
      const { from, to } = openConnection(world, a, b, B);
      new StreamSource(from, bytes);
      world.run(1e9);
      return to.readableBytes < 100;
    });
  });
});
