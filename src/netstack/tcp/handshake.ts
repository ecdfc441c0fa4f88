// Opening: what a SYN sets up on either side (RFC 9293 3.10.1, 3.10.7.2, 3.10.7.3), and the negotiation of
// options (RFC 7323, RFC 2018).

import { seqAdd, seqGt, seqLe, seqLt } from "../../base/seqnum.ts";
import type { TcpEndpointOptions } from "../endpoints.ts";
import { IPV4, type IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Route } from "../stack/transport.ts";
import { pseudoSum } from "../wire/checksum.ts";
import { ACK, FIN, RST, SYN, TCP_PROTOCOL } from "../wire/tcp.ts";
import { AUTH_NONE } from "../wire/tcp-auth.ts";
import { ackSyn, updateWindow } from "./ack.ts";
import { enterQuickAck, sendAck } from "./ack-policy.ts";
import { isAuthentic } from "./auth-inbound.ts";
import { authBytes, childOptions, isMd5Signed, OF_CONNECTION, startAuth } from "./auth-keys.ts";
import { makeCongestionControl } from "./congestion/congestion.ts";
import { RENO } from "./congestion/reno.ts";
import type { TcpContext } from "./context.ts";
import { openByCookie, sendCookie } from "./cookie-open.ts";
import { acceptEcnSyn, acceptEcnSynAck } from "./ecn.ts";
import { dropOption, judgeSyn, onSynAck, startEarlyChild } from "./fastopen.ts";
import type { Listener } from "./listener.ts";
import { advertisedMss, syncMss } from "./mss.ts";
import { flushEvents } from "./on-segment.ts";
import { PendingForward } from "./pending-forward.ts";
import { keepSynData, processData, processText } from "./receiver.ts";
import { replyReset } from "./reset.ts";
import { schedule } from "./schedule.ts";
import type { Segment } from "./segment.ts";
import { armRetransmit } from "./sender.ts";
import { HAS_SYN, PUSHED } from "./sent-list.ts";
import {
  CLOSED,
  DELAYED_ACK_MAX_NS,
  FORWARD_DECISION_NS,
  MSS_DEFAULT_V4,
  MSS_DEFAULT_V6,
  MSS_MIN,
  SYN_RECEIVED,
  SYN_SENT,
} from "./state.ts";
import { setState, Tcb } from "./tcb.ts";
import type { TimeWait } from "./time-wait.ts";
import { enterEstablished, isSynLossGrave, onReset, startTransfer } from "./transitions.ts";
import { transmitSyn } from "./transmit.ts";
import { initialScale, offerWindow } from "./window.ts";

// @rfc 5681 3.1a
export function newTcb(
  ctx: TcpContext,
  options: TcpEndpointOptions,
  route: Route,
  local: IpAddr,
  remote: IpAddr,
): Tcb {
  const name = options.congestion || ctx.settings.congestion;
  const tcb = new Tcb(ctx, options, makeCongestionControl(name) ?? RENO, local, remote);
  tcb.route = route;
  tcb.isPingPong = !options.quickAck;
  return tcb;
}

/** `addr` to keep: the route's own where it is the same, one object for all connections between two hosts. */
export const keptAddr = (addr: IpAddr, held: IpAddr): IpAddr =>
  held.equals(addr) ? held : addr.clone();

/** A connection that a segment from the other end begins. */
export function newPassiveTcb(
  ctx: TcpContext,
  options: TcpEndpointOptions,
  route: Route,
  seg: Segment,
): Tcb {
  const { dst, src } = seg.pkt as PacketBuffer;
  const tcb = newTcb(ctx, options, route, keptAddr(dst, route.src), keptAddr(src, route.dst));
  tcb.ports = (seg.dstPort << 16) | seg.srcPort;
  return tcb;
}

