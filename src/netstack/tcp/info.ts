// TCP_INFO (Linux's tcp_get_info): of a connection, of a listener, and of an endpoint that is neither. Fields that
// nothing here measures stay 0.

import { seqDiff, seqGt } from "../../base/seqnum.ts";
import type { TcpInfo } from "../tcp-info.ts";
import { TIMESTAMPS_BYTES } from "../wire/tcp-options.ts";
import { type AccEcnState, COUNTER_CE, COUNTER_ECT0, COUNTER_ECT1 } from "./accecn-state.ts";
import { CHRONO_BUSY, CHRONO_RWND, CHRONO_SNDBUF, chronoUs } from "./chrono.ts";
import type { TcpContext } from "./context.ts";
import type { Listener } from "./listener.ts";
import { mssInHalfWindow } from "./mss.ts";
import { deliveryRate } from "./rate.ts";
import { rtoTimeMs } from "./rto-stats.ts";
import { MIN_RTT_NONE } from "./rtt.ts";
import { INITIAL_CWND, SSTHRESH_INFINITE } from "./state.ts";
import type { Tcb } from "./tcb.ts";

const OPT_TIMESTAMPS = 1;
const OPT_SACK = 2;
const OPT_WSCALE = 4;
const OPT_ECN = 8;
const OPT_ECN_SEEN = 16;
const OPT_SYN_DATA = 32;

/** Before the first sample (tcp_init_sock: a quarter of the first timeout), and before the peer's SYN (TCP_MIN_MSS). */
const RTTVAR_INITIAL_US = 250_000;
const RCV_MSS_LEAST = 88;
/** Bits of tcpi_accecn_fail_mode. */
const ACE_FAIL_SEND = 1;
const ACE_FAIL_RECV = 2;

export function fillInfo(tcb: Tcb, state: number, out: TcpInfo): void {
  const { snd, rcv, sent, rtt, ctx } = tcb;
  out.state = state;
  out.caState = tcb.caState;
  out.retransmits = tcb.retransmits;
  out.probes = tcb.probesOut;
  out.backoff = tcb.backoff;
  // What we ask for means nothing until the peer's SYN has answered.
  const isAnswered = rcv.nxt !== rcv.irs;
  const hasScale = isAnswered && tcb.wscaleOk;
  const hasTimestamps = isAnswered && tcb.tsOk;
  out.options =
    (hasTimestamps ? OPT_TIMESTAMPS : 0) |
    (isAnswered && tcb.sackOk ? OPT_SACK : 0) |
    (hasScale ? OPT_WSCALE : 0);
  if (tcb.ecnOk || tcb.accEcn !== null) out.options |= OPT_ECN;
  if (tcb.isEctSeen) out.options |= OPT_ECN_SEEN;
  if (tcb.fastOpen?.isDataAccepted) out.options |= OPT_SYN_DATA;
  out.sndWscale = hasScale ? snd.wscale : 0;
  out.rcvWscale = hasScale ? rcv.wscale : 0;
  // Probes of a zero window have a back-off of their own (tcp_probe0_when).
  const backoff = sent.packetsOut > 0 ? tcb.backoff : 0;
  out.rtoUs = Math.min(rtt.rtoUs * 2 ** backoff, tcb.options.timing.rtoMaxUs);
  out.atoUs = tcb.dataSegsIn === 0 ? 0 : ctx.settings.delayedAckUs;
  out.sndMss = mssInHalfWindow(tcb);
  out.rcvMss = isAnswered ? rcv.mss : RCV_MSS_LEAST;
  out.unacked = sent.packetsOut;
  out.sacked = sent.sackedOut;
  out.lost = sent.lostOut;
  out.retrans = sent.retransOut;
  out.lastDataSentMs = Math.max(0, seqDiff(ctx.nowMs, tcb.lastSentMs));
  out.lastDataRecvMs = Math.max(0, seqDiff(ctx.nowMs, tcb.lastReceivedMs));
  out.lastAckRecvMs = Math.max(0, seqDiff(ctx.nowMs, tcb.lastAckMs));
  out.pmtu = tcb.pmtu;
  out.rcvSsthresh = Math.min(rcv.ssthresh, rcv.bufferBytes);
  out.rttUs = rtt.srttUs;
  out.rttvarUs = rtt.srttUs === 0 ? RTTVAR_INITIAL_US : rtt.mdevUs;
  out.sndSsthresh = tcb.ssthresh;
  out.sndCwnd = tcb.cwnd;
  out.advmss = rcv.advertisedMss - (hasTimestamps ? TIMESTAMPS_BYTES : 0);
  out.reordering = tcb.reordering;
  out.rcvRttUs = tcb.rcvRttUs;
  out.rcvSpace = tcb.rcvSpaceBytes;
  out.totalRetrans = tcb.totalRetrans;
  out.pacingRate = tcb.loss.pacingRate;
  // Both go by sequence numbers: our SYN, and either FIN, count one.
  const isFinAcked = snd.finSent && seqGt(snd.una, snd.end);
  const isSynAcked = !tcb.isPassive && snd.una !== snd.iss;
  out.bytesAcked = tcb.bytesAcked + (isSynAcked ? 1 : 0) + (isFinAcked ? 1 : 0);
  out.bytesReceived = tcb.bytesReceived + (rcv.finReceived ? 1 : 0);
  out.segsOut = tcb.segsOut;
  out.segsIn = tcb.segsIn;
  out.notsentBytes = Math.max(0, seqDiff(snd.end, snd.nxt));
  out.minRttUs = rtt.minRttUs === MIN_RTT_NONE ? 0xffff_ffff : rtt.minRttUs;
  out.dataSegsIn = tcb.dataSegsIn;
  out.dataSegsOut = tcb.dataSegsOut;
  out.delivered = tcb.delivered;
  out.bytesSent = tcb.bytesSent;
  out.bytesRetrans = tcb.bytesRetrans;
  out.dsackDups = tcb.dsackDups;
  out.rcvOooPack = tcb.outOfOrderPackets;
  out.deliveryRate = deliveryRate(tcb);
  out.busyTimeUs = chronoUs(tcb, CHRONO_BUSY);
  out.rwndLimitedUs = chronoUs(tcb, CHRONO_RWND);
  out.sndbufLimitedUs = chronoUs(tcb, CHRONO_SNDBUF);
  out.reordSeen = tcb.loss.reordSeen;
  out.sndWnd = snd.wnd;
  out.rcvWnd = rcv.wnd;
  out.deliveryRateAppLimited = tcb.loss.isRateAppLimited ? 1 : 0;
  const { rtoStats } = tcb;
  out.totalRto = rtoStats === null ? 0 : rtoStats.timeouts;
  out.totalRtoRecoveries = rtoStats === null ? 0 : rtoStats.recoveries;
  out.totalRtoTimeMs = rtoStats === null ? 0 : rtoTimeMs(rtoStats, ctx.nowMs);
  fillAccEcn(tcb.accEcn, out);
}

