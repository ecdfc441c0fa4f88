// Builds segments and hands them to the network layer: header, options, checksum. What to send and when
// is decided elsewhere (sender, receiver, timers, recovery). Payload is passed by reference out of the
// send ring; it is copied only where it wraps around the ring's end.

import { setU32 } from "../../base/bytes.ts";
import { seqAdd, seqDiff, seqGt, seqLe } from "../../base/seqnum.ts";
import { IPV4 } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { GSO_TCPV4, GSO_TCPV6, type PacketBuffer } from "../stack/packet-buffer.ts";
import type { Route } from "../stack/transport.ts";
import { finish, sum16 } from "../wire/checksum.ts";
import {
  ACK,
  encodeTcp,
  FIN,
  PSH,
  RST,
  SYN,
  setTcpChecksum,
  TCP_CHECKSUM_OFFSET,
  TCP_HEADER_BYTES,
  TCP_HEADER_BYTES_MAX,
  TCP_PROTOCOL,
  URG,
} from "../wire/tcp.ts";
import {
  padOptions,
  writeAccEcnCounter,
  writeAccEcnHeader,
  writeFastOpen,
  writeMss,
  writeSackHeader,
  writeSackPermitted,
  writeSackPermittedTimestamps,
  writeTimestamps,
  writeWindowScale,
} from "../wire/tcp-options.ts";
import { maySendEct, sendAce } from "./accecn.ts";
import { counterValue, optionFields, optionSent } from "./accecn-option.ts";
import type { AccEcnState } from "./accecn-state.ts";
import { ackSent } from "./ack-policy.ts";
import { authBytes } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { ECN_MASK, ECT_0, sendEcnFlags, synEcnFlags } from "./ecn.ts";
import type { FastOpenState } from "./fastopen.ts";
import { advertisedMss, currentRoute, sackBlockCount, sackBytes } from "./mss.ts";
import { enterCwr } from "./prr.ts";
import { segmentsOf } from "./sent-list.ts";
import { signatureOf } from "./signature.ts";
import type { Tcb } from "./tcb.ts";
import { openWindow, selectWindow } from "./window.ts";

const OPTIONS_BYTES_MAX = 40;

/** The AccECN option, ECT(1)'s counter first. */
function writeCounters(tcb: Tcb, b: Uint8Array, start: number, fields: number): number {
  const state = tcb.accEcn as AccEcnState;
  let at = start + writeAccEcnHeader(b, start, fields);
  for (let i = 0; i < fields; i++) at += writeAccEcnCounter(b, at, counterValue(state, i));
  optionSent(tcb);
  return padOptions(b, start, at);
}

/**
 * Pacing (tcp_update_skb_after_send): the next data waits as long as this much takes at the pacing rate, behind what
 * waits already: the segments of a burst that no device cuts leave at one moment.
 */
function paceAfter(tcb: Tcb, length: number): void {
  const rate = tcb.loss.pacingRate;
  if (rate === Number.POSITIVE_INFINITY || tcb.dataSegsOut < 10) return;
  const from = Math.max(tcb.nextSendNs, tcb.ctx.nowNs);
  const ns = (length * 1_000_000_000) / rate;
  // Time by which the last departure was late counts for this one, up to half.
  const late = tcb.nextSendNs > 0 ? from - tcb.nextSendNs : 0;
  tcb.nextSendNs = from + Math.ceil(ns - Math.min(ns / 2, late));
}

/** RFC 9293 3.4: an ACK must carry SND.NXT, but never beyond a window that was taken back. */
export function ackSeq(tcb: Tcb): number {
  const edge = seqAdd(tcb.snd.una, tcb.snd.wnd);
  return seqLe(tcb.snd.nxt, edge) || seqDiff(tcb.snd.nxt, edge) < 1 << tcb.snd.wscale
    ? tcb.snd.nxt
    : edge;
}

