// The TCP endpoint behind a socket: the user calls of RFC 9293 3.10 in the shape of endpoints.ts. It has no
// connection, or one (a Tcb), or it listens. Here is how it ends (shutdown, close, disconnect, abort) and how one is
// made of a connection that came in; the other calls stand by subject:
//
//   endpoint-open.ts     connect, listen, accept
//   endpoint-data.ts     write, read, urgent data, readiness, how much waits
//   endpoint-options.ts  socket options that act, TCP_INFO and other figures
//   endpoint-ports.ts    bind, ports given and given back
//   endpoint-base.ts     the fields, state and errors

import type { TcpEndpoint } from "../endpoints.ts";
import { IPV4, IPV6 } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { OF_CONNECTION, OF_ENDPOINT } from "./auth-keys.ts";
import { closeUser, closeWrite } from "./calls.ts";
import { OpenEndpoint } from "./endpoint-open.ts";
import type { Listener } from "./listener.ts";
import { finish, flushEvents } from "./on-segment.ts";
import { expandSendBuffer } from "./send-memory.ts";
import { CLOSED, SYN_SENT } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { abortTcb } from "./transitions.ts";

export class Endpoint extends OpenEndpoint implements TcpEndpoint {
  /** A connection that came in: child of a listener or of a forward request. */
  static ofTcb(tcb: Tcb): Endpoint {
    const family = tcb.local.isV4 ? IPV4 : IPV6;
    const child = new Endpoint(tcb.ctx, family, { ...tcb.options }, tcb.local, tcb.remote);
    tcb.options = child.options;
    child.options.authKeys?.hold(tcb.ctx, OF_ENDPOINT);
    expandSendBuffer(tcb);
    child.adopt(tcb);
    child.localPort = tcb.localPort;
    child.isConnectReported = true;
    return child;
  }

  shutdown(read: boolean, write: boolean): NetError | 0 {
    // inet_shutdown.
    if (this.listener !== null) {
      if (read) this.disconnect();
      return 0;
    }
    const tcb = this.tcb;
    if (tcb !== null && tcb.state === SYN_SENT) {
      this.disconnect();
      return 0;
    }
    if (tcb === null || this.state === CLOSED) {
      this.shut |= (read ? 1 : 0) | (write ? 2 : 0);
      return NetErr.NotConnected;
    }
    this.ctx.enter();
    if (read) tcb.receiveShutdown = true;
    if (write) closeWrite(tcb);
    tcb.events |= (read ? Ready.Read | Ready.ReadClosed : 0) | (write ? Ready.Write : 0);
    finish(tcb);
    return 0;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.ctx.enter();
    this.onReadiness = null;
    this.errorQueue?.clear();
    if (this.listener !== null) this.stopListening();
    const tcb = this.tcb;
    if (tcb !== null) {
      tcb.owner = null;
      closeUser(tcb);
      finish(tcb);
    }
    if (this.localPort !== 0) this.ctx.ports.endpoints.remove(this, this.localPort);
    const { authKeys } = this.options;
    if (authKeys === null) return;
    if (tcb?.isHashed) authKeys.hold(this.ctx, OF_CONNECTION);
    authKeys.letGo(this.ctx, OF_ENDPOINT);
  }

  /** As if it had never been connected, but for the port that bind() named (tcp_disconnect). */
  disconnect(): void {
    this.ctx.enter();
    if (this.listener !== null) this.stopListening();
    const tcb = this.tcb;
    const wasOpen = tcb !== null && this.state !== CLOSED;
    if (tcb !== null) {
      abortTcb(tcb, 0, true);
      tcb.receiveRing.free();
      this.givePortBack();
      this.letGo(tcb);
    } else if (!this.isPortNamed && this.localPort !== 0 && !this.isPortGone) {
      this.ctx.ports.endpoints.remove(this, this.localPort);
      this.isPortGone = true;
    }
    // A pending error outlives it.
    if (wasOpen) this.error = NetErr.ConnectionReset;
    else if (tcb !== null) this.error = tcb.error;
    this.shut = 0;
    this.isConnectReported = false;
    this.remotePort = 0;
    this.onReadiness?.(this.readiness());
  }

  abort(): void {
    const tcb = this.tcb;
    if (tcb === null) return;
    this.ctx.enter();
    abortTcb(tcb, NetErr.ConnectionAborted, true);
    flushEvents(tcb);
  }

  protected stopListening(): void {
    const listener = this.listener as Listener;
    this.ctx.enter();
    this.ctx.listeners.remove(listener);
    this.listener = null;
    listener.close();
  }
}