/** With addresses and ports set: the numbers that depend on them, and the tables. */
export function install(tcb: Tcb, issFloor: number | null): void {
  const { ctx, snd, rcv } = tcb;
  tcb.pseudoSum = pseudoSum(tcb.local, tcb.remote, TCP_PROTOCOL, 0);
  const iss = ctx.secrets.isn(tcb.local, tcb.remote, tcb.ports, ctx.nowUs);
  snd.iss = issFloor ?? iss;
  tcb.tsOffset = ctx.secrets.offsetOfSame();
  snd.una = snd.iss;
  snd.nxt = seqAdd(snd.iss, 1);
  snd.base = snd.end = snd.pushSeq = snd.smallEnd = tcb.cwndUsageSeq = tcb.maxSentSeq = snd.nxt;
  snd.up = snd.iss;
  rcv.bufferBytes = tcb.options.receiveBufferBytes;
  rcv.advertisedMss = advertisedMss(tcb.route as Route, tcb.options);
  rcv.mss = Math.min(rcv.mss, rcv.advertisedMss);
  rcv.wscale = initialScale(ctx, tcb.options);
  const { settings } = ctx;
  offerWindow(tcb, false);
  const mayAsk = !tcb.options.noOptions;
  tcb.sackOk = mayAsk && settings.sack !== 0;
  tcb.tsOk = mayAsk && settings.timestamps !== 0;
  tcb.wscaleOk = mayAsk && settings.windowScaling !== 0;
  if (!tcb.wscaleOk) rcv.wscale = 0;
  tcb.options.authKeys?.hold(ctx, OF_CONNECTION);
  ctx.demux.add(tcb);
  ctx.ports.add(tcb);
}

function sendSyn(tcb: Tcb): void {
  const { ctx, snd, sent } = tcb;
  if (sent.packetsOut === 0) {
    sent.append(snd.iss, seqAdd(snd.iss, 1), snd.mss, HAS_SYN, ctx.nowUs);
  }
  armRetransmit(tcb);
  transmitSyn(tcb);
}

/** Active open, first half: the numbers and tables. Precondition: route, addresses and ports are set. */
export function installActive(tcb: Tcb, predecessor: TimeWait | null): void {
  install(tcb, predecessor === null ? null : predecessor.nextIss);
  startAuth(tcb, false);
  // tcp_syn_options: beside an MD5 signature there is no room for timestamps and everything else.
  if (isMd5Signed(tcb)) tcb.tsOk = false;
  if (predecessor !== null) {
    // PAWS goes on where the old connection was (RFC 6191).
    tcb.tsRecent = predecessor.tsRecent;
    tcb.tsRecentMs = predecessor.tsRecentMs;
    if (tcb.tsOk && tcb.tsRecentMs !== 0) offerWindow(tcb, true);
  }
  // Until the peer has named its MSS the default counts (tcp_connect_init).
  syncMss(tcb);
  setState(tcb, SYN_SENT);
  const timeoutNs = tcb.options.openTimeoutNs || tcb.ctx.settings.openTimeoutNs;
  if (timeoutNs > 0) {
    tcb.lifeNs = tcb.ctx.nowNs + timeoutNs;
    schedule(tcb, tcb.lifeNs);
  }
  tcb.ctx.stats.ActiveOpens++;
}

/** Second half: the SYN, with `dataBytes` of the send ring behind it (Fast Open). */
export function startActive(tcb: Tcb, dataBytes: number): void {
  const { ctx, snd, sent, loss } = tcb;
  sent.append(snd.iss, seqAdd(snd.iss, 1), snd.mss, HAS_SYN, ctx.nowUs);
  if (dataBytes > 0) {
    snd.nxt = seqAdd(snd.nxt, dataBytes);
    sent.append(seqAdd(snd.iss, 1), snd.nxt, dataBytes, PUSHED, ctx.nowUs);
    tcb.maxSentSeq = snd.nxt;
    tcb.bytesSent += dataBytes;
  }
  loss.hasRetransStamp = true;
  loss.retransStampMs = ctx.nowMs;
  armRetransmit(tcb);
  transmitSyn(tcb, dataBytes);
}

