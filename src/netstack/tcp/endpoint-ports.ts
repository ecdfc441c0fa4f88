// The local name of a TCP endpoint: bind(), the port that connect() chooses (RFC 6056), when a port is given back, and
// whether a 4-tuple is free. Which endpoints may share a port: tcp-ports.ts and stack/ports.ts.

import { IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PortProbe } from "../stack/ports.ts";
import { EndpointBase } from "./endpoint-base.ts";
import { isReusable } from "./on-time-wait.ts";
import { CLOSED } from "./state.ts";

export abstract class PortEndpoint extends EndpointBase implements PortProbe {
  // @rfc 9293 MUST-43
  bind(addr: IpAddr, port: number): NetError | 0 {
    this.givePortBack();
    const holdsPort = this.localPort !== 0 && !this.isPortGone;
    if (holdsPort || this.state !== CLOSED || port < 0 || port > 0xffff) {
      return NetErr.InvalidArgument;
    }
    if (addr.isV4 ? this.family === IPV6 && this.options.v6Only : this.family === IPV4) {
      return NetErr.InvalidArgument;
    }
    const isAssigned =
      addr.isUnspecified || this.options.freeBind || this.ctx.network.isLocalAddress(addr);
    if (!isAssigned || addr.isMulticast) return NetErr.AddressNotAvailable;
    if (port === 0 && this.options.bindNoPort && !addr.isUnspecified) {
      this.localAddr = addr.clone();
      this.isAddrBound = true;
      return 0;
    }
    const { ports } = this.ctx;
    let chosen = port;
    if (port === 0) {
      const isPortFree = (p: number): boolean => ports.mayBind(this, addr, p);
      chosen = ports.ephemeral.pickAny({ isPortFree }, this.options.portRange);
      if (chosen === 0) return NetErr.AddressInUse;
    } else if (!ports.mayBind(this, addr, port)) {
      return NetErr.AddressInUse;
    }
    this.localAddr = addr.clone();
    this.localPort = chosen;
    this.isAddrBound = !addr.isUnspecified;
    this.isPortNamed = port !== 0;
    this.isPortGone = false;
    this.isAutobound = false;
    return ports.endpoints.add(this, chosen);
  }

  /** The end of a connection gives back a port that bind() did not name (tcp_set_state); done when it matters. */
  protected givePortBack(): void {
    const isOver = this.tcb !== null && this.state === CLOSED;
    if (!isOver || this.isPortNamed || this.isPortGone || this.localPort === 0) return;
    this.ctx.ports.endpoints.remove(this, this.localPort);
    this.isPortGone = true;
  }

  protected ensurePort(): NetError | 0 {
    const { ports } = this.ctx;
    if (this.localPort !== 0 && !this.isPortGone) {
      return this.isTupleFree(this.localPort) ? 0 : NetErr.AddressNotAvailable;
    }
    const { localAddr, remoteAddr, remotePort, options } = this;
    const port = ports.ephemeral.pick(localAddr, remoteAddr, remotePort, this, options.portRange);
    if (port === 0) return NetErr.AddressNotAvailable;
    this.localPort = port;
    this.isPortGone = false;
    this.isAutobound = true;
    return ports.endpoints.add(this, port);
  }

  /** Whether connect may choose this port. */
  isPortFree(port: number): boolean {
    const { endpoints } = this.ctx.ports;
    for (let other = endpoints.at(port); other !== null; other = endpoints.next(other)) {
      if (!other.isAutobound) return false;
    }
    return this.isTupleFree(port);
  }

  /** A TIME-WAIT that may be reused gives way, and leaves what the new connection must know of it. */
  protected isTupleFree(port: number): boolean {
    const ctx = this.ctx;
    const ports = (port << 16) | this.remotePort;
    this.predecessor = null;
    if (ctx.demux.find(this.localAddr, this.remoteAddr, ports) !== null) return false;
    const tw = ctx.timeWaits.find(this.localAddr, this.remoteAddr, ports);
    if (tw === null) return true;
    if (!isReusable(ctx, tw)) return false;
    ctx.stats.TWRecycled++;
    ctx.timeWaits.remove(tw);
    this.predecessor = tw;
    return true;
  }
}
