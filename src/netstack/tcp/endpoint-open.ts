// Opening of a TCP endpoint (RFC 9293 3.10.1): connect(), alone or with data (RFC 7413), listen() and accept(). The
// segments of it: handshake.ts; who waits in a listener: listener.ts.

import type { TcpEndpoint } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { flowKey } from "../stack/flow-key.ts";
import type { Route } from "../stack/transport.ts";
import { PROTO_TCP } from "../wire/ipv4.ts";
import { chooseForPeer } from "./auth-keys.ts";
import { destinationOf, loadSynData } from "./calls.ts";
import { DataEndpoint } from "./endpoint-data.ts";
import { isClientEnabled, maySendSynData, prepareClient } from "./fastopen.ts";
import { installActive, keptAddr, newTcb, startActive } from "./handshake.ts";
import { Listener } from "./listener.ts";
import { flushEvents } from "./on-segment.ts";
import { CLOSED, SYN_RECEIVED, SYN_SENT } from "./state.ts";
import type { Tcb } from "./tcb.ts";

export abstract class OpenEndpoint extends DataEndpoint {
  // @rfc 9293 MUST-44 MUST-45 MUST-46
  connect(addr: IpAddr, port: number): NetError | 0 {
    return this.begin(addr, port, null, 0, 0) as NetError | 0;
  }

  connectWithData(
    addr: IpAddr,
    port: number,
    src: Uint8Array,
    offset: number,
    length: number,
  ): number {
    if (!isClientEnabled(this.ctx)) return NetErr.NotSupported;
    const tcb = this.tcb;
    if (tcb !== null && (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED)) {
      return NetErr.AlreadyConnecting;
    }
    if (tcb !== null && this.state !== CLOSED && tcb.error === 0) {
      // Connected since: the first such call reports that by sending.
      const again = this.connectAgain(tcb);
      return again === 0 ? this.write(src, offset, length, 0) : (again ?? NetErr.IsConnected);
    }
    return this.begin(addr, port, src, offset, length);
  }

  hasFastOpenCookie(addr: IpAddr): boolean {
    const ctx = this.ctx;
    return maySendSynData(ctx, ctx.fastOpenCache.find(addr), this.options.fastOpenNoCookie);
  }

  protected begin(
    addr: IpAddr,
    port: number,
    src: Uint8Array | null,
    offset: number,
    length: number,
  ): number {
    if (this.listener !== null) return NetErr.IsConnected;
    const old = this.tcb;
    if (old !== null) {
      this.givePortBack();
      const again = this.connectAgain(old);
      if (again !== null) return again;
    }
    this.error = 0;
    const remote = destinationOf(this.family, this.options.v6Only, addr);
    if (typeof remote === "number") return remote;
    const ctx = this.ctx;
    ctx.enter();
    if (ctx.demux.count >= ctx.limits.connections + ctx.limits.halfOpenConnections) {
      return NetErr.NoBuffers;
    }
    const from = this.isAddrBound ? this.localAddr : null;
    const { boundNicId, mark, uid, tos } = this.options;
    const toCome = this.headersToCome;
    const own = remote.isV4 ? toCome?.ip : toCome?.extensions;
    const options = own ?? null;
    const key = flowKey(PROTO_TCP, this.localPort, port, uid, tos);
    let route =
      options === null
        ? ctx.network.findConnectRoute(from, remote, boundNicId, mark, key)
        : ctx.network.findOptionRoute(options, from, remote, boundNicId, mark, key);
    if (typeof route === "number") return route;
    if (route.isBroadcast) return NetErr.NetworkUnreachable;
    if (!this.isAddrBound) this.localAddr = route.src;
    this.remoteAddr = keptAddr(remote, route.dst);
    this.remotePort = port;
    const { authKeys } = this.options;
    const error =
      (authKeys === null ? 0 : chooseForPeer(ctx, authKeys, remote)) || this.ensurePort();
    if (error !== 0) return error;
    if (ctx.network.asksFlow) {
      // ip_route_newports: the port that was just chosen has its say.
      const chosen = flowKey(PROTO_TCP, this.localPort, port, uid, tos);
      const { localAddr } = this;
      route = ctx.network.findOptionRoute(options, localAddr, remote, boundNicId, mark, chosen);
      if (typeof route === "number") return route;
    }
    return this.open(route, src, offset, length);
  }

  /** A second connect(): Linux's answers. null: start afresh. */
  protected connectAgain(tcb: Tcb): NetError | 0 | null {
    if (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED) return NetErr.AlreadyConnecting;
    if (tcb.error !== 0) return this.takeError();
    if (this.state === CLOSED) {
      this.letGo(tcb);
      this.isConnectReported = false;
      return null;
    }
    if (this.isConnectReported) return NetErr.IsConnected;
    this.isConnectReported = true;
    return 0;
  }

  protected open(route: Route, src: Uint8Array | null, offset: number, length: number): number {
    const tcb = newTcb(this.ctx, this.options, route, this.localAddr, this.remoteAddr);
    tcb.ports = (this.localPort << 16) | this.remotePort;
    this.adopt(tcb);
    // Shut down before it was connected: it stays so.
    if ((this.shut & 1) !== 0) tcb.receiveShutdown = true;
    if ((this.shut & 2) !== 0) tcb.sendShutdown = true;
    installActive(tcb, this.predecessor);
    this.predecessor = null;
    let taken = 0;
    if (src !== null || this.options.fastOpenConnect) {
      const room = prepareClient(tcb);
      taken = src === null ? 0 : loadSynData(tcb, src, offset, Math.min(room, length));
    }
    if (tcb.fastOpen !== null) tcb.fastOpen.hasMore = taken < length;
    startActive(tcb, taken);
    flushEvents(tcb);
    return taken > 0 ? taken : NetErr.InProgress;
  }

  protected adopt(tcb: Tcb): void {
    this.tcb = tcb;
    tcb.owner = this;
    this.remotePort = tcb.remotePort;
  }

  listen(backlog: number): NetError | 0 {
    const ctx = this.ctx;
    if (this.listener !== null) {
      this.listener.backlog = backlog;
      return 0;
    }
    if (this.state !== CLOSED || this.isClosed) return NetErr.InvalidArgument;
    this.givePortBack();
    if (this.localPort === 0 || this.isPortGone) {
      const error = this.bind(this.localAddr, 0);
      if (error !== 0) return error;
    }
    // SO_REUSEADDR lets sockets share a port only until one of them listens; it counts for what an earlier
    // listening has left as well (inet_csk_listen_start).
    if (!ctx.ports.mayBind(this, this.localAddr, this.localPort)) {
      return NetErr.AddressInUse;
    }
    const listener = new Listener(this, backlog);
    this.listener = listener;
    if (this.tcb !== null) this.letGo(this.tcb);
    ctx.listeners.add(listener);
    return 0;
  }

  accept(): TcpEndpoint | null {
    return this.listener === null ? null : this.listener.accept();
  }

  get acceptQueueLength(): number {
    return this.listener?.queueLength ?? 0;
  }

  get backlog(): number {
    return this.listener?.backlog ?? 0;
  }
}
