// Where a capture's bytes go, and the buffer that makes few large writes of many small records.

export interface ByteSink {
  /** bytes[offset, offset + length); valid during the call only. */
  write(bytes: Uint8Array, offset: number, length: number): void;
}

const BUFFER_BYTES = 256 * 1024;

export class SinkBuffer {
  readonly #sink: ByteSink;
  bytes = new Uint8Array(BUFFER_BYTES);
  #used = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Room for one record: its bytes are bytes[result, result + count), to be filled before the next call. */
  reserve(count: number): number {
    if (this.#used + count > this.bytes.length) this.flush();
    // A record larger than the buffer (secrets, a jumbo frame with its comment) makes the buffer larger.
    if (count > this.bytes.length) this.bytes = new Uint8Array(count);
    const at = this.#used;
    this.#used += count;
    return at;
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.bytes, 0, this.#used);
    this.#used = 0;
  }
}
