// DNS messages (RFC 1035), with EDNS (RFC 6891): names of labels and of pointers, which in hostile ones loop.

import fc from "fast-check";
import { setU16 } from "../../base/bytes.ts";
import { bytes, cut, honest, lies, type Mood, mostly } from "./mood.ts";

const HEADER = 12;

const label: fc.Arbitrary<number[]> = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
  .map((text) => [text.length, ...[...text].map((c) => c.charCodeAt(0))]);

function name(mood: Mood): fc.Arbitrary<number[]> {
  const labels = fc.array(label, { maxLength: 4 }).map((list) => list.flat());
  const ordinary = labels.map((b) => [...b, 0]);
  const backwards = labels.map((b) => [...b, 0xc0, HEADER]);
  if (mood !== "hostile") return fc.oneof({ withCrossShrink: true }, ordinary, backwards);
  const astray = fc
    .tuple(labels, fc.nat(0x3fff))
    .map(([b, to]) => [...b, 0xc0 | (to >>> 8), to & 255]);
  const torn = fc.tuple(labels, fc.nat(255)).map(([b, length]) => [...b, length]);
  return fc.oneof({ withCrossShrink: true }, ordinary, backwards, astray, torn);
}

const TYPES = [1, 28, 5, 12, 15, 16, 33, 6, 41, 65, 255];

/** Data that its type may have, as far as a short list goes. */
const ADDRESS = [192, 0, 2, 1];

function record(mood: Mood): fc.Arbitrary<number[]> {
  return fc
    .record({
      name: name(mood),
      type: mood === "valid" ? fc.constant(1) : fc.constantFrom(...TYPES),
      ttl: fc.nat(65_535),
      data: mood === "valid" ? fc.constant(Uint8Array.from(ADDRESS)) : bytes(24),
      length: mood === "hostile" ? lies(16) : honest,
    })
    .map((r) => {
      const n = r.length(r.data.length);
      return [
        ...r.name,
        ...[r.type >>> 8, r.type & 255, 0, 1, 0, 0, r.ttl >>> 8, r.ttl & 255],
        ...[(n >>> 8) & 255, n & 255, ...r.data],
      ];
    });
}

export function dnsMessage(mood: Mood): fc.Arbitrary<Uint8Array> {
  const whole = fc
    .record({
      id: fc.nat(65_535),
      isResponse: fc.boolean(),
      code: mostly(0, fc.nat(15)),
      question: name(mood === "valid" ? "valid" : mood),
      type: fc.constantFrom(...TYPES),
      records: fc.array(record(mood), { maxLength: 3 }),
      count: mood === "valid" ? honest : lies(16),
    })
    .map((m) => {
      const header = new Uint8Array(HEADER);
      setU16(header, 0, m.id);
      header[2] = m.isResponse ? 0x81 : 0x01;
      header[3] = m.isResponse ? 0x80 | m.code : 0;
      setU16(header, 4, 1);
      setU16(header, 6, m.count(m.records.length) & 0xffff);
      // A question has nothing before it to point to.
      const question = m.question.at(-1) === HEADER && mood === "valid" ? [0] : m.question;
      return Uint8Array.from([...header, ...question, 0, m.type, 0, 1, ...m.records.flat()]);
    });
  return cut(mood, whole);
}
