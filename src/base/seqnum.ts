// Arithmetic modulo 2^32 on TCP sequence numbers and timestamps, kept as int32 (RFC 9293 3.4).
// The only place that subtracts them.

export const seqAdd = (a: number, n: number): number => (a + n) | 0;
/** Signed distance a - b: positive when a is after b. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0;
export const seqLt = (a: number, b: number): boolean => ((a - b) | 0) < 0;
export const seqLe = (a: number, b: number): boolean => ((a - b) | 0) <= 0;
export const seqGt = (a: number, b: number): boolean => ((a - b) | 0) > 0;
export const seqGe = (a: number, b: number): boolean => ((a - b) | 0) >= 0;
export const seqMax = (a: number, b: number): number => (((a - b) | 0) >= 0 ? a : b);
export const seqMin = (a: number, b: number): number => (((a - b) | 0) <= 0 ? a : b);
/** start <= a < start + length, modulo 2^32. */
export const seqInWindow = (a: number, start: number, length: number): boolean =>
  (a - start) >>> 0 < length;
