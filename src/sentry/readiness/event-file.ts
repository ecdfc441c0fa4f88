// eventfd(2): a 64-bit counter that is readable when it is not zero. Kept as two 32-bit words: the whole
// range up to 2^64-2 is in use by programs, and a number would round it.

import { EAGAIN, EINVAL } from "../../abi/errno.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/poll.ts";
import { setU32Le, u32Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { O_RDWR } from "../vfs/file-description.ts";
import type { Io } from "../vfs/io.ts";
import { AnonymousFile } from "./anonymous-file.ts";

const TWO_32 = 0x1_0000_0000;
const ALL_ONES = 0xffff_ffff;
const scratch = new Uint8Array(8);

export class EventFile extends AnonymousFile {
  readonly className = "[eventfd]";
  readonly isSemaphore: boolean;
  #low: number;
  #high = 0;

  constructor(initial: number, isSemaphore: boolean, flags: number) {
    super(O_RDWR | flags);
    this.#low = initial >>> 0;
    this.isSemaphore = isSemaphore;
  }

  override read(_t: Task, io: Io): number {
    if (io.remaining < 8) return -EINVAL;
    if (this.#low === 0 && this.#high === 0) return -EAGAIN;
    setU32Le(scratch, 0, this.isSemaphore ? 1 : this.#low);
    setU32Le(scratch, 4, this.isSemaphore ? 0 : this.#high);
    const n = io.copyOut(scratch, 0, 8);
    if (n < 0) return n;
    if (!this.isSemaphore) {
      this.#low = 0;
      this.#high = 0;
    } else if (this.#low > 0) {
      this.#low--;
    } else {
      this.#low = ALL_ONES;
      this.#high--;
    }
    this.waiters.notify(POLLOUT | POLLWRNORM);
    return 8;
  }

  override write(_t: Task, io: Io): number {
    if (io.remaining < 8) return -EINVAL;
    const n = io.copyIn(scratch, 0, 8);
    if (n < 8) return n < 0 ? n : -EINVAL;
    const low = u32Le(scratch, 0);
    const high = u32Le(scratch, 4);
    if (low === ALL_ONES && high === ALL_ONES) return -EINVAL;
    return this.#add(low, high) ? 8 : -EAGAIN;
  }

  /** The kernel's own signal (aio, device events): never blocks; sticks at the top. */
  signal(count: number): void {
    this.#add(count >>> 0, 0);
  }

  /** False: the sum would pass 2^64-2. */
  #add(low: number, high: number): boolean {
    let sumLow = this.#low + low;
    let sumHigh = this.#high + high;
    if (sumLow >= TWO_32) {
      sumLow -= TWO_32;
      sumHigh++;
    }
    if (sumHigh >= TWO_32 || (sumHigh === ALL_ONES && sumLow === ALL_ONES)) return false;
    this.#low = sumLow;
    this.#high = sumHigh;
    if (sumLow !== 0 || sumHigh !== 0) this.waiters.notify(POLLIN | POLLRDNORM);
    return true;
  }

  override poll(): number {
    let mask = 0;
    if (this.#low !== 0 || this.#high !== 0) mask |= POLLIN | POLLRDNORM;
    if (this.#high !== ALL_ONES || this.#low < ALL_ONES - 1) mask |= POLLOUT | POLLWRNORM;
    return mask;
  }
  override fdinfo(): string {
    const hex = (this.#high * TWO_32 + this.#low).toString(16).padStart(16, " ");
    return `eventfd-count: ${hex}\neventfd-semaphore: ${Number(this.isSemaphore)}\n`;
  }
  override release(): void {}
}
