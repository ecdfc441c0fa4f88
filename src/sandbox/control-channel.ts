// The monitor's end of the control socket (messages: sentry/control/protocol.ts). Reading goes through
// Node's event loop; writing is a direct send, because descriptors must travel beside the bytes.

import { Socket } from "node:net";
import { EAGAIN } from "../abi/errno.ts";
import { sendMessage } from "../host/unix-socket.ts";
import {
  CONTROL_MESSAGE_BYTES_MAX,
  type FromSentry,
  type ToSentry,
} from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";

export class ControlChannel {
  readonly #fd: number;
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #unsent: { bytes: Buffer; sent: number; fds: readonly number[]; done: () => void }[] = [];
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  onMessage: (message: FromSentry) => void = () => {};
  onClose: () => void = () => {};

  /** Takes over the descriptor: one end of a stream socketpair. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", () => this.close());
    this.#socket.on("close", () => {
      this.#isClosed = true;
      this.onClose();
    });
    this.#socket.on("end", () => this.close());
  }

  /** Resolves when the message is on its way; the descriptors may be closed here then. */
  send(message: ToSentry, fds: readonly number[] = []): Promise<void> {
    const body = Buffer.from(JSON.stringify(message), "utf8");
    if (body.length > CONTROL_MESSAGE_BYTES_MAX) {
      return Promise.reject(
        new NetcellError("ERR_USAGE", "arguments and environment are larger than 1 MiB."),
      );
    }
    if (this.#isClosed) {
      return Promise.reject(new NetcellError("ERR_CLOSED", "the sandbox is closed."));
    }
    const bytes = Buffer.alloc(4 + body.length);
    bytes.writeUInt32LE(body.length, 0);
    body.copy(bytes, 4);
    return new Promise((done) => {
      this.#unsent.push({ bytes, sent: 0, fds, done });
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#unsent.length > 0 && !this.#isClosed) {
      const head = this.#unsent[0];
      const fds = head.sent === 0 ? head.fds : [];
      const r = sendMessage(this.#fd, head.bytes, head.sent, head.bytes.length - head.sent, fds);
      if (r === -EAGAIN) {
        this.#retry ??= setTimeout(() => {
          this.#retry = null;
          this.#flush();
        }, 1);
        return;
      }
      if (r < 0) {
        this.close();
        return;
      }
      head.sent += r;
      if (head.sent < head.bytes.length) continue;
      this.#unsent.shift();
      head.done();
    }
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32LE(0);
      // The Sentry runs hostile programs: what it says is checked as any stranger's word.
      if (length > CONTROL_MESSAGE_BYTES_MAX) {
        this.close();
        return;
      }
      if (this.#received.length < 4 + length) return;
      const text = this.#received.toString("utf8", 4, 4 + length);
      this.#received = this.#received.subarray(4 + length);
      let message: FromSentry;
      try {
        message = JSON.parse(text) as FromSentry;
      } catch {
        this.close();
        return;
      }
      this.onMessage(message);
    }
  }

  close(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    for (const { done } of this.#unsent.splice(0)) done();
    this.#socket.destroy();
  }
}
