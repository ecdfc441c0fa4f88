import fc from "fast-check";
import { expect, it } from "vitest";
import { KeyedHash } from "./half-siphash.ts";
import { SeededRng } from "./rng.ts";

it("gives three words the hash that adding them one by one gives", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer(), fc.integer(), fc.integer(), (seed, a, b, c) => {
      const hash = new KeyedHash(new SeededRng(seed));
      expect(hash.three(a, b, c)).toBe(hash.begin().add(a).add(b).add(c).end());
    }),
  );
});
