// Raw endpoints that look at what routers are asked to look at (RFC 2113, RFC 2711; Linux's ip_ra_chain and
// ip6_ra_chain): packets with a router alert that are on their way to others come to them, and go no further.

import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { RawEndpoint } from "./raw-endpoint.ts";

export class RouterAlerts {
  readonly #all: { readonly endpoint: RawEndpoint; readonly value: number }[] = [];

  get count(): number {
    return this.#all.length;
  }

  /** value: of IPv4 the protocol, of IPv6 what the option says; below 0: no more. */
  set(endpoint: RawEndpoint, value: number): NetError | 0 {
    const at = this.#all.findIndex((each) => each.endpoint === endpoint);
    if (value < 0) {
      if (at < 0) return NetErr.NoBuffers;
      this.#all.splice(at, 1);
      return 0;
    }
    if (at >= 0) return NetErr.AddressInUse;
    this.#all.push({ endpoint, value });
    return 0;
  }

  /** True: somebody has it, and it goes no further (ip_call_ra_chain). */
  deliver(pkt: PacketBuffer, value: number): boolean {
    const family = pkt.src.family;
    let isTaken = false;
    for (const { endpoint, value: wanted } of this.#all) {
      if (endpoint.family !== family || wanted !== value) continue;
      const bound = endpoint.options.boundNicId;
      if (bound !== 0 && bound !== pkt.nicId) continue;
      endpoint.onAlert(pkt);
      isTaken = true;
    }
    return isTaken;
  }
}
