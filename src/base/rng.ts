// Randomness comes in by constructor. SeededRng is repeatable and not for secrets; the host rooms
// implement SecureRng over the host's getrandom.

export interface Rng {
  /** Uniform in [0, 2^32). */
  u32(): number;
  /** Uniform in [0, n). n <= 2^32. */
  below(n: number): number;
  fill(bytes: Uint8Array, offset: number, length: number): void;
}

/** sfc32 (PractRand's small fast counter), seeded through splitmix32. */
export class SeededRng implements Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    let s = seed | 0;
    const next = (): number => {
      s = (s + 0x9e3779b9) | 0;
      let t = s ^ (s >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      return t ^ (t >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  below(n: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * n);
  }

  fill(bytes: Uint8Array, offset: number, length: number): void {
    for (let i = 0; i < length; i += 4) {
      const r = this.u32();
      for (let k = 0; k < 4 && i + k < length; k++) bytes[offset + i + k] = r >>> (8 * k);
    }
  }
}
