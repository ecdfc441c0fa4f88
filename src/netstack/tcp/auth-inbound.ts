// Whether an arriving segment may be looked at at all: with keys for its sender it must be signed with one of them,
// without it must not be signed. Linux's tcp_inbound_hash and tcp_inbound_ao_hash; RFC 5925 7.5. What is not fit is
// dropped without a word. TIME-WAIT does not ask, as on Linux: what it answers is signed.

import type { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { IcmpError } from "../stack/transport.ts";
import { ACK, RST, SYN } from "../wire/tcp.ts";
import { AUTH_BROKEN, AUTH_NONE, aoMacBytes, isAo } from "../wire/tcp-auth.ts";
import { type AoInfo, type AoKey, extended } from "./ao-keys.ts";
import { segmentMac, trafficKey } from "./ao-mac.ts";
import type { AuthKeys } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { isMd5Fit } from "./md5-signature.ts";
import { syncMss } from "./mss.ts";
import type { Segment } from "./segment.ts";
import { CLOSED, SYN_RECEIVED, SYN_SENT } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/**
 * keys: of the connection (tcb), or of the listener it came to. To be asked only when there are keys or the segment is
 * signed.
 */
export function isAuthentic(
  ctx: TcpContext,
  keys: AuthKeys | null,
  tcb: Tcb | null,
  seg: Segment,
): boolean {
  const { stats } = ctx;
  const { authAt } = seg.options;
  const { bytes, src } = seg.pkt as PacketBuffer;
  if (authAt === AUTH_BROKEN) {
    stats.InErrs++;
    return false;
  }
  const ao = keys === null ? null : keys.ao;
  const hasAo = authAt !== AUTH_NONE && isAo(bytes, authAt);
  // RFC 5925 7.4.1: the SYN has decided it.
  if (tcb?.isHalfOpen && (ao !== null) !== hasAo) {
    stats.TCPAOBad++;
    return false;
  }
  if (hasAo) return isAoFit(ctx, ao, tcb, seg);
  if (authAt !== AUTH_NONE) return isMd5Fit(ctx, keys === null ? null : keys.md5, seg);
  if (ao !== null && (ao.isRequired || ao.find(src, -1, -1) !== null)) {
    stats.TCPAORequired++;
    ao.counters.required++;
    return false;
  }
  if ((keys?.md5?.find(src) ?? null) === null) return true;
  stats.TCPMD5NotFound++;
  return false;
}

// @rfc 5925 7.5
function isAoFit(ctx: TcpContext, ao: AoInfo | null, tcb: Tcb | null, seg: Segment): boolean {
  if (ao === null) {
    ctx.stats.TCPAOKeyNotFound++;
    return false;
  }
  const { bytes, src } = seg.pkt as PacketBuffer;
  const keyId = bytes[seg.options.authAt];
  const isSynchronized = tcb !== null && tcb.state !== SYN_SENT && tcb.state !== SYN_RECEIVED;
  if (tcb !== null && tcb.state === CLOSED) return false;
  let key: AoKey | null;
  if (isSynchronized) {
    key = ao.rnext !== null && ao.rnext.receiveId === keyId ? ao.rnext : ao.findOwn(-1, keyId);
  } else key = ao.find(src, -1, keyId);
  if (key === null) {
    ctx.stats.TCPAOKeyNotFound++;
    ao.counters.keyNotFound++;
    return false;
  }
  const isSyn = (seg.flags & (SYN | ACK)) === SYN;
  if (!isSynchronized || isSyn) return isOpeningFit(ctx, ao, key, tcb, seg);
  const sne = ao.received.of(seg.seq, tcb.rcv.nxt);
  if (!isGenuine(ctx, ao, key, receiveKey(ao, key, tcb), sne, seg)) return false;
  obeyRnext(ao, tcb, bytes[seg.options.authAt + 1]);
  return true;
}

/** The key of everything a connection receives behind the peer's SYN. */
function receiveKey(ao: AoInfo, key: AoKey, tcb: Tcb): Uint8Array {
  if (key.receiveTraffic === null) {
    const ports = (tcb.ports << 16) | (tcb.ports >>> 16);
    const { remoteIsn, localIsn } = ao;
    key.receiveTraffic = trafficKey(key, tcb.remote, tcb.local, ports, remoteIsn, localIsn);
  }
  return key.receiveTraffic;
}

// @rfc 5925 6.1 7.5.2
/** The peer says which key it wants next; one that is not there is not missed. */
function obeyRnext(ao: AoInfo, tcb: Tcb, rnextId: number): void {
  const { current } = ao;
  if (current === null || current.sendId === rnextId) return;
  const next = ao.findOwn(rnextId, -1);
  if (next === null) return;
  ao.current = next;
  if (next.optionBytes !== current.optionBytes) syncMss(tcb);
}

/** Before both ends know both initial sequence numbers: which the segment must have been signed with. */
function isOpeningFit(
  ctx: TcpContext,
  ao: AoInfo,
  key: AoKey,
  tcb: Tcb | null,
  seg: Segment,
): boolean {
  const hasSyn = (seg.flags & SYN) !== 0;
  const hasAck = (seg.flags & ACK) !== 0;
  let srcIsn = seg.seq;
  let dstIsn = 0;
  if (hasSyn && !hasAck) {
    // RFC 5925 5.2: of the first SYN only one is known.
  } else if (tcb === null) {
    // Perhaps the ACK of a cookie; of anything else the numbers cannot be known.
    if (!hasSyn && !hasAck) return false;
    if (!hasSyn) {
      srcIsn = (seg.seq - 1) | 0;
      dstIsn = (seg.ack - 1) | 0;
    }
  } else {
    dstIsn = ao.localIsn;
    if (ao.isStarted) srcIsn = ao.remoteIsn;
    else if (!hasSyn && (seg.flags & RST) === 0) srcIsn = 0;
  }
  const { src, dst } = seg.pkt as PacketBuffer;
  const traffic = trafficKey(key, src, dst, (seg.srcPort << 16) | seg.dstPort, srcIsn, dstIsn);
  return isGenuine(ctx, ao, key, traffic, extended(0, srcIsn, seg.seq), seg);
}

/** tcp_ao_verify_hash. */
function isGenuine(
  ctx: TcpContext,
  ao: AoInfo,
  key: AoKey,
  traffic: Uint8Array,
  sne: number,
  seg: Segment,
): boolean {
  const pkt = seg.pkt as PacketBuffer;
  const { bytes, src, dst } = pkt;
  const at = seg.options.authAt + 2;
  let differ = aoMacBytes(bytes, seg.options.authAt) ^ key.macBytes;
  if (differ === 0) {
    const mac = segmentMac(key, traffic, pkt, pkt.l4, at, sne, src, dst);
    for (let i = 0; i < key.macBytes; i++) differ |= mac[i] ^ bytes[at + i];
  }
  if (differ === 0) {
    ctx.stats.TCPAOGood++;
    ao.counters.good++;
    key.good++;
    return true;
  }
  ctx.stats.TCPAOBad++;
  ao.counters.bad++;
  key.bad++;
  return false;
}

const ICMP_UNREACHABLE = 3;
const ICMP6_UNREACHABLE = 1;
const ICMP6_ADMIN_PROHIBITED = 1;
const ICMP6_PORT_UNREACHABLE = 4;

// @rfc 5925 7.8
/**
 * Errors that nobody signs do not shake a signed connection (tcp_ao_ignore_icmp): of IPv4 "protocol unreachable", "port
 * unreachable" and "fragmentation needed", of IPv6 "prohibited" and "port unreachable".
 */
export function isIcmpIgnored(
  ctx: TcpContext,
  keys: AuthKeys,
  state: number,
  error: IcmpError,
): boolean {
  const { ao } = keys;
  if (ao === null || ao.acceptsIcmps || state === SYN_SENT || state === SYN_RECEIVED) return false;
  if (!isHard(error.src, error.type, error.code)) return false;
  ctx.stats.TCPAODroppedIcmps++;
  ao.counters.droppedIcmps++;
  return true;
}

function isHard(addr: IpAddr, type: number, code: number): boolean {
  if (addr.isV4) return type === ICMP_UNREACHABLE && code >= 2 && code <= 4;
  if (type !== ICMP6_UNREACHABLE) return false;
  return code === ICMP6_ADMIN_PROHIBITED || code === ICMP6_PORT_UNREACHABLE;
}
