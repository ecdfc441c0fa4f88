// One direction of a unix stream connection: bytes, and marks that say which of them came with descriptors
// or with credentials. A receive ends behind bytes that brought descriptors, and does not mix senders
// when it has to name them (unix(7), SCM_RIGHTS; af_unix.c, unix_stream_read_generic).

import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import type { ReceiveMessage } from "../message.ts";
import type { SocketTable } from "../socket-table.ts";
import { ByteRing } from "./byte-ring.ts";
import { deliver, type Rights, sameUcred, type Ucred } from "./rights.ts";

interface Mark {
  /** Stream positions [start, end). */
  readonly start: number;
  end: number;
  rights: Rights | null;
  readonly ucred: Ucred | null;
}

export class ByteStream {
  readonly #ring: ByteRing;
  readonly #marks: Mark[] = [];

  constructor(table: SocketTable) {
    this.#ring = new ByteRing(table);
  }

  get used(): number {
    return this.#ring.used;
  }

  /** Takes up to `room` bytes of io. On success the rights are the stream's. */
  write(io: Io, room: number, rights: Rights | null, ucred: Ucred | null): number {
    const start = this.#ring.writePosition;
    const n = this.#ring.write(io, Math.min(io.remaining, room));
    if (n > 0 && (rights !== null || ucred !== null)) {
      const last = this.#marks.at(-1);
      const extends_ =
        rights === null &&
        last?.rights === null &&
        last.end === start &&
        sameUcred(last.ucred, ucred);
      if (extends_ && last !== undefined) last.end = start + n;
      else this.#marks.push({ start, end: start + n, rights, ucred });
    }
    return n;
  }

  /** The fast way: bytes only, when there is nothing but bytes. Precondition: used > 0. */
  read(t: Task, io: Io, message: ReceiveMessage, wantsUcred: boolean, peekAt: number): number {
    const ring = this.#ring;
    const peek = peekAt >= 0;
    if (this.#marks.length === 0 && !wantsUcred) {
      const from = ring.readPosition + Math.max(0, peekAt);
      const n = ring.copyTo(io, from, Math.min(io.remaining, ring.writePosition - from));
      if (n > 0 && !peek) ring.readPosition += n;
      return n;
    }
    return this.#readMarked(t, io, message, wantsUcred, peekAt);
  }

  #readMarked(
    t: Task,
    io: Io,
    message: ReceiveMessage,
    wantsUcred: boolean,
    peekAt: number,
  ): number {
    const ring = this.#ring;
    const start = ring.readPosition + Math.max(0, peekAt);
    let position = start;
    let ucred: Ucred | null = null;
    let rights: Rights | null = null;
    let failure = 0;
    while (io.remaining > 0 && position < ring.writePosition && rights === null) {
      const mark = this.#markAt(position);
      const isInside = mark !== null && mark.start <= position;
      const end = mark === null ? ring.writePosition : isInside ? mark.end : mark.start;
      const here = isInside ? mark.ucred : null;
      if (wantsUcred && position > start && !sameUcred(here, ucred)) break;
      const n = ring.copyTo(io, position, Math.min(io.remaining, end - position));
      if (n < 0) {
        failure = n;
        break;
      }
      ucred = here;
      if (isInside) rights = mark.rights;
      position += n;
    }
    if (position === start && failure < 0) return failure;
    deliver(t, message, wantsUcred, ucred, rights, peekAt >= 0);
    if (peekAt < 0) this.#consume(position);
    return position - start;
  }

  #markAt(position: number): Mark | null {
    for (const mark of this.#marks) if (mark.end > position) return mark;
    return null;
  }

  #consume(position: number): void {
    this.#ring.readPosition = position;
    while (this.#marks.length > 0 && this.#marks[0].end <= position) this.#marks.shift();
    // Descriptors go with the first byte; what is left of their message is bytes.
    const first = this.#marks[0];
    if (first !== undefined && first.start < position) first.rights = null;
  }

  *rights(): Generator<Rights> {
    for (const mark of this.#marks) if (mark.rights !== null) yield mark.rights;
  }

  /** True if anything was thrown away. */
  clear(): boolean {
    const had = this.used > 0;
    const marks = this.#marks.splice(0);
    this.#ring.release();
    for (const mark of marks) mark.rights?.drop();
    return had;
  }
}
