// How large a segment may be: the MSS told to the peer and followed from the path MTU (RFC 9293 3.7.1), what
// options leave of it, and how many segments may go as one packet where the link cuts them up.

import type { TcpEndpointOptions } from "../endpoints.ts";
import { IPV4 } from "../ip-addr.ts";
import { type FlowKey, flowKey } from "../stack/flow-key.ts";
import type { Route } from "../stack/transport.ts";
import { PROTO_TCP } from "../wire/ipv4.ts";
import { TCP_HEADER_BYTES, TCP_HEADER_BYTES_MAX } from "../wire/tcp.ts";
import { TIMESTAMPS_BYTES } from "../wire/tcp-options.ts";
import { optionBytes, optionFields } from "./accecn-option.ts";
import { authBytes } from "./auth-keys.ts";
import { MSS_DEFAULT_V4, MSS_MIN } from "./state.ts";
import type { Tcb } from "./tcb.ts";

const OPTIONS_BYTES_MAX = TCP_HEADER_BYTES_MAX - TCP_HEADER_BYTES;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
/** IP's 16-bit length field bounds a packet, merged or not. */
const IP_PACKET_MAX = 65_535;
const PIECE_BYTES_MAX = 65_216;

const ipHeaderBytes = (route: Route): number =>
  route.family === IPV4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;

/** What its route may depend on besides addresses: valid until the next of its kind. */
export const flowOf = ({ ports, options }: Tcb): FlowKey =>
  flowKey(PROTO_TCP, ports >>> 16, ports & 0xffff, options.uid, options.tos);

/** The connection's route, found again when it has become invalid; null when there is none now. */
export function currentRoute(tcb: Tcb): Route | null {
  const route = tcb.route;
  if (route?.isValid) return route;
  const found = tcb.ctx.network.findOptionRoute(
    route === null ? null : route.headerOptions,
    tcb.local,
    tcb.remote,
    tcb.options.boundNicId,
    tcb.options.mark,
    flowOf(tcb),
  );
  if (typeof found === "number") {
    tcb.softError = found;
    return null;
  }
  tcb.route = found;
  // A larger MTU is taken up with the next look at it (currentMss), as on Linux.
  if (found.mtu < tcb.pmtu) syncMss(tcb);
  return found;
}

// @rfc 9293 MUST-16
/** Follows the path MTU: MSS counts neither IP nor TCP options (RFC 9293 3.7.1), snd.mss does. */
export function syncMss(tcb: Tcb): void {
  const { mtu } = tcb.route as Route;
  tcb.pmtu = mtu;
  const probe = tcb.mtuProbe;
  if (probe !== null && probe.high > mtu) probe.high = mtu;
  tcb.snd.mss = mtuToMss(tcb, probe !== null && probe.low < mtu ? probe.low : mtu);
}

/** Payload bytes of a full segment in packets of `mtu` bytes. */
export function mtuToMss(tcb: Tcb, mtu: number): number {
  let mss = mtu - ipHeaderBytes(tcb.route as Route) - TCP_HEADER_BYTES;
  if (tcb.snd.peerMss < mss) mss = tcb.snd.peerMss;
  const user = tcb.options.maxSegBytes;
  if (user > 0 && user < mss) mss = user;
  if (tcb.tsOk) mss -= TIMESTAMPS_BYTES;
  mss -= authBytes(tcb) + (tcb.route as Route).optionBytes;
  return mss < MSS_MIN ? MSS_MIN : mss;
}

export const mssToMtu = (tcb: Tcb, mss: number): number =>
  mss +
  authBytes(tcb) +
  (tcb.route as Route).optionBytes +
  (tcb.tsOk ? TIMESTAMPS_BYTES : 0) +
  TCP_HEADER_BYTES +
  ipHeaderBytes(tcb.route as Route);

/** The packet that holds the largest segment the peer takes. */
export const peerMtu = (tcb: Tcb): number =>
  tcb.snd.peerMss + TCP_HEADER_BYTES + ipHeaderBytes(tcb.route as Route);

/** Payload of a segment without options on this path, by the MTU and the user's wish alone. */
export function ipMss(tcb: Tcb): number {
  const route = tcb.route as Route;
  const mss = route.mtu - ipHeaderBytes(route) - route.optionBytes - TCP_HEADER_BYTES;
  const user = tcb.options.maxSegBytes;
  return Math.max(user > 0 && user < mss ? user : mss, MSS_MIN);
}

// @rfc 9293 MUST-14 MUST-67
/** What we tell the peer in our SYN. */
export function advertisedMss(route: Route, options: TcpEndpointOptions): number {
  let mss = route.mtu - ipHeaderBytes(route) - TCP_HEADER_BYTES;
  if (route.advmss > 0 && route.advmss < mss) mss = route.advmss;
  const user = options.maxSegBytes;
  if (user > 0 && user < mss) mss = user;
  return Math.min(Math.max(mss, MSS_MIN), IP_PACKET_MAX - 40);
}

