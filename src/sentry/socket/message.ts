// What goes with the bytes of one send or receive: flags, address, control messages. The sockets' calls
// reuse one of each direction per kernel thread; nobody keeps it past the call.

import { CONTROL_BYTES_MAX, ControlReader, ControlWriter } from "./control.ts";
import { SocketAddress } from "./socket-address.ts";

export class SendMessage {
  /** MSG_*. */
  flags = 0;
  /** Destination; length 0: none given. */
  readonly address = new SocketAddress();
  readonly control = new ControlReader(new Uint8Array(CONTROL_BYTES_MAX));

  reset(flags: number): this {
    this.flags = flags;
    this.address.length = 0;
    this.control.length = 0;
    return this;
  }
}

export class ReceiveMessage {
  /** MSG_* that the caller asked with. */
  flags = 0;
  /** MSG_TRUNC, MSG_EOR, MSG_OOB... for msg_flags. MSG_CTRUNC comes from control.isTruncated. */
  resultFlags = 0;
  /** Where it came from; length 0: the socket does not say. */
  readonly address = new SocketAddress();
  readonly control = new ControlWriter();

  reset(flags: number, controlCapacity: number): this {
    this.flags = flags;
    this.resultFlags = 0;
    this.address.length = 0;
    this.control.reset(controlCapacity);
    return this;
  }
}
