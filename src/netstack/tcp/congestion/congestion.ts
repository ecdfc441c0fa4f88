// What a congestion control decides, and where it is chosen by name (TCP_CONGESTION). It counts in
// segments, as Linux does, and changes nothing but tcb.cwnd and its own state; when to shrink is the
// business of recovery.ts.

import { CWND_MAX } from "../state.ts";
import type { Tcb } from "../tcb.ts";
import { Bbr, type BbrInfo } from "./bbr.ts";
import { Cubic } from "./cubic.ts";
import { RENO } from "./reno.ts";

export interface CongestionControl {
  readonly name: string;
  /** `segs` segments were newly acknowledged while the window was in full use. */
  onAck(tcb: Tcb, segs: number): void;
  /** A loss: the new ssthresh (RFC 5681 equation 4 or its like), at least 2. */
  ssthreshAfterLoss(tcb: Tcb): number;
  onTimeout(tcb: Tcb): void;
  /** An ACK of new data with its RTT in microseconds (-1: none). */
  onSample?(tcb: Tcb, rttUs: number): void;
  /** A reduction turns out to have been needless. */
  onUndo?(tcb: Tcb): void;
  /** Data begins to flow, or the algorithm is chosen while it does. */
  begin?(tcb: Tcb): void;
  /** TCP_CC_INFO; absent where Linux's has none (Reno, CUBIC). */
  info?(tcb: Tcb): BbrInfo;
  /** Fewest segments of one packet (TSO); else tcp_min_tso_segs. */
  minTsoSegs?(tcb: Tcb): number;
  /** Takes the window into its own hands: called instead of onAck and of PRR. */
  control?(tcb: Tcb, delivered: number): void;
  /** Nothing was in flight for `idleUs` and now sending begins again. */
  onRestart(tcb: Tcb, idleUs: number): void;
}

/** null: no such algorithm. */
export function makeCongestionControl(name: string): CongestionControl | null {
  switch (name) {
    case "cubic":
      return new Cubic();
    case "reno":
      return RENO;
    case "bbr":
      return new Bbr();
    default:
      return null;
  }
}

export const CONGESTION_CONTROLS: readonly string[] = ["reno", "cubic", "bbr"];

// @rfc 5681 3.1c
/** Slow start: one segment more per segment acknowledged; returns what is left over at ssthresh. */
export function slowStart(tcb: Tcb, segs: number): number {
  const cwnd = Math.min(tcb.cwnd + segs, tcb.ssthresh, CWND_MAX);
  const left = segs - (cwnd - tcb.cwnd);
  tcb.cwnd = cwnd;
  return left;
}

/** Additive increase: one segment more per `perSegs` segments acknowledged. */
export function increase(tcb: Tcb, perSegs: number, segs: number): void {
  // Credits gathered at a slower pace are applied gently (Linux's tcp_cong_avoid_ai).
  if (tcb.cwndCount >= perSegs) {
    tcb.cwndCount = 0;
    tcb.cwnd = Math.min(tcb.cwnd + 1, CWND_MAX);
  }
  tcb.cwndCount += segs;
  if (tcb.cwndCount < perSegs) return;
  const steps = Math.floor(tcb.cwndCount / perSegs);
  tcb.cwndCount -= steps * perSegs;
  tcb.cwnd = Math.min(tcb.cwnd + steps, CWND_MAX);
}
