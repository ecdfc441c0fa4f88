// The application on the stack under test: it takes connections on two ports (on the second it never reads), sends
// a known stream, and holds what it reads against what its peers may have sent. A UDP socket sends back what comes.
// Besides, the socket calls of a case, on sockets of their own.

import {
  type DatagramEndpoint,
  type Endpoint,
  IPV4,
  IPV6,
  IpAddr,
  newDatagramInfo,
  Ready,
  type Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import type { SocketCall } from "../arbitraries/calls.ts";
import type { Place } from "../arbitraries/place.ts";
import { BrokenLaw } from "./target.ts";

/** Byte of a peer's stream; streams repeat after STREAM_PERIOD bytes. */
export const STREAM_PERIOD = 1 << 16;
export const peerByte = (position: number): number => {
  const p = position & (STREAM_PERIOD - 1);
  return (p * 31 + (p >>> 8)) & 255;
};
/** Byte of what the application sends. */
export const appByte = (position: number): number => (position * 17 + (position >>> 8) + 3) & 255;

const GREETING_BYTES = 3_000;
/** It has heard enough and closes first, as servers do. */
const ENOUGH_BYTES = 1_000;
const WRITE_MAX = 64_000;
const SOCKETS_MAX = 32;

class Conversation {
  readonly endpoint: TcpEndpoint;
  readonly reads: boolean;
  read = 0;
  written = 0;
  /** Bytes it still wants to send. */
  owed = GREETING_BYTES;
  isClosed = false;

  constructor(endpoint: TcpEndpoint, reads: boolean) {
    this.endpoint = endpoint;
    this.reads = reads;
  }
}

const isTcp = (e: Endpoint): e is TcpEndpoint => "listen" in e;

export class App {
  readonly #stack: Stack;
  readonly #place: Place;
  readonly #listeners: TcpEndpoint[] = [];
  readonly #echo: DatagramEndpoint[] = [];
  readonly #sockets: (Endpoint | null)[] = [];
  readonly #buffer = new Uint8Array(WRITE_MAX);
  readonly #info = newDatagramInfo();
  #conversations: Conversation[] = [];
  #isDirty = true;
  readonly #isJudge: boolean;
  /** Hears what it does with the connections that came in: that a call begins, then its line of a packet script. */
  onCall: ((text: string | null) => void) | null = null;

  /** isJudge: what it reads is held against what its peers send. */
  constructor(stack: Stack, place: Place, isJudge = true) {
    this.#isJudge = isJudge;
    this.#stack = stack;
    this.#place = place;
    for (const family of [IPV4, IPV6] as const) {
      const any = family === IPV4 ? IpAddr.v4(0, 0, 0, 0) : new IpAddr();
      for (const port of [place.ports[0], place.ports[2]]) this.#listen(family, any, port);
      const echo = stack.endpoints.udp(family);
      if (typeof echo === "number") throw new Error("no endpoint for the application");
      if (family === IPV6) echo.options.v6Only = true;
      if (echo.bind(any, place.ports[1]) !== 0) throw new Error("the echo's port is taken");
      echo.onReadiness = this.#mark;
      this.#echo.push(echo);
    }
  }

  readonly #mark = (): void => {
    this.#isDirty = true;
  };

  #listen(family: 4 | 6, any: IpAddr, port: number): void {
    const listener = this.#stack.endpoints.tcp(family);
    if (typeof listener === "number") throw new Error("no endpoint for the application");
    listener.options.reuseAddress = true;
    // Urgent bytes stay in the stream: what is read can be told from its position.
    listener.options.oobInline = true;
    if (family === IPV6) listener.options.v6Only = true;
    const error = listener.bind(any, port) || listener.listen(8);
    if (error !== 0) throw new Error(`the application cannot listen: ${error}`);
    listener.onReadiness = this.#mark;
    this.#listeners.push(listener);
  }

  /** Everything that can go on goes on. */
  pump(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    for (let i = 0; i < this.#listeners.length; i++) {
      for (let c = this.#listeners[i].accept(); c !== null; c = this.#listeners[i].accept()) {
        c.onReadiness = this.#mark;
        this.onCall?.(null);
        this.onCall?.("accept(3, ..., ...) = 4");
        this.#conversations.push(new Conversation(c, c.localPort !== this.#place.ports[2]));
      }
    }
    let closed = 0;
    for (const conversation of this.#conversations) {
      if (!conversation.isClosed) this.#converse(conversation);
      if (conversation.isClosed) closed++;
    }
    if (closed > 0) this.#conversations = this.#conversations.filter((c) => !c.isClosed);
    for (const echo of this.#echo) this.#sendBack(echo);
  }

  #converse(c: Conversation): void {
    const { endpoint } = c;
    if (c.reads) this.#read(c);
    while (c.owed > 0 && !c.isClosed && (endpoint.readiness() & Ready.Write) !== 0) {
      const length = Math.min(c.owed, 4_096);
      for (let i = 0; i < length; i++) this.#buffer[i] = appByte(c.written + i);
      this.onCall?.(null);
      const n = endpoint.write(this.#buffer, 0, length, 0);
      this.onCall?.(`write(4, ..., ${length}) = ${n < 0 ? -1 : n}`);
      if (n <= 0) break;
      c.written += n;
      c.owed -= n;
    }
    if ((endpoint.readiness() & (Ready.Error | Ready.Hangup)) !== 0) this.#end(c);
  }

  #read(c: Conversation): void {
    const { endpoint } = c;
    for (;;) {
      this.onCall?.(null);
      const n = endpoint.read(this.#buffer, 0, 8_192, false);
      if (n > 0) this.onCall?.(`read(4, ..., 8192) = ${n}`);
      if (n <= 0) {
        if (n === 0 && (endpoint.readiness() & Ready.ReadClosed) !== 0) this.#end(c);
        return;
      }
      for (let i = 0; i < n; i++) {
        if (this.#isJudge && this.#buffer[i] !== peerByte(c.read + i)) {
          throw new BrokenLaw("stream", `byte ${c.read + i} is not what was sent`);
        }
      }
      c.read += n;
      c.owed += n;
      if (c.read >= ENOUGH_BYTES) {
        this.#end(c);
        return;
      }
    }
  }

  #end(c: Conversation): void {
    if (c.isClosed) return;
    c.isClosed = true;
    this.onCall?.(null);
    this.onCall?.("close(4) = 0");
    c.endpoint.close();
  }

  #sendBack(echo: DatagramEndpoint): void {
    for (let i = 0; i < 64; i++) {
      const n = echo.receive(this.#buffer, 0, this.#buffer.length, this.#info, false);
      if (n < 0) {
        if ((echo.readiness() & Ready.Error) === 0) return;
        echo.takeError();
        continue;
      }
      echo.send(this.#buffer, 0, n, this.#info.addr, this.#info.port);
    }
  }

  /** Everything is closed. */
  close(): void {
    for (const c of this.#conversations) this.#end(c);
    this.#conversations = [];
    for (const endpoint of [...this.#listeners, ...this.#echo]) endpoint.close();
    for (const socket of this.#sockets) socket?.close();
    this.#sockets.length = 0;
  }

  /** One call of a case; calls that make no sense get an error, and that is all. */
  call(call: SocketCall): void {
    this.#isDirty = true;
    if (call.call === "open") this.#open(call.kind);
    else if (call.call !== "wait") {
      const socket = this.#sockets[call.socket];
      if (socket !== undefined && socket !== null) this.#on(socket, call);
      else if (socket === undefined) this.#onConversation(call.socket, call.call);
    }
  }

  /** Sockets that were not opened stand for the connections that it serves: it ends them of its own accord. */
  #onConversation(n: number, call: string): void {
    const conversation = this.#conversations[n];
    if (conversation === undefined) return;
    if (call === "shutdown") conversation.endpoint.shutdown(false, true);
    else if (call === "abort") conversation.endpoint.abort();
    else if (call === "close") this.#end(conversation);
  }

  #open(kind: string): void {
    if (this.#sockets.length >= SOCKETS_MAX) return;
    const family = kind.endsWith("6") ? IPV6 : IPV4;
    const { endpoints } = this.#stack;
    const socket = kind.startsWith("tcp") ? endpoints.tcp(family) : endpoints.udp(family);
    this.#sockets.push(typeof socket === "number" ? null : socket);
  }

  #on(socket: Endpoint, call: Exclude<SocketCall, { call: "open" | "wait" }>): void {
    const [peer] = this.#place.strangers;
    const isV6 = socket.family === IPV6;
    const there = isV6 ? peer.ip6 : peer.ip4;
    switch (call.call) {
      case "bind":
        socket.bind(isV6 ? new IpAddr() : IpAddr.v4(0, 0, 0, 0), call.port);
        return;
      case "connect":
        socket.connect(there, call.port);
        return;
      case "close":
        socket.close();
        this.#sockets[call.socket] = null;
        return;
      case "option":
        (socket.options as unknown as Record<string, unknown>)[call.name] = optionValue(
          call.name,
          call.value,
        );
        return;
      case "shutdown":
        (socket as TcpEndpoint).shutdown(call.read, call.write);
        return;
    }
    if (isTcp(socket)) this.#onTcp(socket, call);
    else if (call.call === "send") {
      const length = Math.min(call.length, WRITE_MAX);
      (socket as DatagramEndpoint).send(
        this.#buffer.fill(1, 0, length),
        0,
        length,
        there,
        call.port,
      );
    } else if (call.call === "receive") {
      const length = Math.min(call.length, WRITE_MAX);
      (socket as DatagramEndpoint).receive(this.#buffer, 0, length, this.#info, false);
    }
  }

  #onTcp(socket: TcpEndpoint, call: SocketCall): void {
    switch (call.call) {
      case "listen":
        socket.listen(call.backlog);
        break;
      case "accept": {
        const child = socket.accept();
        if (child !== null && this.#sockets.length < SOCKETS_MAX) this.#sockets.push(child);
        else child?.close();
        break;
      }
      case "write":
        socket.write(this.#buffer.fill(2), 0, Math.min(call.length, WRITE_MAX), 0);
        break;
      case "read":
        socket.read(this.#buffer, 0, Math.min(call.length, WRITE_MAX), call.peek);
        break;
      case "abort":
        socket.abort();
        break;
    }
  }
}

const FLAGS = new Set(["noDelay", "cork", "quickAck", "keepAlive", "reuseAddress"]);

/** As the socket layer above would pass it on. */
function optionValue(name: string, value: number): boolean | number {
  if (FLAGS.has(name)) return value !== 0;
  if (name.endsWith("Ns")) return value * 1e6;
  return Math.max(2_304, value);
}
