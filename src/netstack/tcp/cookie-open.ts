// Opening without memory: when a listener's queue of half-open connections is full (or always, tcp_syncookies=2)
// a SYN is answered with a cookie and forgotten; the ACK that brings the cookie back makes the connection
// (RFC 4987 3.6, Linux's cookie_v4_check). What is in a cookie: syn-cookie.ts.

import { seqAdd } from "../../base/seqnum.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { pseudoSum } from "../wire/checksum.ts";
import { ACK, CWR, ECE, encodeTcp, RST, SYN, TCP_HEADER_BYTES, TCP_PROTOCOL } from "../wire/tcp.ts";
import {
  TIMESTAMPS_BYTES,
  writeMss,
  writeSackPermittedTimestamps,
  writeTimestamps,
  writeWindowScale,
} from "../wire/tcp-options.ts";
import { childOptions } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { acceptSyn, install, newPassiveTcb } from "./handshake.ts";
import type { Listener } from "./listener.ts";
import { advertisedMss } from "./mss.ts";
import { onSegment } from "./on-segment.ts";
import type { Segment } from "./segment.ts";
import { signatureOfCookie } from "./signature.ts";
import { MSS_DEFAULT_V4, MSS_DEFAULT_V6, SYN_RECEIVED, WSCALE_MAX } from "./state.ts";
import {
  COOKIE_VALID_NS,
  cookieEcn,
  cookieSack,
  cookieTimestamp,
  cookieWscale,
} from "./syn-cookie.ts";
import { setState } from "./tcb.ts";
import { closeTcb } from "./transitions.ts";
import { send } from "./transmit.ts";
import { initialScale, initialWindow } from "./window.ts";

/** Answers a SYN with a cookie; nothing is kept of it. */
export function sendCookie(ctx: TcpContext, seg: Segment, listener: Listener): void {
  const pkt = seg.pkt as PacketBuffer;
  const { options } = listener;
  const { settings } = ctx;
  const { boundNicId, mark, uid } = options;
  const route = ctx.network.findReplyRoute(pkt, boundNicId, mark, uid, listener.extensions);
  if (typeof route === "number") return;
  const o = seg.options;
  const ports = (seg.dstPort << 16) | seg.srcPort;
  const assumed = pkt.dst.isV4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
  let mss = o.mss === 0 ? assumed : o.mss;
  if (options.maxSegBytes > 0) mss = Math.min(mss, options.maxSegBytes);
  const iss = ctx.cookies.make(pkt.dst, pkt.src, ports, seg.seq, mss, ctx.nowNs);
  listener.cookieNs = ctx.nowNs;
  ctx.stats.SyncookiesSent++;
  const out = ctx.network.allocPacket();
  const b = out.bytes;
  const off = out.start;
  const advMss = advertisedMss(route, options);
  let at = off + TCP_HEADER_BYTES;
  const { authKeys } = options;
  const signature = authKeys === null ? null : signatureOfCookie(authKeys, seg, iss);
  if (signature === undefined) return;
  if (signature !== null) at += signature.write(out);
  at += writeMss(b, at, advMss);
  let flags = SYN | ACK;
  // Without a timestamp to write them into the options are forgotten (Linux's tcp_clear_options).
  const hasTimestamps = o.hasTimestamps && settings.timestamps !== 0;
  if (hasTimestamps) {
    const hasScale = o.windowScale >= 0 && settings.windowScaling !== 0;
    const sackOk = o.sackPermitted && settings.sack !== 0;
    const ecnOk = (seg.flags & (ECE | CWR)) === (ECE | CWR) && settings.ecn !== 0;
    const offset = ctx.secrets.timestampOffset(pkt.dst, pkt.src, ports);
    const stamp = cookieTimestamp(ctx.nowMs, hasScale ? o.windowScale : -1, sackOk, ecnOk);
    const tsVal = (stamp + offset) | 0;
    at += sackOk
      ? writeSackPermittedTimestamps(b, at, tsVal, o.tsVal)
      : writeTimestamps(b, at, tsVal, o.tsVal);
    if (hasScale) at += writeWindowScale(b, at, initialScale(ctx, options));
    if (ecnOk) flags |= ECE;
  }
  const segment = advMss - (hasTimestamps ? TIMESTAMPS_BYTES : 0);
  const window = initialWindow(ctx.settings, options, segment);
  encodeTcp(b, off, ports, iss, seqAdd(seg.seq, 1), at - off, flags, window, 0);
  out.end = at;
  if (signature !== null) signature.fill(out, pkt.dst, pkt.src);
  out.ttl = options.ttl > 0 ? options.ttl : 64;
  send(ctx, route, out, pseudoSum(pkt.dst, pkt.src, TCP_PROTOCOL, 0), null);
}

