// Finds a record of the sent list by its sequence number in logarithmic time, as Linux's rbtree of the
// retransmit queue does: a sorted array of the records that were there when it was made. Made only when a walk
// from the hint was long, so who sees no or little disorder never has one. Records leave at the two ends only;
// those that came later (appended, or cut off another) lie behind one that is here, and are walked to.

import { seqLe } from "../../base/seqnum.ts";
import type { SentRecord } from "./sent-list.ts";

export class SentIndex {
  readonly #records: SentRecord[] = [];
  #from = 0;
  #to: number;

  constructor(head: SentRecord | null) {
    for (let r = head; r !== null; r = r.next) this.#records.push(r);
    this.#to = this.#records.length;
  }

  get isEmpty(): boolean {
    return this.#from >= this.#to;
  }

  /** The last known record that begins at or before `seq`, or null. */
  at(seq: number): SentRecord | null {
    const records = this.#records;
    let lo = this.#from;
    let hi = this.#to;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (seqLe(records[mid].seq, seq)) lo = mid + 1;
      else hi = mid;
    }
    return lo > this.#from ? records[lo - 1] : null;
  }

  /** It has left the list's head or tail: its object will be another's. */
  forget(record: SentRecord): void {
    if (this.isEmpty) return;
    if (this.#records[this.#from] === record) this.#from++;
    else if (this.#records[this.#to - 1] === record) this.#to--;
  }
}
