// TCP_INFO of a connection. Fields that nothing here measures stay 0.

import { seqDiff } from "../../base/seqnum.ts";
import type { TcpInfo } from "../tcp-info.ts";
import { CHRONO_BUSY, CHRONO_RWND, CHRONO_SNDBUF, chronoUs } from "./chrono.ts";
import { mssInHalfWindow } from "./mss.ts";
import { deliveryRate } from "./rate.ts";
import { rtoTimeMs } from "./rto-stats.ts";
import { MIN_RTT_NONE } from "./rtt.ts";
import type { Tcb } from "./tcb.ts";

const OPT_TIMESTAMPS = 1;
const OPT_SACK = 2;
const OPT_WSCALE = 4;
const OPT_ECN = 8;
const OPT_ECN_SEEN = 16;
const OPT_SYN_DATA = 32;

export function fillInfo(tcb: Tcb, state: number, out: TcpInfo): void {
  const { snd, rcv, sent, rtt, ctx } = tcb;
  out.state = state;
  out.caState = tcb.caState;
  out.retransmits = tcb.retransmits;
  out.probes = tcb.probesOut;
  out.backoff = tcb.backoff;
  out.options =
    (tcb.tsOk ? OPT_TIMESTAMPS : 0) | (tcb.sackOk ? OPT_SACK : 0) | (tcb.wscaleOk ? OPT_WSCALE : 0);
  if (tcb.ecnOk || tcb.accEcn !== null) out.options |= OPT_ECN;
  if (tcb.isEctSeen) out.options |= OPT_ECN_SEEN;
  if (tcb.fastOpen?.isDataAccepted) out.options |= OPT_SYN_DATA;
  out.sndWscale = snd.wscale;
  out.rcvWscale = rcv.wscale;
  // Probes of a zero window have a back-off of their own (tcp_probe0_when).
  const backoff = sent.packetsOut > 0 ? tcb.backoff : 0;
  out.rtoUs = Math.min(rtt.rtoUs * 2 ** backoff, tcb.options.timing.rtoMaxUs);
  out.atoUs = 40_000;
  out.sndMss = mssInHalfWindow(tcb);
  out.rcvMss = rcv.mss;
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
  out.rttvarUs = rtt.mdevUs;
  out.sndSsthresh = tcb.ssthresh;
  out.sndCwnd = tcb.cwnd;
  out.advmss = rcv.advertisedMss;
  out.reordering = tcb.reordering;
  out.rcvRttUs = tcb.rcvRttUs;
  out.rcvSpace = tcb.rcvSpaceBytes;
  out.totalRetrans = tcb.totalRetrans;
  out.pacingRate = tcb.loss.pacingRate;
  out.bytesAcked = tcb.bytesAcked;
  out.bytesReceived = tcb.bytesReceived;
  out.segsOut = tcb.segsOut;
  out.segsIn = tcb.segsIn;
  out.notsentBytes = Math.max(0, seqDiff(snd.end, snd.nxt));
  out.minRttUs = rtt.minRttUs === MIN_RTT_NONE ? 0xffff_ffff : rtt.minRttUs;
  out.dataSegsIn = tcb.dataSegsIn;
  out.dataSegsOut = tcb.dataSegsOut;
  out.delivered = tcb.delivered;
  out.deliveredCe = tcb.accEcn === null ? 0 : tcb.accEcn.deliveredCe;
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
  const { rtoStats } = tcb;
  out.totalRto = rtoStats === null ? 0 : rtoStats.timeouts;
  out.totalRtoRecoveries = rtoStats === null ? 0 : rtoStats.recoveries;
  out.totalRtoTimeMs = rtoStats === null ? 0 : rtoTimeMs(rtoStats, ctx.nowMs);
}

/** A TCB that does not exist yet or any more: only the state means anything. */
export function emptyInfo(state: number, out: TcpInfo): void {
  for (const key of Object.keys(out) as (keyof TcpInfo)[]) out[key] = 0;
  out.pacingRate = Number.POSITIVE_INFINITY;
  out.state = state;
}