/** An ACK for no TCB: does it bring a cookie? True: it is dealt with. */
export function openByCookie(ctx: TcpContext, seg: Segment, listener: Listener): boolean {
  if ((seg.flags & (ACK | SYN | RST)) !== ACK || ctx.settings.syncookies === 0) return false;
  // Cookies can be guessed with patience: they are looked at only while some are out.
  if (ctx.nowNs - listener.cookieNs > COOKIE_VALID_NS) return false;
  const pkt = seg.pkt as PacketBuffer;
  const ports = (seg.dstPort << 16) | seg.srcPort;
  const cookie = seqAdd(seg.ack, -1);
  const synSeq = seqAdd(seg.seq, -1);
  const mss = ctx.cookies.check(pkt.dst, pkt.src, ports, synSeq, cookie, ctx.nowNs);
  if (mss === 0) {
    ctx.stats.SyncookiesFailed++;
    return false;
  }
  ctx.stats.SyncookiesRecv++;
  if (!restoreOptions(ctx, seg, ports)) return false;
  if (listener.isQueueFull || ctx.connectionCount >= ctx.limits.connections) {
    ctx.stats.ListenOverflows++;
    ctx.stats.ListenDrops++;
    return true;
  }
  open(ctx, seg, listener, cookie, mss);
  return true;
}

const $restored = { ecn: false };

/** Writes what the timestamp says back into the segment's options, as if it were the SYN. False: a lie. */
function restoreOptions(ctx: TcpContext, seg: Segment, ports: number): boolean {
  const o = seg.options;
  const { settings } = ctx;
  const pkt = seg.pkt as PacketBuffer;
  o.windowScale = -1;
  o.sackPermitted = $restored.ecn = false;
  if (!o.hasTimestamps) return true;
  if (settings.timestamps === 0) return false;
  const stamp = (o.tsEcr - ctx.secrets.timestampOffset(pkt.dst, pkt.src, ports)) | 0;
  o.sackPermitted = cookieSack(stamp);
  if (o.sackPermitted && settings.sack === 0) return false;
  o.windowScale = Math.min(cookieWscale(stamp), WSCALE_MAX);
  if (o.windowScale >= 0 && settings.windowScaling === 0) return false;
  $restored.ecn = cookieEcn(stamp) && settings.ecn !== 0;
  return true;
}

/** The child as its SYN would have made it, and then the ACK. */
function open(
  ctx: TcpContext,
  seg: Segment,
  listener: Listener,
  cookie: number,
  mss: number,
): void {
  const pkt = seg.pkt as PacketBuffer;
  const { boundNicId, mark, uid } = listener.options;
  const route = ctx.network.findReplyRoute(pkt, boundNicId, mark, uid, listener.extensions);
  if (typeof route === "number") return;
  const options = childOptions(ctx, listener.options, seg, true);
  if (options === null) return;
  const tcb = newPassiveTcb(ctx, options, route, seg);
  install(tcb, cookie);
  const { seq } = seg;
  seg.seq = seqAdd(seq, -1);
  seg.options.mss = mss;
  acceptSyn(tcb, seg);
  seg.seq = seq;
  tcb.ecnOk = $restored.ecn;
  tcb.isPassive = tcb.isHalfOpen = true;
  tcb.segsIn = 1;
  // Linux does not let TCP_DEFER_ACCEPT wait here: there is nothing to wait with.
  tcb.troubleNs = Number.NEGATIVE_INFINITY;
  // The SYN-ACK is not on the list: the SYN it carried counts as delivered all the same.
  tcb.delivered = 1;
  setState(tcb, SYN_RECEIVED);
  ctx.halfOpenCount++;
  ctx.stats.PassiveOpens++;
  listener.addHalfOpen(tcb);
  onSegment(tcb, seg);
  // The ACK was not good enough to finish the handshake: nothing is kept before one is.
  if (tcb.state === SYN_RECEIVED) closeTcb(tcb, 0);
}
