// What happens at a connection's deadlines: retransmission (RFC 6298 5.4-5.7), persist (RFC 9293 3.8.6.1),
// delayed ACK, cork, keepalive (RFC 9293 3.8.4), user timeout, and the end of TIME-WAIT and FIN-WAIT-2.

import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { ACK } from "../wire/tcp.ts";
import { sendAck } from "./ack-policy.ts";
import { dropOption, isEarlyChild } from "./fastopen.ts";
import { finWait2Ns, isHopeless, isLongTrouble, orphanRetries } from "./give-up.ts";
import { detectBlackHole } from "./mtu-probe.ts";
import { finish } from "./on-segment.ts";
import { keepCount, keepIdleNs, keepIntervalNs, synCount } from "./options.ts";
import { enterLoss, onReorderTimer } from "./recovery.ts";
import { retransmitLost, retransmitRecord } from "./retransmit.ts";
import { noteTimeout } from "./rto-stats.ts";
import { reschedule, schedule } from "./schedule.ts";
import { armPersist, armRetransmit, isWaiting, output } from "./sender.ts";
import { EVER_RETRANS, HAS_SYN } from "./sent-list.ts";
import {
  CA_DISORDER,
  CA_LOSS,
  CA_RECOVERY,
  CLOSED,
  ESTABLISHED,
  FIN_WAIT_2,
  RTX_CORK,
  RTX_PERSIST,
  RTX_REORDER,
  RTX_TLP,
  SSTHRESH_INFINITE,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
  TIME_WAIT_NS,
} from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { onProbeTimer } from "./tlp.ts";
import { abortTcb, closeTcb, handOverFinWait2 } from "./transitions.ts";
import { transmit, transmitSyn } from "./transmit.ts";

const NEVER = Number.POSITIVE_INFINITY;

export function onTimer(tcb: Tcb): void {
  const ctx = tcb.ctx;
  ctx.enter();
  const now = ctx.nowNs;
  if (tcb.lifeNs <= now) onLifeOver(tcb);
  if (tcb.ackNs <= now && tcb.isAckPending) onDelayedAck(tcb);
  if (tcb.paceNs <= now) {
    tcb.paceNs = NEVER;
    if (tcb.sent.lostOut > tcb.sent.retransOut) retransmitLost(tcb);
  }
  if (tcb.rtxNs <= now) onTransmitTimer(tcb);
  if (tcb.keepNs <= now) onKeepalive(tcb);
  if (tcb.state === CLOSED) {
    finish(tcb);
    return;
  }
  finish(tcb);
  reschedule(tcb);
}

/** Linux's TCP_RESOURCE_PROBE_INTERVAL: senders contend for the local link at a steady pace. */
const RESOURCE_PROBE_NS = 500_000_000;

/** TCP_THIN_LINEAR_RETRIES, and tcp_stream_is_thin's bound. */
const THIN_LINEAR_RETRIES = 6;
const THIN_PACKETS = 4;

function onTransmitTimer(tcb: Tcb): void {
  tcb.rtxNs = NEVER;
  switch (tcb.rtxKind) {
    case RTX_REORDER:
      onReorderTimer(tcb);
      break;
    case RTX_TLP:
      onProbeTimer(tcb);
      break;
    case RTX_PERSIST:
    case RTX_CORK:
      onPersist(tcb);
      break;
    default:
      onRetransmit(tcb);
  }
}

function onLifeOver(tcb: Tcb): void {
  tcb.lifeNs = NEVER;
  if (tcb.state === FIN_WAIT_2 && tcb.ctx.settings.smallFinWait2 !== 0) {
    onFinWait2Over(tcb);
    return;
  }
  // An orphan's FIN never came; a gateway never decided. Neither is worth a word.
  const isOpening = tcb.state === SYN_SENT || (tcb.state === SYN_RECEIVED && !tcb.isPassive);
  closeTcb(tcb, isOpening ? NetErr.TimedOut : 0);
}

/** tcp_keepalive_timer: what is left of a wait longer than TIME-WAIT's takes no Tcb; otherwise it ends here. */
function onFinWait2Over(tcb: Tcb): void {
  const leftNs = finWait2Ns(tcb) - TIME_WAIT_NS;
  if (leftNs > 0) handOverFinWait2(tcb, leftNs);
  else abortTcb(tcb, 0, true);
}

function onDelayedAck(tcb: Tcb): void {
  tcb.ctx.stats.DelayedACKs++;
  // The guess that our own data would carry the ACK was wrong.
  tcb.isPingPong = false;
  sendAck(tcb);
}

