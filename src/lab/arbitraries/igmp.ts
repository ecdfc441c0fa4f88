// IGMP messages, versions 1 to 3 (RFC 1112, 2236, 3376): queries, reports and leaves of a few groups.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { bytes, honest, lies, type Mood, mostly, oneFlaw } from "./mood.ts";
import { cutTransport } from "./tcp.ts";
import { IGMP, type Transport } from "./transport.ts";

const QUERY = 0x11;
/** 0: a general query. The others: all hosts, one that is often joined, and its neighbours. */
const GROUPS = [0, 0xe000_0001, 0xef01_0203, 0xef01_0204, 0xe000_00fb];
const groups = fc.constantFrom(...GROUPS);
/** Also codes of the exponential form, from 128 on. */
const delay = fc.oneof(
  { withCrossShrink: true },
  fc.constantFrom(100, 0, 1, 127, 128, 255),
  fc.nat(255),
);

function sources(mood: Mood): fc.Arbitrary<{ list: number[]; claimed: number }> {
  const claim = mood === "hostile" ? lies(16) : honest;
  const list = fc.array(fc.integer({ min: 0x0a00_0001, max: 0x0a00_00ff }), { maxLength: 4 });
  return fc.tuple(list, claim).map(([all, lie]) => ({ list: all, claimed: lie(all.length) }));
}

function words(type: number, code: number, group: number, more: readonly number[]): Uint8Array {
  const b = new Uint8Array(8 + 4 * more.length);
  b.set([type, code]);
  setU32(b, 4, group);
  for (const [i, word] of more.entries()) setU32(b, 8 + 4 * i, word);
  return b;
}

export function igmpMessage(mood: Mood): fc.Arbitrary<Transport> {
  const old = fc
    .tuple(fc.constantFrom(QUERY, 0x12, 0x16, 0x17), delay, groups)
    .map(([type, code, group]) => words(type, code, group, []));
  const query = fc
    .tuple(delay, groups, fc.nat(15), fc.nat(255), sources(mood))
    .map(([code, group, flags, interval, { list, claimed }]) =>
      words(QUERY, code, group, [((flags << 24) | (interval << 16) | claimed) >>> 0, ...list]),
    );
  const report = fc
    .tuple(fc.nat(7), groups, sources(mood))
    .map(([kind, group, { list, claimed }]) => {
      const b = words(0x22, 0, 0, [((kind << 24) | claimed) >>> 0, group, ...list]);
      setU16(b, 6, 1);
      return b;
    });
  const noise = fc
    .tuple(fc.nat(255), fc.nat(255), bytes(40))
    .map(([type, code, b]) => Uint8Array.from([type, code, 0, 0, ...b]));
  const message =
    mood === "valid"
      ? fc.oneof({ withCrossShrink: true }, query, old, report)
      : fc.oneof({ withCrossShrink: true }, query, old, report, noise);
  const built = fc
    .record({
      message,
      checksumOff: mood === "hostile" ? mostly(0, fc.nat(65_535)) : fc.constant(0),
      flaw: oneFlaw(mood, "checksum"),
    })
    .map(({ message: b, checksumOff, flaw }): Transport => {
      const off = flaw === "checksum" ? 1 : checksumOff;
      return { protocol: IGMP, bytes: b, checksumAt: 2, checksumOff: off };
    });
  return cutTransport(mood, built);
}