/** Sends `length` bytes as one packet or, over a link without segmentation offload, as segments of it. */
export function transmitBurst(
  tcb: Tcb,
  seq: number,
  length: number,
  flags: number,
  mss: number,
): number {
  const route = tcb.route;
  if (length <= mss || route === null || (route.gsoBytesMax > mss && authBytes(tcb) === 0)) {
    return transmit(tcb, seq, length, flags, mss);
  }
  // As a device cuts it: only the last segment carries PSH and FIN.
  for (let at = 0; at < length; at += mss) {
    const left = length - at;
    const isLast = left <= mss;
    const now = isLast ? flags | PSH : flags & ~(PSH | FIN);
    const result = transmit(tcb, seqAdd(seq, at), isLast ? left : mss, now, mss);
    // What follows the first segment counts as sent, and is lost.
    if (result === NetErr.NoBuffers) return at === 0 ? result : 0;
  }
  return 0;
}

// @rfc 3168 6.1.1b 6.1.2b 6.1.5
// @rfc 7323 3.2a
// @rfc 9293 MUST-61
/** Sends one segment of a synchronised connection: `length` bytes of the send ring from `seq`. */
export function transmit(
  tcb: Tcb,
  seq: number,
  length: number,
  flags: number,
  mss: number,
): number {
  const route = currentRoute(tcb);
  if (route === null) return -1;
  const ctx = tcb.ctx;
  const pkt = ctx.network.allocPacket();
  const b = pkt.bytes;
  const off = pkt.start;
  let at = off + TCP_HEADER_BYTES;
  const signature = signatureOf(tcb, seq, flags);
  if (signature !== null) at += signature.write(pkt);
  if (tcb.tsOk) at += writeTimestamps(b, at, (ctx.nowMs + tcb.tsOffset) | 0, tcb.tsRecent);
  const blocks = sackBlockCount(tcb);
  const fields =
    tcb.accEcn === null ? -1 : optionFields(tcb, at - off - TCP_HEADER_BYTES + sackBytes(blocks));
  if (fields >= 0 && (flags & RST) === 0) at += writeCounters(tcb, b, at, fields);
  if (blocks > 0 && (flags & RST) === 0) at = writeSackBlocks(tcb, b, at, blocks);
  let urgent = 0;
  let allFlags = length > mss ? flags | PSH : flags;
  if (tcb.accEcn !== null && (flags & RST) === 0) {
    allFlags |= sendAce(tcb.accEcn);
    tcb.isEctNext = maySendEct(tcb.accEcn);
    pkt.gsoKeepsCwr = true;
  } else if (tcb.ecnOk && (flags & RST) === 0) allFlags |= sendEcnFlags(tcb, seq, length);
  if (length > 0) {
    const end = seqAdd(seq, length);
    if (seqGt(end, tcb.maxSentSeq)) tcb.maxSentSeq = end;
    if (tcb.notices !== null) tcb.notices.observe(pkt, seq, length);
  }
  if (tcb.snd.isUrgent && seqGt(tcb.snd.up, seq)) {
    const distance = seqDiff(tcb.snd.up, seq);
    urgent = distance > 0xffff ? 0xffff : distance;
    allFlags |= URG;
  }
  const window = (flags & RST) !== 0 ? resetWindow(tcb) : selectWindow(tcb);
  encodeTcp(b, off, tcb.ports, seq, tcb.rcv.nxt, at - off, allFlags, window, urgent);
  pkt.end = at;
  if (length > 0) attachPayload(tcb, pkt, seqDiff(seq, tcb.snd.base), length);
  if (signature !== null) signature.fill(pkt, tcb.local, tcb.remote);
  if (length > mss) {
    pkt.gsoType = route.family === IPV4 ? GSO_TCPV4 : GSO_TCPV6;
    pkt.gsoSize = mss;
  }
  if ((flags & ACK) !== 0) ackSent(tcb);
  tcb.lastTransmitUs = ctx.nowUs;
  const segs = length > mss ? segmentsOf(length, mss) : 1;
  tcb.segsOut += segs;
  if (length > 0) {
    tcb.dataSegsOut += segs;
    paceAfter(tcb, length);
  }
  return send(ctx, route, pkt, tcb.pseudoSum, tcb);
}

const resetWindow = (tcb: Tcb): number =>
  tcb.ctx.settings.rstWindow === 0 ? 0 : openWindow(tcb) >>> tcb.rcv.wscale;

