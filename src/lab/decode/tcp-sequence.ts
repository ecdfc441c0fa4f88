// Relative sequence numbers: the first packet with an ACK that is seen of a connection fixes where both sides
// begin. Bounded: the connection that was seen first is forgotten for a new one. An open-addressing table of
// integers, because a key as a string cost more than the rest of a packet (measured: half of the decoding).

import type { IpAddr } from "../../netstack/index.ts";

const CONNECTIONS_MAX = 65_536;
/** Decoders that see a few frames only are made often. */
const FIRST_SLOTS = 64;
/** Of an entry: eight words of addresses, one of ports, then where both sides begin. */
const WORDS = 11;
const PORTS = 8;
const BEGIN = 9;

export class TcpSequences {
  /** Indexes of entries plus one; 0: empty. Never more than half full. */
  #slots = new Int32Array(FIRST_SLOTS);
  #entries = new Int32Array((FIRST_SLOTS / 2) * WORDS);
  #count = 0;
  /** The entry that is to be forgotten next, once there are CONNECTIONS_MAX. */
  #oldest = 0;
  /** The entry found last: packets of one connection mostly come one after the other. */
  #last = 0;
  readonly #key = new Int32Array(PORTS + 1);
  /** Set by relate(): what is to be subtracted, and whether the packet runs against the order of ports. */
  sequenceBase = 0;
  acknowledgmentBase = 0;
  /** Of the blocks in a SACK option, which speak of the other side's numbers. */
  sackBase = 0;

  /** Returns the packet's bases in the fields above. */
  relate(
    src: IpAddr,
    dst: IpAddr,
    sport: number,
    dport: number,
    sequence: number,
    acknowledgment: number,
    isSyn: boolean,
  ): void {
    const reversed = sport > dport || (sport === dport && isAfter(src, dst));
    if (reversed) this.#setKey(dst, src, dport, sport);
    else this.#setKey(src, dst, sport, dport);
    const found = this.#find();
    const own = reversed ? BEGIN + 1 : BEGIN;
    const other = reversed ? BEGIN : BEGIN + 1;
    const e = this.#entries;
    if (found < 0 || isSyn) {
      const at = found < 0 ? this.#add() : found;
      this.#entries[at + own] = sequence;
      this.#entries[at + other] = acknowledgment - 1;
      this.sequenceBase = 0;
      this.acknowledgmentBase = 0;
      this.sackBase = (acknowledgment - 1) >>> 0;
      return;
    }
    this.sequenceBase = e[found + own] >>> 0;
    this.acknowledgmentBase = e[found + other] >>> 0;
    this.sackBase = this.acknowledgmentBase;
  }

  /** Numbers as they are on the wire. */
  absolute(): void {
    this.sequenceBase = 0;
    this.acknowledgmentBase = 0;
    this.sackBase = 0;
  }

  #setKey(a: IpAddr, b: IpAddr, aPort: number, bPort: number): void {
    const k = this.#key;
    k[0] = a.w0;
    k[1] = a.w1;
    k[2] = a.w2;
    k[3] = a.w3;
    k[4] = b.w0;
    k[5] = b.w1;
    k[6] = b.w2;
    k[7] = b.w3;
    k[PORTS] = (aPort << 16) | bPort;
  }

  /** Where the key's entry begins; -1: there is none. */
  #find(): number {
    if (this.#count > 0 && this.#isKeyAt(this.#last)) return this.#last;
    const { length } = this.#slots;
    for (let i = hash(this.#key, 0) & (length - 1); ; i = (i + 1) & (length - 1)) {
      const index = this.#slots[i];
      if (index === 0) return -1;
      const at = (index - 1) * WORDS;
      if (!this.#isKeyAt(at)) continue;
      this.#last = at;
      return at;
    }
  }

  #isKeyAt(at: number): boolean {
    for (let i = 0; i <= PORTS; i++) if (this.#entries[at + i] !== this.#key[i]) return false;
    return true;
  }

  #add(): number {
    let index = this.#count;
    if (index === CONNECTIONS_MAX) {
      index = this.#oldest;
      this.#oldest = (index + 1) % CONNECTIONS_MAX;
      this.#forget(index);
    } else {
      this.#count++;
      if (this.#count * 2 > this.#slots.length) this.#grow();
    }
    this.#entries.set(this.#key, index * WORDS);
    this.#place(index);
    return index * WORDS;
  }

  #place(index: number): void {
    const mask = this.#slots.length - 1;
    let i = hash(this.#entries, index * WORDS) & mask;
    while (this.#slots[i] !== 0) i = (i + 1) & mask;
    this.#slots[i] = index + 1;
  }

  #grow(): void {
    const entries = new Int32Array(this.#slots.length * WORDS);
    entries.set(this.#entries);
    this.#entries = entries;
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let index = 0; index < this.#count - 1; index++) this.#place(index);
  }

  /** Takes an entry out of the slots, and moves up those that had to pass it. */
  #forget(index: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = hash(this.#entries, index * WORDS) & mask;
    while (slots[hole] !== index + 1) hole = (hole + 1) & mask;
    for (let i = (hole + 1) & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const home = hash(this.#entries, (slots[i] - 1) * WORDS) & mask;
      // It may move to the hole unless its home lies between the hole and where it is.
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      slots[hole] = slots[i];
      hole = i;
    }
    slots[hole] = 0;
  }
}

/** Of nine words; spread, since addresses and ports differ in few bits. */
function hash(words: Int32Array, at: number): number {
  let h = 0;
  for (let i = 0; i <= PORTS; i++) h = Math.imul(h ^ words[at + i], 0x9e3779b1) ^ (h >>> 15);
  return h ^ (h >>> 16);
}

/** As the bytes of the addresses are ordered. */
function isAfter(a: IpAddr, b: IpAddr): boolean {
  if (a.w0 !== b.w0) return a.w0 >>> 0 > b.w0 >>> 0;
  if (a.w1 !== b.w1) return a.w1 >>> 0 > b.w1 >>> 0;
  if (a.w2 !== b.w2) return a.w2 >>> 0 > b.w2 >>> 0;
  return a.w3 >>> 0 > b.w3 >>> 0;
}
