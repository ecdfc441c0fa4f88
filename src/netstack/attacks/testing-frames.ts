// Frames made by hand for the attack tests, with right checksums unless a test wants them wrong, and the addresses
// of who lives in their arena. What runs them is testing.ts'. Not part of the product.

import { setU16, setU32 } from "../../base/bytes.ts";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import { parseIp } from "../parse-ip.ts";
import { pseudoSum, sum16 } from "../wire/checksum.ts";

export const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
export const VICTIM = ip("10.0.0.1");
export const PEER = ip("10.0.0.2");
export const VICTIM6 = ip("2001:db8::a");
export const PEER6 = ip("2001:db8::b");
export const PORT = 80;
export const MAC_VICTIM = [2, 0, 0, 0, 0, 1];
export const MAC_PEER = [2, 0, 0, 0, 0, 2];
export const MAC_ATTACKER = [2, 0, 0, 0, 0, 0x66];

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

/** The n-th address that an attacker pretends to have. */
export const stranger = (n: number): IpAddr => IpAddr.v4(10, 7, (n >> 8) & 255, n & 255);
export function stranger6(n: number): IpAddr {
  const addr = ip("2001:db8::7:0:0");
  addr.w3 = n;
  return addr;
}

export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new SeededRng(length).fill(bytes, 0, length);
  return bytes;
}

export const bytesOf = (addr: IpAddr): number[] => {
  const b = new Uint8Array(16);
  addr.write(b, 0, addr.isV4 ? 4 : 6);
  return [...b.subarray(0, addr.isV4 ? 4 : 16)];
};

export interface Ip4Options {
  src?: IpAddr;
  dst?: IpAddr;
  protocol?: number;
  id?: number;
  /** Offset in bytes. */
  offset?: number;
  more?: boolean;
  dontFragment?: boolean;
  ttl?: number;
  /** IP options, a multiple of four bytes. */
  options?: readonly number[];
  mac?: readonly number[];
  /** Lies about the lengths. */
  totalLength?: number;
  headerBytes?: number;
}

/** An Ethernet frame to the victim with an IPv4 packet whose header checksum is right. */
export function ip4(payload: Uint8Array | readonly number[], o: Ip4Options = {}): Uint8Array {
  const options = o.options ?? [];
  const header = 20 + options.length;
  const f = new Uint8Array(14 + header + payload.length);
  f.set([...(o.mac ?? MAC_VICTIM), ...MAC_ATTACKER, 8, 0]);
  const frag = ((o.offset ?? 0) >> 3) | (o.more ? 0x2000 : 0) | (o.dontFragment ? 0x4000 : 0);
  f[14] = 0x40 | ((o.headerBytes ?? header) >> 2);
  setU16(f, 16, o.totalLength ?? header + payload.length);
  setU16(f, 18, o.id ?? 1);
  setU16(f, 20, frag);
  f.set([o.ttl ?? 64, o.protocol ?? UDP, 0, 0], 22);
  f.set(bytesOf(o.src ?? stranger(1)), 26);
  f.set(bytesOf(o.dst ?? VICTIM), 30);
  f.set(options, 34);
  const sumBytes = Math.min(o.headerBytes ?? header, f.length - 14);
  setU16(f, 24, ~sum16(f, 14, sumBytes) & 0xffff);
  f.set(payload, 14 + header);
  return f;
}

export interface Ip6Options {
  src?: IpAddr;
  dst?: IpAddr;
  next?: number;
  hopLimit?: number;
  mac?: readonly number[];
  payloadLength?: number;
}

/** An Ethernet frame with an IPv6 packet. */
export function ip6(payload: Uint8Array | readonly number[], o: Ip6Options = {}): Uint8Array {
  const dst = o.dst ?? VICTIM6;
  const group = [0x33, 0x33, ...bytesOf(dst).slice(12)];
  const f = new Uint8Array(54 + payload.length);
  f.set([...(o.mac ?? (dst.isMulticast ? group : MAC_VICTIM)), ...MAC_ATTACKER, 0x86, 0xdd]);
  f[14] = 0x60;
  setU16(f, 18, o.payloadLength ?? payload.length);
  f[20] = o.next ?? UDP;
  f[21] = o.hopLimit ?? 64;
  f.set(bytesOf(o.src ?? stranger6(1)), 22);
  f.set(bytesOf(dst), 38);
  f.set(payload, 54);
  return f;
}

