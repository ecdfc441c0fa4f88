// One stub process as the Sentry sees it: its parts of the shared area, its command page and its runners.
// The command page is ours alone to write (read-only in the stub, and the mapper reports through pwrite), so
// what it says is true; runner words and slots are the program's to forge.

import { POLLIN } from "../../../abi/poll.ts";
import * as host from "../../../host/index.ts";
import {
  C_COUNT,
  C_DONE,
  C_ERROR,
  C_FILE_OFFSET,
  C_OPS,
  C_POSTED,
  C_SENTRY_WAITS,
  CHUNK_BYTES,
  CTL_BYTES,
  OP_BYTES,
  OPS_MAX,
  R_SLEEPING,
  R_TID,
  R_WORD,
  RUN_BYTES,
  RUNNER_BLOCK,
  RUNNER_BYTES,
} from "./layout.ts";
import type { SharedArea } from "./shared-area.ts";

export const STUB_AREA_BYTES = CTL_BYTES + RUN_BYTES + CHUNK_BYTES;
/** Looks at the mapper (about 6 ns each) before the Sentry sleeps for it: waking us again may cost 30 us. */
const LOOKS = 5_000;
/** As many when all CPUs are taken: then the mapper needs ours. */
const LOOKS_ALL_BUSY = 200;
const WAIT_NS = 2_000_000;

/** { tv_sec, tv_nsec } at a fixed address, for timed futex waits. */
const waitTime = host.pinnedBytes(16);
new DataView(waitTime.buffer).setUint32(8, WAIT_NS, true);
const waitTimeAddress = host.addressOf(waitTime);
const SYS_futex = 202;

export class Stub {
  readonly area: SharedArea;
  /** File offset of CTL; RUN and the first slot chunk follow it. */
  readonly offset: number;
  /** Index of the command page's first word. */
  readonly #ctl: number;
  readonly #run: number;
  readonly #words: Int32Array;
  pid = 0;
  pidfd = -1;
  /** See changes.ts. */
  pendingSince = 0;
  /** Operations written and not yet posted. */
  opCount = 0;
  #posted = 0;
  runnerCount = 0;

  constructor(area: SharedArea, offset: number) {
    this.area = area;
    this.offset = offset;
    this.#words = area.words;
    this.#ctl = offset >> 2;
    this.#run = (offset + CTL_BYTES) >> 2;
    area.setU64(offset + C_FILE_OFFSET, offset);
  }

  get runOffset(): number {
    return this.offset + CTL_BYTES;
  }
  get firstChunkOffset(): number {
    return this.offset + CTL_BYTES + RUN_BYTES;
  }

  // ---- batches for the mapper ----

  /** True: everything posted has been done. */
  get isSettled(): boolean {
    return Atomics.load(this.#words, this.#ctl + (C_DONE >> 2)) === this.#posted;
  }
  get isFull(): boolean {
    return this.opCount === OPS_MAX;
  }
  /** errno of the last operation that failed; 0: none has. */
  get failure(): number {
    return this.#words[this.#ctl + (C_ERROR >> 2)];
  }
  /** Precondition: settled. */
  clearFailure(): void {
    this.#words[this.#ctl + (C_ERROR >> 2)] = 0;
  }
  /** Batches posted so far. */
  get postCount(): number {
    return this.#posted;
  }

  /** Adds an operation. Precondition: settled, not full. */
  push(
    kind: number,
    nr: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ): void {
    const at = this.offset + C_OPS + this.opCount++ * OP_BYTES;
    const words = this.#words;
    let w = at >> 2;
    words[w++] = kind;
    words[w++] = nr;
    // The low word wraps by itself; only addresses, lengths and offsets have a high one.
    words[w++] = a;
    words[w++] = a / 0x1_0000_0000;
    words[w++] = b;
    words[w++] = b / 0x1_0000_0000;
    words[w++] = c;
    words[w++] = c / 0x1_0000_0000;
    words[w++] = d;
    words[w++] = 0;
    words[w++] = e;
    words[w++] = 0;
    words[w++] = f;
    words[w] = f / 0x1_0000_0000;
  }

  /** Hands the operations to the mapper, which someone must wake. */
  post(): void {
    this.#words[this.#ctl + (C_COUNT >> 2)] = this.opCount;
    this.opCount = 0;
    this.#posted = (this.#posted + 1) | 0;
    Atomics.store(this.#words, this.#ctl + (C_POSTED >> 2), this.#posted);
  }
  wakeMapper(): void {
    host.futexWake(this.area.address + this.offset + C_POSTED, 1);
  }

  /** Waits until everything posted is done. False: the stub has died. */
  settle(areAllCpusBusy: boolean): boolean {
    const looks = areAllCpusBusy ? LOOKS_ALL_BUSY : LOOKS;
    for (let i = 0; i < looks; i++) if (this.isSettled) return true;
    const words = this.#words;
    const doneWord = this.#ctl + (C_DONE >> 2);
    const doneAddress = this.area.address + this.offset + C_DONE;
    Atomics.store(words, this.#ctl + (C_SENTRY_WAITS >> 2), 1);
    for (let round = 0; ; round++) {
      const done = Atomics.load(words, doneWord);
      if (done === this.#posted) break;
      host.sys(SYS_futex, doneAddress, 0, done, waitTimeAddress, 0, 0);
      if (this.isSettled) break;
      if (this.hasExited()) return false;
      if (round > 0) this.wakeMapper();
    }
    Atomics.store(words, this.#ctl + (C_SENTRY_WAITS >> 2), 0);
    return true;
  }

  hasExited(): boolean {
    if (this.pidfd >= 0) return host.pollOne(this.pidfd, POLLIN, 0) !== 0;
    return this.pid > 0 && host.waitpid(this.pid, host.WNOHANG) !== 0;
  }

  // ---- runners ----

  /** Index of a runner's block in words. */
  #block(runner: number): number {
    return this.#run + ((runner * RUNNER_BYTES + RUNNER_BLOCK) >> 2);
  }
  tid(runner: number): number {
    return this.#words[this.#block(runner) + (R_TID >> 2)];
  }
  /** Gives a parked runner its word and wakes it if it sleeps. */
  command(runner: number, word: number): void {
    const block = this.#block(runner);
    Atomics.store(this.#words, block + (R_WORD >> 2), word);
    if (Atomics.load(this.#words, block + (R_SLEEPING >> 2)) !== 0)
      host.futexWake(this.area.address + 4 * block + R_WORD, 1);
  }
}