// @rfc 9293 MUST-41 MUST-57 MUST-63
/** A segment for no TCB. Third part of RFC 9293 3.10.7.1 and all of 3.10.7.2. */
export function onListen(ctx: TcpContext, seg: Segment, issFloor: number | null): void {
  const pkt = seg.pkt as PacketBuffer;
  if ((seg.flags & RST) !== 0) return;
  const listener = ctx.listeners.find(seg);
  const isForwarded = listener === null && ctx.forwarder !== null;
  const keys = listener === null ? null : listener.options.authKeys;
  if (keys !== null || (seg.options.authAt !== AUTH_NONE && (listener !== null || isForwarded))) {
    if (!isAuthentic(ctx, keys, null, seg)) return;
  }
  if (listener !== null && openByCookie(ctx, seg, listener)) return;
  const isSyn = (seg.flags & (SYN | ACK)) === SYN;
  if (listener === null && !isForwarded) {
    if (!isBlackHole(ctx, seg)) replyReset(ctx, seg);
    return;
  }
  if (!isSyn) {
    const isSilent = (seg.flags & SYN) !== 0 && ctx.settings.resetsSynAck === 0;
    if (((seg.flags & ACK) !== 0 && !isSilent) || listener === null) replyReset(ctx, seg, keys);
    return;
  }
  // SYN with FIN is no honest segment: dropped, as Linux does.
  if ((seg.flags & FIN) !== 0 && ctx.settings.dropSynFin !== 0) return;
  // LAND: a SYN that claims to come from where it goes.
  if (seg.srcPort === seg.dstPort && pkt.src.equals(pkt.dst)) return;
  if (pkt.linkBroadcast || pkt.dst.isMulticast || pkt.dst.isLimitedBroadcast) return;
  if (pkt.src.isMulticast || pkt.src.isUnspecified || pkt.src.isLimitedBroadcast) return;
  if (listener !== null && issFloor === null && needsCookie(ctx, listener)) {
    sendCookie(ctx, seg, listener);
    return;
  }
  if (!hasRoom(ctx, listener, pkt.src)) return;
  const given = listener === null ? ctx.forwardOptions : listener.options;
  const options = childOptions(ctx, given, seg);
  if (options === null) return;
  const { boundNicId, mark, uid } = options;
  const extensions = listener === null ? null : listener.extensions;
  const route = ctx.network.findReplyRoute(pkt, boundNicId, mark, uid, extensions);
  if (typeof route === "number") return;
  const tcb = newPassiveTcb(ctx, options, route, seg);
  install(tcb, issFloor);
  // tcp_synack_options: with a signature either SACK or timestamps.
  if (authBytes(tcb) > 0 && tcb.sackOk && seg.options.sackPermitted) tcb.tsOk = false;
  // @rfc 7323 3.2b
  // @rfc 9293 MUST-15
  acceptSyn(tcb, seg);
  if (tcb.tsOk) offerWindow(tcb, true);
  acceptEcnSyn(tcb, seg);
  tcb.isPassive = tcb.isHalfOpen = true;
  tcb.segsIn = 1;
  setState(tcb, SYN_RECEIVED);
  ctx.halfOpenCount++;
  ctx.stats.PassiveOpens++;
  if (listener !== null) {
    if (options.saveSyn !== 0) ctx.savedSyns.save(tcb, seg, options.saveSyn);
    if (judgeSyn(tcb, seg, listener)) {
      openEarlyChild(tcb, seg, listener);
      return;
    }
    listener.addHalfOpen(tcb);
    sendSyn(tcb);
    return;
  }
  tcb.isForwardPending = true;
  tcb.lifeNs = ctx.nowNs + FORWARD_DECISION_NS;
  schedule(tcb, tcb.lifeNs);
  ctx.forwarder?.(new PendingForward(tcb));
}

