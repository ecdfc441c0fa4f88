// ICMP errors that quote one of our segments (RFC 5927, RFC 5461, RFC 1122 4.2.3.9). Believed only when
// the quoted sequence number is in flight. During the handshake they end it, as on Linux; afterwards they
// are soft: remembered, and told to the user if the connection then times out.

import { seqDiff, seqGe, seqGt, seqLt } from "../../base/seqnum.ts";
import { icmpErrorOf } from "../icmp/icmp-kind.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import {
  ICMP_KIND_ADMIN_PROHIBITED,
  ICMP_KIND_HOST_UNREACHABLE,
  ICMP_KIND_NET_UNREACHABLE,
  ICMP_KIND_PACKET_TOO_BIG,
  ICMP_KIND_PARAMETER_PROBLEM,
  ICMP_KIND_PORT_UNREACHABLE,
  ICMP_KIND_PROTOCOL_UNREACHABLE,
  ICMP_KIND_TIME_EXCEEDED,
  type IcmpError,
} from "../stack/transport.ts";
import { tcpDstPort, tcpSeq, tcpSrcPort } from "../wire/tcp.ts";
import { isIcmpIgnored } from "./auth-inbound.ts";
import type { TcpContext } from "./context.ts";
import { dropOption, isEarlyChild } from "./fastopen.ts";
import { syncMss } from "./mss.ts";
import { flushEvents } from "./on-segment.ts";
import { retransmitLarge } from "./retransmit.ts";
import { schedule } from "./schedule.ts";
import { armRetransmit } from "./sender.ts";
import { EVER_RETRANS } from "./sent-list.ts";
import { SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { closeTcb } from "./transitions.ts";
import { transmitSyn } from "./transmit.ts";

// @rfc 5927 4.1
/** The connection whose segment in flight the error quotes, or null: then it changes nothing (RFC 5927 4.1). */
export function quotedSender(ctx: TcpContext, error: IcmpError): Tcb | null {
  if (error.end - error.l4 < 8) return null;
  const ports = (tcpSrcPort(error.bytes, error.l4) << 16) | tcpDstPort(error.bytes, error.l4);
  const tcb = ctx.demux.find(error.src, error.dst, ports);
  if (tcb === null) {
    // It changes nothing there, and is counted.
    const keys = ctx.timeWaits.find(error.src, error.dst, ports)?.authKeys ?? null;
    if (keys !== null) isIcmpIgnored(ctx, keys, TIME_WAIT, error);
    return null;
  }
  const { authKeys } = tcb.options;
  if (authKeys !== null && isIcmpIgnored(ctx, authKeys, tcb.state, error)) return null;
  if (tcb.state === TIME_WAIT || tcb.isForwardPending) return null;
  const seq = tcpSeq(error.bytes, error.l4);
  const oldest = isEarlyChild(tcb) ? tcb.snd.iss : tcb.snd.una;
  const isBeyond =
    ctx.settings.strictEdges !== 0 ? seqGe(seq, tcb.snd.nxt) : seqGt(seq, tcb.snd.nxt);
  if (seqLt(seq, oldest) || isBeyond) {
    ctx.stats.OutOfWindowIcmps++;
    return null;
  }
  return tcb;
}

// @rfc 5927 5.2
// @rfc 9293 MUST-47 MUST-54 MUST-56
export function handleIcmpError(ctx: TcpContext, error: IcmpError): void {
  const tcb = quotedSender(ctx, error);
  if (tcb === null) return;
  const isEarly = isEarlyChild(tcb);
  if (error.kind === ICMP_KIND_PACKET_TOO_BIG) {
    lowerMss(tcb);
    return;
  }
  const meaning = icmpErrorOf(error);
  if (isEarly && !tcb.isAccepted) {
    closeTcb(tcb, meaning);
  } else if ((tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED) && !isEarly) {
    // A half-open child goes, as on Linux, when the way back to the peer is gone.
    endOpening(tcb, error, meaning);
  } else {
    if (isPathCut(error)) revertBackoff(tcb, tcpSeq(error.bytes, error.l4));
    if (tcb.options.receiveErrors) {
      tcb.error = meaning;
      tcb.events |= Ready.Error;
    } else {
      tcb.softError = meaning;
    }
  }
  flushEvents(tcb);
}

/** What RFC 6069 3 counts: no route any more. Of IPv6 Linux takes "no route" alone. */
const isPathCut = (error: IcmpError): boolean =>
  error.kind === ICMP_KIND_NET_UNREACHABLE ||
  (error.kind === ICMP_KIND_HOST_UNREACHABLE && error.src.isV4);

/** RFC 6069 4.2: a router had no way for the repetition. The silence is no sign of load, and one doubling is undone. */
function revertBackoff(tcb: Tcb, seq: number): void {
  const { head } = tcb.sent;
  if (tcb.ctx.settings.icmpMayEnd === 1) return;
  if (seq !== tcb.snd.una || tcb.retransmits === 0 || tcb.backoff === 0 || head === null) return;
  tcb.backoff--;
  armRetransmit(tcb);
  const sinceNs = Math.max(0, seqDiff(tcb.ctx.nowUs, head.sentUs)) * 1_000;
  tcb.rtxNs = Math.max(tcb.ctx.nowNs, tcb.rtxNs - sinceNs);
  schedule(tcb, tcb.rtxNs);
}

/** Precondition: the state is SYN-SENT or SYN-RECEIVED. */
function endOpening(tcb: Tcb, error: IcmpError, meaning: NetError): void {
  const { icmpMayEnd } = tcb.ctx.settings;
  if (icmpMayEnd === 1) {
    const refusal = refusalOf(error);
    if (refusal !== 0 && !tcb.isPassive) closeTcb(tcb, refusal);
    else tcb.softError = meaning;
    return;
  }
  const isStart = tcpSeq(error.bytes, error.l4) === tcb.snd.iss;
  if (icmpMayEnd === 0) tcb.softError = meaning;
  else if (!tcb.isPassive || (isStart && isRoute(error.kind))) {
    // What an unprivileged traceroute by TCP reads: which router refused the SYN.
    const now = tcb.ctx.clock.realtimeNs();
    tcb.owner?.errors.pushIcmp(error, meaning, tcb.remotePort, error.l4, now);
    closeTcb(tcb, meaning);
  }
}

/** 4.4BSD's PRC_*: what says that this host or port is not to be had, now or later. */
function refusalOf(error: IcmpError): NetError | 0 {
  switch (error.kind) {
    case ICMP_KIND_PROTOCOL_UNREACHABLE:
    case ICMP_KIND_PORT_UNREACHABLE:
    case ICMP_KIND_ADMIN_PROHIBITED:
      return NetErr.ConnectionRefused;
    case ICMP_KIND_TIME_EXCEEDED:
      return error.code === 0 ? NetErr.HostUnreachable : 0;
    default:
      return 0;
  }
}

const isRoute = (kind: number): boolean =>
  kind === ICMP_KIND_NET_UNREACHABLE ||
  kind === ICMP_KIND_HOST_UNREACHABLE ||
  kind === ICMP_KIND_TIME_EXCEEDED ||
  kind === ICMP_KIND_PARAMETER_PROBLEM;

// @rfc 8201 5.4
// @rfc 1191 6.5
/** The network layer has judged the new path MTU; what was sent too large goes again, cut smaller. */
function lowerMss(tcb: Tcb): void {
  const { route, sent } = tcb;
  if (route === null || tcb.options.mtuDiscover === 0) return;
  const before = tcb.snd.mss;
  syncMss(tcb);
  if (tcb.state === SYN_SENT && tcb.fastOpen !== null && tcb.fastOpen.dataBytes > 0) {
    // The SYN's data made it too large: the SYN goes again at once without it.
    dropOption(tcb);
    tcb.retransmits++;
    tcb.totalRetrans++;
    if (sent.head !== null) sent.head.flags |= EVER_RETRANS;
    armRetransmit(tcb);
    transmitSyn(tcb);
    return;
  }
  if (tcb.snd.mss >= before || tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED) return;
  retransmitLarge(tcb);
}
