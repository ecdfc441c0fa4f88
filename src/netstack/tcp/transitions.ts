// Changes of state with consequences outside the TCB: established, TIME_WAIT, closed, aborted. They keep
// the tables and counters of the context right. A closed TCB keeps its receive ring while the user may
// still read from it.

import { seqLt } from "../../base/seqnum.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { TIMESTAMPS_BYTES } from "../wire/tcp-options.ts";
import { sendAck } from "./ack-policy.ts";
import { OF_CONNECTION } from "./auth-keys.ts";
import { isEarlyChild } from "./fastopen.ts";
import { keepMetrics, useMetrics } from "./metrics.ts";
import { beginProbing } from "./mtu-probe.ts";
import { keepTimeWait } from "./on-time-wait.ts";
import { keepIdleNs } from "./options.ts";
import { noteRecovered } from "./rto-stats.ts";
import { reschedule, schedule } from "./schedule.ts";
import type { Segment } from "./segment.ts";
import { expandSendBuffer } from "./send-memory.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  ESTABLISHED,
  INITIAL_CWND,
  LISTEN,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "./state.ts";
import { setState, type Tcb } from "./tcb.ts";
import { transmitReset } from "./transmit.ts";

const NEVER = Number.POSITIVE_INFINITY;

const isHandshake = (state: number): boolean => state === SYN_SENT || state === SYN_RECEIVED;
const isCurrEstab = (state: number): boolean => state === ESTABLISHED || state === CLOSE_WAIT;

/** From SYN-SENT or SYN-RECEIVED; the caller has processed the acknowledging segment. */
export function enterEstablished(tcb: Tcb): void {
  const ctx = tcb.ctx;
  if (isEarlyChild(tcb)) {
    setState(tcb, ESTABLISHED);
    tcb.retransmits = tcb.backoff = tcb.troubleNs = 0;
    tcb.lastAckMs = ctx.nowMs;
    tcb.events |= Ready.Write;
    return;
  }
  if (tcb.state === SYN_RECEIVED && tcb.isPassive) ctx.halfOpenCount--;
  tcb.lifeNs = NEVER;
  setState(tcb, ESTABLISHED);
  ctx.connectionCount++;
  startTransfer(tcb);
}

// @rfc 5681 3.1b
/**
 * Whether SYNs were lost so badly that data begins with one segment. RFC 5681 3.1 asks for that after the first
 * loss; RFC 6298's short timeout makes Linux wait for the second (tcp_init_transfer), unless the answer echoes
 * the first SYN: then nothing was lost (tcp_try_undo_spurious_syn). To be asked before a sample changes the timer.
 */
export function isSynLossGrave(tcb: Tcb, seg: Segment): boolean {
  if (tcb.retransmits < 2) return false;
  if (!tcb.tsOk || !seg.options.hasTimestamps || seg.options.tsEcr === 0) return true;
  const repeatedMs = Math.floor((tcb.troubleNs + tcb.rtt.rtoUs * 1_000) / 1_000_000) | 0;
  return !seqLt((seg.options.tsEcr - tcb.tsOffset) | 0, repeatedMs);
}

/** What a connection sets up before data flows. */
export function startTransfer(tcb: Tcb): void {
  const { ctx } = tcb;
  noteRecovered(tcb);
  tcb.retransmits = 0;
  tcb.backoff = 0;
  tcb.troubleNs = 0;
  tcb.lastReceivedMs = ctx.nowMs;
  tcb.lastAckMs = ctx.nowMs;
  tcb.lastSentMs = ctx.nowMs;
  tcb.rcvSpaceSeq = tcb.rcv.copied;
  tcb.rcvSpaceUs = ctx.nowUs;
  // tcp_init_buffer_space.
  const segment = tcb.rcv.advertisedMss - (tcb.tsOk ? TIMESTAMPS_BYTES : 0);
  tcb.rcvSpaceBytes = Math.min(tcb.rcv.ssthresh, tcb.rcv.wnd, INITIAL_CWND * segment);
  useMetrics(tcb);
  beginProbing(tcb);
  tcb.congestion.begin?.(tcb);
  // tcp_init_buffer_space. A child shares its listener's options until it has an endpoint.
  if (tcb.owner !== null) expandSendBuffer(tcb);
  tcb.events |= Ready.Write;
  armKeepalive(tcb);
}

export function armKeepalive(tcb: Tcb): void {
  if (!tcb.options.keepAlive || isHandshake(tcb.state) || tcb.state === TIME_WAIT) {
    tcb.keepNs = NEVER;
    return;
  }
  tcb.keepNs = tcb.ctx.nowNs + keepIdleNs(tcb.options, tcb.ctx.settings);
  schedule(tcb, tcb.keepNs);
}

