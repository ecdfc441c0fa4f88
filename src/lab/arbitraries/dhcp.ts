// DHCP messages (RFC 2131, options RFC 2132) as a server or a client sends them.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { bytes, cut, type Mood, mostly, oneFlaw, word } from "./mood.ts";

const FIXED = 236;
const COOKIE = 0x63825363;

const option = (code: number, data: readonly number[]): number[] => [code, data.length, ...data];
const address = fc.nat(255).map((n) => [10, 0, 0, n]);

const known: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant(option(1, [255, 0, 0, 0])),
  address.map((a) => option(3, a)),
  address.map((a) => option(6, a)),
  fc.nat(65_535).map((s) => option(51, [0, 0, s >>> 8, s & 255])),
  address.map((a) => option(54, a)),
  fc.constant(option(26, [5, 220])),
  fc.stringMatching(/^[a-z]{1,12}$/).map((s) =>
    option(
      15,
      [...s].map((c) => c.charCodeAt(0)),
    ),
  ),
);

function options(mood: Mood): fc.Arbitrary<number[]> {
  if (mood === "valid") return fc.array(known, { maxLength: 6 }).map((list) => list.flat());
  const strange = fc.tuple(fc.nat(255), bytes(12)).map(([code, b]) => option(code, [...b]));
  const torn = fc.tuple(fc.nat(255), fc.nat(255)).map(([code, length]) => [code, length]);
  const any = mood === "hostile" ? fc.oneof(known, strange, torn) : fc.oneof(known, strange);
  return fc.array(any, { maxLength: 8 }).map((list) => list.flat());
}

export function dhcpMessage(mood: Mood): fc.Arbitrary<Uint8Array> {
  const whole = fc
    .record({
      op: fc.constantFrom(2, 1),
      kind: fc.constantFrom(2, 5, 6, 1, 3),
      id: word,
      yours: address,
      options: options(mood),
      end: mood === "hostile" ? mostly(true, fc.constant(false)) : fc.constant(true),
      flaw: oneFlaw(mood, "cookie", "hardware length", "no type"),
    })
    .map((m) => {
      const b = new Uint8Array(FIXED);
      b.set([m.op, 1, m.flaw === "hardware length" ? 255 : 6, 0]);
      setU32(b, 4, m.id);
      setU16(b, 10, 0x8000);
      b.set(m.yours, 16);
      b.set([2, 0, 0, 0, 0, 1], 28);
      const cookie = new Uint8Array(4);
      setU32(cookie, 0, m.flaw === "cookie" ? 0 : COOKIE);
      const type = m.flaw === "no type" ? [] : option(53, [m.kind]);
      const all = [...b, ...cookie, ...type, ...m.options, ...(m.end ? [255] : [])];
      return Uint8Array.from(all);
    });
  return cut(mood, whole);
}
