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
