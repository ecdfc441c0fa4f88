// The window we advertise (RFC 9293 3.8.6.2.2, RFC 7323 2): what the receive buffer has room for, in steps
// worth advertising, its right edge never moving back; and the growth of that buffer with the reader's
// pace (once per round trip, as Linux's tcp_rcv_space_adjust).

import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import type { TcpEndpointOptions } from "../endpoints.ts";
import { TIMESTAMPS_BYTES } from "../wire/tcp-options.ts";
import type { TcpContext } from "./context.ts";
import type { TcpSettings } from "./settings.ts";
import { SYN_RECEIVED, WSCALE_MAX } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** Windows cannot name more (RFC 7323 2.3). */
const RECEIVE_BUFFER_CEILING = 1 << 30;

/** The largest window the buffer may ever grow to decides the scale. */
export function initialScale(ctx: TcpContext, options: TcpEndpointOptions): number {
  const room = options.receiveBufferLocked ? options.receiveBufferBytes : receiveBufferMax(ctx);
  const max = clamped(options, room);
  const windows = Math.ceil(max / 65_535);
  return windows <= 1 ? 0 : Math.min(32 - Math.clz32(windows - 1), WSCALE_MAX);
}

/** TCP_WINDOW_CLAMP holds from the first window on (Linux's tcp_select_initial_window). */
function clamped(options: TcpEndpointOptions, bytes: number): number {
  const clamp = options.windowClampBytes;
  return clamp > 0 && clamp < bytes ? clamp : bytes;
}

/** The window of a SYN or SYN-ACK: whole segments, unscaled (RFC 7323 2.2). */
export function initialWindow(
  settings: TcpSettings,
  options: TcpEndpointOptions,
  mss: number,
): number {
  const bufferBytes = clamped(options, options.receiveBufferBytes);
  if (settings.windowPolicy !== 0) return Math.min(bufferBytes, 65_535);
  const whole = bufferBytes - (bufferBytes % mss);
  return Math.min(whole > 0 ? whole : bufferBytes, 65_535);
}

/**
 * The window of our SYN: whole segments, less timestamps when it is known already that these will be in them
 * (tcp_openreq_init_rwin, tcp_connect_init).
 */
export function offerWindow(tcb: Tcb, hasTimestamps: boolean): void {
  const { ctx, rcv } = tcb;
  const mss = rcv.advertisedMss - (hasTimestamps ? TIMESTAMPS_BYTES : 0);
  rcv.wnd = initialWindow(ctx.settings, tcb.options, mss);
  rcv.ssthresh = ctx.settings.windowPolicy === 0 ? rcv.wnd : 0x7fff_ffff;
}

/** Bytes of the last advertised window still open. */
export function openWindow(tcb: Tcb): number {
  const open = seqDiff(seqAdd(tcb.rcv.wup, tcb.rcv.wnd), tcb.rcv.nxt);
  return open > 0 ? open : 0;
}

/** Bytes from RCV.NXT that an arriving segment may fill: what was advertised, or by policy all there is room for. */
export function receiveWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  const open = openWindow(tcb);
  if (tcb.ctx.settings.windowPolicy === 0 || (tcb.state === SYN_RECEIVED && tcb.isPassive))
    return open;
  const room = rcv.bufferBytes - tcb.readable;
  return room > open ? room : open;
}

// @rfc 9293 MUST-39
/** What could be advertised now, before the rule about the right edge. */
export function availableWindow(tcb: Tcb): number {
  const rcv = tcb.rcv;
  const full = clamped(tcb.options, rcv.bufferBytes);
  let free = full - seqDiff(rcv.nxt, rcv.copied);
  const mss = rcv.mss < full ? rcv.mss : full;
  // Receiver's SWS avoidance: nothing until a full segment (or a good part of a small buffer) fits.
  if (free < mss && free < full >> 1) return 0;
  if (free < full >> 4 && free < mss) return 0;
  const max = rcv.wscale > 0 || tcb.wscaleOk ? 65_535 << rcv.wscale : 65_535;
  if (free > max) free = max;
  if (free > rcv.ssthresh) free = rcv.ssthresh;
  return free;
}

// @rfc 7323 2.4
/** Chooses the window of an outgoing segment and notes it; returns the 16-bit field. */
export function selectWindow(tcb: Tcb): number {
  const rcv = tcb.rcv;
  const open = openWindow(tcb);
  const shift = rcv.wscale;
  // Rounded up, so that a small window is not scaled away.
  let window = ((availableWindow(tcb) + (1 << shift) - 1) >>> shift) << shift;
  // The right edge stays: round the open part up, for a scaled window cannot name it exactly.
  if (window < open && window === 0) tcb.ctx.stats.TCPWantZeroWindowAdv++;
  if (window < open) window = ((open + (1 << shift) - 1) >>> shift) << shift;
  else if (shift === 0 && tcb.ctx.settings.windowPolicy === 0) {
    if (window - open < rcv.mss && window - open < rcv.bufferBytes >> 1) window = open;
  }
  if (window > 65_535 << shift) window = 65_535 << shift;
  if (window === 0 && rcv.wnd !== 0) tcb.ctx.stats.TCPToZeroWindowAdv++;
  if (window !== 0 && rcv.wnd === 0) tcb.ctx.stats.TCPFromZeroWindowAdv++;
  rcv.wnd = window;
  rcv.wup = rcv.nxt;
  return window >>> shift;
}

