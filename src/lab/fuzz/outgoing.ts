// The law of every frame that leaves a stack: addresses that may stand there, lengths that agree, checksums that are
// right, and nothing of memory that was never part of it. Written from the RFCs' formats, not with the stack's own
// code: a mistake there must not hide itself here.

import { u16 } from "../../base/bytes.ts";
import { STALE } from "./subject.ts";
import { BrokenLaw } from "./target.ts";

const ETH = 14;
const FRAME_MAX = 1_514;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
/** So many bytes of stale memory in a row are no accident. */
const STALE_RUN = 8;

function broken(law: string, message: string): never {
  throw new BrokenLaw(law, message);
}

/** One's complement sum of 16-bit words (RFC 1071), plainly. */
function sum(b: Uint8Array, from: number, to: number, seed: number): number {
  let s = seed;
  let i = from;
  for (; i + 1 < to; i += 2) s += (b[i] << 8) | b[i + 1];
  if (i < to) s += b[i] << 8;
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

function words(b: Uint8Array, from: number, to: number): number {
  let s = 0;
  for (let i = from; i < to; i += 2) s += (b[i] << 8) | b[i + 1];
  return s;
}

export class Outgoing {
  readonly #mac: Uint8Array;
  /** IPv6 addresses of ours are told by nobody but the NIC: link-local, configured, and later ones. */
  readonly #owns: (b: Uint8Array, at: number, family: 4 | 6) => boolean;

  constructor(mac: Uint8Array, owns: (b: Uint8Array, at: number, family: 4 | 6) => boolean) {
    this.#mac = mac;
    this.#owns = owns;
  }

  /** Throws BrokenLaw. */
  check(b: Uint8Array, length: number): void {
    if (length < ETH || length > FRAME_MAX) broken("frame length", `${length} bytes leave`);
    for (let i = 0; i < 6; i++) {
      if (b[6 + i] !== this.#mac[i])
        broken("link address", "a frame leaves with another's address");
    }
    this.#stale(b, length);
    switch (u16(b, 12)) {
      case ARP:
        this.#arp(b, length);
        break;
      case IPV4:
        this.#ipv4(b, length);
        break;
      case IPV6:
        this.#ipv6(b, length);
        break;
      default:
        broken("ethertype", `a frame of type 0x${u16(b, 12).toString(16)} leaves`);
    }
  }

  #stale(b: Uint8Array, length: number): void {
    let run = 0;
    for (let i = ETH; i < length; i++) {
      run = b[i] === STALE ? run + 1 : 0;
      if (run === STALE_RUN) broken("stale memory", "bytes behind a frame's end are sent");
    }
  }

  #arp(b: Uint8Array, length: number): void {
    const isForm = length >= ETH + 28 && u16(b, ETH) === 1 && u16(b, ETH + 2) === IPV4;
    if (!isForm || b[ETH + 4] !== 6 || b[ETH + 5] !== 4) broken("arp form", "a broken ARP leaves");
    const op = u16(b, ETH + 6);
    if (op !== 1 && op !== 2) broken("arp form", `an ARP with operation ${op} leaves`);
    if (op === 2 && !this.#owns(b, ETH + 14, 4)) broken("arp claim", "it answers for another");
    if ((b[ETH + 8] & 1) !== 0) broken("arp form", "an ARP's sender is a group");
  }

  #ipv4(b: Uint8Array, length: number): void {
    const header = (b[ETH] & 15) << 2;
    if (length < ETH + 20 || b[ETH] >>> 4 !== 4 || header < 20) broken("ipv4 form", "no header");
    if (u16(b, ETH + 2) !== length - ETH) {
      broken("ipv4 length", `total length ${u16(b, ETH + 2)} of ${length - ETH} bytes`);
    }
    if (sum(b, ETH, ETH + header, 0) !== 0xffff) broken("ipv4 checksum", "of a header that leaves");
    if (b[ETH + 8] === 0) broken("ttl", "a packet leaves with TTL 0");
    if (!this.#owns(b, ETH + 12, 4)) broken("source", "an IPv4 source that is not ours");
    const dst = b[ETH + 16];
    if (dst === 127 || dst === 0) broken("destination", "loopback or nobody on the wire");
    if ((u16(b, ETH + 6) & 0x3fff) !== 0) return;
    const pseudo = words(b, ETH + 12, ETH + 20);
    this.#transport(b, ETH + header, length, b[ETH + 9], pseudo, b[ETH + 8]);
  }

  #ipv6(b: Uint8Array, length: number): void {
    if (length < ETH + 40 || b[ETH] >>> 4 !== 6) broken("ipv6 form", "no header");
    if (u16(b, ETH + 4) !== length - ETH - 40) {
      broken("ipv6 length", `payload length ${u16(b, ETH + 4)} of ${length - ETH - 40} bytes`);
    }
    const hopLimit = b[ETH + 7];
    if (hopLimit === 0) broken("ttl", "a packet leaves with hop limit 0");
    const pseudo = words(b, ETH + 8, ETH + 40);
    let next = b[ETH + 6];
    let at = ETH + 40;
    if (next === 0 || next === 60) {
      next = b[at];
      at += (b[at + 1] + 1) << 3;
    }
    if (at > length) broken("ipv6 form", "an extension header that does not fit");
    // A source may be unspecified only in Duplicate Address Detection and its reports.
    if (next !== 58 && !this.#owns(b, ETH + 8, 6)) broken("source", "an IPv6 source not ours");
    if (next !== 44) this.#transport(b, at, length, next, pseudo, hopLimit);
  }

  #transport(
    b: Uint8Array,
    at: number,
    end: number,
    protocol: number,
    pseudo: number,
    hops: number,
  ): void {
    const length = end - at;
    const seed = pseudo + protocol + length;
    switch (protocol) {
      case 1:
        if (length < 8) broken("icmp form", "a short ICMP leaves");
        if (sum(b, at, end, 0) !== 0xffff) broken("icmp checksum", "of a message that leaves");
        break;
      case 58:
        if (length < 4) broken("icmp form", "a short ICMPv6 leaves");
        if (sum(b, at, end, seed) !== 0xffff) broken("icmp checksum", "of a message that leaves");
        if (b[at] >= 133 && b[at] <= 137 && hops !== 255) broken("nd hop limit", `${hops}`);
        break;
      case 17:
        if (length < 8 || u16(b, at + 4) !== length) broken("udp length", `of ${length} bytes`);
        // Zero means none, which IPv4 allows and no program here asks for.
        if (sum(b, at, end, seed) !== 0xffff) broken("udp checksum", "of a datagram that leaves");
        break;
      case 6:
        this.#tcp(b, at, end, seed);
        break;
    }
  }

  #tcp(b: Uint8Array, at: number, end: number, seed: number): void {
    const header = (b[at + 12] >>> 4) << 2;
    if (end - at < 20 || header < 20 || at + header > end) broken("tcp form", "a broken header");
    if (sum(b, at, end, seed) !== 0xffff) broken("tcp checksum", "of a segment that leaves");
    let o = at + 20;
    while (o < at + header) {
      const kind = b[o];
      if (kind === 0) break;
      if (kind === 1) {
        o++;
        continue;
      }
      const size = b[o + 1];
      if (size < 2 || o + size > at + header) broken("tcp options", `option ${kind} of ${size}`);
      o += size;
    }
  }
}