export const isSynFinDropped = (ctx: TcpContext, seg: Segment): boolean =>
  (seg.flags & (SYN | FIN)) === (SYN | FIN) && ctx.settings.dropSynFin === 2;

/** The administrator wants no answer for what finds nobody. */
const isBlackHole = (ctx: TcpContext, seg: Segment): boolean =>
  ctx.settings.blackhole >= 2 || (ctx.settings.blackhole === 1 && (seg.flags & SYN) !== 0);

// @rfc 7413 4.2.2a
/** RFC 7413 4.2.2: the SYN's data is taken and the child accepted at once. */
function openEarlyChild(tcb: Tcb, seg: Segment, listener: Listener): void {
  const { ctx } = tcb;
  startEarlyChild(tcb);
  ctx.halfOpenCount--;
  ctx.connectionCount++;
  startTransfer(tcb);
  if (seg.length > 0) {
    processText(tcb, seg);
    tcb.rcv.ssthresh = tcb.rcv.wnd;
    if (tcb.fastOpen !== null) tcb.fastOpen.isDataAccepted = true;
  }
  listener.onEarlyChild(tcb);
  armRetransmit(tcb);
  transmitSyn(tcb);
  // The SYN-ACK has acknowledged the data.
  tcb.isAckNow = tcb.isAckPending = false;
  tcb.ackNs = Number.POSITIVE_INFINITY;
  flushEvents(tcb);
}

function hasRoom(ctx: TcpContext, listener: Listener | null, remote: IpAddr): boolean {
  if (listener?.isQueueFull) {
    ctx.stats.ListenOverflows++;
    ctx.stats.ListenDrops++;
    return false;
  }
  if (ctx.halfOpenCount >= ctx.limits.halfOpenConnections || listener?.isHalfOpenFull) {
    ctx.stats.TCPReqQFullDrop++;
    ctx.stats.ListenDrops++;
    return false;
  }
  if (listener !== null && isBacklogForKnown(ctx, listener, remote)) {
    ctx.stats.ListenDrops++;
    return false;
  }
  return true;
}

/** tcp_conn_request: without cookies the last quarter of tcp_max_syn_backlog is for hosts known to be alive. */
function isBacklogForKnown(ctx: TcpContext, listener: Listener, remote: IpAddr): boolean {
  const { syncookies, maxSynBacklog } = ctx.settings;
  if (syncookies !== 0 || maxSynBacklog === 0) return false;
  const left = maxSynBacklog - listener.halfOpenLength;
  return left < maxSynBacklog >> 2 && ctx.metrics.find(remote) === null;
}

/** Under pressure only, or always with tcp_syncookies=2; never where the accept queue is what is full. */
function needsCookie(ctx: TcpContext, listener: Listener): boolean {
  const { syncookies } = ctx.settings;
  if (syncookies === 0 || listener.isQueueFull) return false;
  const isFull = listener.isHalfOpenFull || ctx.halfOpenCount >= ctx.limits.halfOpenConnections;
  if (isFull) ctx.stats.TCPReqQFullDoCookies++;
  return isFull || syncookies === 2;
}

/** The gateway has said yes. */
export function acceptForwarded(tcb: Tcb): void {
  tcb.isForwardPending = false;
  tcb.lifeNs = Number.POSITIVE_INFINITY;
  sendSyn(tcb);
}

