// How long nothing could be done in a conversation that is played, and when to look again: first soon, then ever more
// seldom. What is done then: tcp-peer.ts.

import { MS, SECOND } from "../../base/clock.ts";

export interface Patience {
  /** Silence after which a segment goes although what it acknowledges has not come. */
  earlyNs: number;
  /** Silence after which the conversation is given up. */
  giveUpNs: number;
}

/** For a stack in virtual time. */
export const STACK_PATIENCE: Patience = { earlyNs: 300 * MS, giveUpNs: 60 * SECOND };

/** As long as a TCP may wait with an acknowledgment (Linux's TCP_DELACK_MIN); doubled while nothing happens. */
export const FIRST_WAIT_NS = 40 * MS;
const WAIT_NS_MAX = 2 * SECOND;

export class Silence {
  /** When to look; -1: there is none. */
  lookNs = -1;
  #sinceNs = -1;
  #waitNs = FIRST_WAIT_NS;

  end(): void {
    this.lookNs = -1;
    this.#sinceNs = -1;
  }

  /** Begins it where there is none. */
  goesOn(nowNs: number): void {
    if (this.#sinceNs < 0) {
      this.#sinceNs = nowNs;
      this.#waitNs = FIRST_WAIT_NS;
    }
    if (this.lookNs < 0) this.lookNs = nowNs + this.#waitNs;
  }

  /** How long it has lasted, when it is time to look; -1: not yet. */
  look(nowNs: number): number {
    if (this.lookNs < 0 || nowNs < this.lookNs) return -1;
    this.#waitNs = Math.min(this.#waitNs * 2, WAIT_NS_MAX);
    this.lookNs = nowNs + this.#waitNs;
    return nowNs - this.#sinceNs;
  }
}
