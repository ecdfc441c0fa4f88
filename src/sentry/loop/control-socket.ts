// The Sentry's end of the control socket (messages: ../control/protocol.ts). The monitor is trusted; still
// every message is parsed here, once, and a malformed one ends the sandbox.

import { EAGAIN, EINTR } from "../../abi/errno.ts";
import { MSG_DONTWAIT, ReceiveBuffer, sendBytes } from "../../host/unix-socket.ts";
import { CONTROL_MESSAGE_BYTES_MAX, type FromSentry, type ToSentry } from "../control/protocol.ts";

const LENGTH_BYTES = 4;

export class ControlSocket {
  readonly #fd: number;
  readonly #input = new ReceiveBuffer(LENGTH_BYTES + CONTROL_MESSAGE_BYTES_MAX);
  #received = 0;
  /** Descriptors that came and belong to the messages now in the buffer, in order. */
  #fds: number[] = [];

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Waits for the next message: the start of everything. Null: the monitor has gone. */
  receiveBlocking(): ToSentry | null {
    for (;;) {
      const message = this.#take();
      if (message !== null) return message;
      if (!this.#fill(0)) return null;
    }
  }

  /** Reads what is there and hands over whole messages; false: the monitor has gone. */
  drain(onMessage: (message: ToSentry) => void): boolean {
    const isOpen = this.#fill(MSG_DONTWAIT);
    for (let message = this.#take(); message !== null; message = this.#take()) onMessage(message);
    return isOpen;
  }

  /** The next `count` descriptors that came along; the caller owns them. Throws when they did not come. */
  takeFds(count: number): number[] {
    if (this.#fds.length < count) throw new Error("a control message came without its descriptors");
    return this.#fds.splice(0, count);
  }

  #fill(flags: number): boolean {
    const r = this.#input.receive(this.#fd, flags, this.#received);
    if (r === -EAGAIN || r === -EINTR) return true;
    if (r <= 0) return false;
    for (let i = 0; i < this.#input.fdCount; i++) this.#fds.push(this.#input.fds[i]);
    this.#received += r;
    return true;
  }

  #take(): ToSentry | null {
    const bytes = this.#input.bytes;
    if (this.#received < LENGTH_BYTES) return null;
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (length > CONTROL_MESSAGE_BYTES_MAX) throw new Error("a control message is too large");
    if (this.#received < LENGTH_BYTES + length) return null;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + LENGTH_BYTES, length).toString(
      "utf8",
    );
    bytes.copyWithin(0, LENGTH_BYTES + length, this.#received);
    this.#received -= LENGTH_BYTES + length;
    return JSON.parse(text) as ToSentry;
  }

  send(message: FromSentry): void {
    const body = Buffer.from(JSON.stringify(message), "utf8");
    const bytes = Buffer.alloc(LENGTH_BYTES + body.length);
    bytes.writeUInt32LE(body.length, 0);
    body.copy(bytes, LENGTH_BYTES);
    let sent = 0;
    while (sent < bytes.length) {
      const r = sendBytes(this.#fd, bytes, sent, bytes.length - sent);
      if (r === -EINTR) continue;
      // The monitor has gone: the loop sees that for itself.
      if (r < 0) return;
      sent += r;
    }
  }
}
