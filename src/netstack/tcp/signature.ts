// How a segment that goes out is signed, whoever sends it: a connection, a listener with a cookie, TIME-WAIT, or
// nobody with a RST. One object describes the segment being built: first its option is written, and when header and
// data are complete, filled in. Whether what comes in is signed rightly: auth-inbound.ts.

import type { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { ACK, SYN, TCP_HEADER_BYTES } from "../wire/tcp.ts";
import {
  AO_HEADER_BYTES,
  AUTH_NONE,
  isAo,
  MD5_DIGEST_AT,
  MD5_SIGNATURE_BYTES,
  writeAo,
  writeMd5,
} from "../wire/tcp-auth.ts";
import { type AoInfo, type AoKey, extended } from "./ao-keys.ts";
import { segmentMac, trafficKey } from "./ao-mac.ts";
import type { AuthKeys } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { resetKey, sign } from "./md5-signature.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

const NO_KEY = new Uint8Array(0);

/** The signature is the first option of its segment. */
export class Signature {
  #md5Key: Uint8Array | null = null;
  #aoKey: AoKey | null = null;
  #traffic: Uint8Array = NO_KEY;
  #rnextId = 0;
  #sne = 0;

  setMd5(key: Uint8Array): this {
    this.#md5Key = key;
    this.#aoKey = null;
    return this;
  }

  setAo(key: AoKey, traffic: Uint8Array, rnextId: number, sne: number): this {
    this.#md5Key = null;
    this.#aoKey = key;
    this.#traffic = traffic;
    this.#rnextId = rnextId;
    this.#sne = sne;
    return this;
  }

  /** Bytes of the option. */
  get bytes(): number {
    return this.#aoKey === null ? MD5_SIGNATURE_BYTES : this.#aoKey.optionBytes;
  }

  /** The option, still empty, behind the header that begins at pkt.start: bytes written. */
  write(pkt: PacketBuffer): number {
    const at = pkt.start + TCP_HEADER_BYTES;
    const key = this.#aoKey;
    if (key === null) return writeMd5(pkt.bytes, at);
    return writeAo(pkt.bytes, at, key.sendId, this.#rnextId, key.macBytes);
  }

  /** The segment is complete, but for its checksum. */
  fill(pkt: PacketBuffer, src: IpAddr, dst: IpAddr): void {
    const off = pkt.start;
    const key = this.#aoKey;
    if (key === null) {
      sign(pkt, off + TCP_HEADER_BYTES + MD5_DIGEST_AT, src, dst, this.#md5Key ?? NO_KEY);
      return;
    }
    const at = off + TCP_HEADER_BYTES + AO_HEADER_BYTES;
    const mac = segmentMac(key, this.#traffic, pkt, off, at, this.#sne, src, dst);
    for (let i = 0; i < key.macBytes; i++) pkt.bytes[at + i] = mac[i];
  }
}

const $signature = new Signature();

// @rfc 5925 7.4
/** Of a connection's segment; null: it is not signed. */
export function signatureOf(tcb: Tcb, seq: number, flags: number): Signature | null {
  const { authKeys } = tcb.options;
  if (authKeys === null) return null;
  const { ao } = authKeys;
  const current = ao?.current ?? null;
  if (ao !== null && current !== null) {
    // The other end's number is not in the SYN's key: nobody knows it yet (RFC 5925 5.2).
    const traffic =
      (flags & (SYN | ACK)) === SYN
        ? trafficKey(current, tcb.local, tcb.remote, tcb.ports, ao.localIsn, 0)
        : sendKey(ao, current, tcb.local, tcb.remote, tcb.ports);
    const rnextId = (ao.rnext ?? current).receiveId;
    return $signature.setAo(current, traffic, rnextId, ao.sent.of(seq, tcb.snd.una));
  }
  const md5Key = authKeys.md5?.find(tcb.remote) ?? null;
  return md5Key === null ? null : $signature.setMd5(md5Key);
}

/** The key of everything a connection sends behind its SYN. */
function sendKey(ao: AoInfo, key: AoKey, local: IpAddr, remote: IpAddr, ports: number): Uint8Array {
  key.sendTraffic ??= trafficKey(key, local, remote, ports, ao.localIsn, ao.remoteIsn);
  return key.sendTraffic;
}

/** The IDs that a segment's TCP-AO carries. Precondition: it has one. */
const keyIdOf = (seg: Segment): number => (seg.pkt as PacketBuffer).bytes[seg.options.authAt];
const rnextIdOf = (seg: Segment): number => (seg.pkt as PacketBuffer).bytes[seg.options.authAt + 1];

const hasAo = (seg: Segment): boolean =>
  seg.options.authAt > 0 && isAo((seg.pkt as PacketBuffer).bytes, seg.options.authAt);

/**
 * Of a SYN-ACK of which nothing is kept; null: unsigned; undefined: there is no key that the peer asks for, and so no
 * answer (tcp_make_synack).
 */
export function signatureOfCookie(
  keys: AuthKeys,
  seg: Segment,
  iss: number,
): Signature | null | undefined {
  const { src, dst } = seg.pkt as PacketBuffer;
  if (keys.ao !== null && hasAo(seg)) {
    const key = keys.ao.find(src, rnextIdOf(seg), -1);
    if (key === null) return undefined;
    const traffic = trafficKey(key, dst, src, answerPorts(seg), iss, seg.seq);
    return $signature.setAo(key, traffic, keyIdOf(seg), 0);
  }
  const md5Key = keys.md5?.find(src) ?? null;
  return md5Key === null ? null : $signature.setMd5(md5Key);
}

const answerPorts = (seg: Segment): number => (seg.dstPort << 16) | seg.srcPort;

/**
 * Of an answer in TIME-WAIT or a RST, to what came to somebody with these keys, or to nobody; null: unsigned;
 * undefined: an answer that the peer would believe cannot be made. seq: the answer's.
 */
export function signatureOfAnswer(
  ctx: TcpContext,
  keys: AuthKeys | null,
  seg: Segment,
  seq: number,
): Signature | null | undefined {
  const { src } = seg.pkt as PacketBuffer;
  if (hasAo(seg)) return aoAnswer(keys?.ao ?? null, seg, seq);
  const known = keys?.md5?.find(src) ?? null;
  if (known !== null) return $signature.setMd5(known);
  if (seg.options.authAt === AUTH_NONE) return null;
  const key = resetKey(ctx, seg);
  return key === null ? undefined : $signature.setMd5(key);
}

// @rfc 5925 7.7
/** tcp_ao_prepare_reset. Without a connection its numbers are unknown, and so is the key. */
function aoAnswer(ao: AoInfo | null, seg: Segment, seq: number): Signature | undefined {
  if (ao === null) return undefined;
  const { src, dst } = seg.pkt as PacketBuffer;
  const ports = answerPorts(seg);
  if (ao.isStarted) {
    const key = ao.findOwn(rnextIdOf(seg), -1);
    if (key === null) return undefined;
    const rnextId = (ao.rnext ?? key).receiveId;
    return $signature.setAo(key, sendKey(ao, key, dst, src, ports), rnextId, ao.sent.ofLast(seq));
  }
  // A listener, or a connection that waits for its SYN-ACK: the numbers are those that the segment lets guess. Linux
  // takes the key of the other direction, with which nobody looks at the RST.
  const key = ao.find(src, rnextIdOf(seg), -1);
  if (key === null) return undefined;
  const isSyn = (seg.flags & SYN) !== 0;
  const localIsn = (seg.flags & ACK) !== 0 ? (seg.ack - 1) | 0 : 0;
  const remoteIsn = isSyn ? seg.seq : (seg.seq - 1) | 0;
  const traffic = trafficKey(key, dst, src, ports, localIsn, remoteIsn);
  return $signature.setAo(key, traffic, key.receiveId, extended(0, localIsn, seq));
}
