// What TCP-AO computes: the traffic key of a connection and direction (RFC 5926 3.1), and the code over one segment
// (RFC 5925 5.1). Linux's tcp_ao_calc_traffic_key and tcp_ao_hash_skb. The algorithms are given (base/macs.ts).
//
//   traffic key = KDF(master key; 1 | "TCP-AO" | addresses | ports | both initial sequence numbers | bits)
//   MAC         = first bytes of MAC(traffic key; SNE | pseudo-header | header, checksum 0, MAC 0 | data)

import { setU16, setU32 } from "../../base/bytes.ts";
import type { MacAlgorithm } from "../../base/macs.ts";
import type { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { TCP_CHECKSUM_OFFSET, TCP_HEADER_BYTES, tcpHeaderBytes } from "../wire/tcp.ts";
import type { AoKey } from "./ao-keys.ts";
import { PSEUDO_HEADER_BYTES_MAX, writePseudoHeader } from "./pseudo-header.ts";

const OPTION_HEADER_BYTES = 4;
const SNE_BYTES = 4;
const HEADERS_BYTES_MAX = SNE_BYTES + PSEUDO_HEADER_BYTES_MAX + 60;
const DIGEST_BYTES_MAX = 64;
/** Key length of AES-128. */
const AES_KEY_BYTES = 16;
const LABEL = Uint8Array.of(1, 0x54, 0x43, 0x50, 0x2d, 0x41, 0x4f);

const $context = new Uint8Array(64);
const $digest = new Uint8Array(DIGEST_BYTES_MAX);
/** Grows to the largest segment there was. */
let $message = new Uint8Array(2_048);

// @rfc 5926 3.1.1.2
/** KDF_AES_128_CMAC takes 16 bytes; a master key of another length is first made into them. */
export function aesKey(cmac: MacAlgorithm, secret: Uint8Array): Uint8Array {
  if (secret.length === AES_KEY_BYTES) return secret.slice();
  const out = new Uint8Array(AES_KEY_BYTES);
  cmac.mac(out.slice(), secret, secret.length, out);
  return out;
}

// @rfc 5926 3.1
// @rfc 5925 5.2
/** ports: source << 16 | destination. A destination's number that is not known yet is 0. */
export function trafficKey(
  key: AoKey,
  src: IpAddr,
  dst: IpAddr,
  ports: number,
  srcIsn: number,
  dstIsn: number,
): Uint8Array {
  const { algorithm, master } = key;
  const { family } = src;
  const addrBytes = src.isV4 ? 4 : 16;
  $context.set(LABEL);
  let at = LABEL.length;
  src.write($context, at, family);
  dst.write($context, at + addrBytes, family);
  at += 2 * addrBytes;
  setU32($context, at, ports);
  setU32($context, at + 4, srcIsn);
  setU32($context, at + 8, dstIsn);
  setU16($context, at + 12, 8 * algorithm.macBytes);
  const out = new Uint8Array(algorithm.macBytes);
  algorithm.mac(master, $context, at + 14, out);
  return out;
}

// @rfc 5925 5.1
/**
 * The code of the segment whose header begins at `off` and whose option's code lies at `macAt`: valid until the next
 * call. Checksum and code count as zero, whatever they are.
 */
export function segmentMac(
  key: AoKey,
  traffic: Uint8Array,
  pkt: PacketBuffer,
  off: number,
  macAt: number,
  sne: number,
  src: IpAddr,
  dst: IpAddr,
): Uint8Array {
  const b = pkt.bytes;
  const header = tcpHeaderBytes(b, off);
  const data = pkt.end - off - header;
  const most = HEADERS_BYTES_MAX + data + pkt.fragLength;
  if ($message.length < most) $message = new Uint8Array(2 * most);
  setU32($message, 0, sne);
  let at = SNE_BYTES;
  at += writePseudoHeader($message, at, src, dst, header + data + pkt.fragLength);
  const start = at;
  if (key.excludesOptions) {
    at = copy(at, b, off, TCP_HEADER_BYTES);
    at = copy(at, b, macAt - OPTION_HEADER_BYTES, OPTION_HEADER_BYTES);
    $message.fill(0, at, at + key.macBytes);
    at += key.macBytes;
  } else {
    at = copy(at, b, off, header);
    $message.fill(0, start + macAt - off, start + macAt - off + key.macBytes);
  }
  setU16($message, start + TCP_CHECKSUM_OFFSET, 0);
  at = copy(at, b, off + header, data);
  if (pkt.fragBytes !== null) at = copy(at, pkt.fragBytes, pkt.fragOffset, pkt.fragLength);
  key.algorithm.mac(traffic, $message, at, $digest);
  return $digest;
}

function copy(to: number, from: Uint8Array, offset: number, length: number): number {
  $message.set(from.subarray(offset, offset + length), to);
  return to + length;
}
