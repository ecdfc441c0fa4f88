// Byte streams for experiments: a source that writes a known pattern into a TCP endpoint as fast as it takes
// it, and a sink that reads another's and compares. Nothing is stored, so streams may be of any length.

import { type NetError, Ready, type TcpEndpoint } from "../../netstack/index.ts";

const TABLE_BYTES = 1 << 16;
/** Odd and coprime to the table: a byte that is lost, doubled or swapped shifts everything after it. */
const STRIDE = 65_521;
const CHUNK_BYTES = 1 << 16;

const table = new Uint8Array(2 * TABLE_BYTES);
for (let i = 0, x = 0x2545f491; i < STRIDE; i++) {
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  table[i] = x;
}
table.copyWithin(STRIDE, 0, 2 * TABLE_BYTES - STRIDE);

/** Where in the table the stream's bytes from `position` on begin; at least CHUNK_BYTES - 16 follow. */
const at = (position: number): number => position % STRIDE;

/** Writes `bytes` bytes of the pattern, then (unless told otherwise) closes its side. */
export class StreamSource {
  readonly endpoint: TcpEndpoint;
  written = 0;
  error: NetError | 0 = 0;
  readonly #bytes: number;
  readonly #closes: boolean;

  constructor(endpoint: TcpEndpoint, bytes: number, closes = true) {
    this.endpoint = endpoint;
    this.#bytes = bytes;
    this.#closes = closes;
    endpoint.onReadiness = () => this.pump();
    this.pump();
  }

  get isDone(): boolean {
    return this.written === this.#bytes;
  }

  pump(): void {
    const { endpoint } = this;
    if ((endpoint.readiness() & Ready.Error) !== 0) {
      this.error = endpoint.takeError() || this.error;
      return;
    }
    while (this.written < this.#bytes && (endpoint.readiness() & Ready.Write) !== 0) {
      const length = Math.min(this.#bytes - this.written, CHUNK_BYTES - 64);
      const n = endpoint.write(table, at(this.written), length, 0);
      if (n <= 0) return;
      this.written += n;
      if (this.isDone && this.#closes) endpoint.shutdown(false, true);
    }
  }
}

/** Reads to the end and compares with the pattern. */
export class StreamSink {
  readonly endpoint: TcpEndpoint;
  read = 0;
  /** Position of the first byte that was not the pattern's; -1: none. */
  wrongAt = -1;
  isAtEnd = false;
  error: NetError | 0 = 0;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);

  constructor(endpoint: TcpEndpoint) {
    this.endpoint = endpoint;
    endpoint.onReadiness = () => this.pump();
    this.pump();
  }

  pump(): void {
    const { endpoint } = this;
    while (!this.isAtEnd) {
      const n = endpoint.read(this.#buffer, 0, CHUNK_BYTES - 64, false);
      if (n < 0) {
        if ((endpoint.readiness() & Ready.Error) !== 0) this.error = endpoint.takeError();
        return;
      }
      if (n === 0) {
        this.isAtEnd = (endpoint.readiness() & Ready.ReadClosed) !== 0;
        return;
      }
      this.#compare(n);
      this.read += n;
    }
  }

  #compare(length: number): void {
    if (this.wrongAt >= 0) return;
    const from = at(this.read);
    for (let i = 0; i < length; i++) {
      if (this.#buffer[i] !== table[from + i]) {
        this.wrongAt = this.read + i;
        return;
      }
    }
  }
}
