// Raw endpoints (raw(7)): every packet of one protocol to everyone who asked for it, of IPv4 with its header.

import type { Family } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Stack } from "../stack/stack.ts";
import type { IcmpError } from "../stack/transport.ts";
import { RawEndpoint } from "./raw-endpoint.ts";
import { RouterAlerts } from "./router-alerts.ts";

export class RawProtocol {
  readonly #stack: Stack;
  readonly #byProtocol: (RawEndpoint[] | null)[] = new Array(256).fill(null);
  readonly alerts = new RouterAlerts();
  #count = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  open(family: Family, protocol: number): RawEndpoint | NetError {
    if (protocol < 0 || protocol > 255) return NetErr.InvalidArgument;
    if (!this.#stack.countEndpoint()) return NetErr.NoBuffers;
    const endpoint = new RawEndpoint(this.#stack, family, protocol);
    const list = this.#byProtocol[protocol];
    if (list === null) this.#byProtocol[protocol] = [endpoint];
    else list.push(endpoint);
    this.#count++;
    return endpoint;
  }

  remove(endpoint: RawEndpoint): void {
    const list = this.#byProtocol[endpoint.protocol];
    const at = list === null ? -1 : list.indexOf(endpoint);
    if (list === null || at < 0) return;
    list.splice(at, 1);
    this.#count--;
  }

  /** True when somebody listens to this protocol. */
  deliver(pkt: PacketBuffer): boolean {
    if (this.#count === 0) return false;
    const list = this.#byProtocol[pkt.protocol];
    if (list === null) return false;
    const family = pkt.src.family;
    let wanted = false;
    for (let i = 0; i < list.length; i++) {
      if (list[i].family !== family) continue;
      wanted = true;
      if (list[i].accepts(pkt)) list[i].onPacket(pkt);
    }
    return wanted;
  }

  mayHaveSent(error: IcmpError): boolean {
    const list = this.#byProtocol[error.protocol];
    if (list === null) return false;
    for (let i = 0; i < list.length; i++) if (list[i].family === error.src.family) return true;
    return false;
  }

  onIcmpError(error: IcmpError): void {
    if (this.#count === 0) return;
    const list = this.#byProtocol[error.protocol];
    if (list === null) return;
    const family = error.src.family;
    for (let i = 0; i < list.length; i++) {
      if (list[i].family === family) list[i].onIcmpError(error);
    }
  }
}
