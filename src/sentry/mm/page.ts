// Page arithmetic on addresses and offsets as plain numbers. The bit operators see the low 32 bits of any
// integer below 2^53 exactly, which is all that alignments up to 2 GiB need.

export const PAGE_BYTES = 4096;
export const PAGE_MASK = 4095;
export const HUGE_BYTES = 2 * 1024 * 1024;

export const pageDown = (n: number): number => n - (n & PAGE_MASK);
/** Up to the next page; stays exact far beyond any address (2^64 rounded included). */
export const pageUp = (n: number): number => {
  const low = n & PAGE_MASK;
  return low === 0 ? n : n - low + PAGE_BYTES;
};
/** alignBytes: a power of two up to 2 GiB. */
export const alignDown = (n: number, alignBytes: number): number => {
  const low = (n & (alignBytes - 1)) >>> 0;
  return n - low;
};
export const alignUp = (n: number, alignBytes: number): number => {
  const low = (n & (alignBytes - 1)) >>> 0;
  return low === 0 ? n : n - low + alignBytes;
};
