import { expect, it } from "vitest";
import { copyBytes, KnownPlace, NO_SLAB, slabBytes, slabOffset } from "./slab.ts";

it("knows where a user's buffer lies, one after the other", () => {
  const place = new KnownPlace();
  const inside = slabBytes(8192);
  const outside = new Uint8Array(8192);
  expect(place.of(inside, inside.length)).toBe(slabOffset(inside));
  expect(place.of(outside, outside.length)).toBe(NO_SLAB);
  expect(place.of(inside, inside.length)).toBe(slabOffset(inside));
});

it("does not ask for what is short, and knows it all the same once it was asked", () => {
  const place = new KnownPlace();
  const inside = slabBytes(8192);
  expect(place.of(inside, 100)).toBe(NO_SLAB);
  place.of(inside, inside.length);
  expect(place.of(inside, 100)).toBe(slabOffset(inside));
});

it("refuses a copy beyond a block of the slab, behind which another's begins", () => {
  const a = slabBytes(128);
  const b = slabBytes(128);
  b.fill(7);
  const copy = (to: number) => copyBytes(a, slabOffset(a), to, b, slabOffset(b), 0, 128);
  expect(() => copy(64)).toThrow(RangeError);
  copy(0);
  expect(a).toEqual(b);
});
