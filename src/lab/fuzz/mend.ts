// Changes to the bytes of a frame that keep it a packet: after a field was changed the checksums around it are
// made right again, so that the change gets past the first check. Sometimes they are left wrong.

import { setU16, u16 } from "../../base/bytes.ts";
import type { SeededRng } from "../../base/rng.ts";
import { IpAddr, pseudoSum, sum16 } from "../../netstack/index.ts";

const ETH = 14;
const SUM_AT: Readonly<Record<number, number>> = { 1: 2, 6: 16, 17: 6, 58: 2 };
const FRAME_MAX = 1_514;
const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 4, 5, 6, 8, 40, 60];

const src = new IpAddr();
const dst = new IpAddr();

/** Checksums of IP header and transport as they should be, as far as there is an end to be found. */
export function mendChecksums(f: Uint8Array): void {
  if (f.length < ETH + 20) return;
  const type = u16(f, 12);
  if (type === 0x0800) mendIpv4(f);
  else if (type === 0x86dd && f.length >= ETH + 40) {
    src.read(f, ETH + 8, 6);
    dst.read(f, ETH + 24, 6);
    transport(f, ETH + 40, Math.min(f.length, ETH + 40 + u16(f, ETH + 4)), f[ETH + 6]);
  }
}

function mendIpv4(f: Uint8Array): void {
  const header = (f[ETH] & 15) << 2;
  if (header < 20 || ETH + header > f.length) return;
  setU16(f, ETH + 10, 0);
  setU16(f, ETH + 10, ~sum16(f, ETH, header) & 0xffff);
  if ((u16(f, ETH + 6) & 0x3fff) !== 0) return;
  src.read(f, ETH + 12, 4);
  dst.read(f, ETH + 16, 4);
  transport(f, ETH + header, Math.min(f.length, ETH + u16(f, ETH + 2)), f[ETH + 9]);
}

function transport(f: Uint8Array, at: number, end: number, protocol: number): void {
  const field = SUM_AT[protocol];
  if (field === undefined || at + field + 2 > end) return;
  setU16(f, at + field, 0);
  const length = end - at;
  const seed = protocol === 1 ? 0 : pseudoSum(src, dst, protocol, length);
  setU16(f, at + field, ~sum16(f, at, length, seed) & 0xffff);
}

/** One to four changes: bits, bytes, words, a piece more or less. */
export function mutateFrame(frame: Uint8Array, rng: SeededRng): Uint8Array {
  let f: Uint8Array = frame.slice();
  for (let n = 1 + rng.below(4); n > 0; n--) f = change(f, rng);
  if (rng.below(8) !== 0) mendChecksums(f);
  return f;
}

function change(f: Uint8Array, rng: SeededRng): Uint8Array {
  if (f.length < 15) return f;
  // Headers are where the decisions are; behind them are mostly bytes that nobody looks at.
  const at = rng.below(5) === 0 ? rng.below(f.length) : 12 + rng.below(Math.min(f.length - 12, 64));
  switch (rng.below(7)) {
    case 0:
      f[at] ^= 1 << rng.below(8);
      return f;
    case 1:
      f[at] = rng.below(256);
      return f;
    case 2:
      f[at] = INTERESTING[rng.below(INTERESTING.length)];
      return f;
    case 3:
      f[at] += 1 - 2 * rng.below(2);
      return f;
    case 4:
      return f.slice(0, Math.max(14, f.length - 1 - rng.below(24)));
    case 5: {
      if (f.length >= FRAME_MAX) return f;
      const more = new Uint8Array(Math.min(FRAME_MAX, f.length + 1 + rng.below(24)));
      more.set(f);
      return more;
    }
    default: {
      const from = rng.below(f.length);
      f.copyWithin(at, from, Math.min(f.length, from + 1 + rng.below(8)));
      return f;
    }
  }
}
