// What a lease has put into the stack: an address with an end, routes, an MTU. Takes out what it put in, and
// nothing that somebody else did.

import type { IpAddr } from "../ip-addr.ts";
import type { Nic } from "../stack/nic.ts";
import type { NicAddress } from "../stack/nic-address.ts";
import type { RouteEntry } from "../stack/route-entry.ts";
import type { Lease } from "./lease.ts";

/** RTPROT_DHCP. */
const ORIGIN_DHCP = 16;

export class InstalledLease {
  readonly #nic: Nic;
  readonly #mtuBefore: number;
  #routes: RouteEntry[] = [];
  lease: Lease;
  /** When it was asked for: its times count from then. */
  sinceNs: number;

  constructor(nic: Nic, lease: Lease, sinceNs: number) {
    this.#nic = nic;
    this.#mtuBefore = nic.mtu;
    this.lease = lease;
    this.sinceNs = sinceNs;
    // Root may have given it already: then it is there.
    nic.stack.interfaces.addAddress(nic, lease.addr, lease.prefixBits);
    this.#apply();
  }

  #apply(): void {
    const { lease, sinceNs } = this;
    const nic = this.#nic;
    const owned = this.#owned();
    if (owned !== undefined) {
      owned.validUntilNs = sinceNs + lease.leaseNs;
      owned.preferredUntilNs = owned.validUntilNs;
    }
    const { stack } = nic;
    const mtu = lease.mtu === 0 ? this.#mtuBefore : lease.mtu;
    if (mtu !== nic.mtu) stack.interfaces.setMtu(nic, Math.min(mtu, nic.link?.mtu ?? mtu));
    for (const { dst, prefixBits, gateway } of lease.routes) {
      // A router beyond the mask (as with /32) is a neighbour all the same.
      if (gateway !== null && owned?.contains(gateway) !== true) this.#route(gateway, 32, null);
      this.#route(dst, prefixBits, gateway);
    }
  }

  #owned(): NicAddress | undefined {
    return this.#nic.addresses.find((a) => a.addr.equals(this.lease.addr));
  }

  #route(dst: IpAddr, prefixBits: number, gateway: IpAddr | null): void {
    const entry = this.#nic.stack.routes.insert({
      dst,
      prefixBits,
      gateway,
      nicId: this.#nic.id,
      src: this.lease.addr,
      origin: ORIGIN_DHCP,
    });
    // A full table: the routes that there was room for are there.
    if (typeof entry !== "number") this.#routes.push(entry);
  }

  #dropRoutes(): void {
    for (const entry of this.#routes.splice(0)) this.#nic.stack.routes.remove(entry);
  }

  /** A renewed lease of the same address. */
  replace(lease: Lease, sinceNs: number): void {
    this.#dropRoutes();
    this.lease = lease;
    this.sinceNs = sinceNs;
    this.#apply();
  }

  remove(): void {
    this.#dropRoutes();
    const { stack } = this.#nic;
    stack.interfaces.removeAddress(this.#nic, this.lease.addr);
    if (this.#nic.mtu !== this.#mtuBefore) stack.interfaces.setMtu(this.#nic, this.#mtuBefore);
  }
}
