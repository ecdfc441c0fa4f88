// Who uses which local TCP port: endpoints that bound one, and every TCB beneath them or left behind
// (children of a listener, orphans, TIME_WAIT). The sharing rules are stack/ports.ts's; here the TCBs are
// added to them (Linux's inet_csk_bind_conflict).

import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";
import { EphemeralPorts, PortTable } from "../stack/ports.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Tcb } from "./tcb.ts";

export class TcpPorts {
  readonly endpoints = new PortTable<Endpoint>();
  readonly ephemeral: EphemeralPorts;
  /** First TCB of each local port's list. */
  readonly #tcbs = new Map<number, Tcb>();

  constructor(rng: Rng) {
    this.ephemeral = new EphemeralPorts(rng);
  }

  addTcb(tcb: Tcb): void {
    const first = this.#tcbs.get(tcb.localPort);
    tcb.portNext = first ?? null;
    tcb.portPrev = null;
    if (first !== undefined) first.portPrev = tcb;
    this.#tcbs.set(tcb.localPort, tcb);
    tcb.isInPort = true;
  }

  removeTcb(tcb: Tcb): void {
    if (!tcb.isInPort) return;
    tcb.isInPort = false;
    if (tcb.portNext !== null) tcb.portNext.portPrev = tcb.portPrev;
    if (tcb.portPrev !== null) tcb.portPrev.portNext = tcb.portNext;
    else if (tcb.portNext !== null) this.#tcbs.set(tcb.localPort, tcb.portNext);
    else this.#tcbs.delete(tcb.localPort);
    tcb.portPrev = tcb.portNext = null;
  }

  hasTcbs(port: number): boolean {
    return this.#tcbs.has(port);
  }

  mayBind(who: Endpoint, addr: IpAddr, port: number): boolean {
    if (!this.endpoints.mayBind(who, addr, port)) return false;
    const o = who.options;
    for (let t = this.#tcbs.get(port) ?? null; t !== null; t = t.portNext) {
      if (t.owner === who || !overlaps(addr, t, o.v6Only)) continue;
      if (o.reuseAddress && t.options.reuseAddress) continue;
      if (o.reusePort && t.options.reusePort) continue;
      return false;
    }
    return true;
  }
}

function overlaps(addr: IpAddr, tcb: Tcb, v6Only: boolean): boolean {
  if (!addr.isUnspecified) return addr.equals(tcb.local);
  return addr.isV4 === tcb.local.isV4 || (!addr.isV4 && !v6Only);
}
