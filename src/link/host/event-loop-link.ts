// A stream link (fd-link.ts) driven by Node's event loop instead of an epoll of ours: the gateway's end.
// Reading goes through a Socket straight into the frame buffer. Writing is FdLink's, straight to the
// descriptor; what the kernel does not take at once goes through the Socket, which waits for room.

import { Socket } from "node:net";
import { growSendBuffer } from "../../host/unix-socket.ts";
import type { LinkEndpoint, LinkSink, PacketBuffer } from "../../netstack/index.ts";
import { FrameStream } from "../frame-stream.ts";
import { FdLink } from "./fd-link.ts";

/** A burst of the largest frames. */
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;
const GSO_BYTES_MAX = 65_535;

export interface EventLoopLinkConfig {
  /** One end of a stream socketpair; taken over. */
  fd: number;
  mtu: number;
  mac: Uint8Array;
  /** How many bytes of segments may go out in one piece; default: as many as there can be. */
  gsoBytesMax?: number;
  /** Frames have been delivered: run what they caused. */
  onDelivered: () => void;
  onClosed: () => void;
}

export class EventLoopLink implements LinkEndpoint {
  readonly #link: FdLink;
  readonly #socket: Socket;
  readonly #stream = new FrameStream();
  readonly gsoBytesMax: number;
  #sink: LinkSink | null = null;

  constructor(config: EventLoopLinkConfig) {
    const { fd, mtu, mac, onDelivered, onClosed } = config;
    growSendBuffer(fd, SEND_BUFFER_BYTES);
    this.#link = new FdLink({ fd, kind: "stream", mtu, mac });
    this.gsoBytesMax = Math.min(this.#link.gsoBytesMax, config.gsoBytesMax ?? GSO_BYTES_MAX);
    const stream = this.#stream;
    this.#socket = new Socket({
      fd,
      readable: true,
      writable: true,
      onread: {
        buffer: () => {
          const space = stream.space;
          return stream.bytes.subarray(stream.offset, stream.offset + space);
        },
        callback: (count: number): boolean => {
          stream.commit(count, this.#sink);
          if (stream.broken) this.#socket.destroy();
          else onDelivered();
          return true;
        },
      },
    } as ConstructorParameters<typeof Socket>[0]);
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      this.#link.isOver = true;
      onClosed();
    });
    this.#socket.resume();
  }

  get mtu(): number {
    return this.#link.mtu;
  }
  get mac(): Uint8Array {
    return this.#link.mac;
  }
  get checksumOffload(): boolean {
    return this.#link.checksumOffload;
  }

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }

  send(pkt: PacketBuffer): boolean {
    const sent = this.#link.send(pkt);
    if (this.#link.wantsWrite && !this.#link.isHeld) this.#flush();
    return sent;
  }

  /** Gives the backlog to the Socket, and holds further frames back until it is through. */
  #flush(): void {
    const backlog = this.#link.takeBacklog();
    this.#link.isHeld = backlog !== null;
    if (backlog === null) return;
    this.#socket.write(backlog, (error) => {
      if (error === null || error === undefined) this.#flush();
    });
  }

  close(): void {
    this.#sink = null;
    this.#link.isOver = true;
    this.#socket.destroy();
  }
}
