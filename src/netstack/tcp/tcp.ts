// The TCP protocol of one stack: packets, ICMP errors and forward requests in, endpoints out. Checks the
// header and the checksum, finds the connection, and lets on-segment.ts do the rest.

import type { TcpEndpoint } from "../endpoints.ts";
import type { Family } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { runFilter } from "../packet/filter.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { IcmpError, NetworkLayer, TransportProtocol } from "../stack/transport.ts";
import { pseudoSum, sum16 } from "../wire/checksum.ts";
import { checkTcp, TCP_PROTOCOL } from "../wire/tcp.ts";
import { AUTH_NONE } from "../wire/tcp-auth.ts";
import { isAuthentic } from "./auth-inbound.ts";
import { TcpContext, type TcpResources } from "./context.ts";
import { Endpoint } from "./endpoint.ts";
import type { ForwardHandler } from "./forwarder.ts";
import { onListen } from "./handshake.ts";
import { handleIcmpError, quotedSender } from "./icmp-error.ts";
import { flushEvents, onSegment } from "./on-segment.ts";
import { onTimeWait } from "./on-time-wait.ts";
import type { TcpSettings } from "./settings.ts";
import type { TcpStats } from "./stats.ts";
import { type Tcb, warm } from "./tcb.ts";
import { onTimer } from "./timers.ts";
import { closeTcb } from "./transitions.ts";

export type { TcpResources } from "./context.ts";

export class TcpProtocol implements TransportProtocol {
  readonly protocol = TCP_PROTOCOL;
  /** Shared by every connection; tests and /proc look in. */
  readonly context: TcpContext;

  constructor(network: NetworkLayer, resources: TcpResources) {
    this.context = new TcpContext(network, resources, Endpoint.ofTcb, onTimer);
  }

  /** The sysctls of this stack's TCP. */
  get settings(): TcpSettings {
    return this.context.settings;
  }
  get stats(): TcpStats {
    return this.context.stats;
  }

  newEndpoint(family: Family): TcpEndpoint | NetError {
    const endpoint = new Endpoint(this.context, family);
    endpoint.options.congestion = this.settings.congestion;
    return endpoint;
  }

  /** SYNs to any address without a listener go to the handler; null: they get a RST. */
  setForwarder(handler: ForwardHandler | null): void {
    this.context.forwarder = handler;
  }

  /** `ip tcp_metrics flush`: forgets what was learned of other hosts. */
  flushMetrics(): void {
    this.context.fastOpenCache.clear();
    this.context.metrics.clear();
  }

  /** Ends a connection without a word to the peer. */
  drop(tcb: Tcb): void {
    this.context.enter();
    closeTcb(tcb, NetErr.ConnectionAborted);
    flushEvents(tcb);
  }

  onPacket(pkt: PacketBuffer): void {
    const ctx = this.context;
    const { stats, segment } = ctx;
    stats.InSegs++;
    if (!checkTcp(pkt.bytes, pkt.l4, pkt.end)) {
      stats.InErrs++;
      return;
    }
    if (!pkt.checksumValid && !isChecksumRight(pkt)) {
      stats.InCsumErrors++;
      stats.InErrs++;
      return;
    }
    ctx.enter();
    segment.parse(pkt);
    const ports = (segment.dstPort << 16) | segment.srcPort;
    const tcb = ctx.demux.find(pkt.dst, pkt.src, ports);
    if (tcb !== null) {
      ctx.seen = warm(tcb);
      const { filter, authKeys } = tcb.options;
      if (
        (authKeys !== null || segment.options.authAt !== AUTH_NONE) &&
        !isAuthentic(ctx, authKeys, tcb, segment)
      )
        return;
      // tcp_filter: a segment may be refused, not cut short.
      if (filter === null || runFilter(filter, pkt, pkt.l4, pkt.end) > 0) onSegment(tcb, segment);
      return;
    }
    const tw = ctx.timeWaits.find(pkt.dst, pkt.src, ports);
    if (tw !== null) onTimeWait(ctx, tw, segment);
    else onListen(ctx, segment, null);
  }

  mayHaveSent(error: IcmpError): boolean {
    this.context.enter();
    return quotedSender(this.context, error) !== null;
  }

  onIcmpError(error: IcmpError): void {
    this.context.enter();
    handleIcmpError(this.context, error);
  }

  /** The stack goes away: every connection ends without a word. */
  close(): void {
    this.context.enter();
    for (const tcb of [...this.context.demux.all()]) {
      tcb.owner = null;
      closeTcb(tcb, 0);
    }
    for (const tw of [...this.context.timeWaits.all()]) this.context.timeWaits.remove(tw);
  }
}

// @rfc 9293 MUST-3
function isChecksumRight(pkt: PacketBuffer): boolean {
  const length = pkt.end - pkt.l4;
  const seed = pseudoSum(pkt.src, pkt.dst, TCP_PROTOCOL, length);
  return sum16(pkt.bytes, pkt.l4, length, seed, pkt.slabAt) === 0xffff;
}