/** Transport bytes with the checksum of their pseudo header at `field`. */
export function summed(
  payload: Uint8Array | readonly number[],
  field: number,
  protocol: number,
  src: IpAddr,
  dst: IpAddr,
): Uint8Array {
  const p = Uint8Array.from(payload);
  setU16(p, field, 0);
  const seed = protocol === ICMP ? 0 : pseudoSum(src, dst, protocol, p.length);
  setU16(p, field, ~sum16(p, 0, p.length, seed) & 0xffff);
  return p;
}

export interface TcpOptionsOf {
  src?: IpAddr;
  dst?: IpAddr;
  sport?: number;
  dport?: number;
  seq?: number;
  ack?: number;
  flags?: number;
  window?: number;
  urgent?: number;
  options?: readonly number[];
  data?: Uint8Array | readonly number[];
  dataOffset?: number;
  mac?: readonly number[];
}
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;

export function tcpBytes(o: TcpOptionsOf = {}): Uint8Array {
  const options = o.options ?? [];
  const data = o.data ?? [];
  const p = new Uint8Array(20 + options.length + data.length);
  setU16(p, 0, o.sport ?? 1024);
  setU16(p, 2, o.dport ?? PORT);
  setU32(p, 4, o.seq ?? 0);
  setU32(p, 8, o.ack ?? 0);
  p[12] = (o.dataOffset ?? 5 + (options.length >> 2)) << 4;
  p[13] = o.flags ?? SYN;
  setU16(p, 14, o.window ?? 65_535);
  setU16(p, 18, o.urgent ?? 0);
  p.set(options, 20);
  p.set(data, 20 + options.length);
  return p;
}

/** A TCP segment of either family, by its addresses. */
export function segment(o: TcpOptionsOf = {}): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const p = summed(tcpBytes(o), 16, TCP, src, dst);
  const { mac } = o;
  return src.isV4 ? ip4(p, { src, dst, protocol: TCP, mac }) : ip6(p, { src, dst, next: TCP, mac });
}

export function datagram(
  data: Uint8Array | readonly number[],
  o: { src?: IpAddr; dst?: IpAddr; sport?: number; dport?: number; mac?: readonly number[] } = {},
): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const p = new Uint8Array(8 + data.length);
  setU16(p, 0, o.sport ?? 1024);
  setU16(p, 2, o.dport ?? 9);
  setU16(p, 4, p.length);
  p.set(data, 8);
  const body = summed(p, 6, UDP, src, dst);
  const { mac } = o;
  return src.isV4 ? ip4(body, { src, dst, mac }) : ip6(body, { src, dst, mac });
}

/** An ICMP or ICMPv6 message, by the family of its addresses. */
export function icmp(
  message: readonly number[] | Uint8Array,
  o: { src?: IpAddr; dst?: IpAddr; hopLimit?: number; mac?: readonly number[] } = {},
): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const protocol = src.isV4 ? ICMP : ICMPV6;
  const p = summed(message, 2, protocol, src, dst);
  const { mac } = o;
  return src.isV4
    ? ip4(p, { src, dst, protocol, mac })
    : ip6(p, { src, dst, next: protocol, hopLimit: o.hopLimit ?? 255, mac });
}

/** What an ICMP error quotes: the victim's packet, from its IP header on. */
export const quoted = (frame: Uint8Array, bytes = 548): number[] => [
  ...frame.subarray(14, 14 + bytes),
];

export const be16 = (n: number): number[] => [(n >> 8) & 255, n & 255];
export const be32 = (n: number): number[] => [
  (n >>> 24) & 255,
  (n >>> 16) & 255,
  (n >>> 8) & 255,
  n & 255,
];