// @rfc 6298 5.5
// @rfc 9293 MUST-19
function onRetransmit(tcb: Tcb): void {
  const isEarly = isEarlyChild(tcb);
  if (tcb.sent.packetsOut === 0 && !isEarly) return;
  if (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED || isEarly) {
    onSynTimeout(tcb);
    return;
  }
  const ctx = tcb.ctx;
  // Patience is counted from the first retransmission (Linux's retrans_stamp).
  if (tcb.troubleNs === 0) tcb.troubleNs = Math.max(1, ctx.nowNs);
  if (tcb.retransmits > 0 && isHopeless(tcb)) {
    giveUp(tcb);
    return;
  }
  if (isLongTrouble(tcb)) detectBlackHole(tcb);
  if (tcb.retransmits === 0) countFailure(tcb);
  ctx.stats.TCPTimeouts++;
  enterLoss(tcb);
  noteTimeout(tcb);
  tcb.retransmits++;
  if (tcb.sent.head !== null) {
    const { linkDrops } = ctx.network;
    if (!retransmitRecord(tcb, tcb.sent.head, 1) && ctx.network.linkDrops !== linkDrops) {
      // Our own link is full: no fault of the path, so no back-off.
      armRetransmit(tcb);
      tcb.rtxNs = ctx.nowNs + RESOURCE_PROBE_NS;
      schedule(tcb, tcb.rtxNs);
      return;
    }
  }
  if (isThin(tcb)) tcb.backoff = 0;
  else if (tcb.backoff < 20) tcb.backoff++;
  armRetransmit(tcb);
}

/**
 * tcp_thin_linear_timeouts: a stream of a few packets cannot recover by duplicate ACKs; its first timeouts come at a
 * steady pace.
 */
function isThin(tcb: Tcb): boolean {
  const isWanted = tcb.options.thinLinearTimeouts || tcb.ctx.settings.thinLinearTimeouts !== 0;
  return (
    isWanted &&
    tcb.state === ESTABLISHED &&
    tcb.sent.packetsOut < THIN_PACKETS &&
    tcb.ssthresh < SSTHRESH_INFINITE &&
    tcb.retransmits <= THIN_LINEAR_RETRIES
  );
}

/** What had been under way when the timeout came. */
function countFailure(tcb: Tcb): void {
  const { stats } = tcb.ctx;
  if (tcb.caState === CA_RECOVERY) {
    if (tcb.sackOk) stats.TCPSackRecoveryFail++;
    else stats.TCPRenoRecoveryFail++;
  } else if (tcb.caState === CA_LOSS) {
    stats.TCPLossFailures++;
  } else if (tcb.caState === CA_DISORDER || tcb.sent.sackedOut > 0) {
    if (tcb.sackOk) stats.TCPSackFailures++;
    else stats.TCPRenoFailures++;
  }
}

// @rfc 9293 MUST-22
function onSynTimeout(tcb: Tcb): void {
  const isPassive = tcb.isPassive;
  const { settings } = tcb.ctx;
  const userMax = synCount(tcb.options, settings);
  const max = isPassive ? settings.synAckRetries : userMax + settings.synLinearTimeouts;
  const userNs = tcb.options.userTimeoutNs;
  if (tcb.troubleNs === 0) tcb.troubleNs = Math.max(1, tcb.ctx.nowNs - tcb.rtt.rtoUs * 1_000);
  const isUserTimeout = !isPassive && userNs > 0 && tcb.ctx.nowNs - tcb.troubleNs >= userNs;
  if ((tcb.retransmits >= max && !isAcceptDeferred(tcb)) || isUserTimeout) {
    giveUp(tcb);
    return;
  }
  // The SYN-ACKs of a child that nobody holds yet are Linux's request_sock's.
  if (!isPassive || isEarlyChild(tcb)) noteTimeout(tcb);
  tcb.retransmits++;
  // Linux repeats the first SYNs at a steady pace (tcp_syn_linear_timeouts).
  if (isPassive || tcb.retransmits > tcb.ctx.settings.synLinearTimeouts) tcb.backoff++;
  tcb.ctx.stats.TCPTimeouts++;
  if (isAcceptDeferred(tcb)) {
    armRetransmit(tcb);
    return;
  }
  tcb.ctx.stats.TCPSynRetrans++;
  tcb.ctx.stats.RetransSegs++;
  tcb.totalRetrans++;
  const head = tcb.sent.head;
  if (head !== null && (head.flags & HAS_SYN) !== 0) head.flags |= EVER_RETRANS;
  dropOption(tcb);
  const { synDropOptions } = settings;
  if (synDropOptions > 0 && tcb.retransmits >= synDropOptions && !isPassive) {
    tcb.wscaleOk = tcb.tsOk = tcb.sackOk = false;
  }
  armRetransmit(tcb);
  transmitSyn(tcb);
}

