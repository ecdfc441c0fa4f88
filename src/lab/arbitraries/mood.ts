// How far a packet is from an honest one, and the lies that make the distance. Every arbitrary of this room
// shrinks towards the shortest and most ordinary packet: the first choice is the ordinary one, numbers are drawn
// as a distance from the ordinary value, lists and payloads shrink to empty.

import fc from "fast-check";

/**
 * valid: every field agrees with every other, and a receiver has no reason to refuse it. near: honest but for one
 * field. hostile: lengths and offsets lie at will, options are noise, the end may be missing.
 */
export type Mood = "valid" | "near" | "hostile";

export const MOODS: readonly Mood[] = ["valid", "near", "hostile"];

/** By the mood, or by all three with the valid one as what a failure shrinks to. */
export function inMood<T>(
  mood: Mood | undefined,
  make: (mood: Mood) => fc.Arbitrary<T>,
): fc.Arbitrary<T> {
  if (mood !== undefined) return make(mood);
  return fc.oneof({ withCrossShrink: true }, ...MOODS.map(make));
}

/** Shrinks to `ordinary`; other values of `bits` bits (at most 30) come as often as the mood wants them. */
export function around(ordinary: number, bits: number): fc.Arbitrary<number> {
  const mask = 2 ** bits - 1;
  return fc.nat(mask).map((distance) => (ordinary + distance) & mask);
}

/** Ordinary four times of five. */
export function mostly<T>(ordinary: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 4, arbitrary: fc.constant(ordinary) },
    { weight: 1, arbitrary: other },
  );
}

/** What a length field says of a length: the truth, or a lie by one, at an end, or anywhere. */
export type Claim = (length: number) => number;

const truth: Claim = (length) => length;

export const honest: fc.Arbitrary<Claim> = fc.constant(truth);

/** Of a field of `bits` bits. */
export function lies(bits: number): fc.Arbitrary<Claim> {
  const max = 2 ** bits - 1;
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 4, arbitrary: honest },
    {
      weight: 4,
      arbitrary: fc.constantFrom<Claim>(
        (n) => Math.max(0, n - 1),
        (n) => (n + 1) & max,
        () => 0,
        () => max,
        (n) => n >>> 1,
        (n) => Math.max(0, n - 8),
      ),
    },
    { weight: 1, arbitrary: fc.nat(max).map((n) => () => n) },
  );
}

/** At most one thing is wrong: the name of it, `none` first. */
export function oneFlaw<T extends string>(mood: Mood, ...flaws: T[]): fc.Arbitrary<T | "none"> {
  if (mood === "valid") return fc.constant("none");
  return fc.constantFrom<(T | "none")[]>("none", ...flaws);
}

export const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ maxLength, size: "max" });

/** Application bytes: mostly few. */
export const payload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { withCrossShrink: true },
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 1_400, size: "max" }) },
);

export const word: fc.Arbitrary<number> = fc.integer();

/** What is left of bytes whose end is missing. */
export function cut(mood: Mood, whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  if (mood !== "hostile") return whole;
  return fc
    .tuple(whole, mostly(0, fc.nat(60)))
    .map(([b, missing]) => b.subarray(0, Math.max(0, b.length - missing)));
}
