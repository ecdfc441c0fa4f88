// A forward request over its TCB, which waits in SYN-RECEIVED without having answered.

import type { TcpEndpoint } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import type { ForwardRequest } from "./forwarder.ts";
import { acceptForwarded } from "./handshake.ts";
import type { Tcb } from "./tcb.ts";
import { abortTcb, closeTcb } from "./transitions.ts";

export class PendingForward implements ForwardRequest {
  readonly #tcb: Tcb;

  constructor(tcb: Tcb) {
    this.#tcb = tcb;
  }

  get remoteAddr(): IpAddr {
    return this.#tcb.remote;
  }
  get remotePort(): number {
    return this.#tcb.remotePort;
  }
  get localAddr(): IpAddr {
    return this.#tcb.local;
  }
  get localPort(): number {
    return this.#tcb.localPort;
  }
  get isPending(): boolean {
    return this.#tcb.isForwardPending && this.#tcb.isHashed;
  }

  accept(): TcpEndpoint | null {
    if (!this.isPending) return null;
    const tcb = this.#tcb;
    tcb.ctx.enter();
    const endpoint = tcb.ctx.wrapChild(tcb);
    acceptForwarded(tcb);
    return endpoint;
  }

  reject(): void {
    if (!this.isPending) return;
    const tcb = this.#tcb;
    tcb.ctx.enter();
    // The answer to a SYN that is refused acknowledges it and has sequence number 0 (RFC 9293 3.10.7.1).
    tcb.snd.una = tcb.snd.nxt = 0;
    abortTcb(tcb, 0, true);
  }

  drop(): void {
    if (!this.isPending) return;
    this.#tcb.ctx.enter();
    closeTcb(this.#tcb, 0);
  }
}
