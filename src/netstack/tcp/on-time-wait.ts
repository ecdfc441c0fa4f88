// A connection goes into TIME-WAIT, a segment finds it there, a new connection takes its place. The answers are
// those of Linux's tcp_timewait_state_process; RFC 1337 and RFC 6191 say why.

import { seqAdd, seqDiff, seqGt, seqLt } from "../../base/seqnum.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { pseudoSum } from "../wire/checksum.ts";
import { ACK, encodeTcp, FIN, RST, SYN, TCP_HEADER_BYTES, TCP_PROTOCOL } from "../wire/tcp.ts";
import { writeTimestamps } from "../wire/tcp-options.ts";
import { OF_TIME_WAIT } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { isSynFinDropped, onListen } from "./handshake.ts";
import { replyReset } from "./reset.ts";
import type { Segment } from "./segment.ts";
import { signatureOfAnswer } from "./signature.ts";
import { PAWS_24_DAYS_MS } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { sharingOf, type TimeWait } from "./time-wait.ts";
import { send } from "./transmit.ts";
import { openWindow } from "./window.ts";

/**
 * Keeps of a Tcb what stragglers need; with `finWait2Ns` of one in FIN-WAIT-2, for so long. False: there are too many
 * already (tcp_max_tw_buckets).
 */
export function keepTimeWait(tcb: Tcb, finWait2Ns = 0): boolean {
  const { ctx } = tcb;
  const most = Math.min(
    ctx.limits.timeWaitConnections,
    ctx.settings.maxTwBuckets || Number.POSITIVE_INFINITY,
  );
  if (ctx.timeWaits.count >= most) {
    ctx.stats.TCPTimeWaitOverflow++;
    return false;
  }
  const tw = ctx.timeWaits.take();
  tw.local = tcb.local;
  tw.remote = tcb.remote;
  tw.ports = tcb.ports;
  tw.sndNxt = tcb.snd.nxt;
  tw.rcvNxt = tcb.rcv.nxt;
  tw.windowBytes = openWindow(tcb);
  tw.window = tw.windowBytes >>> tcb.rcv.wscale;
  tw.isFinWait2 = finWait2Ns > 0;
  tw.tsOk = tcb.tsOk;
  tw.tsOffset = tcb.tsOffset;
  tw.tsRecent = tcb.tsRecent;
  tw.tsRecentMs = tcb.tsRecentMs;
  tw.tos = tcb.options.tos;
  tw.ttl = tcb.options.ttl;
  tw.nicId = tcb.options.boundNicId;
  tw.authKeys = tcb.options.authKeys;
  tw.authKeys?.hold(ctx, OF_TIME_WAIT);
  tw.sharing = sharingOf(tcb.options);
  if (tw.isFinWait2) ctx.timeWaits.add(tw, ctx.nowNs, finWait2Ns);
  else ctx.timeWaits.add(tw, ctx.nowNs);
  ctx.ports.add(tw);
  ctx.stats.TW++;
  return true;
}

// @rfc 1337 3
// @rfc 6191 2
export function onTimeWait(ctx: TcpContext, tw: TimeWait, seg: Segment): void {
  if (isSynFinDropped(ctx, seg)) return;
  const isRst = (seg.flags & RST) !== 0;
  const hasTs = tw.tsOk && seg.options.hasTimestamps;
  const isOld = hasTs && isOldStamp(ctx, tw, seg) && !isRst;
  if (tw.isFinWait2) {
    onFinWait2(ctx, tw, seg, isOld);
    return;
  }
  if (!isOld && seg.seq === tw.rcvNxt && (seg.sequenceLength === 0 || isRst)) {
    if (isRst) endByReset(ctx, tw);
    else if (hasTs) {
      tw.tsRecent = seg.options.tsVal;
      tw.tsRecentMs = ctx.nowMs;
    }
    return;
  }
  if ((seg.flags & (SYN | ACK | RST)) === SYN && !isOld && isNewer(tw, seg, hasTs)) {
    if (ctx.listeners.find(seg) !== null || ctx.forwarder !== null) {
      const iss = tw.nextIss;
      ctx.timeWaits.remove(tw);
      ctx.timeWaits.give(tw);
      onListen(ctx, seg, iss);
      return;
    }
  }
  if (isRst || ((seg.flags & ACK) === 0 && ctx.settings.timeWaitNeedsAck !== 0)) return;
  if (isOld) ctx.stats.PAWSTimewait++;
  // RFC 9293 3.10.7.4, eighth step: the peer has missed our last ACK. Linux begins anew for any ACK, and so lets
  // a peer hold the entry for ever.
  if (!isOld && (seg.flags & FIN) !== 0) ctx.timeWaits.restart(tw, ctx.nowNs);
  if (!isLimited(ctx, tw, seg)) answer(ctx, tw, seg);
}

