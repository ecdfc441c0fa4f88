// The extended (FPU, SSE, AVX...) state in a signal frame: struct _fpstate_64 in FXSAVE form, the XSAVE header
// at 512, components behind it, and a magic word at the end (asm/sigcontext.h). What a program hands in
// is checked here, because the host kills a thread whose frame it cannot load.

import { setU32Le, u32Le } from "../../../base/bytes.ts";

const MAGIC1 = 0x4650_5853;
const MAGIC2 = 0x4650_5845;
const FCW_AT = 0;
const MXCSR_AT = 24;
const MXCSR_MASK_AT = 28;
const SW_RESERVED_AT = 464;
const HEADER_AT = 512;
const HEADER_END = 576;
const LEGACY_BYTES = 512;
const MXCSR_MASK_DEFAULT = 0xffbf;
const FEATURES_X87_SSE = 3;

export class FpFormat {
  /** Whole size in the frame, the magic word at the end included. */
  readonly bytes: number;
  /** Of it, the XSAVE area: what a signal frame of the program's carries. */
  readonly xstateBytes: number;
  readonly #features: number;
  readonly #featuresHigh: number;
  readonly #mxcsrMask: number;
  /** The state of a fresh process. */
  readonly initial: Uint8Array;

  constructor(sample: Uint8Array, extendedBytes: number, xstateBytes: number) {
    this.bytes = extendedBytes;
    this.xstateBytes = xstateBytes;
    this.#features = u32Le(sample, SW_RESERVED_AT + 8);
    this.#featuresHigh = u32Le(sample, SW_RESERVED_AT + 12);
    const mask = u32Le(sample, MXCSR_MASK_AT);
    this.#mxcsrMask = mask === 0 ? MXCSR_MASK_DEFAULT : mask;
    this.initial = new Uint8Array(extendedBytes);
    this.initial[FCW_AT] = 0x7f;
    this.initial[FCW_AT + 1] = 0x03;
    setU32Le(this.initial, MXCSR_AT, 0x1f80);
    setU32Le(this.initial, MXCSR_MASK_AT, this.#mxcsrMask);
    this.#seal(this.initial, 0);
  }

  /** The words by which the host recognises the extended part. */
  #seal(bytes: Uint8Array, at: number): void {
    const sw = at + SW_RESERVED_AT;
    bytes.fill(0, sw, at + LEGACY_BYTES);
    setU32Le(bytes, sw, MAGIC1);
    setU32Le(bytes, sw + 4, this.bytes);
    setU32Le(bytes, sw + 8, this.#features);
    setU32Le(bytes, sw + 12, this.#featuresHigh);
    setU32Le(bytes, sw + 16, this.xstateBytes);
    setU32Le(bytes, at + this.xstateBytes, MAGIC2);
  }

  /**
   * Copies a program's state to dst if the host would load it: the whole XSAVE area, or (shorter) the legacy
   * 512 bytes alone. The magic words are the caller's to judge.
   */
  accept(src: Uint8Array, from: number, length: number, dst: Uint8Array, to: number): boolean {
    if (length < LEGACY_BYTES) return false;
    const isExtended = length >= this.xstateBytes;
    if ((u32Le(src, from + MXCSR_AT) & ~this.#mxcsrMask) !== 0) return false;
    if (isExtended && !this.#isHeaderValid(src, from + HEADER_AT)) return false;
    dst.fill(0, to, to + this.bytes);
    const count = isExtended ? this.xstateBytes : LEGACY_BYTES;
    for (let i = 0; i < count; i++) dst[to + i] = src[from + i];
    if (!isExtended) setU32Le(dst, to + HEADER_AT, FEATURES_X87_SSE);
    this.#seal(dst, to);
    return true;
  }

  #isHeaderValid(src: Uint8Array, at: number): boolean {
    if ((u32Le(src, at) & ~this.#features) !== 0) return false;
    if ((u32Le(src, at + 4) & ~this.#featuresHigh) !== 0) return false;
    for (let i = 8; i < HEADER_END - HEADER_AT; i++) if (src[at + i] !== 0) return false;
    return true;
  }
}
