// Arming of a connection's one Timer: it stands at or before the earliest of the deadlines in the TCB. A
// deadline that moves back does not touch the queue; the timer then fires early, looks, and re-arms. So the
// packet path costs a compare (see timers.ts for what happens at the deadlines).

import type { Tcb } from "./tcb.ts";

export function schedule(tcb: Tcb, deadlineNs: number): void {
  if (deadlineNs < tcb.deadlineNs) tcb.ctx.timers.arm(tcb, deadlineNs);
}

export function reschedule(tcb: Tcb): void {
  const next = Math.min(tcb.rtxNs, tcb.ackNs, tcb.keepNs, tcb.lifeNs, tcb.paceNs);
  if (next === Number.POSITIVE_INFINITY) tcb.ctx.timers.disarm(tcb);
  else schedule(tcb, next);
}
