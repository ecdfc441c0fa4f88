// Frames of the scripted peer: Ethernet, IPv4 or IPv6, TCP, UDP and ICMP built from numbers, and taken apart
// for comparison. An implementation of its own on purpose: a mistake in the stack's header code must not
// be repeated by its judge.

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import {
  checksum,
  type Family,
  IPV4,
  IPV6,
  IpAddr,
  pseudoSum,
  sum16,
} from "../../netstack/index.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;
/** The bit left of CWR, in the byte before (RFC 9768's AE). */
export const AE = 0x100;

export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_ICMPV6 = 58;

export const ETHERNET_BYTES = 14;

export interface IpHead {
  src: IpAddr;
  dst: IpAddr;
  tos: number;
  ttl: number;
  flowLabel: number;
  protocol: number;
}

export interface TcpHead {
  srcPort: number;
  dstPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  urgent: number;
  /** Option bytes, padded. */
  options: Uint8Array;
}

const ipBytes = (family: Family): number => (family === IPV4 ? 20 : 40);

/** A frame with `body` behind its IP header. */
export function ipFrame(
  dstMac: Uint8Array,
  srcMac: Uint8Array,
  ip: IpHead,
  body: Uint8Array,
): Uint8Array {
  const family = ip.src.family;
  const frame = new Uint8Array(ETHERNET_BYTES + ipBytes(family) + body.length);
  frame.set(dstMac, 0);
  frame.set(srcMac, 6);
  setU16(frame, 12, family === IPV4 ? 0x0800 : 0x86dd);
  writeIp(frame, ETHERNET_BYTES, ip, body.length);
  frame.set(body, ETHERNET_BYTES + ipBytes(family));
  return frame;
}

function writeIp(b: Uint8Array, o: number, ip: IpHead, bodyLength: number): void {
  if (ip.src.family === IPV4) {
    b[o] = 0x45;
    b[o + 1] = ip.tos;
    // A merged packet may exceed the field; its receiver goes by the frame.
    setU16(b, o + 2, Math.min(20 + bodyLength, 0xffff));
    setU16(b, o + 6, 0);
    b[o + 8] = ip.ttl;
    b[o + 9] = ip.protocol;
    ip.src.write(b, o + 12, IPV4);
    ip.dst.write(b, o + 16, IPV4);
    setU16(b, o + 10, checksum(b, o, 20));
    return;
  }
  setU32(b, o, 0x6000_0000 | (ip.tos << 20) | ip.flowLabel);
  setU16(b, o + 4, Math.min(bodyLength, 0xffff));
  b[o + 6] = ip.protocol;
  b[o + 7] = ip.ttl;
  ip.src.write(b, o + 8, IPV6);
  ip.dst.write(b, o + 24, IPV6);
}

/** A packet without its link header: what an ICMP error quotes. */
export function ipPacket(ip: IpHead, body: Uint8Array): Uint8Array {
  return ipFrame(new Uint8Array(6), new Uint8Array(6), ip, body).subarray(ETHERNET_BYTES);
}

/** The payload is zero bytes, as everywhere in the language. */
export function tcpBytes(ip: IpHead, tcp: TcpHead, payloadLength: number): Uint8Array {
  const header = 20 + tcp.options.length;
  const b = new Uint8Array(header + payloadLength);
  setU16(b, 0, tcp.srcPort);
  setU16(b, 2, tcp.dstPort);
  setU32(b, 4, tcp.seq);
  setU32(b, 8, tcp.ack);
  b[12] = (header << 2) | ((tcp.flags & AE) !== 0 ? 1 : 0);
  b[13] = tcp.flags & 0xff;
  setU16(b, 14, tcp.window);
  setU16(b, 18, tcp.urgent);
  b.set(tcp.options, 20);
  setU16(b, 16, checksum(b, 0, b.length, pseudoSum(ip.src, ip.dst, PROTO_TCP, b.length)));
  return b;
}

/** Puts the sum over a whole segment into it. */
export function setTcpSum(ip: IpHead, b: Uint8Array): void {
  setU16(b, 16, 0);
  setU16(b, 16, checksum(b, 0, b.length, pseudoSum(ip.src, ip.dst, PROTO_TCP, b.length)));
}

export function udpBytes(ip: IpHead, srcPort: number, dstPort: number, length: number): Uint8Array {
  const b = new Uint8Array(8 + length);
  setU16(b, 0, srcPort);
  setU16(b, 2, dstPort);
  setU16(b, 4, b.length);
  const sum = checksum(b, 0, b.length, pseudoSum(ip.src, ip.dst, PROTO_UDP, b.length));
  setU16(b, 6, sum === 0 ? 0xffff : sum);
  return b;
}

export function icmpBytes(
  ip: IpHead,
  type: number,
  code: number,
  rest: number,
  quoted: Uint8Array,
): Uint8Array {
  const b = new Uint8Array(8 + quoted.length);
  b[0] = type;
  b[1] = code;
  setU32(b, 4, rest);
  b.set(quoted, 8);
  const seed = ip.protocol === PROTO_ICMPV6 ? pseudoSum(ip.src, ip.dst, PROTO_ICMPV6, b.length) : 0;
  setU16(b, 2, checksum(b, 0, b.length, seed));
  return b;
}

export interface OptionBytes {
  kind: number;
  bytes: Uint8Array;
}

