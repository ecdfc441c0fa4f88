// What a connection spends its time on (TCP_INFO's busy, rwnd-limited and sndbuf-limited times): one clock
// at a time runs, the most specific reason first. Data and functions; the callers say what begins and ends.

import { seqDiff } from "../../base/seqnum.ts";
import type { Tcb } from "./tcb.ts";

export const CHRONO_NONE = 0;
export const CHRONO_BUSY = 1;
export const CHRONO_RWND = 2;
export const CHRONO_SNDBUF = 3;

export class Chrono {
  kind = CHRONO_NONE;
  startUs = 0;
  busyUs = 0;
  rwndUs = 0;
  sndbufUs = 0;
}

function change(tcb: Tcb, kind: number): void {
  if (tcb.chrono === null) tcb.chrono = new Chrono();
  const c = tcb.chrono;
  const now = tcb.ctx.nowUs;
  const us = seqDiff(now, c.startUs);
  if (c.kind === CHRONO_BUSY) c.busyUs += us;
  else if (c.kind === CHRONO_RWND) c.rwndUs += us;
  else if (c.kind === CHRONO_SNDBUF) c.sndbufUs += us;
  c.startUs = now;
  c.kind = kind;
}

/** A more specific reason displaces a general one. */
export function chronoStart(tcb: Tcb, kind: number): void {
  if (tcb.chrono === null || kind > tcb.chrono.kind) change(tcb, kind);
}

/** `kind` holds no more: busy while anything is unacknowledged or unsent. */
export function chronoStop(tcb: Tcb, kind: number): void {
  if (tcb.chrono === null) return;
  const isIdle = tcb.sent.packetsOut === 0 && tcb.snd.end === tcb.snd.nxt;
  if (isIdle) {
    if (tcb.chrono.kind !== CHRONO_NONE) change(tcb, CHRONO_NONE);
  } else if (kind === tcb.chrono.kind) {
    change(tcb, CHRONO_BUSY);
  }
}

/** Microseconds of one kind up to now; busy counts them all. */
export function chronoUs(tcb: Tcb, kind: number): number {
  const c = tcb.chrono;
  if (c === null) return 0;
  const running = c.kind === CHRONO_NONE ? 0 : seqDiff(tcb.ctx.nowUs, c.startUs);
  if (kind === CHRONO_RWND) return c.rwndUs + (c.kind === kind ? running : 0);
  if (kind === CHRONO_SNDBUF) return c.sndbufUs + (c.kind === kind ? running : 0);
  return c.busyUs + c.rwndUs + c.sndbufUs + running;
}
