// Packetization-layer path MTU discovery (RFC 4821) and black holes, as Linux's tcp_mtu_probe: between a size that
// works and one that may, a segment of the middle is sent; its loss is no sign of congestion. tcp_mtu_probing 1
// begins only after timeouts that smell of a black hole, 2 with every connection. ICMP's part is in icmp-error.ts.

import { seqAdd, seqDiff, seqGt } from "../../base/seqnum.ts";
import { ACK } from "../wire/tcp.ts";
import { currentMss, mssToMtu, mtuToMss, peerMtu, syncMss } from "./mss.ts";
import { updatePacingRate } from "./rate.ts";
import { retransmitLarge } from "./retransmit.ts";
import { armRetransmit } from "./sender.ts";
import { CA_CWR, CA_OPEN } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { transmit } from "./transmit.ts";
import { currentSsthresh } from "./undo.ts";

const PROBES_CWND_MIN = 11;
/** Nothing to probe now; wait for what is in flight; sent. */
export const PROBE_NONE = -1;
export const PROBE_WAIT = 0;
export const PROBE_SENT = 1;

/** Sizes are IP packets. */
export class MtuProbe {
  low: number;
  high: number;
  /** The probe in flight; 0: none. */
  size = 0;
  start = 0;
  end = 0;
  sinceNs: number;

  constructor(low: number, high: number, nowNs: number) {
    this.low = low;
    this.high = high;
    this.sinceNs = nowNs;
  }
}

function enable(tcb: Tcb): void {
  const { settings, nowNs } = tcb.ctx;
  tcb.mtuProbe = new MtuProbe(mssToMtu(tcb, settings.baseMss), peerMtu(tcb), nowNs);
}

/** At the beginning of a connection. */
export function beginProbing(tcb: Tcb): void {
  if (tcb.ctx.settings.mtuProbing <= 1 || tcb.options.mtuDiscover === 0) return;
  enable(tcb);
  // A child keeps the size it has until something changes, as on Linux.
  if (!tcb.isPassive) syncMss(tcb);
}

/** Instead of the next data, when there is enough of it: one segment of the size to be tried. */
export function sendMtuProbe(tcb: Tcb, unsent: number): number {
  const probe = tcb.mtuProbe as MtuProbe;
  const { snd, sent } = tcb;
  const isBusy = probe.size !== 0 || tcb.caState !== CA_OPEN || tcb.cwnd < PROBES_CWND_MIN;
  if (isBusy || tcb.outOfOrder.count > 0 || tcb.hasDsack) return PROBE_NONE;
  const mss = currentMss(tcb);
  const size = mtuToMss(tcb, (probe.high + probe.low) >> 1);
  const needed = size + (tcb.reordering + 1) * mss;
  if (
    size > mtuToMss(tcb, probe.high) ||
    probe.high - probe.low < tcb.ctx.settings.probeThreshold
  ) {
    checkReprobe(tcb, probe, mss);
    return PROBE_NONE;
  }
  // Enough behind it to make its loss known by duplicate ACKs.
  if (unsent < needed || snd.wnd < needed) return PROBE_NONE;
  if (needed > seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt)) return PROBE_WAIT;
  if (sent.inFlight + 2 > tcb.cwnd) return sent.inFlight === 0 ? PROBE_NONE : PROBE_WAIT;
  if (tcb.recordEnds !== null && tcb.recordEnds.length > 0) return PROBE_NONE;
  emitProbe(tcb, probe, size);
  return PROBE_SENT;
}

function emitProbe(tcb: Tcb, probe: MtuProbe, size: number): void {
  const { snd, sent, ctx } = tcb;
  probe.size = mssToMtu(tcb, size);
  probe.start = snd.nxt;
  probe.end = seqAdd(snd.nxt, size);
  const wasIdle = sent.packetsOut === 0;
  sent.append(probe.start, probe.end, size, 0, ctx.nowUs);
  snd.nxt = probe.end;
  // It stands for two packets.
  tcb.cwnd--;
  tcb.bytesSent += size;
  tcb.lastSentMs = ctx.nowMs;
  ctx.stats.TCPOrigDataSent++;
  if (wasIdle) armRetransmit(tcb);
  transmit(tcb, probe.start, size, ACK, size);
}

/** The search is over, or stuck: begin anew now and then, for paths change (RFC 4821 7.3). */
function checkReprobe(tcb: Tcb, probe: MtuProbe, mss: number): void {
  const { settings, nowNs } = tcb.ctx;
  if (nowNs - probe.sinceNs < settings.probeIntervalSec * 1_000_000_000) return;
  probe.size = 0;
  probe.high = peerMtu(tcb);
  probe.low = mssToMtu(tcb, mss);
  probe.sinceNs = nowNs;
}

/** SND.UNA has advanced. */
export function onProbeAcked(tcb: Tcb): void {
  const probe = tcb.mtuProbe as MtuProbe;
  if (probe.size === 0 || seqGt(probe.end, tcb.snd.una)) return;
  // The window in bytes stays what it was.
  const cwnd = Math.floor((tcb.cwnd * mssToMtu(tcb, tcb.snd.mss)) / probe.size);
  tcb.cwnd = Math.max(1, cwnd);
  tcb.cwndCount = 0;
  tcb.ssthresh = currentSsthresh(tcb);
  probe.low = probe.size;
  probe.size = 0;
  tcb.ctx.stats.TCPMTUPSuccess++;
  syncMss(tcb);
  updatePacingRate(tcb);
}

/** A loss begins with the probe: it was too large, nothing more. True: dealt with. */
export function failProbe(tcb: Tcb): boolean {
  const probe = tcb.mtuProbe as MtuProbe;
  if (tcb.caState >= CA_CWR || probe.size === 0 || tcb.snd.una !== probe.start) return false;
  probe.high = probe.size - 1;
  probe.size = 0;
  tcb.ctx.stats.TCPMTUPFail++;
  tcb.cwnd++;
  retransmitLarge(tcb);
  return true;
}

/** Timeouts for as long as tcp_retries1 allows: packets of this size may have fallen into a hole. */
export function detectBlackHole(tcb: Tcb): void {
  const { settings } = tcb.ctx;
  if (settings.mtuProbing === 0 || tcb.options.mtuDiscover === 0) return;
  const probe = tcb.mtuProbe;
  if (probe === null) {
    enable(tcb);
  } else {
    const half = mtuToMss(tcb, probe.low) >> 1;
    const floor = Math.max(settings.mtuProbeFloor, settings.minSndMss);
    probe.low = mssToMtu(tcb, Math.max(Math.min(settings.baseMss, half), floor));
  }
  syncMss(tcb);
}
