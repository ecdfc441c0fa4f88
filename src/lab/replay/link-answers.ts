// What the far end of a program's link answers so that packets flow at all: ARP (RFC 826) and Neighbour Solicitations
// (RFC 4861 7.2.4), each for every address that is asked for: whoever it is, it is us.

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import { IPV6, type IpAddr } from "../../netstack/index.ts";
import { ETHERNET_BYTES, icmpBytes, ipFrame, PROTO_ICMPV6 } from "../drill/frame.ts";
import type { IpPacket } from "./ip-packet.ts";

const ARP = 0x0806;
const ARP_BYTES = 28;
const REQUEST = 1;
const REPLY = 2;
const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;
const TARGET = 8;
const TARGET_LINK_ADDRESS = 2;
const SOLICITED_OVERRIDE = 0x6000_0000;
const HOP_LIMIT = 255;

/** To an ARP packet at b[o, end); null: no answer. `guest` is asked for by nobody else. */
export function arpReply(
  b: Uint8Array,
  o: number,
  end: number,
  guest: IpAddr,
  mac: Uint8Array,
): Uint8Array | null {
  if (end - o < ARP_BYTES || u16(b, o + 6) !== REQUEST) return null;
  const sender = u32(b, o + 14);
  const target = u32(b, o + 24);
  // Asking for oneself is a check for conflicts (RFC 5227).
  if (sender === target || sender === 0 || target === guest.v4 >>> 0) return null;
  const frame = new Uint8Array(ETHERNET_BYTES + ARP_BYTES);
  frame.set(b.subarray(o + 8, o + 14), 0);
  frame.set(mac, 6);
  setU16(frame, 12, ARP);
  frame.set(b.subarray(o, o + 8), ETHERNET_BYTES);
  const at = ETHERNET_BYTES;
  setU16(frame, at + 6, REPLY);
  frame.set(mac, at + 8);
  setU32(frame, at + 14, target);
  frame.set(b.subarray(o + 8, o + 18), at + 18);
  return frame;
}

/** To a Neighbour Solicitation; null: it is none, or is a probe for a duplicate (RFC 4862 5.4). */
export function neighborAdvertisement(
  packet: IpPacket,
  guestMac: Uint8Array,
  mac: Uint8Array,
): Uint8Array | null {
  const { bytes, protocol, src } = packet;
  if (protocol !== PROTO_ICMPV6 || bytes.length < TARGET + 16) return null;
  if (bytes[0] !== NEIGHBOR_SOLICITATION || src.isUnspecified || packet.isDamaged) return null;
  const target = packet.dst.clone();
  target.read(bytes, TARGET, IPV6);
  const rest = new Uint8Array(24);
  rest.set(bytes.subarray(TARGET, TARGET + 16));
  rest[16] = TARGET_LINK_ADDRESS;
  rest[17] = 1;
  rest.set(mac, 18);
  const ip = {
    src: target,
    dst: src,
    tos: 0,
    ttl: HOP_LIMIT,
    flowLabel: 0,
    protocol: PROTO_ICMPV6,
  };
  const body = icmpBytes(ip, NEIGHBOR_ADVERTISEMENT, 0, SOLICITED_OVERRIDE, rest);
  return ipFrame(guestMac, mac, ip, body);
}
