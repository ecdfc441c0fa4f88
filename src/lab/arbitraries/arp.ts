// ARP over Ethernet (RFC 826): requests, replies, announcements and what pretends to be one.

import fc from "fast-check";
import { setU16 } from "../../base/bytes.ts";
import { around, type Mood, mostly, oneFlaw } from "./mood.ts";
import { crowd, type Place, type Station } from "./place.ts";

function anySender(place: Place): fc.Arbitrary<Station> {
  const neighbour = crowd(4).map((ip4): Station => ({ ...place.strangers[0], ip4 }));
  return fc.oneof(
    { withCrossShrink: true },
    fc.constantFrom(...place.strangers, place.subject),
    neighbour,
  );
}

/** Bytes from the ARP header on, and who sends it to whom. */
export function arpPacket(
  mood: Mood,
  place: Place,
): fc.Arbitrary<{ packet: Uint8Array; from: Station; isRequest: boolean }> {
  const anyone: fc.Arbitrary<Station> = fc.constantFrom(place.subject, ...place.strangers);
  const built = fc
    .record({
      from: mood === "valid" ? fc.constantFrom(...place.strangers) : anySender(place),
      to: mood === "valid" ? fc.constant(place.subject) : mostly(place.subject, anyone),
      op: mood === "hostile" ? mostly(1, fc.nat(65_535)) : fc.constantFrom(1, 2),
      hardwareLength: mood === "hostile" ? mostly(6, around(6, 8)) : fc.constant(6),
      protocolLength: mood === "hostile" ? mostly(4, around(4, 8)) : fc.constant(4),
      missing: mood === "hostile" ? mostly(0, fc.nat(28)) : fc.constant(0),
      flaw: oneFlaw(mood, "hardware type", "protocol type", "group sender", "zero sender"),
    })
    .map((f) => {
      const b = new Uint8Array(28);
      setU16(b, 0, f.flaw === "hardware type" ? 6 : 1);
      setU16(b, 2, f.flaw === "protocol type" ? 0x86dd : 0x0800);
      b[4] = f.hardwareLength;
      b[5] = f.protocolLength;
      setU16(b, 6, f.op);
      if (f.flaw !== "zero sender") b.set(f.from.mac, 8);
      if (f.flaw === "group sender") b[8] |= 1;
      f.from.ip4.write(b, 14, 4);
      if (f.op === 2) b.set(f.to.mac, 18);
      f.to.ip4.write(b, 24, 4);
      const packet = b.subarray(0, b.length - f.missing);
      return { packet, from: f.from, isRequest: f.op === 1 };
    });
  return built;
}
