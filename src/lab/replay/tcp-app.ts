// The application at the other end: does with an endpoint of our stack what the captured one did with its socket.

import {
  type IpAddr,
  NetErr,
  type NetError,
  Ready,
  type Stack,
  type TcpEndpoint,
  WRITE_URGENT,
} from "../../netstack/index.ts";
import { newTcp } from "../sim/conversation.ts";
import { CLIENT, otherSide, type Side } from "./conversation.ts";
import type { Pace } from "./pace.ts";
import type { Stream } from "./stream.ts";
import { type AppStep, tcpScript } from "./tcp-script.ts";
import { isRefused, type TcpTrace } from "./tcp-trace.ts";

export interface TcpAppConfig {
  trace: TcpTrace;
  /** Whose application this is. */
  side: Side;
  pace: Pace;
  stack: Stack;
  local: IpAddr;
  localPort: number;
  remote: IpAddr;
  remotePort: number;
  /** Told of every call, before it is made; `bytes` is filled in after. */
  onCall?: (call: AppCall) => void;
}

export interface AppCall {
  kind: "connect" | "accept" | "read" | "write" | "shutdown" | "close" | "abort";
  timeNs: number;
  /** 0: there was nothing to be had, or no room. */
  bytes: number;
  /** Of a write: how many it was asked to take. */
  wantedBytes: number;
}

const CHUNK_BYTES = 65_536;
/** Of TcpEndpoint.state. */
const SYN_SENT = 2;
const TIME_WAIT = 6;
const CLOSED = 7;
const NEW_SYN_RECV = 12;

export class TcpApp {
  endpoint: TcpEndpoint | null = null;
  /** Of the other side's stream. */
  read = 0;
  /** The first byte that was not the captured one; -1: none. */
  wrongAt = -1;
  hasEnd = false;
  error: NetError | 0 = 0;
  /** What could not be done, in words; "" when nothing. */
  trouble = "";
  readonly #c: TcpAppConfig;
  readonly #expected: Stream;
  readonly #stream: Uint8Array;
  readonly #steps: AppStep[];
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #listener: TcpEndpoint | null = null;
  #next = 0;
  /** The last step that was tried. */
  #begun = -1;
  /** Of the write under way. */
  #written = 0;
  #isPaused = false;
  #isClosed = false;
  #nowNs = 0;

  constructor(config: TcpAppConfig) {
    this.#c = config;
    const { trace, side } = config;
    this.#expected = trace.sides[otherSide(side)].stream;
    this.#stream = trace.sides[side].stream.bytes;
    this.#steps = tcpScript(trace, side);
    // The server is there before anyone asks.
    if (side !== CLIENT && !isRefused(trace)) this.#listen();
  }

  #call(kind: AppCall["kind"]): AppCall {
    const call = { kind, timeNs: this.#nowNs, bytes: 0, wantedBytes: 0 };
    this.#c.onCall?.(call);
    return call;
  }

  get isDone(): boolean {
    return this.#next === this.#steps.length;
  }
  /** All that was written has arrived, as far as we can know. */
  get isDrained(): boolean {
    const { endpoint } = this;
    if (this.#isClosed || endpoint === null || endpoint.unackedBytes === 0) return true;
    // In TIME-WAIT and beyond nothing of the queues is kept.
    return endpoint.state === TIME_WAIT || endpoint.state === CLOSED;
  }
  get written(): number {
    return this.#written;
  }

  #listen(): void {
    const listener = newTcp(this.#c.stack, this.#c.local.family);
    this.#configure(listener);
    const failed = listener.bind(this.#c.local, this.#c.localPort) || listener.listen(16);
    if (failed !== 0) this.trouble = `listening failed (error ${failed})`;
    this.#listener = listener;
  }

  #configure(endpoint: TcpEndpoint): void {
    const { options } = endpoint;
    // Writes are as large as what was sent: nothing is gained by holding a small one back.
    options.noDelay = true;
    options.reuseAddress = true;
    options.oobInline = true;
  }

  #connect(): void {
    const { stack, local, localPort, remote, remotePort } = this.#c;
    const endpoint = newTcp(stack, remote.family);
    this.#configure(endpoint);
    endpoint.bind(local, localPort);
    this.#call("connect");
    endpoint.connect(remote, remotePort);
    this.endpoint = endpoint;
  }

