// What a played side of a TCP connection has sent, in its own stream and of the other's: the numbers that decide what
// may go next. Not when it goes: tcp-peer.ts.

import { FIN, RST, SYN } from "../drill/frame.ts";

export class TcpSaid {
  /** The highest byte of the stream that was sent. */
  max = 0;
  hasSyn = false;
  hasFin = false;
  hasReset = false;
  /** As far as we have acknowledged the other's stream (a FIN counts one); -1: nothing yet. */
  ackSent = -1;
  /** The last one that was offered. */
  window = 0;

  /** Of our stream; a FIN counts one. */
  get end(): number {
    return this.max + (this.hasFin ? 1 : 0);
  }

  /** streamEnd: what follows a FIN stands one further, but there is no byte there. */
  note(at: number, length: number, flags: number, streamEnd: number): void {
    const end = Math.min(at + length, streamEnd);
    if ((flags & SYN) !== 0) this.hasSyn = true;
    if ((flags & (SYN | RST)) === 0) this.max = Math.max(this.max, end);
    if ((flags & FIN) !== 0) this.hasFin = true;
    if ((flags & RST) !== 0) this.hasReset = true;
  }

  noteAck(ack: number): void {
    this.ackSent = Math.max(this.ackSent, ack);
  }
}
