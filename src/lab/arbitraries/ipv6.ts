// IPv6 packets (RFC 8200): extension headers in order, out of order and without end, and fragments.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import type { IpAddr } from "../../netstack/index.ts";
import type { Piece } from "./ipv4.ts";
import { around, bytes, honest, lies, type Mood, mostly, oneFlaw } from "./mood.ts";
import type { Way } from "./place.ts";
import { summed, type Transport } from "./transport.ts";

const HEADER = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

/** An extension header with its own type; `next` is filled in by the chain. */
interface Extension {
  type: number;
  body: number[];
}

/** Options in a Hop-by-Hop or Destination header, padded to its unit of eight bytes. */
function optionsHeader(type: number, mood: Mood): fc.Arbitrary<Extension> {
  const alert = fc.constant([5, 2, 0, 0]);
  // Padding only aligns (RFC 4942 2.1.9.5): more than the header's own, at its end, is for the others.
  const known = fc.oneof(
    fc.constant([0]),
    bytes(4).map((b) => [1, b.length, ...new Array<number>(b.length).fill(0)]),
    alert,
  );
  const unknown = fc.tuple(fc.nat(255), bytes(6)).map(([kind, b]) => [kind, b.length, ...b]);
  const lying = fc.tuple(fc.nat(255), fc.nat(255)).map(([kind, length]) => [kind, length]);
  const one =
    mood === "valid"
      ? alert
      : mood === "near"
        ? fc.oneof(known, unknown)
        : fc.oneof(known, unknown, lying);
  const claim = mood === "hostile" ? lies(8) : honest;
  return fc.tuple(fc.array(one, { maxLength: 4 }), claim).map(([list, lie]) => {
    const body = list.flat();
    const pad = (8 - ((body.length + 2) % 8)) % 8;
    if (pad === 1) body.push(0);
    else if (pad > 1) body.push(1, pad - 2, ...new Array<number>(pad - 2).fill(0));
    return { type, body: [0, lie((body.length + 2) / 8 - 1) & 255, ...body] };
  });
}

const routing: fc.Arbitrary<Extension> = fc
  .tuple(fc.nat(4), fc.nat(3))
  .map(([type, left]) => ({ type: ROUTING, body: [0, 0, type, left, 0, 0, 0, 0] }));

/** A packet that is its own only fragment (RFC 6946), or claims to be one of several. */
function fragmentHeader(mood: Mood): fc.Arbitrary<Extension> {
  const word = mood === "valid" ? fc.constant(0) : mostly(0, fc.nat(65_535));
  return fc.tuple(word, fc.nat(65_535)).map(([offset, id]) => ({
    type: FRAGMENT,
    body: [0, 0, offset >>> 8, offset & 255, 0, 0, id >>> 8, id & 255],
  }));
}

function extensions(mood: Mood): fc.Arbitrary<Extension[]> {
  const destination = optionsHeader(DESTINATION, mood);
  if (mood === "valid") {
    // The order of RFC 8200 4.1: Hop-by-Hop at most once and first.
    const list = fc
      .tuple(
        fc.option(optionsHeader(HOP_BY_HOP, mood), { freq: 2 }),
        fc.option(fragmentHeader(mood), { freq: 2 }),
        fc.option(destination, { freq: 2 }),
      )
      .map((all) => all.filter((e) => e !== null));
    return mostly<Extension[]>([], list);
  }
  const any = fc.oneof(destination, optionsHeader(HOP_BY_HOP, mood), fragmentHeader(mood), routing);
  return mostly<Extension[]>([], fc.array(any, { maxLength: mood === "near" ? 3 : 12 }));
}

/** The same station by its address on the link. */
function linkLocal(addr: IpAddr): IpAddr {
  const local = addr.clone();
  local.w0 = 0xfe80_0000 | 0;
  local.w1 = 0;
  return local;
}

/** Bytes from the IP header on. */
export function ipv6Packet(
  mood: Mood,
  way: fc.Arbitrary<Way>,
  transport: fc.Arbitrary<Transport>,
): fc.Arbitrary<{ way: Way; packet: Uint8Array }> {
  const isHostile = mood === "hostile";
  return fc
    .record({
      way,
      transport,
      extensions: extensions(mood),
      flow: mostly(0, fc.nat(0xfffff)),
      trafficClass: mostly(0, fc.nat(255)),
      hopLimit: mood === "valid" ? fc.constant(64) : mostly(64, around(64, 8)),
      length: isHostile ? lies(16) : honest,
      missing: isHostile ? mostly(0, fc.nat(60)) : fc.constant(0),
      flaw: oneFlaw(mood, "version", "length", "next header"),
    })
    .map((f) => {
      const { dst } = f.way;
      const src = f.transport.isLinkLocal === true ? linkLocal(f.way.src) : f.way.src;
      const body = summed(f.transport, src, dst);
      const extensionBytes = f.extensions.reduce((sum, e) => sum + e.body.length, 0);
      const b = new Uint8Array(HEADER + extensionBytes + body.length);
      setU32(
        b,
        0,
        (0x60000000 | (f.trafficClass << 20) | f.flow) ^ (f.flaw === "version" ? 1 << 28 : 0),
      );
      const payloadBytes = b.length - HEADER;
      setU16(b, 4, f.flaw === "length" ? payloadBytes + 1 : f.length(payloadBytes) & 0xffff);
      b[7] = f.hopLimit === 64 ? (f.transport.hopLimit ?? 64) : f.hopLimit;
      src.write(b, 8, 6);
      dst.write(b, 24, 6);
      let nextAt = 6;
      let at = HEADER;
      for (const e of f.extensions) {
        b[nextAt] = e.type;
        b.set(e.body, at);
        nextAt = at;
        at += e.body.length;
      }
      b[nextAt] = f.flaw === "next header" ? 253 : f.transport.protocol;
      b.set(body, at);
      return { way: f.way, packet: b.subarray(0, Math.max(0, b.length - f.missing)) };
    });
}

/** A fragment of a whole packet without extension headers. */
export function ipv6Fragment(packet: Uint8Array, piece: Piece, id: number): Uint8Array {
  const b = new Uint8Array(HEADER + 8 + piece.length);
  b.set(packet.subarray(0, HEADER));
  setU16(b, 4, 8 + piece.length);
  b[6] = FRAGMENT;
  b[HEADER] = packet[6];
  setU16(b, HEADER + 2, (piece.offset << 3) | (piece.isLast ? 0 : 1));
  setU32(b, HEADER + 4, id);
  const from = HEADER + piece.offset * 8;
  b.set(packet.subarray(from, from + piece.length), HEADER + 8);
  return b;
}
