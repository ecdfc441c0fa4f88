// TCP's MD5 signature option (RFC 2385, as BGP uses it): keys by the peer's address, the digest of a segment, and what
// an arriving signed segment must carry (Linux's tcp_inbound_md5_hash). Which segments are signed: signature.ts; which
// must be: auth-inbound.ts.
//
//   digest = MD5(pseudo-header | 20 bytes of header, checksum 0 | data | key)

import { MD5_BYTES, Md5 } from "../../base/md5.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { inPrefix, maskAddr } from "../stack/prefix.ts";
import { TCP_CHECKSUM_OFFSET, TCP_HEADER_BYTES, tcpHeaderBytes } from "../wire/tcp.ts";
import type { TcpContext } from "./context.ts";
import { PSEUDO_HEADER_BYTES_MAX, writePseudoHeader } from "./pseudo-header.ts";
import type { Segment } from "./segment.ts";

/** TCP_MD5SIG_MAXKEYLEN. */
export const MD5_KEY_BYTES_MAX = 80;
/** As many as Linux's optmem_max of 20480 bytes has room for. */
const KEYS_MAX = 150;

interface Md5Key {
  readonly net: IpAddr;
  /** Of the 128-bit form. */
  readonly bits: number;
  readonly bytes: Uint8Array;
}

/** The keys of one endpoint; those of a listener are for its children. */
export class Md5Keys {
  /** Longest prefix first. */
  readonly #keys: Md5Key[] = [];

  get count(): number {
    return this.#keys.length;
  }

  /** Replaces a key for the same prefix. */
  set(addr: IpAddr, prefixBits: number, bytes: Uint8Array): NetError | 0 {
    const bits = addr.isV4 ? prefixBits + 96 : prefixBits;
    this.remove(addr, prefixBits);
    if (this.#keys.length >= KEYS_MAX) return NetErr.NoBuffers;
    this.#keys.push({ net: maskAddr(addr, bits), bits, bytes: bytes.slice() });
    this.#keys.sort((a, b) => b.bits - a.bits);
    return 0;
  }

  /** False: there is none. */
  remove(addr: IpAddr, prefixBits: number): boolean {
    const bits = addr.isV4 ? prefixBits + 96 : prefixBits;
    const net = maskAddr(addr, bits);
    const at = this.#keys.findIndex((k) => k.bits === bits && k.net.equals(net));
    if (at < 0) return false;
    this.#keys.splice(at, 1);
    return true;
  }

  find(peer: IpAddr): Uint8Array | null {
    const keys = this.#keys;
    for (let i = 0; i < keys.length; i++) {
      if (inPrefix(peer, keys[i].net, keys[i].bits)) return keys[i].bytes;
    }
    return null;
  }

  /** What an accepted connection takes along: the key for its peer, or nothing. */
  static ofPeer(keys: Md5Keys | null, peer: IpAddr): Md5Keys | null {
    const bytes = keys?.find(peer) ?? null;
    if (bytes === null) return null;
    const own = new Md5Keys();
    own.set(peer, peer.isV4 ? 32 : 128, bytes);
    return own;
  }
}

const md5 = new Md5();
const pseudo = new Uint8Array(PSEUDO_HEADER_BYTES_MAX);
const NO_CHECKSUM = new Uint8Array(2);
const wanted = new Uint8Array(MD5_BYTES);

/** Over the header at [off, off + 20), data in up to two pieces, and the key. */
function digest(
  out: Uint8Array,
  at: number,
  pkt: PacketBuffer,
  off: number,
  src: IpAddr,
  dst: IpAddr,
  key: Uint8Array,
): void {
  const b = pkt.bytes;
  const header = tcpHeaderBytes(b, off);
  const length = pkt.end - off + pkt.fragLength;
  md5.begin().add(pseudo, 0, writePseudoHeader(pseudo, 0, src, dst, length));
  md5.add(b, off, TCP_CHECKSUM_OFFSET).add(NO_CHECKSUM, 0, 2);
  md5.add(b, off + TCP_CHECKSUM_OFFSET + 2, TCP_HEADER_BYTES - TCP_CHECKSUM_OFFSET - 2);
  md5.add(b, off + header, pkt.end - off - header);
  if (pkt.fragBytes !== null) md5.add(pkt.fragBytes, pkt.fragOffset, pkt.fragLength);
  md5.add(key, 0, key.length).end(out, at);
}

// @rfc 2385 2.0a
/** Fills in the option's digest at `at`; header and data are complete. */
export function sign(
  pkt: PacketBuffer,
  at: number,
  src: IpAddr,
  dst: IpAddr,
  key: Uint8Array,
): void {
  digest(pkt.bytes, at, pkt, pkt.start, src, dst, key);
}

function isGenuine(seg: Segment, key: Uint8Array): boolean {
  const pkt = seg.pkt as PacketBuffer;
  digest(wanted, 0, pkt, pkt.l4, pkt.src, pkt.dst, key);
  const at = seg.options.authAt;
  let differ = 0;
  for (let i = 0; i < MD5_BYTES; i++) differ |= wanted[i] ^ pkt.bytes[at + i];
  return differ === 0;
}

// @rfc 2385 2.0b
/**
 * Whether a signed segment may be looked at by an endpoint with these keys, or without. It must be signed with the key
 * for its sender: anything else is dropped without a word.
 */
export function isMd5Fit(ctx: TcpContext, keys: Md5Keys | null, seg: Segment): boolean {
  const key = keys?.find((seg.pkt as PacketBuffer).src) ?? null;
  if (key === null) {
    ctx.stats.TCPMD5Unexpected++;
    return false;
  }
  if (isGenuine(seg, key)) return true;
  ctx.stats.TCPMD5Failure++;
  return false;
}

/**
 * tcp_v4_send_reset for a signed segment that finds nobody: a listener on the port it came from may have the key (both
 * ends of BGP use one port). null: no key, or a forgery, which deserves no answer.
 */
export function resetKey(ctx: TcpContext, seg: Segment): Uint8Array | null {
  const pkt = seg.pkt as PacketBuffer;
  const listener = ctx.listeners.findOnPort(pkt.dst, seg.srcPort);
  const key = listener?.options.authKeys?.md5?.find(pkt.src) ?? null;
  return key !== null && isGenuine(seg, key) ? key : null;
}
