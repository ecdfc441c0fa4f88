// A ring of bytes with a fixed capacity.

export class ByteQueue {
  readonly #bytes: Uint8Array;
  #head = 0;
  length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }
  get room(): number {
    return this.#bytes.length - this.length;
  }
  /** False, and nothing happens, when it is full. */
  putByte(b: number): boolean {
    if (this.length === this.#bytes.length) return false;
    this.#bytes[(this.#head + this.length++) % this.#bytes.length] = b;
    return true;
  }
  /** As many as fit. */
  put(src: Uint8Array, offset: number, length: number): number {
    const n = Math.min(length, this.room);
    for (let i = 0; i < n; i++) this.putByte(src[offset + i]);
    return n;
  }
  take(dst: Uint8Array, offset: number, length: number): number {
    const n = Math.min(length, this.length);
    for (let i = 0; i < n; i++) {
      dst[offset + i] = this.#bytes[this.#head];
      this.#head = this.#head + 1 === this.#bytes.length ? 0 : this.#head + 1;
    }
    this.length -= n;
    return n;
  }
  /** Drops from the front. */
  drop(length: number): void {
    const n = Math.min(length, this.length);
    this.#head = (this.#head + n) % this.#bytes.length;
    this.length -= n;
  }
  /** Copies without taking. */
  peek(dst: Uint8Array, offset: number, length: number): number {
    const n = Math.min(length, this.length);
    for (let i = 0; i < n; i++) {
      dst[offset + i] = this.#bytes[(this.#head + i) % this.#bytes.length];
    }
    return n;
  }
  clear(): void {
    this.#head = 0;
    this.length = 0;
  }
}