/** Takes the peer's SYN: its numbers, and of the options those that both sides want. */
export function acceptSyn(tcb: Tcb, seg: Segment): void {
  const { snd, rcv } = tcb;
  const o = seg.options;
  rcv.irs = seg.seq;
  rcv.nxt = rcv.copied = rcv.wup = seqAdd(seg.seq, 1);
  if (tcb.options.authKeys !== null) startAuth(tcb, true);
  const assumed = tcb.route?.family === IPV4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
  snd.peerMss = Math.max(o.mss === 0 ? assumed : o.mss, MSS_MIN);
  tcb.sackOk = tcb.sackOk && o.sackPermitted;
  tcb.tsOk = tcb.tsOk && o.hasTimestamps;
  if (tcb.tsOk) {
    tcb.tsRecent = o.tsVal;
    tcb.tsRecentMs = tcb.ctx.nowMs;
  }
  tcb.wscaleOk = tcb.wscaleOk && o.windowScale >= 0;
  if (tcb.wscaleOk) snd.wscale = o.windowScale;
  else rcv.wscale = 0;
  snd.wnd = snd.maxWnd = seg.window;
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  syncMss(tcb);
  if (tcb.ctx.settings.windowPolicy !== 0) {
    const mss = Math.min(snd.peerMss, rcv.advertisedMss);
    rcv.bufferBytes = Math.ceil(rcv.bufferBytes / mss) * mss;
  }
}

// @rfc 9293 MUST-10
/** RFC 9293 3.10.7.3. */
export function onSynSent(tcb: Tcb, seg: Segment): void {
  const { snd, ctx } = tcb;
  if (isSynFinDropped(ctx, seg)) return;
  const hasAck = (seg.flags & ACK) !== 0;
  if (hasAck && (seqLe(seg.ack, snd.iss) || seqGt(seg.ack, snd.nxt))) {
    replyReset(ctx, seg, tcb.options.authKeys);
    return;
  }
  if ((seg.flags & RST) !== 0) {
    if (hasAck) onReset(tcb);
    return;
  }
  if ((seg.flags & SYN) === 0) return;
  if (hasAck && !isEchoPlausible(tcb, seg)) {
    ctx.stats.PAWSActive++;
    ctx.stats.TSEcrRejected++;
    replyReset(ctx, seg, tcb.options.authKeys);
    return;
  }
  acceptSyn(tcb, seg);
  if (hasAck) acceptEcnSynAck(tcb, seg);
  else acceptEcnSyn(tcb, seg);
  if (!hasAck) {
    // Simultaneous open: the SYN goes again, now with an ACK.
    setState(tcb, SYN_RECEIVED);
    tcb.backoff = 0;
    dropOption(tcb);
    sendSyn(tcb);
    if (ctx.settings.queuesSynData !== 0) keepSynData(tcb, seg);
    return;
  }
  const wasRepeated = tcb.retransmits > 0;
  if (wasRepeated && isSynLossGrave(tcb, seg)) tcb.cwnd = 1;
  updateWindow(tcb, seg);
  ackSyn(tcb, seg);
  if (wasRepeated) tcb.rtt.afterSynLoss();
  enterEstablished(tcb);
  const mustResend = onSynAck(tcb, seg);
  if (!processData(tcb, seg)) return;
  if (tcb.state === CLOSED || mustResend) return;
  const hasMore = tcb.fastOpen === null || tcb.fastOpen.hasMore;
  const isDelayed =
    (tcb.owner?.isWriterWaiting && hasMore) ||
    tcb.isPingPong ||
    tcb.options.deferAcceptTimeouts > 0;
  if (isDelayed && !tcb.isAckNow) {
    // Data will carry the ACK in a moment; those that follow are quick.
    enterQuickAck(tcb);
    tcb.isAckPending = true;
    tcb.ackNs = ctx.nowNs + DELAYED_ACK_MAX_NS;
    schedule(tcb, tcb.ackNs);
    return;
  }
  // What was written before goes now and carries the ACK.
  if (snd.end !== snd.nxt) tcb.isAckNow = true;
  else sendAck(tcb);
}

/** RFC 7323 5.3's idea for the SYN-ACK: it must echo one of our SYNs. */
function isEchoPlausible(tcb: Tcb, seg: Segment): boolean {
  const o = seg.options;
  if (!tcb.tsOk || !o.hasTimestamps || o.tsEcr === 0) return true;
  const ecr = (o.tsEcr - tcb.tsOffset) | 0;
  return !seqLt(ecr, tcb.loss.retransStampMs) && !seqGt(ecr, tcb.ctx.nowMs);
}