export const sackBytes = (blocks: number): number => (blocks > 0 ? 4 + 8 * blocks : 0);

// @rfc 2018 3
/** SACK blocks that the next segment carries. */
export function sackBlockCount(tcb: Tcb): number {
  if (!tcb.sackOk) return 0;
  const count = tcb.outOfOrder.count + (tcb.hasDsack ? 1 : 0);
  if (count === 0) return 0;
  // tcp_established_options: of three, or four without timestamps, a signature takes the room of two or three.
  const room = OPTIONS_BYTES_MAX - authBytes(tcb) - (tcb.tsOk ? TIMESTAMPS_BYTES : 0);
  const max = room < 12 ? 0 : (room - 4) >>> 3;
  return count < max ? count : max;
}

/** Payload bytes of a full segment sent now: less while SACK blocks must be carried. */
export function currentMss(tcb: Tcb): number {
  if (tcb.route !== null && tcb.route.mtu !== tcb.pmtu) syncMss(tcb);
  let mss = tcb.snd.mss;
  const blocks = sackBlockCount(tcb);
  if (blocks > 0) mss -= sackBytes(blocks);
  if (tcb.accEcn !== null) {
    const others = sackBytes(blocks) + authBytes(tcb) + (tcb.tsOk ? TIMESTAMPS_BYTES : 0);
    const fields = optionFields(tcb, others);
    if (fields >= 0) mss -= optionBytes(fields);
  }
  return boundToHalfWindow(tcb, mss);
}

/** A peer with a tiny buffer: half of its window per segment (Linux's tcp_bound_to_half_wnd). */
function boundToHalfWindow(tcb: Tcb, mss: number): number {
  const { maxWnd } = tcb.snd;
  if (maxWnd === 0 || maxWnd >> 1 >= mss) return mss;
  return Math.max(maxWnd > MSS_DEFAULT_V4 ? maxWnd >> 1 : maxWnd, MSS_MIN);
}

/** What the user is told (mss_cache): without what some segments need for SACK blocks or counters. */
export const mssInHalfWindow = (tcb: Tcb): number => boundToHalfWindow(tcb, tcb.snd.mss);

/** The most data in one piece of the send queue: a whole packet's worth, but no more than half a window. */
export function pieceBytes(tcb: Tcb): number {
  const mss = currentMss(tcb);
  // Each segment is signed by itself (sk_gso_disable).
  if (authBytes(tcb) > 0) return mss;
  const { maxWnd } = tcb.snd;
  const half = maxWnd > MSS_DEFAULT_V4 ? maxWnd >> 1 : maxWnd;
  const most = half > 0 && half < PIECE_BYTES_MAX ? half : PIECE_BYTES_MAX;
  return most <= mss ? mss : most - (most % mss);
}

/** Linux's tcp_tso_autosize: about a millisecond's worth of data, more on short paths. */
function autosizeSegs(tcb: Tcb, mss: number, gsoMax: number): number {
  const { minTsoSegs, tsoRttLog } = tcb.ctx.settings;
  let bytes = tcb.loss.pacingRate / 1024;
  const r = tcb.rtt.minRttUs >>> tsoRttLog;
  if (r < 31) bytes += gsoMax / (1 << r);
  if (bytes > gsoMax) bytes = gsoMax;
  // In 32 bits: what Math.floor gives may be boxed on its way out (measured: 0.5 bytes of garbage per packet).
  const segs = (bytes / mss) | 0;
  const least = tcb.congestion.minTsoSegs?.(tcb) ?? minTsoSegs;
  return segs > least ? segs : least;
}

/** The most payload one packet may carry: many segments when the link segments for us. */
export function burstBytesMax(tcb: Tcb, mss: number): number {
  const route = tcb.route;
  if (route === null || authBytes(tcb) > 0) return mss;
  // Extension headers: nobody cuts up what bears them.
  if (route.optionBytes > 0 && route.family !== IPV4) return mss;
  let gso = route.gsoBytesMax;
  if (gso <= mss) {
    if (tcb.ctx.settings.softwareGso === 0) return mss;
    gso = IP_PACKET_MAX;
  }
  const auto = autosizeSegs(tcb, mss, gso) * mss;
  const room = Math.min(gso, IP_PACKET_MAX) - IPV6_HEADER_BYTES - TCP_HEADER_BYTES_MAX;
  if (room <= mss) return mss;
  const most = room - (room % mss);
  return auto < most ? auto : most;
}
