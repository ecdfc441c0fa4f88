// The Sentry's socket to the Gofer: send a request, wait for the answer, spinning first (an answer takes
// some ten microseconds; a sleep and a wake-up take more). Synchronous on purpose: see architecture
// invariant 1. Descriptors arrive close-on-exec.

import { EAGAIN, EINTR, EIO, EPIPE, errnoName } from "../../abi/errno.ts";
import { SYS_poll } from "../../abi/syscall-numbers.ts";
import { type GoferTransport, MESSAGE_BYTES_MAX } from "../../gofer/index.ts";
import { close } from "../../host/libc.ts";
import { addressOf, sys } from "../../host/raw-syscall.ts";
import { MSG_DONTWAIT, ReceiveBuffer, sendBytes } from "../../host/unix-socket.ts";

/** Looks for the answer before sleeping: each takes about half a microsecond. */
const SPINS = 200;

export class GoferSocket implements GoferTransport {
  readonly reply: Uint8Array;
  receivedFd = -1;
  readonly #fd: number;
  readonly #input = new ReceiveBuffer(MESSAGE_BYTES_MAX);
  readonly #pollFd: Int32Array;
  readonly #pollAt: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.reply = this.#input.bytes;
    this.#pollFd = new Int32Array([fd, 1]);
    this.#pollAt = addressOf(new Uint8Array(this.#pollFd.buffer));
  }

  call(request: Uint8Array, length: number): number {
    this.receivedFd = -1;
    let r: number;
    do r = sendBytes(this.#fd, request, 0, length);
    while (r === -EINTR);
    if (r < 0) throw this.#gone(r);
    r = this.#receive();
    if (r <= 0) throw this.#gone(r);
    if (this.#input.fdCount > 1) {
      this.#input.closeDescriptors();
      return -EIO;
    }
    if (this.#input.fdCount === 1) this.receivedFd = this.#input.fds[0];
    return r;
  }

  /** Without its files a sandbox is not what was asked for: it ends, rather than fail call by call. */
  #gone(result: number): Error {
    return new Error(`netcell-gofer is gone (${errnoName(result === 0 ? EPIPE : -result)})`);
  }

  #receive(): number {
    for (let spins = 0; ; spins++) {
      const r = this.#input.receive(this.#fd, MSG_DONTWAIT);
      if (r !== -EAGAIN && r !== -EINTR) return r;
      if (spins >= SPINS) sys(SYS_poll, this.#pollAt, 1, -1, 0, 0, 0);
    }
  }

  closeFd(fd: number): void {
    close(fd);
  }
}
