// Rng over the host's getrandom, drawn in blocks so that small requests cost no host call. Bytes handed out
// are wiped from the block at once.

import type { Rng } from "../../base/rng.ts";
import { getrandom } from "../../host/index.ts";

const BLOCK_BYTES = 256;

export class SecureRng implements Rng {
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #used = BLOCK_BYTES;

  #next(): number {
    if (this.#used === BLOCK_BYTES) {
      const r = getrandom(this.#block, 0, BLOCK_BYTES);
      if (r !== BLOCK_BYTES) throw new Error(`getrandom failed (${r})`);
      this.#used = 0;
    }
    const byte = this.#block[this.#used];
    this.#block[this.#used++] = 0;
    return byte;
  }

  u32(): number {
    return (this.#next() | (this.#next() << 8) | (this.#next() << 16) | (this.#next() << 24)) >>> 0;
  }

  below(n: number): number {
    // Values in the last, incomplete run of n are drawn again: no remainder bias.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    let r = this.u32();
    while (r >= limit) r = this.u32();
    return r % n;
  }

  fill(bytes: Uint8Array, offset: number, length: number): void {
    if (length > BLOCK_BYTES / 2) {
      const r = getrandom(bytes, offset, length);
      if (r !== length) throw new Error(`getrandom failed (${r})`);
      return;
    }
    for (let i = 0; i < length; i++) bytes[offset + i] = this.#next();
  }
}
