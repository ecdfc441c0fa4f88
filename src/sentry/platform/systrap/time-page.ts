// The time page and the vDSO's image behind it, in one small memory file (native/x86_64/time-page.h, vdso.c).
// Programs map both and compute the time without a trap; the Sentry computes its own time from the same
// page, so the two never disagree. Who keeps the page right: loop/host-clock.ts.

import * as host from "../../../host/index.ts";
import type { VdsoImage } from "../platform.ts";
import { VDSO_ELF } from "./blob.generated.ts";
import { clockNow } from "./blob.ts";

/** Programs ask by system call. */
export const TIME_MODE_SYSCALL = 0;
/** base + (tsc - tscBase) * multiplier / 2^32 */
export const TIME_MODE_TSC = 1;
/** The bases as they stand. */
export const TIME_MODE_FROZEN = 2;

export const TIME_MONOTONIC = 0;
export const TIME_REALTIME = 1;
export const TIME_BOOTTIME = 2;

const PAGE_BYTES = 4096;
const MODE_WORD = 1;
const TSC_BASE = 1;
const MULTIPLIER = 2;
const BASES = 3;

export interface TimeParameters {
  mode: number;
  tscBase: bigint;
  multiplier: bigint;
  monotonicNs: bigint;
  realtimeNs: bigint;
  boottimeNs: bigint;
}

export class TimePage {
  readonly image: VdsoImage;
  readonly #address: number;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;

  constructor() {
    const elf = Buffer.from(VDSO_ELF, "base64");
    const imageBytes = Math.ceil(elf.length / PAGE_BYTES) * PAGE_BYTES;
    const fd = host.memfdCreate("netcell-vdso");
    host.ftruncate(fd, PAGE_BYTES + imageBytes);
    host.pwrite(fd, elf, 0, elf.length, PAGE_BYTES);
    const prot = host.PROT_READ | host.PROT_WRITE;
    this.#address = host.mmap(0, PAGE_BYTES, prot, host.MAP_SHARED, fd, 0);
    if (fd < 0 || this.#address < 0) throw new Error("the host gives no memory for the time page");
    const buffer = host.viewAt(this.#address, PAGE_BYTES);
    this.#words = new Int32Array(buffer);
    this.#longs = new BigUint64Array(buffer);
    this.image = {
      fd,
      dataOffset: 0,
      dataBytes: PAGE_BYTES,
      imageOffset: PAGE_BYTES,
      imageBytes,
      sigreturnOffset: symbolOffset(elf, "__netcell_sigreturn"),
    };
  }

  write(p: TimeParameters): void {
    const words = this.#words;
    const longs = this.#longs;
    Atomics.add(words, 0, 1);
    Atomics.store(words, MODE_WORD, p.mode);
    longs[TSC_BASE] = p.tscBase;
    longs[MULTIPLIER] = p.multiplier;
    longs[BASES + TIME_MONOTONIC] = p.monotonicNs;
    longs[BASES + TIME_REALTIME] = p.realtimeNs;
    longs[BASES + TIME_BOOTTIME] = p.boottimeNs;
    Atomics.add(words, 0, 1);
  }

  /** Monotonic nanoseconds by the page; -1 in TIME_MODE_SYSCALL. */
  monotonicNs(): number {
    return clockNow(this.#address, TIME_MONOTONIC);
  }
}

/** Value of a dynamic symbol in an ELF image of our own making; -1: none. */
export function symbolOffset(elf: Buffer, name: string): number {
  const sections = Number(elf.readBigUInt64LE(40));
  const count = elf.readUInt16LE(60);
  const at = (i: number, field: number): number =>
    Number(elf.readBigUInt64LE(sections + 64 * i + field));
  const SHT_DYNSYM = 11;
  for (let i = 0; i < count; i++) {
    if (elf.readUInt32LE(sections + 64 * i + 4) !== SHT_DYNSYM) continue;
    const strings = at(elf.readUInt32LE(sections + 64 * i + 40), 24);
    for (let symbol = at(i, 24); symbol < at(i, 24) + at(i, 32); symbol += 24) {
      const start = strings + elf.readUInt32LE(symbol);
      const end = elf.indexOf(0, start);
      if (elf.toString("latin1", start, end) === name)
        return Number(elf.readBigUInt64LE(symbol + 8));
    }
  }
  return -1;
}
