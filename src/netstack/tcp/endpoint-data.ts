// Reading and writing of a TCP endpoint, urgent data, how much waits, and poll. What these do to a connection: calls.ts.
// Here is what they answer when there is none.

import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { discardUser, readinessOf, readUser, writeUser } from "./calls.ts";
import { OptionEndpoint } from "./endpoint-options.ts";
import { flushEvents } from "./on-segment.ts";
import { type Tcb, URGENT_NONE, URGENT_PENDING, URGENT_READ, URGENT_READY } from "./tcb.ts";

/** Linux's write_seq: behind everything that was written, and behind the FIN. */
const writeSeq = (tcb: Tcb): number => (tcb.snd.finQueued ? seqAdd(tcb.snd.end, 1) : tcb.snd.end);

export abstract class DataEndpoint extends OptionEndpoint {
  readiness(): number {
    if (this.listener !== null) return this.listener.queueLength > 0 ? Ready.Read : 0;
    const tcb = this.tcb;
    if (tcb === null) {
      const shut = (this.shut & 1) !== 0 ? Ready.Read | Ready.ReadClosed : 0;
      return Ready.Write | Ready.Hangup | shut | (this.error !== 0 ? Ready.Error : 0);
    }
    const mask = readinessOf(tcb, this.state, this.readableBytes > 0);
    return this.errorQueue !== null && this.errorQueue.count > 0 ? mask | Ready.ErrorQueue : mask;
  }

  write(src: Uint8Array, offset: number, length: number, flags: number): number {
    const tcb = this.tcb;
    if (tcb === null) return this.takeBareError() || NetErr.BrokenPipe;
    this.ctx.enter();
    const n = writeUser(tcb, src, offset, length, flags);
    flushEvents(tcb);
    return n;
  }

  read(dst: Uint8Array, offset: number, length: number, peek: boolean, from = 0): number {
    const tcb = this.tcb;
    if (tcb === null) {
      return this.takeBareError() || ((this.shut & 1) !== 0 ? 0 : NetErr.NotConnected);
    }
    this.ctx.enter();
    return readUser(tcb, dst, offset, length, peek, from);
  }

  discard(length: number): number {
    const tcb = this.tcb;
    if (tcb === null) return NetErr.NotConnected;
    this.ctx.enter();
    return discardUser(tcb, length);
  }

  readUrgent(peek: boolean): number {
    const tcb = this.tcb;
    if (tcb === null) return NetErr.NotConnected;
    const { rcv } = tcb;
    if (this.options.oobInline) return NetErr.InvalidArgument;
    if (rcv.urgentState === URGENT_PENDING) return NetErr.WouldBlock;
    if (rcv.urgentState !== URGENT_READY) return NetErr.InvalidArgument;
    if (!peek) rcv.urgentState = URGENT_READ;
    return rcv.urgentByte;
  }

  get atMark(): boolean {
    const tcb = this.tcb;
    if (tcb === null || tcb.rcv.urgentState === URGENT_NONE) return false;
    return tcb.rcv.urgentSeq === tcb.rcv.copied;
  }

  get readableBytes(): number {
    const tcb = this.tcb;
    if (tcb === null) return 0;
    const { rcv } = tcb;
    const readable = tcb.readable;
    if (rcv.urgentState === URGENT_NONE || this.options.oobInline) return readable;
    const mark = seqDiff(rcv.urgentSeq, rcv.copied);
    return mark >= 0 && mark < readable ? readable - 1 : readable;
  }

  get unackedBytes(): number {
    const tcb = this.tcb;
    return tcb === null ? 0 : seqDiff(writeSeq(tcb), tcb.snd.una);
  }

  get unsentBytes(): number {
    const tcb = this.tcb;
    return tcb === null ? 0 : seqDiff(writeSeq(tcb), tcb.snd.nxt);
  }
}
