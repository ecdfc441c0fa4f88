// ICMP messages (RFC 792, 1191): echoes, and errors that quote a packet which may be the subject's own.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { sum16 } from "../../netstack/index.ts";
import { bytes, type Mood, mostly, oneFlaw, payload, word } from "./mood.ts";
import { clientPort, type Place, port } from "./place.ts";
import { cutTransport } from "./tcp.ts";
import { ICMP, TCP, type Transport, UDP } from "./transport.ts";

const ECHO = 8;
const REPLY = 0;

interface Message {
  type: number;
  code: number;
  rest: number;
  body: Uint8Array;
}

const echo: fc.Arbitrary<Message> = fc
  .tuple(fc.constantFrom(ECHO, REPLY), fc.nat(65_535), fc.nat(65_535), payload)
  .map(([type, id, seq, body]) => ({ type, code: 0, rest: (id << 16) | seq, body }));

/** What an error quotes: a packet from the subject, as far as a router can know it. */
export function quotedIpv4(place: Place): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      to: fc.constantFrom(...place.strangers),
      isUdp: fc.boolean(),
      local: port(place),
      remote: clientPort,
      seq: word,
    })
    .map(({ to, isUdp, local, remote, seq }) => {
      const b = new Uint8Array(28);
      b[0] = 0x45;
      setU16(b, 2, 40);
      b[8] = 63;
      b[9] = isUdp ? UDP : TCP;
      place.subject.ip4.write(b, 12, 4);
      to.ip4.write(b, 16, 4);
      setU16(b, 10, ~sum16(b, 0, 20) & 0xffff);
      setU16(b, 20, local);
      setU16(b, 22, remote);
      setU32(b, 24, isUdp ? (20 << 16) | (seq & 0xffff) : seq);
      return b;
    });
}

function errors(place: Place): fc.Arbitrary<Message> {
  return fc.record({
    type: fc.constantFrom(3, 11, 12, 4, 5),
    code: fc.nat(15),
    rest: fc.oneof(fc.nat(1500), word),
    body: quotedIpv4(place),
  });
}

const noise: fc.Arbitrary<Message> = fc.record({
  type: fc.nat(255),
  code: fc.nat(255),
  rest: word,
  body: bytes(80),
});

export function icmpMessage(mood: Mood, place: Place): fc.Arbitrary<Transport> {
  const honest = [
    { weight: 2, arbitrary: echo },
    { weight: 2, arbitrary: errors(place) },
  ];
  const message =
    mood === "valid"
      ? fc.oneof({ withCrossShrink: true }, ...honest)
      : fc.oneof({ withCrossShrink: true }, ...honest, { weight: 1, arbitrary: noise });
  const built = fc
    .record({
      message,
      checksumOff: mood === "hostile" ? mostly(0, fc.nat(65_535)) : fc.constant(0),
      flaw: oneFlaw(mood, "checksum", "code"),
    })
    .map(({ message: m, checksumOff, flaw }): Transport => {
      const b = new Uint8Array(8 + m.body.length);
      b.set([m.type, flaw === "code" ? m.code ^ 0x80 : m.code]);
      setU32(b, 4, m.rest);
      b.set(m.body, 8);
      const off = flaw === "checksum" ? 1 : checksumOff;
      return { protocol: ICMP, bytes: b, checksumAt: 2, checksumOff: off };
    });
  return cutTransport(mood, built);
}
