// IPv4 packets (RFC 791): headers with options, whole packets and their fragments.

import fc from "fast-check";
import { setU16 } from "../../base/bytes.ts";
import { sum16 } from "../../netstack/index.ts";
import { around, bytes, honest, lies, type Mood, mostly, oneFlaw } from "./mood.ts";
import type { Way } from "./place.ts";
import { summed, type Transport } from "./transport.ts";

const OPTION_BYTES_MAX = 40;
const MORE = 0x2000;
const DONT_FRAGMENT = 0x4000;

const option = (kind: number, data: readonly number[]): number[] => [
  kind,
  data.length + 2,
  ...data,
];

const goodOption: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([1]),
  fc.constant(option(148, [0, 0])),
  fc.nat(3).map((slots) => option(7, [4, ...new Array<number>(4 * (slots + 1)).fill(0)])),
  fc.nat(2).map((slots) => option(68, [5, 0, ...new Array<number>(4 * (slots + 1)).fill(0)])),
);

function options(mood: Mood): fc.Arbitrary<number[]> {
  const strange = fc.tuple(fc.nat(255), bytes(8)).map(([kind, b]) => option(kind, [...b]));
  const lying = fc.tuple(fc.nat(255), fc.nat(255), bytes(8)).map(([k, n, b]) => [k, n, ...b]);
  const one =
    mood === "valid"
      ? goodOption
      : mood === "near"
        ? fc.oneof(goodOption, strange)
        : fc.oneof(goodOption, strange, lying);
  // Linux takes none twice (__ip_options_compile).
  const several =
    mood === "valid"
      ? fc.uniqueArray(one, { maxLength: 4, selector: ([kind]) => kind })
      : fc.array(one, { maxLength: 4 });
  const list = several.map((all) => {
    const packed: number[] = [];
    for (const o of all) if (packed.length + o.length <= OPTION_BYTES_MAX) packed.push(...o);
    while (packed.length % 4 !== 0) packed.push(0);
    return packed;
  });
  return mostly<number[]>([], list);
}

/** Bytes from the IP header on. */
export function ipv4Packet(
  mood: Mood,
  way: fc.Arbitrary<Way>,
  transport: fc.Arbitrary<Transport>,
): fc.Arbitrary<{ way: Way; packet: Uint8Array }> {
  const isHostile = mood === "hostile";
  return fc
    .record({
      way,
      transport,
      options: options(mood),
      tos: mostly(0, fc.nat(255)),
      id: fc.nat(65_535),
      dontFragment: fc.boolean(),
      ttl: mood === "valid" ? fc.constant(64) : mostly(64, around(64, 8)),
      headerWords: isHostile ? lies(4) : honest,
      total: isHostile ? lies(16) : honest,
      fragment: isHostile ? mostly(0, fc.nat(0x3fff)) : fc.constant(0),
      missing: isHostile ? mostly(0, fc.nat(40)) : fc.constant(0),
      flaw: oneFlaw(mood, "version", "checksum", "total", "protocol", "reserved bit"),
    })
    .map((f) => {
      const { src, dst } = f.way;
      const body = summed(f.transport, src, dst);
      const header = 20 + f.options.length;
      const b = new Uint8Array(header + body.length);
      const words = f.headerWords(header >> 2) & 15;
      b[0] = (f.flaw === "version" ? 0x50 : 0x40) | words;
      b[1] = f.tos;
      setU16(b, 2, f.flaw === "total" ? b.length + 1 : f.total(b.length) & 0xffff);
      setU16(b, 4, f.id);
      setU16(b, 6, f.fragment | (f.dontFragment ? DONT_FRAGMENT : 0));
      if (f.flaw === "reserved bit") b[6] |= 0x80;
      b[8] = f.ttl;
      b[9] = f.flaw === "protocol" ? 253 : f.transport.protocol;
      src.write(b, 12, 4);
      dst.write(b, 16, 4);
      b.set(f.options, 20);
      b.set(body, header);
      const sum = ~sum16(b, 0, Math.min(words << 2, b.length)) & 0xffff;
      setU16(b, 10, f.flaw === "checksum" ? sum ^ 1 : sum);
      return { way: f.way, packet: b.subarray(0, Math.max(0, b.length - f.missing)) };
    });
}

export interface Piece {
  /** In units of eight bytes. */
  offset: number;
  length: number;
  isLast: boolean;
}

/** How a payload is cut into fragments: pieces of whole units but for the last, in any order if wanted. */
export function pieces(length: number): fc.Arbitrary<Piece[]> {
  const units = Math.ceil(length / 8);
  return fc
    .array(fc.integer({ min: 1, max: Math.max(1, units - 1) }), { maxLength: 6 })
    .map((at) => {
      const cuts = [...new Set(at)].filter((c) => c < units).sort((x, y) => x - y);
      const bounds = [0, ...cuts, units];
      return bounds.slice(0, -1).map((offset, i) => ({
        offset,
        length: Math.min(bounds[i + 1] * 8, length) - offset * 8,
        isLast: i === bounds.length - 2,
      }));
    });
}

/** A fragment of a whole packet without options. */
export function ipv4Fragment(packet: Uint8Array, piece: Piece): Uint8Array {
  const b = new Uint8Array(20 + piece.length);
  b.set(packet.subarray(0, 20));
  b.set(packet.subarray(20 + piece.offset * 8, 20 + piece.offset * 8 + piece.length), 20);
  setU16(b, 2, b.length);
  setU16(b, 6, piece.offset | (piece.isLast ? 0 : MORE));
  setU16(b, 10, 0);
  setU16(b, 10, ~sum16(b, 0, 20) & 0xffff);
  return b;
}
