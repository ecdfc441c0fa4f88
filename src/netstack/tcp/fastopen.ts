// Fast Open (RFC 7413): data in the SYN. The client's half (4.1.3, 4.2.1): which SYN to send and what the
// SYN-ACK says about it; the server's half (4.2.2): whether a SYN's data is taken before the handshake ends.

import { seqAdd } from "../../base/seqnum.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { FAST_OPEN_NONE } from "../wire/tcp-options.ts";
import type { TcpContext } from "./context.ts";
import {
  COOKIE_BYTES,
  type FastOpenPeer,
  makeCookie,
  serverKeys,
  TFO_ALL_LISTENERS,
  TFO_CLIENT,
  TFO_CLIENT_NO_COOKIE,
  TFO_SERVER,
  TFO_SERVER_NO_COOKIE,
} from "./fastopen-cookie.ts";
import type { Listener } from "./listener.ts";
import { ipMss } from "./mss.ts";
import { retransmitLost } from "./retransmit.ts";
import type { Segment } from "./segment.ts";
import { CA_LOSS } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { currentSsthresh } from "./undo.ts";

/** What a SYN's or SYN-ACK's Fast Open option shall be; one per handshake that has one. */
export class FastOpenState {
  /** -1: no option; 0: an empty one, which asks for a cookie. */
  length = FAST_OPEN_NONE;
  cookie = new Uint8Array(16);
  isExperimental = false;
  /** Client: the first SYN had the option; a cookie that nobody asked for is ignored. */
  wasAsked = false;
  /** Client: bytes sent in the SYN. */
  dataBytes = 0;
  /** Client: the write had more than fitted; its writer sleeps on. */
  hasMore = false;
  /** Server: this child was made by a SYN. */
  isChild = false;
  /** The SYN's data was taken by the other side, or by us (TCPI_OPT_SYN_DATA). */
  isDataAccepted = false;
}

const OPTION_SPACE_MAX = 40;

export const isClientEnabled = (ctx: TcpContext): boolean =>
  (ctx.settings.fastopen & TFO_CLIENT) !== 0;

const isPathDisabled = (ctx: TcpContext, peer: FastOpenPeer | null): boolean =>
  peer !== null && peer.disabledUntilNs > ctx.nowNs;

/** Whether a SYN to this peer may carry data now. */
export function maySendSynData(
  ctx: TcpContext,
  peer: FastOpenPeer | null,
  noCookie: boolean,
): boolean {
  if (!isClientEnabled(ctx) || isPathDisabled(ctx, peer)) return false;
  if (noCookie || (ctx.settings.fastopen & TFO_CLIENT_NO_COOKIE) !== 0) return true;
  return peer !== null && peer.cookieLength > 0;
}

// @rfc 7413 4.2.1a
/** 4.2.1: chooses the option of our SYN; returns how many bytes of data may ride in it. */
export function prepareClient(tcb: Tcb): number {
  const { ctx, options } = tcb;
  const peer = ctx.fastOpenCache.find(tcb.remote);
  if (isPathDisabled(ctx, peer)) return 0;
  const state = new FastOpenState();
  tcb.fastOpen = state;
  const mayCarry = maySendSynData(ctx, peer, options.fastOpenNoCookie);
  const needsNoCookie =
    options.fastOpenNoCookie || (ctx.settings.fastopen & TFO_CLIENT_NO_COOKIE) !== 0;
  if (!needsNoCookie) {
    state.length = 0;
    state.wasAsked = true;
    state.isExperimental =
      peer !== null && (peer.cookieLength > 0 ? peer.isExperimental : peer.tryExperimental === 1);
    if (peer !== null && peer.cookieLength > 0) {
      state.length = peer.cookieLength;
      state.cookie.set(peer.cookie);
    }
  }
  if (!mayCarry) return 0;
  // 4.2.1: the MSS the server named before; room is left for options that a middlebox may add.
  const mss = Math.min(ipMss(tcb), peer !== null && peer.mss > 0 ? peer.mss : ipMss(tcb));
  return Math.max(0, mss - OPTION_SPACE_MAX);
}

// @rfc 7413 4.2.1c
/** The SYN timed out: it is repeated without data and without the option (4.2.1). */
export function dropOption(tcb: Tcb): void {
  if (tcb.fastOpen !== null && !tcb.fastOpen.isChild) tcb.fastOpen.length = FAST_OPEN_NONE;
}

