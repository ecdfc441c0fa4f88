// pcapng's timestamps (draft-ietf-opsawg-pcapng 4.2, if_tsresol and if_tsoffset): 64 bits in units of a power
// of ten or of two of a second, split into seconds and nanoseconds without rounding.

import type { CapturedFrame } from "./captured-frame.ts";

const BILLION = 1_000_000_000;
/** Below this, every step of the division by 16-bit digits is exact in a double. */
const EXACT_UNITS_MAX = 2 ** 36;

export interface TimeUnit {
  /** Per second; 0 where only BigInt can hold it. */
  perSecond: number;
  exact: bigint;
  offsetSeconds: number;
}

/** if_tsresol's byte: the top bit says two, else ten; the rest is the negative exponent. */
export function timeUnit(resolution: number, offsetSeconds: number): TimeUnit {
  const base = (resolution & 0x80) !== 0 ? 2n : 10n;
  const exact = base ** BigInt(resolution & 0x7f);
  const perSecond = exact <= BigInt(EXACT_UNITS_MAX) ? Number(exact) : 0;
  return { perSecond, exact, offsetSeconds };
}

export const MICROSECONDS = timeUnit(6, 0);

export function setTime(frame: CapturedFrame, high: number, low: number, unit: TimeUnit): void {
  const { perSecond } = unit;
  if (perSecond === 0) {
    setTimeExactly(frame, high, low, unit);
    return;
  }
  // Long division by 16-bit digits: the remainder stays below 2^36, so each step is exact.
  let quotient = 0;
  let remainder = high >>> 16;
  quotient = Math.floor(remainder / perSecond);
  remainder -= quotient * perSecond;
  for (let i = 0; i < 3; i++) {
    const digit = i === 0 ? high & 0xffff : i === 1 ? low >>> 16 : low & 0xffff;
    const current = remainder * 0x1_0000 + digit;
    const q = Math.floor(current / perSecond);
    remainder = current - q * perSecond;
    quotient = quotient * 0x1_0000 + q;
  }
  frame.seconds = quotient + unit.offsetSeconds;
  frame.nanoseconds =
    perSecond === BILLION ? remainder : Math.floor(remainder * (BILLION / perSecond));
}

function setTimeExactly(frame: CapturedFrame, high: number, low: number, unit: TimeUnit): void {
  const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  frame.seconds = Number(value / unit.exact) + unit.offsetSeconds;
  frame.nanoseconds = Number(((value % unit.exact) * BigInt(BILLION)) / unit.exact);
}
