// TCP segments and their options (RFC 9293, 7323, 2018, 7413, 9768).

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { around, bytes, honest, lies, type Mood, mostly, oneFlaw, payload, word } from "./mood.ts";
import { clientPort, type Place, port } from "./place.ts";
import { TCP, type Transport } from "./transport.ts";

const OPTION_BYTES_MAX = 40;
const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const URG = 32;

const be16 = (n: number): number[] => [(n >>> 8) & 255, n & 255];
const be32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

const option = (kind: number, data: readonly number[]): number[] => [
  kind,
  data.length + 2,
  ...data,
];

const u16s = fc.nat(65_535);

const fill = (length: number): number[] => new Array<number>(length).fill(0);

/** One option as its sender may write it. */
export const tcpOption: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([1]),
  around(1460, 16).map((mss) => option(2, be16(mss))),
  fc.nat(15).map((shift) => option(3, [shift])),
  fc.constant(option(4, [])),
  fc.array(fc.tuple(word, u16s), { minLength: 1, maxLength: 4 }).map((blocks) =>
    option(
      5,
      blocks.flatMap(([from, n]) => [...be32(from), ...be32(from + n)]),
    ),
  ),
  fc.tuple(word, word).map(([value, echo]) => option(8, [...be32(value), ...be32(echo)])),
  fc.constantFrom(8, 4, 16, 0).map((n) => option(34, new Array<number>(n).fill(0xc0))),
  fc.tuple(fc.constantFrom(172, 174), fc.nat(3)).map(([k, n]) => option(k, fill(3 * n))),
  fc.tuple(fc.integer({ min: 200, max: 250 }), fc.nat(10)).map(([k, n]) => option(k, fill(n))),
);

/** Of any kind, with any data; its length is right. */
const oddOption: fc.Arbitrary<number[]> = fc
  .tuple(fc.nat(255), bytes(16))
  .map(([kind, b]) => option(kind, [...b]));

/** Whole options that fit, padded to words. */
function optionList(one: fc.Arbitrary<number[]>): fc.Arbitrary<Uint8Array> {
  return fc.array(one, { maxLength: 6 }).map((list) => {
    const packed: number[] = [];
    for (const o of list) if (packed.length + o.length <= OPTION_BYTES_MAX) packed.push(...o);
    while (packed.length % 4 !== 0) packed.push(packed.length % 4 === 3 ? 0 : 1);
    return Uint8Array.from(packed);
  });
}

/** As an honest sender writes them. */
export const tcpOptions: fc.Arbitrary<Uint8Array> = optionList(tcpOption);

const oddOptions: fc.Arbitrary<Uint8Array> = optionList(fc.oneof(tcpOption, oddOption));

/** Options whose lengths lie: 0, 1, past the header's end. */
const brokenOptions: fc.Arbitrary<Uint8Array> = fc
  .tuple(tcpOptions, fc.nat(255), fc.nat(40), bytes(6))
  .map(([good, kind, length, rest]) => {
    const packed = [...good.subarray(0, 28), kind, length, ...rest].slice(0, OPTION_BYTES_MAX);
    while (packed.length % 4 !== 0) packed.push(0);
    return Uint8Array.from(packed);
  });

const flags: fc.Arbitrary<number> = fc.oneof(
  { withCrossShrink: true },
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      ACK,
      ACK | PSH,
      SYN,
      SYN | ACK,
      FIN | ACK,
      RST,
      RST | ACK,
      ACK | URG,
      FIN | PSH | ACK,
    ),
  },
  { weight: 1, arbitrary: fc.nat(255) },
);

function optionsIn(mood: Mood): fc.Arbitrary<Uint8Array> {
  const none = new Uint8Array(0);
  if (mood === "valid") return mostly(none, tcpOptions);
  if (mood === "near") return mostly(none, oddOptions);
  return fc.oneof({ withCrossShrink: true }, mostly(none, oddOptions), brokenOptions);
}

export function tcpSegment(mood: Mood, place: Place): fc.Arbitrary<Transport> {
  const fields = fc.record({
    sport: clientPort,
    dport: port(place),
    seq: word,
    ack: word,
    flags,
    window: around(65_535, 16),
    urgent: mostly(0, u16s),
    options: optionsIn(mood),
    data: mostly(new Uint8Array(0), payload),
    offset: mood === "hostile" ? lies(4) : honest,
    checksumOff: mood === "hostile" ? mostly(0, u16s) : fc.constant(0),
    flaw: oneFlaw(mood, "checksum", "option", "offset", "zero port", "reserved bits"),
  });
  const built = fields.map((f): Transport => {
    const header = 20 + f.options.length;
    const b = new Uint8Array(header + f.data.length);
    setU16(b, 0, f.sport);
    setU16(b, 2, f.flaw === "zero port" ? 0 : f.dport);
    setU32(b, 4, f.seq);
    setU32(b, 8, f.ack);
    const words = f.flaw === "offset" ? 4 : f.offset(header >> 2) & 15;
    b[12] = (words << 4) | (f.flaw === "reserved bits" ? 0xe : 0);
    b[13] = f.flags;
    setU16(b, 14, f.window);
    setU16(b, 18, f.urgent);
    b.set(f.options, 20);
    if (f.flaw === "option" && f.options.length > 1) b[21] = 1;
    b.set(f.data, header);
    const checksumOff = f.flaw === "checksum" ? 1 : f.checksumOff;
    return { protocol: TCP, bytes: b, checksumAt: 16, checksumOff };
  });
  return cutTransport(mood, built);
}

/** The end of the bytes may be missing; the checksum is that of what is left. */
export function cutTransport(mood: Mood, whole: fc.Arbitrary<Transport>): fc.Arbitrary<Transport> {
  if (mood !== "hostile") return whole;
  const missing = fc.oneof({ withCrossShrink: true }, fc.nat(40), fc.constant(65_535));
  return fc.tuple(whole, mostly(0, missing)).map(([t, gone]) => ({
    ...t,
    bytes: t.bytes.subarray(0, Math.max(0, t.bytes.length - gone)),
  }));
}