// @rfc 7413 4.2.1b
/** The SYN-ACK has been acknowledged into the list. True: the data must go again. */
export function onSynAck(tcb: Tcb, seg: Segment): boolean {
  const { ctx, sent } = tcb;
  const state = tcb.fastOpen;
  if (state === null || tcb.isPassive) return false;
  const o = seg.options;
  const hasUnacked = state.dataBytes > 0 && sent.head !== null;
  const gotCookie = o.fastOpenLength > 0 && state.wasAsked;
  const peer = ctx.fastOpenCache.obtain(tcb.remote);
  if (o.mss > 0) peer.mss = o.mss;
  if (gotCookie) {
    peer.cookieLength = o.fastOpenLength;
    peer.cookie.set(o.fastOpenCookie);
    peer.isExperimental = o.isFastOpenExperimental;
  } else if (ctx.settings.fastopenPathDisableSec > 0 && (state.dataBytes === 0 || hasUnacked)) {
    peer.disabledUntilNs = ctx.nowNs + ctx.settings.fastopenPathDisableSec * 1e9;
  } else if (tcb.totalRetrans === 0 && state.wasAsked && state.dataBytes === 0) {
    const next = state.isExperimental ? 2 : 1;
    if (next > peer.tryExperimental) peer.tryExperimental = next;
  }
  peer.synLosses = tcb.totalRetrans > 0 && !gotCookie && hasUnacked ? peer.synLosses + 1 : 0;
  if (!hasUnacked) {
    state.isDataAccepted = state.dataBytes > 0;
    if (state.isDataAccepted) {
      ctx.stats.TCPFastOpenActive++;
      // SYN and data are one packet.
      if (tcb.delivered > 1) tcb.delivered--;
    }
    return false;
  }
  ctx.stats.TCPFastOpenActiveFail++;
  resendData(tcb);
  return true;
}

/** Not a loss by congestion: the window stays (as after a smaller path MTU). */
function resendData(tcb: Tcb): void {
  const { sent, loss } = tcb;
  for (let r = sent.head; r !== null; r = r.next) sent.setLost(r);
  tcb.highSeq = tcb.snd.nxt;
  tcb.ssthresh = currentSsthresh(tcb);
  loss.priorSsthresh = 0;
  loss.hasUndo = false;
  tcb.caState = CA_LOSS;
  retransmitLost(tcb);
}

const $made = new Uint8Array(COOKIE_BYTES);

// @rfc 7413 4.2.2b 5.1
/** 4.2.2: judges a SYN's option. Sets tcb.fastOpen; true: the data is taken and the child is accepted now. */
export function judgeSyn(tcb: Tcb, seg: Segment, listener: Listener): boolean {
  const { ctx } = tcb;
  const { fastopen } = ctx.settings;
  const o = seg.options;
  const pkt = seg.pkt as PacketBuffer;
  if (o.fastOpenLength === 0) ctx.stats.TCPFastOpenCookieReqd++;
  const isAsked = seg.length > 0 || o.fastOpenLength >= 0;
  if ((fastopen & TFO_SERVER) === 0 || !isAsked || !hasRoom(ctx, listener)) return false;
  const state = new FastOpenState();
  if ((fastopen & TFO_SERVER_NO_COOKIE) !== 0 || listener.options.fastOpenNoCookie) {
    return takeChild(tcb, state);
  }
  if (o.fastOpenLength < 0) return false;
  const keys = listener.options.fastOpenKey ?? serverKeys(ctx.settings, ctx.rng);
  let match = -1;
  for (let k = 0; k < keys.length && match < 0 && o.fastOpenLength === COOKIE_BYTES; k += 4) {
    makeCookie($made, keys, k, pkt.src, pkt.dst);
    if ($made.every((byte, i) => byte === o.fastOpenCookie[i])) match = k;
  }
  if (match > 0) ctx.stats.TCPFastOpenPassiveAltKey++;
  if (match !== 0) {
    // None, a wrong one, or one of the old key: the SYN-ACK brings the right one.
    makeCookie(state.cookie, keys, 0, pkt.src, pkt.dst);
    state.length = COOKIE_BYTES;
    state.isExperimental = o.isFastOpenExperimental;
  }
  tcb.fastOpen = state;
  if (match >= 0) return takeChild(tcb, state);
  if (o.fastOpenLength > 0) ctx.stats.TCPFastOpenPassiveFail++;
  return false;
}

function hasRoom(ctx: TcpContext, listener: Listener): boolean {
  let max = listener.options.fastOpenQueue;
  if (max === 0 && (ctx.settings.fastopen & TFO_ALL_LISTENERS) !== 0) max = listener.backlog;
  if (max <= 0) return false;
  // An early child is a connection from its SYN on; without one the third ACK is asked the same.
  if (ctx.connectionCount >= ctx.limits.connections) return false;
  if (listener.fastOpenCount < max) return true;
  ctx.stats.TCPFastOpenListenOverflow++;
  return false;
}

function takeChild(tcb: Tcb, state: FastOpenState): boolean {
  state.isChild = true;
  tcb.fastOpen = state;
  tcb.ctx.stats.TCPFastOpenPassive++;
  return true;
}

/** A child made by a SYN whose handshake is not over. */
export const isEarlyChild = (tcb: Tcb): boolean =>
  tcb.isHalfOpen && tcb.fastOpen !== null && tcb.fastOpen.isChild === true;

/** The child's SYN is not on the list of sent records: only the timer remembers it. */
export function startEarlyChild(tcb: Tcb): void {
  const { snd } = tcb;
  snd.una = seqAdd(snd.iss, 1);
  tcb.synAckUs = tcb.ctx.nowUs;
}
