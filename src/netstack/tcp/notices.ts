// What a connection owes its user about bytes it has taken: the times at which they left and were acknowledged
// (SO_TIMESTAMPING, Linux's TSTAMP_TX_SND and TSTAMP_ACK) and the zero-copy sends that are done with
// (MSG_ZEROCOPY). Nothing exists of it before the first write that asks.

import { seqDiff, seqLe } from "../../base/seqnum.ts";
import { WRITE_ZEROCOPY } from "../endpoints.ts";
import { Ready } from "../readiness.ts";
import { type ErrorQueue, TimestampKind } from "../stack/error-queue.ts";
import type { PacketBuffer, TransmitObserver } from "../stack/packet-buffer.ts";
import { wholeBytes } from "../stack/packet-pool.ts";
import type { Tcb } from "./tcb.ts";

interface Notice {
  /** After the last byte it speaks of. */
  end: number;
  /** Key of a timestamp. */
  key: number;
  /** Zero-copy sends from the first to the last, or none. */
  zerocopy: number;
  zerocopyLast: number;
  wantsAck: boolean;
  wantsSent: boolean;
}

const NO_ZEROCOPY = -1;
/**
 * A writer of single bytes to a peer that takes none could have one for each byte of the send buffer. From here on
 * later writes share the last one, as writes that share a buffer do in Linux: the last key counts.
 */
const NOTICES_MAX = 1024;

export class Notices implements TransmitObserver {
  readonly #tcb: Tcb;
  readonly #errors: ErrorQueue;
  /** In the order of the stream. */
  readonly #list: Notice[] = [];
  #zerocopyCount = 0;
  /** Keys count from here: una when they were asked for. */
  base: number;

  constructor(tcb: Tcb, errors: ErrorQueue) {
    this.#tcb = tcb;
    this.#errors = errors;
    this.base = tcb.snd.una;
  }

  /** The write that ended at snd.end asks for something. Called before it is sent. */
  add(flags: number): void {
    const { options, snd } = this.#tcb;
    const bits = options.timestamps;
    const isZerocopy = (flags & WRITE_ZEROCOPY) !== 0;
    const key = options.timestampKeys ? (seqDiff(snd.end, this.base) - 1) >>> 0 : 0;
    if ((bits & (1 << TimestampKind.Scheduled)) !== 0) this.#stamp(TimestampKind.Scheduled, key);
    const wantsSent = (bits & (1 << TimestampKind.Sent)) !== 0;
    const wantsAck = (bits & (1 << TimestampKind.Acked)) !== 0;
    if (!wantsSent && !wantsAck && !isZerocopy) return;
    const zerocopy = isZerocopy ? this.#zerocopyCount : NO_ZEROCOPY;
    if (isZerocopy) this.#zerocopyCount = (this.#zerocopyCount + 1) >>> 0;
    const notice = { end: snd.end, key, zerocopy, zerocopyLast: zerocopy, wantsAck, wantsSent };
    if (this.#list.length < NOTICES_MAX) this.#list.push(notice);
    else this.#share(notice);
  }

  #share(from: Notice): void {
    const last = this.#list[this.#list.length - 1];
    last.end = from.end;
    last.key = from.key;
    last.wantsAck ||= from.wantsAck;
    last.wantsSent ||= from.wantsSent;
    if (from.zerocopy === NO_ZEROCOPY) return;
    if (last.zerocopy === NO_ZEROCOPY) last.zerocopy = from.zerocopy;
    last.zerocopyLast = from.zerocopy;
  }

  /** What is owed. */
  get count(): number {
    return this.#list.length;
  }

  /** A packet with the bytes [seq, seq + length) is about to go. */
  observe(pkt: PacketBuffer, seq: number, length: number): void {
    for (let i = 0; i < this.#list.length; i++) {
      const n = this.#list[i];
      if (!n.wantsSent || seqDiff(n.end, seq) <= 0) continue;
      if (seqDiff(n.end, seq) > length) return;
      n.wantsSent = false;
      pkt.observer = this;
      pkt.observerKey = n.key;
      return;
    }
  }
  onTransmit(pkt: PacketBuffer): void {
    const bytes = this.#tcb.options.timestampsOnly ? undefined : wholeBytes(pkt);
    this.#stamp(TimestampKind.Sent, pkt.observerKey, bytes);
  }

  /** una went forward. */
  acked(): void {
    const { una } = this.#tcb.snd;
    let done = 0;
    while (done < this.#list.length && seqLe(this.#list[done].end, una)) {
      const n = this.#list[done++];
      if (n.wantsAck) this.#stamp(TimestampKind.Acked, n.key);
      if (n.zerocopy !== NO_ZEROCOPY) this.#release(n);
    }
    this.#list.splice(0, done);
  }

  /** The connection is gone: every buffer goes back. */
  abandon(): void {
    for (const n of this.#list) if (n.zerocopy !== NO_ZEROCOPY) this.#release(n);
    this.#list.length = 0;
  }

  #release(n: Notice): void {
    this.#errors.pushZerocopy(n.zerocopy, n.zerocopyLast, true);
    this.#tcb.events |= Ready.ErrorQueue;
  }
  #stamp(kind: number, key: number, bytes?: Uint8Array): void {
    this.#errors.pushTimestamp(kind, key, this.#tcb.ctx.clock.realtimeNs(), bytes);
    this.#tcb.events |= Ready.ErrorQueue;
  }
}