/** Whole packets of a transport whose checksum is wrong: nobody may answer them. */
export function isDamaged(b: Uint8Array): boolean {
  if (b.length < ETH + 28) return false;
  const type = u16(b, 12);
  if (type === IPV4) {
    const header = (b[ETH] & 15) << 2;
    const end = ETH + u16(b, ETH + 2);
    const isWhole = b[ETH] >>> 4 === 4 && header >= 20 && end <= b.length;
    if (!isWhole || ETH + header > end || (u16(b, ETH + 6) & 0x3fff) !== 0) return false;
    if (sum(b, ETH, ETH + header, 0) !== 0xffff) return true;
    // A bad option is answered before anybody looks at the transport.
    if (header > 20) return false;
    return isSumWrong(b, ETH + header, end, b[ETH + 9], words(b, ETH + 12, ETH + 20));
  }
  if (type !== IPV6 || b.length < ETH + 48 || b[ETH] >>> 4 !== 6) return false;
  const end = ETH + 40 + u16(b, ETH + 4);
  if (end > b.length) return false;
  return isSumWrong(b, ETH + 40, end, b[ETH + 6], words(b, ETH + 8, ETH + 40));
}

function isSumWrong(
  b: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  pseudo: number,
): boolean {
  const length = end - at;
  if (protocol === 1) return length >= 8 && sum(b, at, end, 0) !== 0xffff;
  if (protocol === 6) return length >= 20 && sum(b, at, end, pseudo + 6 + length) !== 0xffff;
  if (protocol === 58) return length >= 4 && sum(b, at, end, pseudo + 58 + length) !== 0xffff;
  if (protocol !== 17 || length < 8 || u16(b, at + 6) === 0) return false;
  // A datagram may end before its packet does.
  const udp = u16(b, at + 4);
  return udp >= 8 && udp <= length && sum(b, at, at + udp, pseudo + 17 + udp) !== 0xffff;
}
