// When a connection is given up (RFC 9293 3.8.3's R2, RFC 5482): counted in time as Linux does - as long as so many
// timeouts of the least RTO, each doubled, would take - so that a long RTT does not mean more patience.

import { linger2Ns } from "./options.ts";
import { FIN_WAIT_2, RTO_MIN_US } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { abortTcb } from "./transitions.ts";

/** tcp_orphan_retries = 0 stands for this many while the RTO still grows. */
const ORPHAN_RETRIES = 8;

/** Linux's tcp_model_timeout. */
function modelTimeoutNs(tcb: Tcb, retries: number): number {
  const maxUs = tcb.options.timing.rtoMaxUs;
  const doublings = Math.min(retries, Math.floor(Math.log2(maxUs / RTO_MIN_US)));
  const us = (2 * 2 ** doublings - 1) * RTO_MIN_US + (retries - doublings) * maxUs;
  return us * 1_000;
}

/** Retransmissions (or probes) of an orphan: its owner will not hear of the end. */
export function orphanRetries(tcb: Tcb): number {
  const isGrowing = tcb.rtt.rtoUs * 2 ** tcb.backoff < tcb.options.timing.rtoMaxUs;
  const retries = tcb.ctx.settings.orphanRetries;
  // An ICMP error has said that something is wrong.
  if (tcb.softError !== 0 && !isGrowing) return 0;
  return retries === 0 && isGrowing ? ORPHAN_RETRIES : retries;
}

/** tcp_retries1: it is time to look for a reason on the way. */
export const isLongTrouble = (tcb: Tcb): boolean =>
  tcb.retransmits > 0 &&
  tcb.ctx.nowNs - tcb.troubleNs >= modelTimeoutNs(tcb, tcb.ctx.settings.retries1);

// @rfc 5482 3
// @rfc 9293 MUST-20 MUST-21
/** tcp_retries2, tcp_orphan_retries, or the user's time-out. */
export function isHopeless(tcb: Tcb): boolean {
  const elapsedNs = tcb.ctx.nowNs - tcb.troubleNs;
  const userNs = tcb.options.userTimeoutNs;
  if (userNs > 0) return elapsedNs >= userNs;
  const retries = tcb.isOrphan ? orphanRetries(tcb) : tcb.ctx.settings.retries2;
  return elapsedNs >= modelTimeoutNs(tcb, retries);
}

/** An orphan waits for the peer's FIN only so long: TCP_LINGER2, or tcp_fin_timeout; at least 3.5 RTO. */
export function finWait2Ns(tcb: Tcb): number {
  const ns = linger2Ns(tcb.options, tcb.ctx.settings);
  return Math.max(ns, tcb.rtt.rtoUs * 3_500);
}

/** A negative TCP_LINGER2: nobody waits at all. True: the connection is gone, with a RST. */
export function endsInFinWait2(tcb: Tcb): boolean {
  if (tcb.options.linger2Ns >= 0 || tcb.state !== FIN_WAIT_2) return false;
  tcb.ctx.stats.TCPAbortOnLinger++;
  abortTcb(tcb, 0, true);
  return true;
}
