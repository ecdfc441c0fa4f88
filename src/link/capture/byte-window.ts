// A window of a file that moves forward as it is read, so that a capture may be larger than memory. Not a
// file: where the bytes come from is the caller's business. Grows to what one record needs, up to a limit.

export interface ByteSource {
  /** Puts up to `length` bytes at into[offset]; returns how many, 0 at the end. */
  read(into: Uint8Array, offset: number, length: number): number;
}

/** Grown to as long as the source fills it: many captures are a few frames. */
const FIRST_BYTES = 16 * 1024;
const WINDOW_BYTES = 256 * 1024;

/** A whole capture that is in memory already. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  let at = 0;
  return {
    read(into, offset, length) {
      const n = Math.min(length, bytes.length - at);
      into.set(bytes.subarray(at, at + n), offset);
      at += n;
      return n;
    },
  };
}

export class ByteWindow {
  readonly #source: ByteSource;
  #ended = false;
  #end = 0;
  /** Of the whole file: where bytes[at] stands. */
  fileOffset = 0;
  bytes = new Uint8Array(FIRST_BYTES);
  /** The next byte to be read; what came before it may be overwritten by need(). */
  at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get available(): number {
    return this.#end - this.at;
  }

  /** Whether `count` bytes stand at bytes[at]; moves and grows the window when they do not yet. */
  need(count: number): boolean {
    if (this.#end - this.at >= count) return true;
    this.#makeRoom(count);
    while (this.#end - this.at < count && !this.#ended) {
      const n = this.#source.read(this.bytes, this.#end, this.bytes.length - this.#end);
      if (n <= 0) this.#ended = true;
      else this.#end += n;
    }
    return this.#end - this.at >= count;
  }

  skip(count: number): void {
    this.at += count;
    this.fileOffset += count;
  }

  #makeRoom(count: number): void {
    const held = this.#end - this.at;
    let bytes = this.bytes;
    if (bytes.length < count) {
      let size = bytes.length;
      while (size < count) size *= 2;
      bytes = new Uint8Array(size);
    } else if (this.#end === bytes.length && bytes.length < WINDOW_BYTES) {
      bytes = new Uint8Array(4 * bytes.length);
    } else if (this.at === 0) return;
    if (bytes === this.bytes) bytes.copyWithin(0, this.at, this.#end);
    else bytes.set(this.bytes.subarray(this.at, this.#end));
    this.bytes = bytes;
    this.at = 0;
    this.#end = held;
  }
}
