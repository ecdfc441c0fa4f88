// Who uses which local TCP port: endpoints that bound one, and every TCB beneath them or left behind
// (children of a listener, orphans, TIME_WAIT). The sharing rules are stack/ports.ts's; here the TCBs are
// added to them (Linux's inet_csk_bind_conflict).

import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";
import { ByPort, EphemeralPorts, PortTable } from "../stack/ports.ts";
import type { PortEndpoint } from "./endpoint-ports.ts";

export interface PortSharing {
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
}

/** What uses a port: a Tcb or a TimeWait. */
export interface PortHolder {
  readonly local: IpAddr;
  readonly localPort: number;
  /** The endpoint above; null: none any more. */
  readonly owner: object | null;
  readonly sharing: PortSharing;
  portPrev: PortHolder | null;
  portNext: PortHolder | null;
  isInPort: boolean;
}

export class TcpPorts {
  readonly endpoints = new PortTable<PortEndpoint>();
  readonly ephemeral: EphemeralPorts;
  /** First of each local port's list. */
  readonly #holders = new ByPort<PortHolder>();

  constructor(rng: Rng) {
    this.ephemeral = new EphemeralPorts(rng);
  }

  add(holder: PortHolder): void {
    const first = this.#holders.get(holder.localPort);
    holder.portNext = first;
    holder.portPrev = null;
    if (first !== null) first.portPrev = holder;
    this.#holders.set(holder.localPort, holder);
    holder.isInPort = true;
  }

  remove(holder: PortHolder): void {
    if (!holder.isInPort) return;
    holder.isInPort = false;
    if (holder.portNext !== null) holder.portNext.portPrev = holder.portPrev;
    if (holder.portPrev !== null) holder.portPrev.portNext = holder.portNext;
    else this.#holders.set(holder.localPort, holder.portNext);
    holder.portPrev = holder.portNext = null;
  }

  // @rfc 9293 MUST-42
  mayBind(who: PortEndpoint, addr: IpAddr, port: number): boolean {
    if (!this.endpoints.mayBind(who, addr, port)) return false;
    const o = who.options;
    for (let t = this.#holders.get(port); t !== null; t = t.portNext) {
      if (t.owner === who || !overlaps(addr, t, o.v6Only)) continue;
      if (o.reuseAddress && t.sharing.reuseAddress) continue;
      if (o.reusePort && t.sharing.reusePort) continue;
      return false;
    }
    return true;
  }
}

function overlaps(addr: IpAddr, holder: PortHolder, v6Only: boolean): boolean {
  if (!addr.isUnspecified) return addr.equals(holder.local);
  return addr.isV4 === holder.local.isV4 || (!addr.isV4 && !v6Only);
}