/** An outbound packet as the judge sees it. */
export interface SeenPacket {
  timeNs: number;
  family: Family;
  src: IpAddr;
  dst: IpAddr;
  tos: number;
  ttl: number;
  flowLabel: number;
  protocol: number;
  /** IP payload: TCP, UDP or ICMP from its first byte. */
  body: Uint8Array;
  srcPort: number;
  dstPort: number;
  tcp: SeenTcp | null;
  payload: Uint8Array;
  /** What is wrong with it whatever the script says: checksums, lengths. "" when nothing. */
  fault: string;
}

export interface SeenTcp {
  flags: number;
  seq: number;
  ack: number;
  window: number;
  urgent: number;
  options: OptionBytes[];
  /** Left over when an option's length is broken. */
  headerBytes: number;
}

/** Takes a frame apart; null for what is neither IPv4 nor IPv6, and for fragments. */
export function dissect(frame: Uint8Array, timeNs: number): SeenPacket | null {
  const type = u16(frame, 12);
  const o = ETHERNET_BYTES;
  const seen: SeenPacket = {
    timeNs,
    family: IPV4,
    src: new IpAddr(),
    dst: new IpAddr(),
    tos: 0,
    ttl: 0,
    flowLabel: 0,
    protocol: 0,
    body: frame,
    srcPort: 0,
    dstPort: 0,
    tcp: null,
    payload: frame,
    fault: "",
  };
  if (type === 0x0800) dissectV4(frame, o, seen);
  else if (type === 0x86dd) dissectV6(frame, o, seen);
  else return null;
  if (seen.fault === "") dissectTransport(seen);
  return seen;
}

function dissectV4(b: Uint8Array, o: number, seen: SeenPacket): void {
  const header = (b[o] & 15) << 2;
  const total = u16(b, o + 2);
  if (b[o] >>> 4 !== 4 || header < 20 || total < header || total > b.length - o) {
    seen.fault = "broken IPv4 header";
    return;
  }
  if (sum16(b, o, header) !== 0xffff) seen.fault = "wrong IPv4 header checksum";
  seen.src.read(b, o + 12, IPV4);
  seen.dst.read(b, o + 16, IPV4);
  seen.tos = b[o + 1];
  seen.ttl = b[o + 8];
  seen.protocol = b[o + 9];
  seen.body = b.subarray(o + header, o + total);
}

function dissectV6(b: Uint8Array, o: number, seen: SeenPacket): void {
  seen.family = IPV6;
  const length = u16(b, o + 4);
  if (b.length - o < 40 || length > b.length - o - 40) {
    seen.fault = "broken IPv6 header";
    return;
  }
  const first = u32(b, o);
  seen.src.read(b, o + 8, IPV6);
  seen.dst.read(b, o + 24, IPV6);
  seen.tos = (first >>> 20) & 0xff;
  seen.flowLabel = first & 0xf_ffff;
  seen.protocol = b[o + 6];
  seen.ttl = b[o + 7];
  seen.body = b.subarray(o + 40, o + 40 + length);
}

function dissectTransport(seen: SeenPacket): void {
  const { body } = seen;
  const hasPorts = seen.protocol === PROTO_TCP || seen.protocol === PROTO_UDP;
  if (!hasPorts) {
    seen.payload = body.subarray(Math.min(8, body.length));
    return;
  }
  if (body.length < (seen.protocol === PROTO_TCP ? 20 : 8)) {
    seen.fault = "truncated transport header";
    return;
  }
  seen.srcPort = u16(body, 0);
  seen.dstPort = u16(body, 2);
  const seed = pseudoSum(seen.src, seen.dst, seen.protocol, body.length);
  const isUnsummed = seen.protocol === PROTO_UDP && u16(body, 6) === 0 && seen.family === IPV4;
  if (!isUnsummed && sum16(body, 0, body.length, seed) !== 0xffff) {
    seen.fault = `wrong ${seen.protocol === PROTO_TCP ? "TCP" : "UDP"} checksum`;
  }
  if (seen.protocol === PROTO_UDP) {
    seen.payload = body.subarray(8);
    return;
  }
  dissectTcp(body, seen);
}

function dissectTcp(b: Uint8Array, seen: SeenPacket): void {
  const headerBytes = (b[12] >>> 4) << 2;
  if (headerBytes < 20 || headerBytes > b.length) {
    seen.fault = "broken TCP header length";
    return;
  }
  seen.tcp = {
    flags: b[13] | ((b[12] & 1) !== 0 ? AE : 0),
    seq: u32(b, 4),
    ack: u32(b, 8),
    window: u16(b, 14),
    urgent: u16(b, 18),
    options: readOptions(b, headerBytes),
    headerBytes,
  };
  seen.payload = b.subarray(headerBytes);
}

function readOptions(b: Uint8Array, end: number): OptionBytes[] {
  const options: OptionBytes[] = [];
  let at = 20;
  while (at < end) {
    const kind = b[at];
    if (kind <= 1) {
      options.push({ kind, bytes: b.subarray(at, at) });
      at++;
      continue;
    }
    const length = at + 1 < end ? b[at + 1] : 0;
    if (length < 2 || at + length > end) break;
    options.push({ kind, bytes: b.subarray(at + 2, at + length) });
    at += length;
  }
  return options;
}
