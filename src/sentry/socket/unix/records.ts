// A queue of whole messages, for datagram and seqpacket sockets. Its bytes count against who sent them.

import type { ByteString } from "../../../base/bytes.ts";
import type { SocketTable } from "../socket-table.ts";
import type { Rights, Ucred } from "./rights.ts";

/** Charged per message besides its bytes, so that empty ones are bounded too. */
export const RECORD_OVERHEAD_BYTES = 256;

/** Who pays for a message until it is received. */
export interface RecordSender {
  chargedBytes: number;
  /** Room came back. */
  onRoom(): void;
}

export interface UnixRecord {
  readonly bytes: Uint8Array;
  readonly rights: Rights | null;
  readonly ucred: Ucred | null;
  readonly from: ByteString | null;
  readonly sender: RecordSender;
}

export class RecordQueue {
  readonly #table: SocketTable;
  #records: UnixRecord[] = [];
  #head = 0;

  constructor(table: SocketTable) {
    this.#table = table;
  }

  get length(): number {
    return this.#records.length - this.#head;
  }
  get first(): UnixRecord | null {
    return this.length === 0 ? null : this.#records[this.#head];
  }
  get isRoomy(): boolean {
    return this.#table.hasRoom(0);
  }

  put(record: UnixRecord): void {
    const cost = record.bytes.length + RECORD_OVERHEAD_BYTES;
    record.sender.chargedBytes += cost;
    this.#table.queuedBytes += cost;
    this.#records.push(record);
  }

  /** Precondition: not empty. */
  shift(): UnixRecord {
    const record = this.#records[this.#head++];
    if (this.#head > 64 && this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
    const cost = record.bytes.length + RECORD_OVERHEAD_BYTES;
    record.sender.chargedBytes -= cost;
    this.#table.queuedBytes -= cost;
    record.sender.onRoom();
    return record;
  }

  *rights(): Generator<Rights> {
    for (let i = this.#head; i < this.#records.length; i++) {
      const { rights } = this.#records[i];
      if (rights !== null) yield rights;
    }
  }

  /** True if anything was thrown away. */
  clear(): boolean {
    const had = this.length > 0;
    while (this.length > 0) this.shift().rights?.drop();
    this.#records = [];
    this.#head = 0;
    return had;
  }
}