function attachPayload(tcb: Tcb, pkt: PacketBuffer, position: number, length: number): void {
  const ring = tcb.sendRing;
  if (ring.contiguous(position) >= length) {
    pkt.fragBytes = ring.bytes;
    pkt.fragSlabAt = ring.slabAt;
    pkt.fragOffset = ring.indexOf(position);
    pkt.fragLength = length;
    return;
  }
  ring.load(position, pkt.bytes, pkt.end, length, pkt.slabAt);
  pkt.end += length;
}

function writeSackBlocks(tcb: Tcb, b: Uint8Array, start: number, count: number): number {
  const ranges = tcb.outOfOrder;
  let at = start + writeSackHeader(b, start, count);
  let left = count;
  if (tcb.hasDsack) {
    tcb.hasDsack = false;
    setU32(b, at, tcb.dsackStart);
    setU32(b, at + 4, tcb.dsackEnd);
    at += 8;
    left--;
  }
  // RFC 2018 4: newest first, then those reported before, then whatever fits.
  let used = 0;
  for (let i = 0; i < ranges.recentCount && left > 0; i++) {
    const k = ranges.recentRange(i);
    if (k < 0 || (k < 31 && (used & (1 << k)) !== 0)) continue;
    at = writeBlock(tcb, b, at, k);
    used |= k < 31 ? 1 << k : 0;
    left--;
  }
  for (let k = 0; k < ranges.count && k < 31 && left > 0; k++) {
    if ((used & (1 << k)) !== 0) continue;
    at = writeBlock(tcb, b, at, k);
    left--;
  }
  // Ranges beyond what the bit set can tell apart: the option keeps its length by repeating the last.
  for (; left > 0; left--) at = writeBlock(tcb, b, at, ranges.count - 1);
  return at;
}

function writeBlock(tcb: Tcb, b: Uint8Array, at: number, k: number): number {
  setU32(b, at, tcb.outOfOrder.start[k]);
  setU32(b, at + 4, tcb.outOfOrder.end[k]);
  return at + 8;
}

// @rfc 2018 2
// @rfc 7323 2.2a
// @rfc 9293 MUST-65
/** SYN or SYN-ACK, with every option we want or, in an answer, that both want; Fast Open's data behind it. */
export function transmitSyn(tcb: Tcb, dataBytes = 0): void {
  const route = currentRoute(tcb);
  if (route === null) return;
  const ctx = tcb.ctx;
  const isAnswer = tcb.rcv.nxt !== tcb.rcv.irs;
  const pkt = ctx.network.allocPacket();
  const b = pkt.bytes;
  const off = pkt.start;
  let at = off + TCP_HEADER_BYTES;
  tcb.rcv.advertisedMss = advertisedMss(route, tcb.options);
  const flags = (isAnswer ? SYN | ACK : SYN) | synEcnFlags(tcb, isAnswer);
  const signature = signatureOf(tcb, tcb.snd.iss, flags);
  if (signature !== null) at += signature.write(pkt);
  if (!tcb.options.noOptions) at += writeMss(b, at, tcb.rcv.advertisedMss);
  const tsVal = (ctx.nowMs + tcb.tsOffset) | 0;
  if (tcb.tsOk && tcb.sackOk) at += writeSackPermittedTimestamps(b, at, tsVal, tcb.tsRecent);
  else if (tcb.tsOk) at += writeTimestamps(b, at, tsVal, tcb.tsRecent);
  // RFC 9768 3.2.3.3: the first SYN-ACK shows whether the option gets through.
  if (isAnswer && tcb.accEcn !== null && tcb.retransmits === 0 && ctx.settings.ecnOption !== 0) {
    const others = (tcb.wscaleOk ? 4 : 0) + (!tcb.tsOk && tcb.sackOk ? 4 : 0);
    const room = OPTIONS_BYTES_MAX - (at - off - TCP_HEADER_BYTES) - others;
    if (room > 0) at += writeCounters(tcb, b, at, Math.min(3, Math.floor((room - 2) / 3)));
  }
  if (!tcb.tsOk && tcb.sackOk) at += writeSackPermitted(b, at);
  if (tcb.wscaleOk) at += writeWindowScale(b, at, tcb.rcv.wscale);
  const fo = tcb.fastOpen;
  if (fo !== null && fo.length >= 0 && hasRoomFor(fo, at - off)) {
    at += writeFastOpen(b, at, fo.cookie, fo.length, fo.isExperimental);
  }
  // RFC 7323 2.2: the window in a SYN is never scaled.
  const window = Math.min(tcb.rcv.wnd, 65_535);
  tcb.isEctNext = false;
  encodeTcp(b, off, tcb.ports, tcb.snd.iss, isAnswer ? tcb.rcv.nxt : 0, at - off, flags, window, 0);
  pkt.end = at;
  if (dataBytes > 0) attachPayload(tcb, pkt, 0, dataBytes);
  if (signature !== null) signature.fill(pkt, tcb.local, tcb.remote);
  tcb.rcv.wup = tcb.rcv.nxt;
  // An answer is nobody's yet: Linux's request_sock sends it.
  if (!tcb.isPassive) tcb.segsOut++;
  // @rfc 9293 MUST-2 MUST-48 MUST-49
  send(ctx, route, pkt, tcb.pseudoSum, tcb);
}