// @rfc 9293 MUST-13
/** Both FINs are acknowledged: a TimeWait stands for the connection; the Tcb only keeps what is to be read. */
export function enterTimeWait(tcb: Tcb): void {
  handOver(tcb, 0);
}

/** An orphan waits for the peer's FIN with little memory (tcp_time_wait with TCP_FIN_WAIT2). */
export function handOverFinWait2(tcb: Tcb, lastsNs: number): void {
  handOver(tcb, lastsNs);
}

function handOver(tcb: Tcb, finWait2Ns: number): void {
  if (tcb.isAckNow || tcb.isAckPending) sendAck(tcb);
  leaveState(tcb);
  const { ctx } = tcb;
  ctx.demux.remove(tcb);
  ctx.ports.remove(tcb);
  keepTimeWait(tcb, finWait2Ns);
  setState(tcb, TIME_WAIT);
  release(tcb);
}

/** The end: out of all tables. `error` is what the user will be told, 0 for an orderly end. */
export function closeTcb(tcb: Tcb, error: NetError | 0): void {
  if (tcb.state === CLOSED) return;
  const ctx = tcb.ctx;
  leaveState(tcb);
  setState(tcb, CLOSED);
  if (error !== 0) tcb.error = error;
  ctx.demux.remove(tcb);
  ctx.ports.remove(tcb);
  release(tcb);
  if (error !== 0) tcb.events |= Ready.Error;
}

/** Timers, memory, keys and the listener are let go of. */
function release(tcb: Tcb): void {
  tcb.options.authKeys?.letGo(tcb.ctx, OF_CONNECTION);
  tcb.rtxNs = tcb.ackNs = tcb.keepNs = tcb.lifeNs = tcb.paceNs = NEVER;
  tcb.isAckNow = tcb.isAckPending = false;
  reschedule(tcb);
  tcb.sent.clear();
  tcb.sendRing.free();
  tcb.notices?.abandon();
  // una and nxt stay: what was left unsaid can still be asked for (SIOCOUTQ).
  tcb.snd.base = tcb.snd.end;
  tcb.outOfOrder.dropBelow(tcb.outOfOrder.count > 0 ? tcb.outOfOrder.last : 0);
  if (tcb.isOrphan || tcb.readable <= 0) tcb.receiveRing.free();
  if (tcb.listener !== null) tcb.listener.onChildClosed(tcb);
  tcb.events |= Ready.Read | Ready.Write | Ready.ReadClosed | Ready.Hangup;
}

function leaveState(tcb: Tcb): void {
  const { ctx, state } = tcb;
  if (tcb.isOrphanCounted) {
    tcb.isOrphanCounted = false;
    ctx.orphanCount--;
  }
  switch (state) {
    case SYN_RECEIVED:
      if (isEarlyChild(tcb)) break;
      if (tcb.isPassive) ctx.halfOpenCount--;
      ctx.stats.AttemptFails++;
      return;
    case SYN_SENT:
      ctx.stats.AttemptFails++;
      return;
    case CLOSED:
    case LISTEN:
    case TIME_WAIT:
      return;
  }
  keepMetrics(tcb);
  ctx.connectionCount--;
}

/** Gives up, with a RST when the peer should know. */
export function abortTcb(tcb: Tcb, error: NetError | 0, withReset: boolean): void {
  if (withReset && tcb.state !== SYN_SENT && tcb.state !== CLOSED && tcb.state !== TIME_WAIT) {
    transmitReset(tcb);
  }
  if (isCurrEstab(tcb.state)) tcb.ctx.stats.EstabResets++;
  closeTcb(tcb, error);
}

// @rfc 9293 MUST-11 MUST-12
/** A valid RST arrived (RFC 9293 3.10.7.4, second step; the errors are Linux's). */
export function onReset(tcb: Tcb): void {
  if (isCurrEstab(tcb.state)) tcb.ctx.stats.EstabResets++;
  switch (tcb.state) {
    case SYN_SENT:
      closeTcb(tcb, NetErr.ConnectionRefused);
      break;
    case SYN_RECEIVED:
      if (tcb.isPassive) tcb.ctx.stats.EmbryonicRsts++;
      closeTcb(tcb, tcb.isPassive ? NetErr.ConnectionReset : NetErr.ConnectionRefused);
      break;
    case CLOSE_WAIT:
      closeTcb(tcb, tcb.ctx.settings.closeWaitPipe ? NetErr.BrokenPipe : NetErr.ConnectionReset);
      break;
    default:
      closeTcb(tcb, NetErr.ConnectionReset);
  }
}