function fillAccEcn(state: AccEcnState | null, out: TcpInfo): void {
  out.deliveredCe = state === null ? 0 : state.deliveredCe;
  out.receivedCe = state === null ? 0 : state.receivedCe;
  out.deliveredE1Bytes = state === null ? 0 : state.deliveredBytes[COUNTER_ECT1];
  out.deliveredE0Bytes = state === null ? 0 : state.deliveredBytes[COUNTER_ECT0];
  out.deliveredCeBytes = state === null ? 0 : state.deliveredBytes[COUNTER_CE];
  out.receivedE1Bytes = state === null ? 0 : state.receivedBytes[COUNTER_ECT1];
  out.receivedE0Bytes = state === null ? 0 : state.receivedBytes[COUNTER_ECT0];
  out.receivedCeBytes = state === null ? 0 : state.receivedBytes[COUNTER_CE];
  const failSend = state?.failSend ? ACE_FAIL_SEND : 0;
  out.accecnFailMode = failSend | (state?.failReceive ? ACE_FAIL_RECV : 0);
  out.accecnOptSeen = state === null ? 0 : state.optionSeen;
}

function clear(state: number, ctx: TcpContext, out: TcpInfo): void {
  for (const key of Object.keys(out) as (keyof TcpInfo)[]) out[key] = 0;
  out.state = state;
  out.pacingRate = Number.POSITIVE_INFINITY;
  out.sndCwnd = INITIAL_CWND;
  out.reordering = ctx.settings.reordering;
}

/** Without a connection: what one would begin with (tcp_init_sock). mss: TCP_MAXSEG's. */
export function emptyInfo(state: number, ctx: TcpContext, mss: number, out: TcpInfo): void {
  clear(state, ctx, out);
  out.deliveryRateAppLimited = 1;
  out.rtoUs = ctx.settings.rtoInitialUs;
  out.sndMss = mss;
  out.rttvarUs = RTTVAR_INITIAL_US;
  out.sndSsthresh = SSTHRESH_INFINITE;
  out.minRttUs = 0xffff_ffff;
  out.lastDataSentMs = out.lastDataRecvMs = out.lastAckRecvMs = ctx.nowMs >>> 0;
}

/** Of a listener: who waits for accept(), and how many may. */
export function listenerInfo(
  state: number,
  listener: Listener,
  ctx: TcpContext,
  out: TcpInfo,
): void {
  clear(state, ctx, out);
  out.unacked = listener.queueLength;
  out.sacked = listener.backlog;
}
