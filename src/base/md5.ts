// MD5 (RFC 1321), for the one protocol that still needs it: TCP's signature option (RFC 2385). Pieces go in as they lie;
// nothing is allocated for a message. Not for anything that must resist a forger who can choose messages.

import { setU32Le, u32Le } from "./bytes.ts";

export const MD5_BYTES = 16;
const BLOCK_BYTES = 64;

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
/** RFC 1321 3.4: the integer part of 2^32 * |sin(i)|. */
const SINES = Int32Array.from({ length: 64 }, (_, i) =>
  Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);

export class Md5 {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  #length = 0;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #words = new Int32Array(16);

  begin(): this {
    this.#a = 0x67452301;
    this.#b = 0xefcdab89 | 0;
    this.#c = 0x98badcfe | 0;
    this.#d = 0x10325476;
    this.#length = 0;
    return this;
  }

  add(bytes: Uint8Array, offset: number, length: number): this {
    const end = offset + length;
    let at = offset;
    let used = this.#length % BLOCK_BYTES;
    this.#length += length;
    if (used > 0) {
      const n = Math.min(BLOCK_BYTES - used, length);
      for (let i = 0; i < n; i++) this.#block[used + i] = bytes[at + i];
      at += n;
      used += n;
      if (used < BLOCK_BYTES) return this;
      this.#digestBlock(this.#block, 0);
    }
    for (; at + BLOCK_BYTES <= end; at += BLOCK_BYTES) this.#digestBlock(bytes, at);
    for (let i = 0; at + i < end; i++) this.#block[i] = bytes[at + i];
    return this;
  }

  /** Writes the digest of all that was added. */
  end(out: Uint8Array, at: number): void {
    const bits = this.#length * 8;
    const block = this.#block;
    let used = this.#length % BLOCK_BYTES;
    block[used++] = 0x80;
    if (used > BLOCK_BYTES - 8) {
      block.fill(0, used);
      this.#digestBlock(block, 0);
      used = 0;
    }
    block.fill(0, used);
    setU32Le(block, BLOCK_BYTES - 8, bits >>> 0);
    setU32Le(block, BLOCK_BYTES - 4, Math.floor(bits / 2 ** 32));
    this.#digestBlock(block, 0);
    setU32Le(out, at, this.#a);
    setU32Le(out, at + 4, this.#b);
    setU32Le(out, at + 8, this.#c);
    setU32Le(out, at + 12, this.#d);
  }

  #digestBlock(bytes: Uint8Array, at: number): void {
    const x = this.#words;
    for (let i = 0; i < 16; i++) x[i] = u32Le(bytes, at + 4 * i);
    let a = this.#a;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d;
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      let f: number;
      let k: number;
      if (round === 0) {
        f = (b & c) | (~b & d);
        k = i;
      } else if (round === 1) {
        f = (d & b) | (~d & c);
        k = (5 * i + 1) & 15;
      } else if (round === 2) {
        f = b ^ c ^ d;
        k = (3 * i + 5) & 15;
      } else {
        f = c ^ (b | ~d);
        k = (7 * i) & 15;
      }
      const sum = (a + f + SINES[i] + x[k]) | 0;
      const shift = SHIFTS[(round << 2) | (i & 3)];
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    this.#a = (this.#a + a) | 0;
    this.#b = (this.#b + b) | 0;
    this.#c = (this.#c + c) | 0;
    this.#d = (this.#d + d) | 0;
  }
}
