// A gofer within the process, for unit tests: a server called directly instead of over a socket. Not
// confined; the product always talks to the process.

import { close, dup } from "../../host/libc.ts";
import type { GoferTransport } from "../client.ts";
import { type GoferConfig, MESSAGE_BYTES_MAX } from "../protocol.ts";
import { GoferServer } from "./server.ts";

export class LocalGofer implements GoferTransport {
  readonly reply: Uint8Array;
  receivedFd = -1;
  readonly server: GoferServer;
  readonly #request = new Uint8Array(MESSAGE_BYTES_MAX);
  /** Requests answered so far. */
  calls = 0;

  constructor(config: GoferConfig, handles = 256) {
    this.server = new GoferServer(this.#request, handles);
    this.server.openTrees(config);
    this.reply = this.server.reply;
  }

  call(request: Uint8Array, length: number): number {
    this.calls++;
    this.#request.set(request.subarray(0, length));
    const n = this.server.handle(length);
    this.receivedFd = -1;
    if (this.server.replyFd >= 0) {
      this.receivedFd = dup(this.server.replyFd);
      close(this.server.replyFd);
    }
    return n;
  }
  closeFd(fd: number): void {
    close(fd);
  }
}
