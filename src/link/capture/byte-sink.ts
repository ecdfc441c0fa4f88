// Where a capture's bytes go, and the buffer that makes few large writes of many small records.

export interface ByteSink {
  /** bytes[offset, offset + length); valid during the call only. */
  write(bytes: Uint8Array, offset: number, length: number): void;
}

/** Grown to as records come: many captures are a few frames. */
const FIRST_BYTES = 16 * 1024;
const BUFFER_BYTES = 256 * 1024;

export class SinkBuffer {
  readonly #sink: ByteSink;
  bytes = new Uint8Array(FIRST_BYTES);
  #used = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Room for one record: its bytes are bytes[result, result + count), to be filled before the next call. */
  reserve(count: number): number {
    if (this.#used + count > this.bytes.length) this.#makeRoom(count);
    const at = this.#used;
    this.#used += count;
    return at;
  }

  #makeRoom(count: number): void {
    const wanted = Math.max(2 * this.bytes.length, this.#used + count);
    if (wanted <= BUFFER_BYTES) {
      const larger = new Uint8Array(wanted);
      larger.set(this.bytes.subarray(0, this.#used));
      this.bytes = larger;
      return;
    }
    this.flush();
    // A record larger than the buffer (secrets, a jumbo frame with its comment) makes the buffer larger.
    if (count > this.bytes.length) this.bytes = new Uint8Array(count);
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.bytes, 0, this.#used);
    this.#used = 0;
  }
}
