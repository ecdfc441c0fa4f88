// Whole frames: Ethernet II (802.1Q tags among the near and hostile ones) around every packet of this room. One
// arbitrary for all of them, and one for a packet that comes as fragments.

import fc from "fast-check";
import { setU16 } from "../../base/bytes.ts";
import { arpPacket } from "./arp.ts";
import { icmpMessage } from "./icmp.ts";
import { icmp6Message } from "./icmp6.ts";
import { igmpMessage } from "./igmp.ts";
import { ipv4Fragment, ipv4Packet, pieces } from "./ipv4.ts";
import { ipv6Fragment, ipv6Packet } from "./ipv6.ts";
import { bytes, inMood, type Mood } from "./mood.ts";
import { DEFAULT_PLACE, type Place, way } from "./place.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, framed, ipPacket, udp } from "./plain.ts";
import { moved, moves } from "./streams.ts";
import { tcpSegment } from "./tcp.ts";
import type { Transport } from "./transport.ts";
import { udpDatagram } from "./udp.ts";

export interface FrameOptions {
  /** All three when not given; failures then shrink to valid frames where those fail too. */
  mood?: Mood;
  place?: Place;
}

const ARP = 0x0806;
const VLAN = 0x8100;
const BROADCAST = [255, 255, 255, 255, 255, 255];

function tagged(
  dst: readonly number[],
  src: readonly number[],
  type: number,
  packet: Uint8Array,
  tag: number,
): Uint8Array {
  if (tag < 0) return framed(dst, src, type, packet);
  const inner = new Uint8Array(4 + packet.length);
  setU16(inner, 0, tag);
  setU16(inner, 2, type);
  inner.set(packet, 4);
  return framed(dst, src, VLAN, inner);
}

const tagIn = (mood: Mood): fc.Arbitrary<number> =>
  mood === "valid"
    ? fc.constant(-1)
    : fc.oneof(
        { withCrossShrink: true },
        { weight: 30, arbitrary: fc.constant(-1) },
        { weight: 1, arbitrary: fc.nat(65_535) },
      );

type Carry = (mood: Mood, place: Place) => fc.Arbitrary<Transport>;

function overIp(v4: Carry, v6: Carry, mood: Mood, place: Place): fc.Arbitrary<Uint8Array> {
  const isOdd = mood !== "valid";
  const of = (family: 4 | 6): fc.Arbitrary<Uint8Array> => {
    const path = way(place, family, isOdd);
    const made =
      family === 4
        ? ipv4Packet(mood, path, v4(mood, place))
        : ipv6Packet(mood, path, v6(mood, place));
    const type = family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
    return fc
      .tuple(made, tagIn(mood))
      .map(([{ way: w, packet }, tag]) => tagged(w.dstMac, w.srcMac, type, packet, tag));
  };
  return fc.oneof({ withCrossShrink: true }, of(4), of(6));
}

export const tcpFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> =>
  inMood(options.mood, (mood) =>
    overIp(tcpSegment, tcpSegment, mood, options.place ?? DEFAULT_PLACE),
  );

export const udpFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> =>
  inMood(options.mood, (mood) =>
    overIp(udpDatagram, udpDatagram, mood, options.place ?? DEFAULT_PLACE),
  );

/** ICMP over IPv4, ICMPv6 with Neighbour Discovery over IPv6. */
export const icmpFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> =>
  inMood(options.mood, (mood) =>
    overIp(icmpMessage, icmp6Message, mood, options.place ?? DEFAULT_PLACE),
  );

/** IGMP over IPv4, Multicast Listener Discovery (with the rest of ICMPv6) over IPv6. */
export const groupFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> =>
  inMood(options.mood, (mood) =>
    overIp(igmpMessage, icmp6Message, mood, options.place ?? DEFAULT_PLACE),
  );

export const arpFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> => {
  const place = options.place ?? DEFAULT_PLACE;
  return inMood(options.mood, (mood) =>
    fc
      .tuple(arpPacket(mood, place), tagIn(mood))
      .map(([{ packet, from, isRequest }, tag]) =>
        tagged(isRequest ? BROADCAST : place.subject.mac, from.mac, ARP, packet, tag),
      ),
  );
};

/** Neither of the above: another type, a length instead of a type, or bytes. */
export const otherFrame = (options: FrameOptions = {}): fc.Arbitrary<Uint8Array> => {
  const { subject, strangers } = options.place ?? DEFAULT_PLACE;
  const typed = fc
    .tuple(fc.nat(65_535), bytes(80))
    .map(([type, packet]) => framed(subject.mac, strangers[0].mac, type, packet));
  return fc.oneof({ withCrossShrink: true }, typed, bytes(80));
};

/** A frame of any kind. */
export function frame(options: FrameOptions = {}): fc.Arbitrary<Uint8Array> {
  const kinds = [
    { weight: 6, arbitrary: tcpFrame(options) },
    { weight: 4, arbitrary: udpFrame(options) },
    { weight: 5, arbitrary: icmpFrame(options) },
    { weight: 2, arbitrary: arpFrame(options) },
    { weight: 2, arbitrary: groupFrame(options) },
  ];
  const others = options.mood === "valid" ? [] : [{ weight: 1, arbitrary: otherFrame(options) }];
  return fc.oneof({ withCrossShrink: true }, ...kinds, ...others);
}

export interface Fragments {
  /** The packet in one frame. */
  whole: Uint8Array;
  /** The same in pieces, in an order of their own. */
  frames: Uint8Array[];
}

/** An honest datagram that comes in one to seven pieces, in any order and some of them twice. */
export function fragments(
  family: 4 | 6,
  options: { place?: Place; twice?: boolean } = {},
): fc.Arbitrary<Fragments> {
  const place = options.place ?? DEFAULT_PLACE;
  const data = fc.uint8Array({ minLength: 1, maxLength: 600, size: "max" });
  const source = fc.record({
    path: way(place, family, false),
    data,
    id: fc.integer({ min: 1, max: 65_535 }),
  });
  return source.chain(({ path, data: body, id }) => {
    const whole = ipPacket(path, udp(1024, place.ports[0], body), id);
    const header = family === 4 ? 20 : 40;
    return pieces(whole.length - header).chain((list) => {
      const again = options.twice === true ? fc.subarray(list) : fc.constant([]);
      const type = family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
      return fc.tuple(moves, again).map(([order, second]) => ({
        whole: framed(path.dstMac, path.srcMac, type, whole),
        frames: moved([...list, ...second], order).map((piece) =>
          framed(
            path.dstMac,
            path.srcMac,
            type,
            family === 4 ? ipv4Fragment(whole, piece) : ipv6Fragment(whole, piece, id),
          ),
        ),
      }));
    });
  });
}
