// A byte queue between two sockets: a ring that grows by doubling, copied in and out in at most two pieces.
// Positions are counted from the first byte ever, so that marks can name them.

import { EFAULT, ENOBUFS } from "../../../abi/errno.ts";
import type { Io } from "../../vfs/io.ts";
import type { SocketTable } from "../socket-table.ts";

const FIRST_BYTES = 4096;

export class ByteRing {
  readonly #table: SocketTable;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Position of the next byte to read, and behind the last one. Exact to 2^53. */
  readPosition = 0;
  writePosition = 0;

  constructor(table: SocketTable) {
    this.#table = table;
  }

  get used(): number {
    return this.writePosition - this.readPosition;
  }

  /** Takes up to `length` bytes of io: how many, -EFAULT, or -ENOBUFS at the sockets' memory limit. */
  write(io: Io, length: number): number {
    if (this.used + length > this.#bytes.length && !this.#grow(this.used + length)) return -ENOBUFS;
    let done = 0;
    while (done < length) {
      const at = this.writePosition % this.#bytes.length;
      const piece = Math.min(length - done, this.#bytes.length - at);
      const n = io.copyIn(this.#bytes, at, piece);
      if (n < 0) return done > 0 ? done : n;
      this.writePosition += n;
      done += n;
      if (n < piece) return done > 0 ? done : -EFAULT;
    }
    return done;
  }

  /** Copies [position, position+length) to io without taking it: how many, or -EFAULT. */
  copyTo(io: Io, position: number, length: number): number {
    let done = 0;
    while (done < length) {
      const at = (position + done) % this.#bytes.length;
      const piece = Math.min(length - done, this.#bytes.length - at);
      const n = io.copyOut(this.#bytes, at, piece);
      if (n < 0) return done > 0 ? done : n;
      done += n;
      if (n < piece) break;
    }
    return done;
  }

  release(): void {
    this.#table.queuedBytes -= this.#bytes.length;
    this.#bytes = new Uint8Array(0);
    this.readPosition = this.writePosition;
  }

  #grow(need: number): boolean {
    let size = Math.max(FIRST_BYTES, this.#bytes.length);
    while (size < need) size *= 2;
    if (!this.#table.hasRoom(size - this.#bytes.length)) return false;
    const old = this.#bytes;
    const grown = new Uint8Array(size);
    for (let position = this.readPosition; position < this.writePosition; ) {
      const from = position % old.length;
      const to = position % size;
      const left = this.writePosition - position;
      const piece = Math.min(left, old.length - from, size - to);
      grown.set(old.subarray(from, from + piece), to);
      position += piece;
    }
    this.#table.queuedBytes += size - old.length;
    this.#bytes = grown;
    return true;
  }
}
