// UDP datagrams (RFC 768), empty, with bytes, or with a message of DNS or DHCP.

import fc from "fast-check";
import { setU16 } from "../../base/bytes.ts";
import { dhcpMessage } from "./dhcp.ts";
import { dnsMessage } from "./dns.ts";
import { honest, lies, type Mood, mostly, oneFlaw, payload } from "./mood.ts";
import { clientPort, type Place, port } from "./place.ts";
import { cutTransport } from "./tcp.ts";
import { type Transport, UDP } from "./transport.ts";

interface Content {
  sport: number;
  dport: number;
  data: Uint8Array;
}

function contents(mood: Mood, place: Place): fc.Arbitrary<Content> {
  return fc.oneof(
    { withCrossShrink: true },
    {
      weight: 6,
      arbitrary: fc.record({ sport: clientPort, dport: port(place), data: payload }),
    },
    {
      weight: 1,
      arbitrary: dnsMessage(mood).map((data) => ({ sport: 53, dport: 1024, data })),
    },
    {
      weight: 1,
      arbitrary: dhcpMessage(mood).map((data) => ({ sport: 67, dport: 68, data })),
    },
  );
}

export function udpDatagram(mood: Mood, place: Place): fc.Arbitrary<Transport> {
  const built = fc
    .record({
      content: contents(mood, place),
      length: mood === "hostile" ? lies(16) : honest,
      checksumOff: mood === "hostile" ? mostly(0, fc.nat(65_535)) : fc.constant(0),
      flaw: oneFlaw(mood, "checksum", "no checksum", "length", "zero port"),
    })
    .map(({ content, length, checksumOff, flaw }): Transport => {
      const b = new Uint8Array(8 + content.data.length);
      setU16(b, 0, content.sport);
      setU16(b, 2, flaw === "zero port" ? 0 : content.dport);
      setU16(b, 4, flaw === "length" ? b.length + 1 : length(b.length) & 0xffff);
      b.set(content.data, 8);
      return {
        protocol: UDP,
        bytes: b,
        checksumAt: flaw === "no checksum" ? -1 : 6,
        checksumOff: flaw === "checksum" ? 1 : checksumOff,
      };
    });
  return cutTransport(mood, built);
}
