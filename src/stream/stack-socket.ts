// A TCP endpoint of the stack as a Node stream that looks enough like net.Socket for node:http, tls, http2 and what
// is built on them. No descriptor and no thread: bytes go between the endpoint's rings and the stream's buffers.
// The endpoint's callback only marks; the work is done on the next tick, outside the stack's run.

import { Duplex } from "node:stream";
import { MS } from "../base/clock.ts";
import { Timer } from "../base/timers.ts";
import {
  type IpAddr,
  NetErr,
  type NetError,
  netErrorName,
  Ready,
  type Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";

const CHUNK_BYTES = 65_536;
const ESTABLISHED = 1;
const NS_PER_MS = MS;

/** What Node calls them; the others keep the stack's name. */
const CODES: Record<NetError, string> = {
  [NetErr.ConnectionRefused]: "ECONNREFUSED",
  [NetErr.ConnectionReset]: "ECONNRESET",
  [NetErr.ConnectionAborted]: "ECONNABORTED",
  [NetErr.TimedOut]: "ETIMEDOUT",
  [NetErr.HostUnreachable]: "EHOSTUNREACH",
  [NetErr.NetworkUnreachable]: "ENETUNREACH",
  [NetErr.AddressInUse]: "EADDRINUSE",
  [NetErr.AddressNotAvailable]: "EADDRNOTAVAIL",
  [NetErr.BrokenPipe]: "EPIPE",
  [NetErr.NotConnected]: "ENOTCONN",
  [NetErr.NoBuffers]: "ENOBUFS",
  [NetErr.InvalidArgument]: "EINVAL",
};

/** With the `code` that Node's own would have. */
export function streamError(call: string, error: NetError): Error & { code: string } {
  const code = CODES[error] ?? netErrorName(error);
  return Object.assign(new Error(`${call} ${code}`), { code, syscall: call });
}

interface PendingWrite {
  chunk: Uint8Array;
  at: number;
  done: (error?: Error | null) => void;
}

export class StackSocket extends Duplex {
  readonly endpoint: TcpEndpoint;
  connecting: boolean;
  bytesRead = 0;
  bytesWritten = 0;
  /** Milliseconds of setTimeout; 0 for none. */
  timeout = 0;
  readonly #stack: Stack;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  readonly #idle = new Timer(() => this.emit("timeout"));
  #isMarked = false;
  #wantsRead = false;
  #write: PendingWrite | null = null;

  /** Takes the endpoint, connected or connecting. */
  constructor(stack: Stack, endpoint: TcpEndpoint, options: { allowHalfOpen?: boolean } = {}) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false, emitClose: true });
    this.#stack = stack;
    this.endpoint = endpoint;
    this.connecting = endpoint.state !== ESTABLISHED;
    endpoint.onReadiness = () => this.#mark();
    this.#mark();
  }

  #mark(): void {
    if (this.#isMarked) return;
    this.#isMarked = true;
    process.nextTick(() => {
      this.#isMarked = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.destroyed) return;
    const ready = this.endpoint.readiness();
    if (this.connecting) {
      if ((ready & Ready.Error) !== 0) {
        this.#fail("connect");
        return;
      }
      if ((ready & Ready.Write) === 0) return;
      this.connecting = false;
      this.emit("connect");
      this.emit("ready");
    }
    this.#pumpWrite();
    this.#pumpRead();
    // What came before an error is the reader's first.
    if (this.destroyed || this.endpoint.readableBytes > 0) return;
    if ((this.endpoint.readiness() & Ready.Error) !== 0) this.#fail("read");
    this.#stack.runPending();
  }

  #fail(call: string): void {
    const error = this.endpoint.takeError();
    if (error !== 0) this.destroy(streamError(call, error));
  }

  #pumpRead(): void {
    while (this.#wantsRead && !this.destroyed) {
      const n = this.endpoint.read(this.#buffer, 0, CHUNK_BYTES, false);
      if (n === NetErr.WouldBlock) return;
      if (n < 0) {
        // The read took the error that waited.
        this.destroy(streamError("read", n));
        return;
      }
      if (n === 0) {
        this.#wantsRead = false;
        this.push(null);
        return;
      }
      this.bytesRead += n;
      this.#active();
      this.#wantsRead = this.push(Buffer.from(this.#buffer.subarray(0, n)));
    }
  }

  #pumpWrite(): void {
    const pending = this.#write;
    if (pending === null || this.connecting) return;
    while (pending.at < pending.chunk.length) {
      const { chunk, at } = pending;
      const n = this.endpoint.write(chunk, at, chunk.length - at, 0);
      if (n === NetErr.WouldBlock) return;
      if (n < 0) {
        this.#write = null;
        pending.done(streamError("write", n));
        return;
      }
      pending.at += n;
      this.bytesWritten += n;
      this.#active();
    }
    this.#write = null;
    pending.done();
  }

  override _read(): void {
    this.#wantsRead = true;
    this.#mark();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#write = { chunk, at: 0, done };
    this.#pumpWrite();
    this.#stack.runPending();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    const error = this.endpoint.shutdown(false, true);
    this.#stack.runPending();
    // The peer was quicker with its reset: there is nothing left to close.
    done(error === 0 || error === NetErr.NotConnected ? null : streamError("shutdown", error));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.endpoint.onReadiness = null;
    this.#stack.timers.disarm(this.#idle);
    this.endpoint.close();
    this.#stack.runPending();
    done(error);
  }

  // --- As net.Socket ---

  get remoteAddress(): string | undefined {
    return text(this.endpoint.remoteAddr);
  }
  get remotePort(): number | undefined {
    return this.endpoint.remotePort || undefined;
  }
  get remoteFamily(): string {
    return this.endpoint.family === 4 ? "IPv4" : "IPv6";
  }
  get localAddress(): string | undefined {
    return text(this.endpoint.localAddr);
  }
  get localPort(): number | undefined {
    return this.endpoint.localPort || undefined;
  }
  address(): { address?: string; port?: number; family: string } {
    const { localAddress: address, localPort: port, remoteFamily: family } = this;
    return { address, port, family };
  }
  get pending(): boolean {
    return this.connecting;
  }
  get readyState(): string {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  /** "timeout" when nothing was read or written for so long, by the stack's clock. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    this.timeout = ms;
    if (onTimeout !== undefined) this.once("timeout", onTimeout);
    this.#stack.timers.disarm(this.#idle);
    this.#active();
    return this;
  }
  #active(): void {
    if (this.timeout === 0 || this.destroyed) return;
    this.#stack.timers.arm(this.#idle, this.#stack.clock.monotonicNs() + this.timeout * NS_PER_MS);
  }

  setNoDelay(on = true): this {
    this.endpoint.options.noDelay = on;
    this.endpoint.optionsChanged();
    return this;
  }
  setKeepAlive(on = false, initialDelayMs = 0): this {
    this.endpoint.options.keepAlive = on;
    if (initialDelayMs > 0) this.endpoint.options.keepIdleNs = initialDelayMs * NS_PER_MS;
    this.endpoint.optionsChanged();
    return this;
  }
  /** There is no handle that could keep a process alive. */
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  /** When all that was written has been handed over. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }
  /** With a RST. */
  resetAndDestroy(): this {
    this.endpoint.abort();
    this.destroy();
    return this;
  }
}

function text(addr: IpAddr): string | undefined {
  return addr.isUnspecified ? undefined : addr.toString();
}
