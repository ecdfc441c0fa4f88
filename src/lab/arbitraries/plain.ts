// Honest packets and frames written at once, without drawing anything: what conversations, fragments and
// campaigns are made of.

import { setU16, setU32 } from "../../base/bytes.ts";
import { sum16 } from "../../netstack/index.ts";
import type { Way } from "./place.ts";
import { summed, type Transport, UDP } from "./transport.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
const DONT_FRAGMENT = 0x4000;

export function framed(
  dst: readonly number[],
  src: readonly number[],
  type: number,
  packet: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(14 + packet.length);
  frame.set(dst);
  frame.set(src, 6);
  setU16(frame, 12, type);
  frame.set(packet, 14);
  return frame;
}

/** From the IP header on. */
export function ipPacket({ src, dst }: Way, transport: Transport, id = 0): Uint8Array {
  const body = summed(transport, src, dst);
  const header = src.isV4 ? 20 : 40;
  const b = new Uint8Array(header + body.length);
  b.set(body, header);
  if (!src.isV4) {
    setU32(b, 0, 0x60000000);
    setU16(b, 4, body.length);
    b[6] = transport.protocol;
    b[7] = transport.hopLimit ?? 64;
    src.write(b, 8, 6);
    dst.write(b, 24, 6);
    return b;
  }
  b[0] = 0x45;
  setU16(b, 2, b.length);
  setU16(b, 4, id);
  setU16(b, 6, id === 0 ? DONT_FRAGMENT : 0);
  b[8] = 64;
  b[9] = transport.protocol;
  src.write(b, 12, 4);
  dst.write(b, 16, 4);
  setU16(b, 10, ~sum16(b, 0, 20) & 0xffff);
  return b;
}

export function ipFrame(way: Way, transport: Transport, id = 0): Uint8Array {
  const type = way.src.isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  return framed(way.dstMac, way.srcMac, type, ipPacket(way, transport, id));
}

export function udp(sport: number, dport: number, data: Uint8Array): Transport {
  const b = new Uint8Array(8 + data.length);
  setU16(b, 0, sport);
  setU16(b, 2, dport);
  setU16(b, 4, b.length);
  b.set(data, 8);
  return { protocol: UDP, bytes: b, checksumAt: 6, checksumOff: 0 };
}