/** Beside a signature a cookie may not fit (tcp_syn_options). */
const hasRoomFor = (fo: FastOpenState, header: number): boolean =>
  header + ((2 + (fo.isExperimental ? 2 : 0) + fo.length + 3) & ~3) <= TCP_HEADER_BYTES_MAX;

/** RST of a connection we give up (not an answer to a segment). */
export function transmitReset(tcb: Tcb): void {
  tcb.ctx.stats.OutRsts++;
  transmit(tcb, ackSeq(tcb), 0, RST | ACK, tcb.snd.mss);
}

/** Puts the checksum in and hands the packet to the network; `tcb` null: an answer outside any connection. */
export function send(
  ctx: TcpContext,
  route: Route,
  pkt: PacketBuffer,
  addressSum: number,
  tcb: Tcb | null,
): NetError | 0 {
  const off = pkt.start;
  const headLength = pkt.end - off;
  pkt.l4 = off;
  pkt.protocol = TCP_PROTOCOL;
  const length = headLength + pkt.fragLength;
  // addressSum < 2^16, length < 2^16: one fold is enough.
  const sum = addressSum + length;
  const seed = (sum & 0xffff) + (sum >>> 16);
  if (route.checksumOffload || pkt.gsoType !== 0) {
    pkt.checksumPartial = true;
    pkt.checksumOffset = TCP_CHECKSUM_OFFSET;
    setTcpChecksum(pkt.bytes, off, seed);
  } else {
    const head = sum16(pkt.bytes, off, headLength, seed, pkt.slabAt);
    const frag = pkt.fragBytes;
    const whole =
      frag === null ? head : sum16(frag, pkt.fragOffset, pkt.fragLength, head, pkt.fragSlabAt);
    setTcpChecksum(pkt.bytes, off, finish(whole));
  }
  let dontFragment = true;
  if (tcb !== null) {
    pkt.ttl = tcb.options.ttl > 0 ? tcb.options.ttl : 64;
    pkt.tos = tcb.isEctNext ? (tcb.options.tos & ~ECN_MASK) | ECT_0 : tcb.options.tos & ~ECN_MASK;
    dontFragment = tcb.options.mtuDiscover !== 0;
  }
  ctx.stats.OutSegs++;
  const { network } = ctx;
  const before = network.linkDrops;
  const delayUs = tcb === null || route.isLoopback ? 0 : tcb.options.timing.txDelayUs;
  const result =
    delayUs === 0
      ? network.sendPacket(route, pkt, dontFragment)
      : network.sendPacketAt(route, pkt, dontFragment, ctx.nowNs + delayUs * 1_000);
  if (network.linkDrops === before || tcb === null) return result;
  // Linux's NET_XMIT_DROP: congestion of our own link, known at once.
  enterCwr(tcb);
  return NetErr.NoBuffers;
}
