// Where things go in a new address space, as Linux lays it out on x86-64 (arch/x86/mm/mmap.c, fs/binfmt_elf.c):
// stack on top, mmap area growing down below it, PIE programs two thirds up, heap after the program.

import type { Rng } from "../../base/rng.ts";
import type { Platform } from "../platform/platform.ts";
import { PAGE_BYTES, pageDown } from "./page.ts";

const MiB = 1024 * 1024;

/** vm.mmap_min_addr. */
export const MMAP_MIN_ADDR = 65_536;
const STACK_RANDOM_PAGES = 1 << 22;
const MMAP_RANDOM_PAGES = 1 << 28;
const BRK_RANDOM_PAGES = 1 << 13;
const STACK_GAP_MIN_BYTES = 128 * MiB;

export class Layout {
  readonly minAddress: number;
  readonly maxAddress: number;
  /** First address above the stack. */
  readonly stackTop: number;
  /** mmap searches downwards from here. */
  readonly mmapBase: number;
  /** Where a PIE program that names no address is loaded. */
  readonly pieBase: number;
  /** The heap starts this far after the program. */
  readonly brkGapBytes: number;

  constructor(
    minAddress: number,
    maxAddress: number,
    stackTop: number,
    mmapBase: number,
    pieBase: number,
    brkGapBytes: number,
  ) {
    this.minAddress = minAddress;
    this.maxAddress = maxAddress;
    this.stackTop = stackTop;
    this.mmapBase = mmapBase;
    this.pieBase = pieBase;
    this.brkGapBytes = brkGapBytes;
  }

  static choose(
    deps: { readonly platform: Platform; readonly rng: Rng },
    stackLimitBytes: number,
    randomize: boolean,
  ): Layout {
    const { rng, platform } = deps;
    const min = Math.max(platform.minAddress, MMAP_MIN_ADDR);
    const max = platform.maxAddress;
    const pages = (count: number): number => (randomize ? rng.below(count) * PAGE_BYTES : 0);
    const stackTop = pageDown(max) - PAGE_BYTES - pages(STACK_RANDOM_PAGES);
    const stackGap = Math.min(
      Math.max(stackLimitBytes, STACK_GAP_MIN_BYTES),
      pageDown((max / 6) * 5),
    );
    // The gap counts from the lowest place the stack may have: its random part, and the guard gap.
    const mmapBase =
      pageDown(max - stackGap - STACK_RANDOM_PAGES * PAGE_BYTES - 2 * MiB) -
      pages(MMAP_RANDOM_PAGES);
    const pieBase = alignTo2M((max / 3) * 2) + pages(MMAP_RANDOM_PAGES);
    return new Layout(min, max, stackTop, mmapBase, pieBase, pages(BRK_RANDOM_PAGES));
  }
}

function alignTo2M(n: number): number {
  return Math.floor(n / (2 * MiB)) * (2 * MiB);
}
