// Connections by their 4-tuple: the table under Demux and TimeWaitTable. Open addressing: the hashes lie side by
// side, so that to find nothing, or to pass by others, touches one line of the cache and no entry. Keyed against
// flooding, growing by doubling; neither lookup nor removal allocates. What an entry is, and when it ends, is not
// known here.

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";

/** What has a place in a table. */
export interface TupleEntry {
  readonly local: IpAddr;
  readonly remote: IpAddr;
  /** local << 16 | remote. */
  readonly ports: number;
  /** The table's own; 0: in none. */
  hash: number;
}

const EMPTY = 0;

/** The keyed hash of a stack's 4-tuples; who asks for one twice, of two tables, pays once. */
export class TupleHash {
  readonly #hash: KeyedHash;
  #local = 0;
  #remote = 0;
  #ports = 0;
  #last: number;

  constructor(rng: Rng) {
    this.#hash = new KeyedHash(rng);
    this.#last = this.#v4(0, 0, 0);
  }

  /** Never EMPTY. */
  of(local: IpAddr, remote: IpAddr, ports: number): number {
    // Local addresses are few: their low word is enough beside the whole of the remote one.
    if (!remote.isV4) {
      const h = this.#hash.begin().add(local.w3).add(remote.w3).add(ports);
      return h.add(remote.w0).add(remote.w1).add(remote.w2).end() | 0 || 1;
    }
    if (this.#ports === ports && this.#remote === remote.w3 && this.#local === local.w3) {
      return this.#last;
    }
    this.#local = local.w3;
    this.#remote = remote.w3;
    this.#ports = ports;
    this.#last = this.#v4(local.w3, remote.w3, ports);
    return this.#last;
  }

  #v4(local: number, remote: number, ports: number): number {
    return this.#hash.three(local, remote, ports) | 0 || 1;
  }
}

export class TupleTable<T extends TupleEntry> {
  readonly #hash: TupleHash;
  /** At most half of the places are taken. */
  #hashes: Int32Array;
  #entries: (T | null)[];
  #count = 0;

  /** `places`: a power of two. */
  constructor(hash: TupleHash, places: number) {
    this.#hash = hash;
    this.#hashes = new Int32Array(places);
    this.#entries = new Array(places).fill(null);
  }

  get count(): number {
    return this.#count;
  }

  find(local: IpAddr, remote: IpAddr, ports: number): T | null {
    if (this.#count === 0) return null;
    const hash = this.#hash.of(local, remote, ports);
    const hashes = this.#hashes;
    const mask = hashes.length - 1;
    for (let i = hash & mask; hashes[i] !== EMPTY; i = (i + 1) & mask) {
      if (hashes[i] !== hash) continue;
      const entry = this.#entries[i] as T;
      if (matches(entry, local, remote, ports)) return entry;
    }
    return null;
  }

  /** Precondition: no other entry has the same 4-tuple. */
  add(entry: T): void {
    if (2 * this.#count >= this.#hashes.length) this.#grow();
    entry.hash = this.#hash.of(entry.local, entry.remote, entry.ports);
    this.#put(entry);
    this.#count++;
  }

  #put(entry: T): void {
    const hashes = this.#hashes;
    const mask = hashes.length - 1;
    let i = entry.hash & mask;
    while (hashes[i] !== EMPTY) i = (i + 1) & mask;
    hashes[i] = entry.hash;
    this.#entries[i] = entry;
  }

  /** Precondition: it is in this table. */
  remove(entry: T): void {
    const hashes = this.#hashes;
    const entries = this.#entries;
    const mask = hashes.length - 1;
    let hole = entry.hash & mask;
    while (entries[hole] !== entry) hole = (hole + 1) & mask;
    // Those behind it move up, unless that would take them in front of where their search begins (Knuth 6.4 R).
    for (let i = (hole + 1) & mask; hashes[i] !== EMPTY; i = (i + 1) & mask) {
      const distance = (i - (hashes[i] & mask)) & mask;
      if (distance < ((i - hole) & mask)) continue;
      hashes[hole] = hashes[i];
      entries[hole] = entries[i];
      hole = i;
    }
    hashes[hole] = EMPTY;
    entries[hole] = null;
    entry.hash = EMPTY;
    this.#count--;
  }

  *all(): IterableIterator<T> {
    for (const entry of this.#entries) if (entry !== null) yield entry;
  }

  /** Places that the search for the unluckiest entry looks at: what chosen tuples must not raise. */
  get longestSearch(): number {
    const mask = this.#hashes.length - 1;
    let longest = 0;
    this.#hashes.forEach((hash, i) => {
      if (hash !== EMPTY) longest = Math.max(longest, ((i - (hash & mask)) & mask) + 1);
    });
    return longest;
  }

  #grow(): void {
    const old = this.#entries;
    this.#hashes = new Int32Array(old.length * 2);
    this.#entries = new Array(old.length * 2).fill(null);
    for (const entry of old) if (entry !== null) this.#put(entry);
  }
}

const matches = (entry: TupleEntry, local: IpAddr, remote: IpAddr, ports: number): boolean =>
  entry.ports === ports && entry.remote.equals(remote) && entry.local.equals(local);
