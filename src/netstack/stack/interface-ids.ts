// Interface identifiers: stable and opaque (RFC 7217: a keyed function of prefix, interface, counter), or
// temporary and random (RFC 8981 3.3.1). Reserved ones (RFC 5453) are passed over.
// @rfc 7217 5

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";

export class InterfaceIds {
  readonly #rng: Rng;
  readonly #high: KeyedHash;
  readonly #low: KeyedHash;
  readonly #mac: Uint8Array;

  constructor(rng: Rng, mac: Uint8Array) {
    this.#rng = rng;
    this.#high = new KeyedHash(rng);
    this.#low = new KeyedHash(rng);
    this.#mac = mac;
  }

  /** The same for the same prefix and counter, as long as this stack lives; a stranger cannot tell it. */
  stable(prefix: IpAddr, counter: number): IpAddr {
    const addr = prefix.clone();
    for (let salt = counter << 8; ; salt++) {
      addr.w2 = this.#word(this.#high, prefix, salt);
      addr.w3 = this.#word(this.#low, prefix, salt);
      if (!isReserved(addr)) return addr;
    }
  }

  temporary(prefix: IpAddr): IpAddr {
    const addr = prefix.clone();
    do {
      addr.w2 = this.#rng.u32() | 0;
      addr.w3 = this.#rng.u32() | 0;
    } while (isReserved(addr));
    return addr;
  }

  #word(hash: KeyedHash, prefix: IpAddr, salt: number): number {
    const m = this.#mac;
    hash.begin().add(prefix.w0).add(prefix.w1).add(salt);
    hash.add((m[0] << 24) | (m[1] << 16) | (m[2] << 8) | m[3]).add((m[4] << 8) | m[5]);
    return hash.end() | 0;
  }
}

/** The subnet router's anycast, IANA's Ethernet block, and the reserved anycasts at the top. */
function isReserved(addr: IpAddr): boolean {
  if (addr.w2 === 0 && addr.w3 === 0) return true;
  if (addr.w2 === (0x0200_5eff | 0) && (addr.w3 & 0xff00_0000) === (0xfe00_0000 | 0)) return true;
  return addr.w2 === (0xfdff_ffff | 0) && addr.w3 >>> 0 >= 0xffff_ff80;
}
