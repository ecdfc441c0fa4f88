// SipHash-2-4 (Aumasson, Bernstein) in 32-bit arithmetic, for what must not be guessed: RFC 6528 sequence
// numbers, timestamp offsets. The hash tables, on the packet path, use base's faster HalfSipHash.

import type { Rng } from "../../base/rng.ts";

export class SipKey {
  readonly k0: number;
  readonly k1: number;
  readonly k2: number;
  readonly k3: number;

  constructor(rng: Rng) {
    this.k0 = rng.u32() | 0;
    this.k1 = rng.u32() | 0;
    this.k2 = rng.u32() | 0;
    this.k3 = rng.u32() | 0;
  }
}

// The four 64-bit lanes as low and high halves; scratch, because locals cannot be returned from a round.
const $v = new Int32Array(8);

/** v[a] += v[b] on 64-bit lanes. */
function add(a: number, b: number): void {
  const lo = ($v[a] >>> 0) + ($v[b] >>> 0);
  $v[a + 1] = ($v[a + 1] + $v[b + 1] + (lo > 0xffffffff ? 1 : 0)) | 0;
  $v[a] = lo | 0;
}

/** v[a] = rotl(v[a], n) ^ v[b]; 0 < n < 32. */
function rotXor(a: number, n: number, b: number): void {
  const lo = $v[a];
  const hi = $v[a + 1];
  $v[a] = ((lo << n) | (hi >>> (32 - n))) ^ $v[b];
  $v[a + 1] = ((hi << n) | (lo >>> (32 - n))) ^ $v[b + 1];
}

function rot32(a: number): void {
  const lo = $v[a];
  $v[a] = $v[a + 1];
  $v[a + 1] = lo;
}

const V0 = 0;
const V1 = 2;
const V2 = 4;
const V3 = 6;

function sipRound(): void {
  add(V0, V1);
  rotXor(V1, 13, V0);
  rot32(V0);
  add(V2, V3);
  rotXor(V3, 16, V2);
  add(V0, V3);
  rotXor(V3, 21, V0);
  add(V2, V1);
  rotXor(V1, 17, V2);
  rot32(V2);
}

/** SipHash-2-4 over `count` 32-bit words (little-endian), low 32 bits of the result. count is even. */
export function sipHash(key: Readonly<SipKey>, words: Int32Array, count: number): number {
  $v[0] = key.k0 ^ 0x70736575;
  $v[1] = key.k1 ^ 0x736f6d65;
  $v[2] = key.k2 ^ 0x6e646f6d;
  $v[3] = key.k3 ^ 0x646f7261;
  $v[4] = key.k0 ^ 0x6e657261;
  $v[5] = key.k1 ^ 0x6c796765;
  $v[6] = key.k2 ^ 0x79746573;
  $v[7] = key.k3 ^ 0x74656462;
  for (let i = 0; i < count; i += 2) sipBlock(words[i], words[i + 1]);
  sipBlock(0, (count * 4) << 24);
  $v[4] ^= 0xff;
  sipRound();
  sipRound();
  sipRound();
  sipRound();
  return $v[0] ^ $v[2] ^ $v[4] ^ $v[6];
}

function sipBlock(lo: number, hi: number): void {
  $v[6] ^= lo;
  $v[7] ^= hi;
  sipRound();
  sipRound();
  $v[0] ^= lo;
  $v[1] ^= hi;
}

/** High half of the last sipHash: a second, independent 32-bit output. */
export const sipHashHigh = (): number => $v[1] ^ $v[3] ^ $v[5] ^ $v[7];