/** In-order data came: the window may open further, by twice the data or two segments. */
export function growWindow(tcb: Tcb, length: number): void {
  const { rcv } = tcb;
  if (tcb.ctx.rings.isUnderPressure) return;
  const free = rcv.bufferBytes - seqDiff(rcv.nxt, rcv.copied);
  const room = clamped(tcb.options, free) - rcv.ssthresh;
  if (room <= 0) return;
  const step = Math.max(2 * rcv.advertisedMss, 2 * length);
  rcv.ssthresh += step < room ? step : room;
}

/** After the user read: is the window worth an update of its own? */
export function wantsWindowUpdate(tcb: Tcb): boolean {
  const open = openWindow(tcb);
  if (tcb.ctx.settings.windowPolicy !== 0) return isUpdateDue(tcb, open);
  if (2 * open > tcb.rcv.bufferBytes) return false;
  const available = availableWindow(tcb);
  return available > 0 && available >= 2 * open && available - open >= 1 << tcb.rcv.wscale;
}

/** 4.4BSD's tcp_output(): two segments and a quarter of the buffer more, or half of the buffer. */
function isUpdateDue(tcb: Tcb, open: number): boolean {
  const { rcv } = tcb;
  if (tcb.isAckPending || rcv.finReceived) return false;
  const more = availableWindow(tcb) - open;
  if (open >>> rcv.wscale >= (open + more) >>> rcv.wscale) return false;
  const isLarge = more >= rcv.bufferBytes >> 2 || open + more <= rcv.bufferBytes >> 3;
  const isFewSegments = rcv.bufferBytes <= 8 * tcb.snd.mss;
  return (more >= 2 * tcb.snd.mss && (isLarge || isFewSegments)) || 2 * more >= rcv.bufferBytes;
}

/** How far auto-tuning may go (tcp_rmem[2]). */
export const receiveBufferMax = (ctx: TcpContext): number =>
  Math.min(ctx.settings.rmem[2] || ctx.limits.socketBufferBytesMax, RECEIVE_BUFFER_CEILING);

/** Called after the user has read: measures its pace over a round trip and enlarges the buffer. */
export function tuneReceiveBuffer(tcb: Tcb): void {
  const now = tcb.ctx.nowUs;
  const elapsed = seqDiff(now, tcb.rcvSpaceUs);
  if (tcb.rcvRttUs === 0 || (elapsed >= 0 && elapsed < tcb.rcvRttUs)) return;
  const copied = seqDiff(tcb.rcv.copied, tcb.rcvSpaceSeq);
  tcb.rcvSpaceSeq = tcb.rcv.copied;
  tcb.rcvSpaceUs = now;
  if (copied <= tcb.rcvSpaceBytes) return;
  const grown = tcb.rcvSpaceBytes === 0 ? 0 : (copied - tcb.rcvSpaceBytes) / tcb.rcvSpaceBytes;
  tcb.rcvSpaceBytes = copied;
  if (tcb.options.receiveBufferLocked || tcb.ctx.settings.moderateRcvbuf === 0) return;
  if (tcb.ctx.rings.isUnderPressure) return;
  // Twice what was read, for the sender may double its window in that time; more while it is speeding up.
  const wanted = 2 * copied * (1 + Math.min(grown, 2)) + 16 * tcb.rcv.advertisedMss;
  const max = receiveBufferMax(tcb.ctx);
  if (wanted > tcb.rcv.bufferBytes) tcb.rcv.bufferBytes = Math.min(Math.floor(wanted), max);
}

/** The receiver's estimate of the round trip: the time in which one window of data arrives. */
export function measureReceiverRtt(tcb: Tcb): void {
  const now = tcb.ctx.nowUs;
  if (tcb.rcvRttStartUs === 0) {
    tcb.rcvRttStartUs = now | 1;
    tcb.rcvRttSeq = seqAdd(tcb.rcv.nxt, tcb.rcv.wnd);
    return;
  }
  if (seqDiff(tcb.rcv.nxt, tcb.rcvRttSeq) < 0) return;
  noteReceiverRtt(tcb, seqDiff(now, tcb.rcvRttStartUs), true);
  tcb.rcvRttStartUs = now | 1;
  tcb.rcvRttSeq = seqAdd(tcb.rcv.nxt, tcb.rcv.wnd);
}

export function noteReceiverRtt(tcb: Tcb, sampleUs: number, isWindowSample: boolean): void {
  if (sampleUs < 0) return;
  const m = sampleUs < 1 ? 1 : sampleUs;
  if (tcb.rcvRttUs === 0) tcb.rcvRttUs = m;
  // A window takes at least a round trip: such samples only lower the estimate.
  else if (isWindowSample) tcb.rcvRttUs = Math.min(tcb.rcvRttUs, m);
  else tcb.rcvRttUs = (tcb.rcvRttUs + ((m - tcb.rcvRttUs) >> 3)) | 0;
}
