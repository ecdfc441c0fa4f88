// epoll over one preallocated event array: waiting allocates nothing (epoll(7)).

import { ENOSYS, EPERM } from "../abi/errno.ts";
import {
  SYS_epoll_create1,
  SYS_epoll_ctl,
  SYS_epoll_pwait2,
  SYS_epoll_wait,
} from "../abi/syscall-numbers.ts";
import { addressOf, io, sys } from "./raw-syscall.ts";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** struct epoll_event is packed on x86-64: u32 events, u64 data. */
const EVENT_BYTES = 12;

export class Epoll {
  readonly fd: number;
  readonly #events: Uint8Array;
  readonly #view: DataView;
  readonly #capacity: number;
  readonly #change = new Uint8Array(EVENT_BYTES); // its address is kept
  readonly #changeView = new DataView(this.#change.buffer);
  readonly #changeAddress = addressOf(this.#change);

  readonly #timeout = new Uint8Array(16); // its address is kept
  readonly #timeoutView = new DataView(this.#timeout.buffer);
  readonly #timeoutAddress = addressOf(this.#timeout);
  readonly #eventsAddress: number;
  #hasNanoseconds = true;

  /** Throws when the host gives no descriptor. */
  constructor(capacity = 64) {
    this.fd = sys(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
    this.#capacity = capacity;
    this.#events = new Uint8Array(EVENT_BYTES * capacity);
    this.#view = new DataView(this.#events.buffer);
    this.#eventsAddress = addressOf(this.#events);
  }

  /** mask: EPOLL* (POLLIN... and EPOLLET...). token comes back with the events. 0 or -errno. */
  add(fd: number, mask: number, token: number): number {
    return this.#control(EPOLL_CTL_ADD, fd, mask, token);
  }
  modify(fd: number, mask: number, token: number): number {
    return this.#control(EPOLL_CTL_MOD, fd, mask, token);
  }
  remove(fd: number): number {
    return this.#control(EPOLL_CTL_DEL, fd, 0, 0);
  }
  #control(op: number, fd: number, mask: number, token: number): number {
    this.#changeView.setUint32(0, mask, true);
    this.#changeView.setUint32(4, token, true);
    this.#changeView.setUint32(8, 0, true);
    return sys(SYS_epoll_ctl, this.fd, op, fd, this.#changeAddress, 0, 0);
  }

  /** timeoutMs: -1 for ever, 0 not at all. Count of events, or -errno (EINTR). */
  wait(timeoutMs: number): number {
    return io(SYS_epoll_wait, this.fd, this.#events, 0, this.#capacity, timeoutMs);
  }
  /** As wait, to the nanosecond where the host can (epoll_pwait2, Linux 5.11). Infinity: for ever. */
  waitNs(timeoutNs: number): number {
    if (timeoutNs === 0) return this.wait(0);
    if (timeoutNs === Number.POSITIVE_INFINITY) return this.wait(-1);
    if (this.#hasNanoseconds) {
      const seconds = Math.floor(timeoutNs / 1e9);
      this.#timeoutView.setUint32(0, seconds, true);
      this.#timeoutView.setUint32(8, timeoutNs - seconds * 1e9, true);
      const at = this.#timeoutAddress;
      const r = sys(SYS_epoll_pwait2, this.fd, this.#eventsAddress, this.#capacity, at, 0, 0);
      if (r !== -ENOSYS && r !== -EPERM) return r;
      this.#hasNanoseconds = false;
    }
    return this.wait(Math.min(0x7fff_ffff, Math.ceil(timeoutNs / 1e6)));
  }
  /** Of event i of the last wait. */
  maskAt(i: number): number {
    return this.#view.getUint32(i * EVENT_BYTES, true);
  }
  tokenAt(i: number): number {
    return this.#view.getInt32(i * EVENT_BYTES + 4, true);
  }
}