/** TCP_DEFER_ACCEPT: the SYN-ACK has its ACK, and goes again only with the last timeout (syn_ack_recalc). */
const isAcceptDeferred = (tcb: Tcb): boolean =>
  tcb.isDeferred && tcb.retransmits < tcb.options.deferAcceptTimeouts;

function giveUp(tcb: Tcb): void {
  tcb.ctx.stats.TCPAbortOnTimeout++;
  closeTcb(tcb, tcb.softError !== 0 ? tcb.softError : NetErr.TimedOut);
}

// @rfc 3168 6.1.6
// @rfc 9293 MUST-35 MUST-37
/** Nothing in flight, data waiting: for the user's cork, or for the peer's window. */
function onPersist(tcb: Tcb): void {
  const { snd, ctx } = tcb;
  if (tcb.sent.packetsOut > 0 || !isWaiting(tcb)) return;
  if (tcb.rtxKind === RTX_CORK) {
    tcb.rtxKind = RTX_PERSIST;
    forceOutput(tcb);
    return;
  }
  if (tcb.troubleNs === 0) tcb.troubleNs = ctx.nowNs;
  const isUserTimeout =
    tcb.options.userTimeoutNs > 0 && ctx.nowNs - tcb.troubleNs >= tcb.options.userTimeoutNs;
  // A peer that answers probes may keep its window shut for ever (RFC 9293 MUST-36); a silent one not. With
  // nobody here to keep it for, it may for as long as the probes' back-off grows (Linux's tcp_probe_timer).
  const max = tcb.isOrphan ? orphanRetries(tcb) : ctx.settings.retries2;
  const isAbandoned =
    tcb.isOrphan && tcb.rtt.rtoUs * 2 ** tcb.backoff >= tcb.options.timing.rtoMaxUs;
  if (tcb.probesOut > max || isUserTimeout || isAbandoned) {
    giveUp(tcb);
    return;
  }
  tcb.probesOut++;
  const { linkDrops } = ctx.network;
  if (seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt) > 0) {
    forceOutput(tcb);
  } else {
    // An old sequence number makes the peer answer with its window; no byte is spent on it.
    ctx.stats.TCPWinProbe++;
    transmit(tcb, seqAdd(snd.una, -1), 0, ACK, snd.mss);
  }
  if (tcb.sent.packetsOut > 0) return;
  if (ctx.network.linkDrops !== linkDrops) {
    tcb.rtxKind = RTX_PERSIST;
    tcb.rtxNs = ctx.nowNs + RESOURCE_PROBE_NS;
    schedule(tcb, tcb.rtxNs);
    return;
  }
  if (tcb.backoff < 20) tcb.backoff++;
  armPersist(tcb, false);
}

function forceOutput(tcb: Tcb): void {
  tcb.isPushForced = tcb.isProbing = true;
  output(tcb, false);
  tcb.isPushForced = tcb.isProbing = false;
}

// @rfc 9293 MUST-24 MUST-26 MUST-27 MUST-29
function onKeepalive(tcb: Tcb): void {
  const { ctx, options, snd } = tcb;
  tcb.keepNs = NEVER;
  if (!options.keepAlive || tcb.state === TIME_WAIT || tcb.state === CLOSED) return;
  const idleNs = seqDiff(ctx.nowMs, tcb.lastAckMs) * 1_000_000;
  const patienceNs = keepIdleNs(options, ctx.settings);
  let waitNs = patienceNs;
  if (tcb.sent.packetsOut === 0 && seqDiff(snd.end, snd.nxt) === 0) {
    if (idleNs >= patienceNs) {
      const isDead =
        options.userTimeoutNs > 0
          ? idleNs >= options.userTimeoutNs && tcb.keepProbes > 0
          : tcb.keepProbes >= keepCount(options, ctx.settings);
      if (isDead) {
        ctx.stats.TCPAbortOnTimeout++;
        abortTcb(tcb, tcb.softError !== 0 ? tcb.softError : NetErr.TimedOut, true);
        return;
      }
      ctx.stats.TCPKeepAlive++;
      tcb.keepProbes++;
      transmit(tcb, seqAdd(snd.una, -1), 0, ACK, snd.mss);
      waitNs = keepIntervalNs(options, ctx.settings);
    } else {
      waitNs = patienceNs - idleNs;
    }
  }
  tcb.keepNs = ctx.nowNs + waitNs;
  schedule(tcb, tcb.keepNs);
}
