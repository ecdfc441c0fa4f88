// What a captured exchange of datagrams (UDP, ICMP echo) holds: which packets of it are to be played, in which order,
// and what was in them. Says why when it cannot be played.

import { setU16, u16 } from "../../base/bytes.ts";
import { checksum, IPV4, type IpAddr, pseudoSum } from "../../netstack/index.ts";
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_UDP } from "../drill/frame.ts";
import { type CapturedPacket, type Conversation, otherSide } from "./conversation.ts";
import type { IpPacket } from "./ip-packet.ts";

const UDP_HEADER = 8;

export interface DatagramStep {
  packet: CapturedPacket;
  /** Of the other side, before this one in the capture. */
  after: number;
}

/** By side. */
export function datagramSteps(c: Conversation): [DatagramStep[], DatagramStep[]] {
  const steps: [DatagramStep[], DatagramStep[]] = [[], []];
  for (const packet of c.packets) {
    if (!isDatagramOf(c, packet)) continue;
    steps[packet.from].push({ packet, after: steps[otherSide(packet.from)].length });
  }
  return steps;
}

export function datagramProblem(c: Conversation): string {
  for (const { addr } of c.stations) {
    if (addr.isMulticast || addr.isLimitedBroadcast)
      return "it is spoken to a group, not to one station";
    if (addr.isUnspecified) return "one side has no address yet";
  }
  const intact = c.packets.filter((packet) => isDatagramOf(c, packet));
  if (intact.length === 0) return "no datagram arrived whole";
  if (c.kind === "udp" && c.stations.some(({ port }) => port === 0)) return "port 0 is no port";
  return "";
}

export function isDatagramOf(c: Conversation, packet: CapturedPacket): boolean {
  const wanted =
    c.kind === "udp" ? PROTO_UDP : packet.src.family === IPV4 ? PROTO_ICMP : PROTO_ICMPV6;
  if (packet.protocol !== wanted || packet.isDamaged || packet.length < UDP_HEADER) return false;
  return c.kind === "udp" ? u16(packet.bytes, 4) >= UDP_HEADER : isEcho(packet.bytes[0]);
}

export const isEcho = (type: number): boolean =>
  type === 8 || type === 0 || type === 128 || type === 129;
export const isEchoReply = (type: number): boolean => type === 0 || type === 129;

/** What the application gave: behind UDP's header; the echo's bytes from the identifier on. */
export function datagramContent(c: Conversation, packet: IpPacket): Uint8Array {
  const end = c.kind === "udp" ? Math.min(packet.length, u16(packet.bytes, 4)) : packet.length;
  const out = new Uint8Array(Math.max(0, end - UDP_HEADER));
  out.set(packet.bytes.subarray(UDP_HEADER, Math.min(end, packet.bytes.length)));
  return out;
}

/** A UDP header with its checksum, and the content. */
export function udpDatagram(
  src: IpAddr,
  srcPort: number,
  dst: IpAddr,
  dstPort: number,
  content: Uint8Array,
): Uint8Array {
  const b = new Uint8Array(UDP_HEADER + content.length);
  setU16(b, 0, srcPort);
  setU16(b, 2, dstPort);
  setU16(b, 4, b.length);
  b.set(content, UDP_HEADER);
  const sum = checksum(b, 0, b.length, pseudoSum(src, dst, PROTO_UDP, b.length));
  setU16(b, 6, sum === 0 ? 0xffff : sum);
  return b;
}
