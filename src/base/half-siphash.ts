// HalfSipHash-1-3 over 32-bit words: a keyed hash that a stranger cannot predict or collide on purpose
// (ports, IP IDs, sequence numbers, hash tables). Not a MAC for secrets of worth. State sits in the
// object, so hashing allocates nothing: begin(), add() words, end().
// Aumasson & Bernstein, "SipHash: a fast short-input PRF"; the 32-bit variant as in the Linux kernel.

import type { Rng } from "./rng.ts";

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

export class KeyedHash {
  readonly #k0: number;
  readonly #k1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;
  #count = 0;

  constructor(rng: Rng) {
    this.#k0 = rng.u32() | 0;
    this.#k1 = rng.u32() | 0;
  }

  begin(): this {
    this.#v0 = this.#k0;
    this.#v1 = this.#k1;
    this.#v2 = 0x6c796765 ^ this.#k0;
    this.#v3 = 0x74656462 ^ this.#k1;
    this.#count = 0;
    return this;
  }

  add(word: number): this {
    this.#v3 ^= word;
    this.#round();
    this.#v0 ^= word;
    this.#count++;
    return this;
  }

  /** 32 bits, unsigned. */
  end(): number {
    this.add(this.#count << 26);
    this.#v2 ^= 0xff;
    this.#round();
    this.#round();
    this.#round();
    return (this.#v1 ^ this.#v3) >>> 0;
  }

  /**
   * begin().add(a).add(b).add(c).end(), with the state in locals: for the tables that every packet asks.
   * measured: about half the time (Node 20).
   */
  three(a: number, b: number, c: number): number {
    let v0 = this.#k0;
    let v1 = this.#k1;
    let v2 = 0x6c796765 ^ v0;
    let v3 = 0x74656462 ^ v1;
    // One round for each word and for their count, three for the end.
    for (let i = 0; i < 7; i++) {
      const word = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? 3 << 26 : 0;
      if (i === 4) v2 ^= 0xff;
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = rotl(v1, 5) ^ v0;
      v0 = rotl(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotl(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotl(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotl(v1, 13) ^ v2;
      v2 = rotl(v2, 16);
      v0 ^= word;
    }
    return (v1 ^ v3) >>> 0;
  }

  #round(): void {
    let v0 = (this.#v0 + this.#v1) | 0;
    let v1 = rotl(this.#v1, 5) ^ v0;
    v0 = rotl(v0, 16);
    let v2 = (this.#v2 + this.#v3) | 0;
    let v3 = rotl(this.#v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotl(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotl(v1, 13) ^ v2;
    v2 = rotl(v2, 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}
