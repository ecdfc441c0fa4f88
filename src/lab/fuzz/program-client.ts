// The far end of a fuzzed server's link: a stack of ours whose clock stands, and one connection or one socket for
// datagrams at a time. Whoever holds it says when frames have come (runPending) and when to go on. Not the judge of
// the server: src/cli.

import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import {
  copyPacket,
  type DatagramEndpoint,
  type Family,
  type IpAddr,
  type LinkEndpoint,
  type LinkSink,
  NetErr,
  newDatagramInfo,
  PacketBuffer,
  Ready,
  Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { GUEST, GUEST6, ROUTER, ROUTER6 } from "../program-network.ts";

export const PROGRAM_MTU = 1_500;
const ANSWER_MAX = 64 * 1024;

export const FAMILIES: readonly Family[] = [4, 6];

/** Where a server listens. */
export interface ServerPort {
  port: number;
  isUdp: boolean;
}

/** Sees frames both ways: for the capture of a failure, and to know that something went by. */
class Tapped implements LinkEndpoint {
  readonly below: LinkEndpoint;
  passed = 0;
  onFrame: (bytes: Uint8Array, isOut: boolean) => void = () => {};

  constructor(below: LinkEndpoint) {
    this.below = below;
  }
  get mtu(): number {
    return PROGRAM_MTU;
  }
  get mac(): Uint8Array {
    return this.below.mac;
  }
  get checksumOffload(): boolean {
    return false;
  }
  get gsoBytesMax(): number {
    return 0;
  }
  attach(sink: LinkSink): void {
    this.below.attach({
      deliver: (pkt) => {
        this.passed++;
        this.onFrame(pkt.bytes.slice(pkt.start, pkt.end), true);
        sink.deliver(pkt);
      },
    });
  }
  send(pkt: PacketBuffer): boolean {
    this.passed++;
    const copy = new PacketBuffer(pkt.length + 256);
    copyPacket(copy, pkt);
    this.onFrame(copy.bytes.slice(copy.start, copy.end), false);
    return this.below.send(pkt);
  }
  close(): void {
    this.below.close();
  }
}

export class ProgramClient {
  readonly link: Tapped;
  readonly #stack: Stack;
  readonly #port: number;
  readonly #isUdp: boolean;
  readonly #buffer = new Uint8Array(ANSWER_MAX);
  readonly #from = newDatagramInfo();
  #connection: TcpEndpoint | null = null;
  #socket: DatagramEndpoint | null = null;
  /** Whom the next datagram is for. */
  #family: Family = 4;
  /** A datagram of this connect() was answered with "port unreachable". */
  isRefused = false;

  constructor(link: LinkEndpoint, { port, isUdp }: ServerPort) {
    this.#port = port;
    this.#isUdp = isUdp;
    this.link = new Tapped(link);
    const clock = new ManualClock();
    clock.advanceNs(1e9);
    this.#stack = new Stack({ clock, rng: new SeededRng(1), limits: DEFAULT_LIMITS });
    this.#stack.attach(this.link, {
      name: "eth0",
      addresses: [
        { addr: ROUTER, prefixBits: 24 },
        { addr: ROUTER6, prefixBits: 64 },
      ],
      ipv6: { mode: "static", duplicateAddressDetection: false },
    });
  }

  runPending(): void {
    this.#stack.runPending();
  }

  get #guest(): IpAddr {
    return this.#family === 4 ? GUEST : GUEST6;
  }
  get family(): Family {
    return this.#family;
  }

  get isConnected(): boolean {
    return this.#connection !== null && this.#connection.state === 1;
  }

  /** A new connection; of datagrams a new port of ours, so that the server takes us for another client. */
  connect(family: Family): void {
    this.disconnect();
    this.#family = family;
    this.isRefused = false;
    if (this.#isUdp) this.#socket = this.#open();
    else this.#connection = this.#connect();
    this.runPending();
  }

  #connect(): TcpEndpoint {
    const endpoint = this.#stack.endpoints.tcp(this.#family);
    if (typeof endpoint === "number") throw new Error("no endpoint left");
    endpoint.options.noDelay = true;
    endpoint.connect(this.#guest, this.#port);
    return endpoint;
  }

  /** Not connected: a server may answer from another port (TFTP). So it must ask for errors to hear of them. */
  #open(): DatagramEndpoint {
    const endpoint = this.#stack.endpoints.udp(this.#family);
    if (typeof endpoint === "number") throw new Error("no endpoint left");
    endpoint.options.receiveErrors = true;
    return endpoint;
  }

  disconnect(): void {
    this.#socket?.close();
    this.#socket = null;
    if (this.#connection === null) return;
    this.#connection.abort();
    this.#connection.close();
    this.#connection = null;
    this.runPending();
  }

  end(): void {
    this.#connection?.shutdown(false, true);
    this.runPending();
  }

  /** Bytes taken of those from `at` on; -1: there is nobody to take any more. */
  write(bytes: Uint8Array, at: number): number {
    const end = this.#connection;
    if (end === null || (end.readiness() & (Ready.Error | Ready.Hangup)) !== 0) return -1;
    const n = end.write(bytes, at, bytes.length - at, 0);
    this.runPending();
    return Math.max(0, n);
  }

  sendDatagram(bytes: Uint8Array): void {
    this.#socket ??= this.#open();
    // What an earlier one was told is no answer to this one.
    this.#socket.takeError();
    const n = this.#socket.send(bytes, 0, bytes.length, this.#guest, this.#port);
    if (n < 0) throw new Error(`a datagram of ${bytes.length} bytes was not sent (${n})`);
    this.runPending();
  }

  sendFrame(bytes: Uint8Array): void {
    if (bytes.length < 14) return;
    const pkt = new PacketBuffer(bytes.length + 256);
    pkt.bytes.set(bytes, pkt.start);
    pkt.end = pkt.start + bytes.length;
    this.link.send(pkt);
  }

  /** What has come is appended to `answers`. */
  receive(answers: Uint8Array[]): void {
    if (this.#socket !== null) this.#receiveFrom(this.#socket, answers);
    const end = this.#connection;
    if (end === null) return;
    for (;;) {
      const n = end.read(this.#buffer, 0, this.#buffer.length, false);
      if (n <= 0) break;
      answers.push(this.#buffer.slice(0, n));
    }
    this.runPending();
  }

  #receiveFrom(socket: DatagramEndpoint, answers: Uint8Array[]): void {
    if (socket.takeError() === NetErr.ConnectionRefused) this.isRefused = true;
    for (;;) {
      const n = socket.receive(this.#buffer, 0, this.#buffer.length, this.#from, false);
      if (n < 0) return;
      answers.push(this.#buffer.slice(0, n));
    }
  }

  close(): void {
    this.#stack.close();
  }
}
