// timerfd_create(2): a timer whose expirations are read as a count. A periodic timer that has fired is
// armed again only when somebody looks (read, timerfd_gettime), as in Linux: a program that asks for
// nanosecond periods and never reads costs nothing.

import { EAGAIN, EINVAL } from "../../abi/errno.ts";
import { POLLIN, POLLRDNORM } from "../../abi/poll.ts";
import { CLOCK_REALTIME, CLOCK_REALTIME_ALARM } from "../../abi/time.ts";
import { setU64Le } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import { O_RDWR } from "../vfs/file-description.ts";
import type { Io } from "../vfs/io.ts";
import { AnonymousFile } from "./anonymous-file.ts";

const scratch = new Uint8Array(8);

export class TimerFile extends AnonymousFile {
  readonly className = "[timerfd]";
  readonly clockId: number;
  readonly #kernel: Kernel;
  readonly #timer: Timer;
  #intervalNs = 0;
  /** Monotonic time of the next expiry, or of the last when it has fired and waits for a reader. */
  #expiryNs = 0;
  #ticks = 0;
  #hasFired = false;
  #settimeFlags = 0;

  constructor(kernel: Kernel, clockId: number, flags: number) {
    super(O_RDWR | flags);
    this.#kernel = kernel;
    this.clockId = clockId;
    this.#timer = new Timer(() => this.#onExpiry());
  }

  /** valueNs 0 disarms; isAbsolute: a time of clockId. */
  arm(valueNs: number, intervalNs: number, isAbsolute: boolean, flags: number): void {
    const kernel = this.#kernel;
    kernel.timers.disarm(this.#timer);
    this.#ticks = 0;
    this.#hasFired = false;
    this.#intervalNs = intervalNs;
    this.#settimeFlags = flags;
    if (valueNs === 0) {
      this.#expiryNs = 0;
      return;
    }
    const nowNs = kernel.clock.monotonicNs();
    if (!isAbsolute) this.#expiryNs = nowNs + valueNs;
    else if (this.#isRealtime) this.#expiryNs = nowNs + (valueNs - kernel.clock.realtimeNs());
    else this.#expiryNs = valueNs;
    kernel.timers.arm(this.#timer, this.#expiryNs);
  }

  get #isRealtime(): boolean {
    return this.clockId === CLOCK_REALTIME || this.clockId === CLOCK_REALTIME_ALARM;
  }
  get intervalNs(): number {
    return this.#intervalNs;
  }
  /** Until the next expiry; 0 when disarmed. */
  remainingNs(): number {
    if (this.#expiryNs === 0) return 0;
    if (this.#hasFired) {
      if (this.#intervalNs === 0) return 0;
      this.#forward();
    }
    return Math.max(1, this.#expiryNs - this.#kernel.clock.monotonicNs());
  }

  #onExpiry(): void {
    this.#hasFired = true;
    this.#ticks++;
    this.waiters.notify(POLLIN | POLLRDNORM);
  }

  /** Counts the periods that went by since it fired, and arms the next. */
  #forward(): void {
    const nowNs = this.#kernel.clock.monotonicNs();
    const periods = Math.max(1, Math.floor((nowNs - this.#expiryNs) / this.#intervalNs) + 1);
    this.#ticks += periods - 1;
    this.#expiryNs += periods * this.#intervalNs;
    this.#hasFired = false;
    this.#kernel.timers.arm(this.#timer, this.#expiryNs);
  }

  override read(_t: Task, io: Io): number {
    if (io.remaining < 8) return -EINVAL;
    if (this.#ticks === 0) return -EAGAIN;
    if (this.#hasFired && this.#intervalNs > 0) this.#forward();
    setU64Le(scratch, 0, this.#ticks);
    const n = io.copyOut(scratch, 0, 8);
    if (n < 0) return n;
    this.#ticks = 0;
    return 8;
  }

  override poll(): number {
    return this.#ticks > 0 ? POLLIN | POLLRDNORM : 0;
  }
  override fdinfo(): string {
    const pair = (ns: number): string => `(${Math.floor(ns / SECOND)}, ${ns % SECOND})`;
    return (
      `clockid: ${this.clockId}\nticks: ${this.#ticks}\n` +
      `settime flags: 0${this.#settimeFlags.toString(8)}\n` +
      `it_value: ${pair(this.remainingNs())}\nit_interval: ${pair(this.#intervalNs)}\n`
    );
  }
  override release(): void {
    this.#kernel.timers.disarm(this.#timer);
  }
}
