// Finds the TCB of a segment by its 4-tuple.

import type { IpAddr } from "../ip-addr.ts";
import type { Tcb } from "./tcb.ts";
import { type TupleHash, TupleTable } from "./tuple-table.ts";

const FIRST_PLACES = 512;

export class Demux {
  readonly #table: TupleTable<Tcb>;
  /** The TCB found last: bursts belong to one connection. */
  #last: Tcb | null = null;

  constructor(hash: TupleHash) {
    this.#table = new TupleTable(hash, FIRST_PLACES);
  }

  get count(): number {
    return this.#table.count;
  }
  get longestSearch(): number {
    return this.#table.longestSearch;
  }

  /** ports = local << 16 | remote. */
  find(local: IpAddr, remote: IpAddr, ports: number): Tcb | null {
    const last = this.#last;
    if (
      last !== null &&
      last.ports === ports &&
      last.remote.equals(remote) &&
      last.local.equals(local)
    ) {
      return last;
    }
    const tcb = this.#table.find(local, remote, ports);
    if (tcb !== null) this.#last = tcb;
    return tcb;
  }

  /** Precondition: no other TCB has the same 4-tuple. */
  add(tcb: Tcb): void {
    this.#table.add(tcb);
  }

  remove(tcb: Tcb): void {
    if (!tcb.isHashed) return;
    if (this.#last === tcb) this.#last = null;
    this.#table.remove(tcb);
  }

  all(): IterableIterator<Tcb> {
    return this.#table.all();
  }
}
