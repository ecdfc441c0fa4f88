// Relative sequence numbers: the first packet with an ACK that is seen of a connection fixes where both sides
// begin. Bounded: the connection that was seen first is forgotten for a new one.

import type { Family } from "../../netstack/index.ts";

const CONNECTIONS_MAX = 65_536;

interface Begin {
  /** Of the side with the smaller port, and of the other. */
  sequence: number;
  acknowledgment: number;
}

export class TcpSequences {
  readonly #known = new Map<string, Begin>();
  /** Set by relate(): what is to be subtracted, and whether the packet runs against the order of ports. */
  sequenceBase = 0;
  acknowledgmentBase = 0;
  /** Of the blocks in a SACK option, which speak of the other side's numbers. */
  sackBase = 0;

  /** Returns the packet's bases in the fields above. */
  relate(
    family: Family,
    src: string,
    dst: string,
    sport: number,
    dport: number,
    sequence: number,
    acknowledgment: number,
    isSyn: boolean,
  ): void {
    const reversed = sport > dport || (sport === dport && src > dst);
    const key = reversed
      ? `${family} ${dst} ${dport} ${src} ${sport}`
      : `${family} ${src} ${sport} ${dst} ${dport}`;
    let begin = this.#known.get(key);
    if (begin === undefined || isSyn) {
      const before = (acknowledgment - 1) >>> 0;
      begin = reversed
        ? { sequence: before, acknowledgment: sequence }
        : { sequence, acknowledgment: before };
      this.#remember(key, begin);
      this.sequenceBase = 0;
      this.acknowledgmentBase = 0;
    } else {
      this.sequenceBase = reversed ? begin.acknowledgment : begin.sequence;
      this.acknowledgmentBase = reversed ? begin.sequence : begin.acknowledgment;
    }
    this.sackBase = reversed ? begin.sequence : begin.acknowledgment;
  }

  /** Numbers as they are on the wire. */
  absolute(): void {
    this.sequenceBase = 0;
    this.acknowledgmentBase = 0;
    this.sackBase = 0;
  }

  #remember(key: string, begin: Begin): void {
    if (this.#known.size >= CONNECTIONS_MAX && !this.#known.has(key)) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(key, begin);
  }
}
