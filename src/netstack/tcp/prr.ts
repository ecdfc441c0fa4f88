// Proportional rate reduction (RFC 9937): while the window is being reduced, after a loss or a congestion
// mark, each ACK lets go as many segments as bring the flight to ssthresh by the end of the recovery.

import { $ack, F_UNA_ADVANCED } from "./ack-state.ts";
import { CA_CWR, CA_RECOVERY, SSTHRESH_INFINITE } from "./state.ts";
import type { Tcb } from "./tcb.ts";

export const isInReduction = (tcb: Tcb): boolean =>
  tcb.caState === CA_CWR || tcb.caState === CA_RECOVERY;

// @rfc 9937 6a
/** RFC 9937 6, upon beginning. */
export function initReduction(tcb: Tcb): void {
  const { loss } = tcb;
  tcb.highSeq = tcb.snd.nxt;
  tcb.isProbeOut = false;
  tcb.cwndCount = 0;
  loss.priorCwnd = tcb.cwnd;
  loss.prrDelivered = 0;
  loss.prrOut = 0;
  tcb.ssthresh = tcb.congestion.ssthreshAfterLoss(tcb);
  if (tcb.ecnOk) tcb.isCwrWanted = true;
}

// @rfc 9937 6b
/** RFC 9937 6, on every ACK; SafeACK is one that advances without showing a new loss. */
export function reduce(tcb: Tcb, delivered: number, newlyLost: number): void {
  const { loss, sent } = tcb;
  if (delivered <= 0 || loss.priorCwnd === 0) return;
  const delta = tcb.ssthresh - sent.inFlight;
  loss.prrDelivered += delivered;
  let count: number;
  if (delta < 0) {
    count = Math.ceil((tcb.ssthresh * loss.prrDelivered) / loss.priorCwnd) - loss.prrOut;
  } else {
    count = Math.max(loss.prrDelivered - loss.prrOut, delivered);
    const isSafe = ($ack.flags & F_UNA_ADVANCED) !== 0 && newlyLost === 0;
    if (isSafe && tcb.caState === CA_RECOVERY) count++;
    if (count > delta) count = delta;
  }
  // The first retransmission goes whatever the formula says.
  if (loss.prrOut === 0 && count < 1) count = 1;
  if (count < 0) count = 0;
  tcb.cwnd = sent.inFlight + count;
}

// @rfc 9937 6c
/** RFC 9937 6, at the end: cwnd is ssthresh, unless the reduction was undone. */
export function endReduction(tcb: Tcb): void {
  if (tcb.ssthresh >= SSTHRESH_INFINITE || tcb.congestion.control !== undefined) return;
  if (tcb.caState === CA_CWR || tcb.loss.hasUndo) tcb.cwnd = tcb.ssthresh;
}

/** A sign of congestion without a loss: an ECN echo (RFC 3168 6.1.2), a quench of the local queue. */
export function enterCwr(tcb: Tcb): void {
  tcb.loss.priorSsthresh = 0;
  if (tcb.caState >= CA_CWR) return;
  tcb.loss.hasUndo = false;
  initReduction(tcb);
  tcb.caState = CA_CWR;
}
