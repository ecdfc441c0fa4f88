// What TCP_INFO tells of timeouts (tcpi_total_rto, tcpi_total_rto_recoveries, tcpi_total_rto_time; Linux's
// tcp_update_rto_stats and tcp_update_rto_time): how many there were, how many troubles began with one, and how long
// these lasted. Made at a connection's first timeout.

import { seqDiff } from "../../base/seqnum.ts";
import type { Tcb } from "./tcb.ts";

export class RtoStats {
  timeouts = 0;
  recoveries = 0;
  /** Of the troubles that are over. */
  totalMs = 0;
  isRunning = false;
  startMs = 0;
}

/** A timeout; to be told before tcb.retransmits counts it. */
export function noteTimeout(tcb: Tcb): void {
  tcb.rtoStats ??= new RtoStats();
  const stats = tcb.rtoStats;
  stats.timeouts++;
  if (tcb.retransmits > 0) return;
  stats.recoveries++;
  stats.isRunning = true;
  stats.startMs = tcb.ctx.nowMs;
}

/** Out of the Loss state, or the handshake's end. */
export function noteRecovered(tcb: Tcb): void {
  const stats = tcb.rtoStats;
  if (stats === null) return;
  stats.totalMs = rtoTimeMs(stats, tcb.ctx.nowMs);
  stats.isRunning = false;
}

export const rtoTimeMs = (stats: RtoStats, nowMs: number): number =>
  stats.isRunning ? stats.totalMs + seqDiff(nowMs, stats.startMs) : stats.totalMs;
