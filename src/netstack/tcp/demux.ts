// Finds the TCB of a segment by its 4-tuple: a chained hash table, keyed against flooding, growing by
// doubling. The chain runs through the TCBs themselves, so neither lookup nor insertion allocates.

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";
import type { Tcb } from "./tcb.ts";

const FIRST_BUCKETS = 256;

export class Demux {
  #buckets: (Tcb | null)[] = new Array(FIRST_BUCKETS).fill(null);
  #count = 0;
  /** The TCB found last: bursts belong to one connection. */
  #last: Tcb | null = null;
  readonly #hash: KeyedHash;

  constructor(rng: Rng) {
    this.#hash = new KeyedHash(rng);
  }

  get count(): number {
    return this.#count;
  }

  /** ports = local << 16 | remote. */
  find(local: IpAddr, remote: IpAddr, ports: number): Tcb | null {
    const last = this.#last;
    if (last !== null && matches(last, local, remote, ports)) return last;
    const hash = this.#hashOf(local, remote, ports);
    let tcb = this.#buckets[hash & (this.#buckets.length - 1)];
    while (tcb !== null && !matches(tcb, local, remote, ports)) tcb = tcb.hashNext;
    if (tcb !== null) this.#last = tcb;
    return tcb;
  }

  /** Precondition: no other TCB has the same 4-tuple. */
  add(tcb: Tcb): void {
    if (this.#count >= this.#buckets.length) this.#grow();
    tcb.hash = this.#hashOf(tcb.local, tcb.remote, tcb.ports);
    const i = tcb.hash & (this.#buckets.length - 1);
    tcb.hashNext = this.#buckets[i];
    this.#buckets[i] = tcb;
    tcb.isHashed = true;
    this.#count++;
  }

  remove(tcb: Tcb): void {
    if (!tcb.isHashed) return;
    if (this.#last === tcb) this.#last = null;
    const i = tcb.hash & (this.#buckets.length - 1);
    let at = this.#buckets[i] as Tcb;
    if (at === tcb) {
      this.#buckets[i] = tcb.hashNext;
    } else {
      while (at.hashNext !== tcb) at = at.hashNext as Tcb;
      at.hashNext = tcb.hashNext;
    }
    tcb.hashNext = null;
    tcb.isHashed = false;
    this.#count--;
  }

  *all(): IterableIterator<Tcb> {
    for (const first of this.#buckets) {
      for (let tcb = first; tcb !== null; tcb = tcb.hashNext) yield tcb;
    }
  }

  #hashOf(local: IpAddr, remote: IpAddr, ports: number): number {
    // Local addresses are few: their low word is enough beside the whole of the remote one.
    if (remote.isV4) return this.#hash.three(local.w3, remote.w3, ports) | 0;
    const h = this.#hash.begin().add(local.w3).add(remote.w3).add(ports);
    return h.add(remote.w0).add(remote.w1).add(remote.w2).end() | 0;
  }

  #grow(): void {
    const old = this.#buckets;
    this.#buckets = new Array(old.length * 2).fill(null);
    const mask = this.#buckets.length - 1;
    for (const first of old) {
      for (let tcb = first; tcb !== null; ) {
        const next: Tcb | null = tcb.hashNext;
        tcb.hashNext = this.#buckets[tcb.hash & mask];
        this.#buckets[tcb.hash & mask] = tcb;
        tcb = next;
      }
    }
  }
}

const matches = (tcb: Tcb, local: IpAddr, remote: IpAddr, ports: number): boolean =>
  tcb.ports === ports && tcb.remote.equals(remote) && tcb.local.equals(local);
