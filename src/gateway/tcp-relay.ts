// One TCP connection through the gateway: the guest's end is an endpoint of our stack, the world's end a
// host socket. Bytes go across with back-pressure both ways; half-closes and resets are passed on.
// Everything happens in pump(), which the gateway calls after the stack has run, never inside it.

import type { Socket } from "node:net";
import { Ready, type TcpEndpoint } from "../netstack/index.ts";

const CHUNK_BYTES = 256 * 1024;
/** Bytes handed to the host socket and not yet taken by the host's kernel. */
const UNSENT_MAX = 2 * CHUNK_BYTES;

/** Buffers for the guest's bytes on their way to the host: a socket keeps one until it is written. */
class BufferPool {
  readonly #free: Buffer[] = [];
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }
  give(buffer: Buffer): void {
    if (this.#free.length < 16) this.#free.push(buffer);
  }
}
const pool = new BufferPool();

export class TcpRelay {
  readonly #endpoint: TcpEndpoint;
  readonly #socket: Socket;
  readonly #onDirty: (relay: TcpRelay) => void;
  readonly #onEnd: (relay: TcpRelay) => void;
  isDirty = false;

  /** What the host sent and the endpoint had no room for. */
  #pending: Uint8Array | null = null;
  #pendingOffset = 0;
  #pendingEnd = 0;
  #hostEnded = false;
  #guestFinSent = false;
  #guestEnded = false;
  #isOver = false;

  /**
   * Takes over both ends. The socket was made with onread: its data comes to fromHost(), which answers
   * whether reading may go on. onDirty: wants a pump().
   */
  constructor(
    endpoint: TcpEndpoint,
    socket: Socket,
    onDirty: (relay: TcpRelay) => void,
    onEnd: (relay: TcpRelay) => void,
  ) {
    this.#endpoint = endpoint;
    this.#socket = socket;
    this.#onDirty = onDirty;
    this.#onEnd = onEnd;
    endpoint.onReadiness = () => this.#mark();
    socket.on("end", () => {
      this.#hostEnded = true;
      this.#mark();
    });
    socket.on("drain", () => this.#mark());
    socket.on("error", () => this.#reset());
    socket.on("close", () => {
      if (!this.#hostEnded || !this.#guestEnded) this.#reset();
    });
    this.#mark();
  }

  #mark(): void {
    if (this.isDirty || this.#isOver) return;
    this.isDirty = true;
    this.#onDirty(this);
  }

  /** Bytes from the host, valid while reading is held. False: hold it until pump() has placed them. */
  fromHost(bytes: Uint8Array, length: number): boolean {
    if (this.#isOver) return true;
    this.#pending = bytes;
    this.#pendingOffset = 0;
    this.#pendingEnd = length;
    const placed = this.#place();
    this.#mark();
    return placed;
  }

  /** What waits for room is needed longer than its buffer is ours: it goes to `buffer`. */
  movePending(buffer: Uint8Array): void {
    if (this.#pending === null) return;
    buffer.set(this.#pending.subarray(this.#pendingOffset, this.#pendingEnd));
    this.#pendingEnd -= this.#pendingOffset;
    this.#pendingOffset = 0;
    this.#pending = buffer;
  }

  /** Writes what is pending into the endpoint; true when nothing is left. */
  #place(): boolean {
    if (this.#pending === null) return true;
    while (this.#pendingOffset < this.#pendingEnd) {
      const length = this.#pendingEnd - this.#pendingOffset;
      const n = this.#endpoint.write(this.#pending, this.#pendingOffset, length, 0);
      if (n <= 0) return false;
      this.#pendingOffset += n;
    }
    this.#pending = null;
    return true;
  }

  pump(): void {
    this.isDirty = false;
    if (this.#isOver) return;
    const ready = this.#endpoint.readiness();
    if ((ready & Ready.Error) !== 0) {
      this.#endpoint.takeError();
      this.#isOver = true;
      this.#socket.resetAndDestroy();
      this.#endpoint.close();
      this.#onEnd(this);
      return;
    }
    const wasHeld = this.#pending !== null;
    if (this.#place()) {
      if (wasHeld) this.#socket.resume();
      if (this.#hostEnded && !this.#guestFinSent) {
        this.#guestFinSent = true;
        this.#endpoint.shutdown(false, true);
      }
    }
    this.#toHost();
    if (this.#guestEnded && this.#guestFinSent) this.#finish();
  }

  #toHost(): void {
    while (!this.#guestEnded && this.#socket.writableLength < UNSENT_MAX) {
      const buffer = pool.take();
      const n = this.#endpoint.read(buffer, 0, buffer.length, false);
      if (n > 0) {
        this.#socket.write(buffer.subarray(0, n), () => {
          pool.give(buffer);
          this.#mark();
        });
        continue;
      }
      pool.give(buffer);
      if (n === 0) {
        this.#guestEnded = true;
        this.#socket.end();
      }
      return;
    }
  }

  /** Both directions have ended in order; the endpoint closes in the background. */
  #finish(): void {
    this.#isOver = true;
    this.#endpoint.onReadiness = null;
    this.#endpoint.close();
    this.#onEnd(this);
  }

  /** The host's side failed: the guest gets a reset. */
  #reset(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#endpoint.onReadiness = null;
    this.#endpoint.abort();
    this.#endpoint.close();
    this.#socket.destroy();
    this.#onEnd(this);
  }

  /** The gateway closes. */
  destroy(): void {
    this.#reset();
  }
}