  nextNs(): number {
    if (this.isDone) return Number.POSITIVE_INFINITY;
    return this.#c.pace.dueNs(this.#steps[this.#next].timeNs);
  }

  /** Does what is due and possible; true when something was. */
  step(nowNs: number): boolean {
    this.#nowNs = nowNs;
    let hasDone = this.#accept();
    hasDone = this.#drain() || hasDone;
    while (!this.isDone) {
      const step = this.#steps[this.#next];
      if (this.#c.pace.dueNs(step.timeNs) > nowNs) break;
      if (step.kind !== "open" && !this.#mayDo(step)) break;
      // Once: what has to be tried again does not put off what comes after it each time.
      if (this.#begun !== this.#next) this.#c.pace.happened(step.timeNs, nowNs);
      this.#begun = this.#next;
      if (!this.#do(step)) break;
      this.#next++;
      hasDone = true;
    }
    return hasDone;
  }

  #mayDo(step: AppStep): boolean {
    const { endpoint } = this;
    if (this.#isClosed) return true;
    if (endpoint === null) return false;
    // Established or beyond: what is written before waits in the ring, but the captured one had connected.
    if (endpoint.state === SYN_SENT || endpoint.state === NEW_SYN_RECV) return false;
    return this.read + endpoint.readableBytes >= step.received || this.hasEnd || this.error !== 0;
  }

  #accept(): boolean {
    if (this.#listener === null || this.endpoint !== null) return false;
    this.endpoint = this.#listener.accept();
    if (this.endpoint !== null) this.#call("accept");
    return this.endpoint !== null;
  }

  /** False: to be tried again. */
  #do(step: AppStep): boolean {
    switch (step.kind) {
      case "open":
        if (this.#c.side === CLIENT) this.#connect();
        return true;
      case "write":
        return this.#write(step.from, step.to, step.urgent);
      case "pause":
      case "resume":
        this.#isPaused = step.kind === "pause";
        this.#drain();
        return true;
      case "shutdown":
        this.#call("shutdown");
        this.endpoint?.shutdown(false, true);
        return true;
      case "close":
        this.#isPaused = false;
        this.#drain();
        this.#call("close");
        this.close();
        return true;
      case "reset":
        this.#call("abort");
        this.endpoint?.abort();
        this.#isClosed = true;
        return true;
    }
  }

  #write(from: number, to: number, urgent: boolean): boolean {
    const { endpoint } = this;
    if (endpoint === null || this.#isClosed) return true;
    this.#written = Math.max(this.#written, from);
    while (this.#written < to) {
      const length = Math.min(to - this.#written, CHUNK_BYTES);
      const flags = urgent ? WRITE_URGENT : 0;
      const call = this.#call("write");
      const n = endpoint.write(this.#stream, this.#written, length, flags);
      call.bytes = Math.max(0, n);
      call.wantedBytes = length;
      if (n === NetErr.WouldBlock) return false;
      // The judge sees it by what is missing.
      if (n < 0) return true;
      this.#written += n;
    }
    return true;
  }

  #drain(): boolean {
    const { endpoint } = this;
    if (endpoint === null || this.#isClosed || this.#isPaused) return false;
    let hasRead = false;
    for (;;) {
      const call = this.#call("read");
      const n = endpoint.read(this.#buffer, 0, CHUNK_BYTES, false);
      call.bytes = Math.max(0, n);
      if (n > 0) {
        this.#compare(n);
        hasRead = true;
        continue;
      }
      if (n === 0 && (endpoint.readiness() & Ready.ReadClosed) !== 0 && !this.hasEnd) {
        this.hasEnd = true;
        hasRead = true;
      }
      if (n < 0 && (endpoint.readiness() & Ready.Error) !== 0) {
        this.error = endpoint.takeError() || this.error;
      }
      return hasRead;
    }
  }

  #compare(n: number): void {
    const at = this.read;
    this.read += n;
    if (this.wrongAt >= 0) return;
    const { bytes } = this.#expected;
    for (let i = 0; i < n; i++) {
      if (this.#buffer[i] === bytes[at + i]) continue;
      if (!this.#expected.allows(at + i, this.#buffer[i])) {
        this.wrongAt = at + i;
        return;
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#listener?.close();
    this.endpoint?.close();
  }
}