/** The checks of a whole connection once more, for one that only waits for the peer's FIN. */
function onFinWait2(ctx: TcpContext, tw: TimeWait, seg: Segment, isOld: boolean): void {
  const { seq, end, flags } = seg;
  if (isOld || !isInWindow(tw, seq, end)) {
    if (!isLimited(ctx, tw, seg, "TCPACKSkippedFinWait2")) answer(ctx, tw, seg);
    return;
  }
  if ((flags & RST) !== 0) {
    ctx.timeWaits.remove(tw);
    return;
  }
  const isSyn = (flags & SYN) !== 0 && !seqLt(seq, tw.rcvNxt);
  // A repeated ACK says nothing.
  if (!isSyn && ((flags & ACK) === 0 || end === seq || !seqGt(end, tw.rcvNxt))) return;
  if (isSyn || (flags & FIN) === 0 || end !== seqAdd(tw.rcvNxt, 1)) {
    // New data, and nobody to read it (RFC 2525 2.17).
    replyReset(ctx, seg, tw.authKeys);
    ctx.timeWaits.remove(tw);
    return;
  }
  tw.rcvNxt = end;
  if (tw.tsOk && seg.options.hasTimestamps) {
    tw.tsRecent = seg.options.tsVal;
    tw.tsRecentMs = ctx.nowMs;
  }
  ctx.timeWaits.restart(tw, ctx.nowNs);
  answer(ctx, tw, seg);
}

/** tcp_in_window. */
function isInWindow(tw: TimeWait, seq: number, end: number): boolean {
  const edge = seqAdd(tw.rcvNxt, tw.windowBytes);
  if (seq === tw.rcvNxt) return true;
  return (seqGt(end, tw.rcvNxt) && seqLt(seq, edge)) || (seq === edge && seq === end);
}

function endByReset(ctx: TcpContext, tw: TimeWait): void {
  if (ctx.settings.rfc1337 === 0) ctx.timeWaits.remove(tw);
  else ctx.stats.TCPTimeWaitAssassinationIgnored++;
}

/** RFC 6191 2: by sequence number or by timestamp. */
const isNewer = (tw: TimeWait, seg: Segment, hasTs: boolean): boolean =>
  seqGt(seg.seq, tw.rcvNxt) || (hasTs && seqLt(tw.tsRecent, seg.options.tsVal));

function isOldStamp(ctx: TcpContext, tw: TimeWait, seg: Segment): boolean {
  if (!seqLt(seg.options.tsVal, tw.tsRecent)) return false;
  const age = seqDiff(ctx.nowMs, tw.tsRecentMs);
  return age >= 0 && age < PAWS_24_DAYS_MS;
}

/** Against wars of ACKs; data cannot be part of one. */
function isLimited(
  ctx: TcpContext,
  tw: TimeWait,
  seg: Segment,
  counter: "TCPACKSkippedTimeWait" | "TCPACKSkippedFinWait2" = "TCPACKSkippedTimeWait",
): boolean {
  if (seg.sequenceLength > 0 && (seg.flags & SYN) === 0) return false;
  if (ctx.nowNs - tw.lastAckNs < ctx.settings.invalidRatelimitMs * 1_000_000) {
    ctx.stats[counter]++;
    return true;
  }
  tw.lastAckNs = ctx.nowNs;
  return false;
}

function answer(ctx: TcpContext, tw: TimeWait, seg: Segment): void {
  const { authKeys } = tw;
  const signature = authKeys === null ? null : signatureOfAnswer(ctx, authKeys, seg, tw.sndNxt);
  if (signature === undefined) return;
  const route = ctx.network.findReplyRoute(seg.pkt as PacketBuffer, tw.nicId);
  if (typeof route === "number") return;
  const pkt: PacketBuffer = ctx.network.allocPacket();
  const off = pkt.start;
  let at = off + TCP_HEADER_BYTES;
  if (signature !== null) at += signature.write(pkt);
  if (tw.tsOk) {
    at += writeTimestamps(pkt.bytes, at, (ctx.nowMs + tw.tsOffset) | 0, tw.tsRecent);
  }
  encodeTcp(pkt.bytes, off, tw.ports, tw.sndNxt, tw.rcvNxt, at - off, ACK, tw.window, 0);
  pkt.end = at;
  if (signature !== null) signature.fill(pkt, tw.local, tw.remote);
  pkt.ttl = tw.ttl > 0 ? tw.ttl : 64;
  pkt.tos = tw.tos & ~3;
  send(ctx, route, pkt, pseudoSum(tw.local, tw.remote, TCP_PROTOCOL, 0), null);
}

/**
 * Whether an active open may take the place of this entry (Linux's tcp_twsk_unique): with timestamps, a second
 * after the last one, everywhere with tcp_tw_reuse=1 and over loopback with 2.
 */
export function isReusable(ctx: TcpContext, tw: TimeWait): boolean {
  const { twReuse } = ctx.settings;
  if (tw.isFinWait2 || !tw.tsOk || twReuse === 0) return false;
  if (twReuse === 2 && !tw.local.isLoopback && !tw.remote.isLoopback) return false;
  return seqDiff(ctx.nowMs, tw.tsRecentMs) > ctx.settings.twReuseDelayMs;
}
