// A link that writes down every frame of another, both ways, as it would look on a wire: checksums left to
// the link are finished in the copy. A frame that stands for many (GSO) is written whole: its length fits
// the IP header, and its checksum is made right for it.

import type { Clock } from "../../base/clock.ts";
import {
  completeChecksum,
  copyPacket,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
} from "../../netstack/index.ts";
import { DIRECTION_IN, DIRECTION_OUT } from "./pcap-writer.ts";

/** What a PcapWriter does; others may count or keep. */
export interface FrameWriter {
  write(
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    direction: number,
    comment?: string,
  ): void;
  flush(): void;
}

/** Says in a comment why a frame was sent. */
export interface FrameCauses {
  /** The frame b[start, end), checksums aside. */
  causeOf(b: Uint8Array, start: number, end: number, direction: number): string;
  /** A frame that came is being handled, or no more. */
  delivering(isDelivering: boolean): void;
}

export class CaptureLink implements LinkEndpoint, LinkSink {
  readonly #inner: LinkEndpoint;
  readonly #writer: FrameWriter;
  readonly #clock: Clock;
  readonly #copy = new PacketBuffer();
  readonly #causes: FrameCauses | null;
  #sink: LinkSink | null = null;

  constructor(
    inner: LinkEndpoint,
    writer: FrameWriter,
    clock: Clock,
    causes: FrameCauses | null = null,
  ) {
    this.#inner = inner;
    this.#writer = writer;
    this.#clock = clock;
    this.#causes = causes;
  }

  get mtu(): number {
    return this.#inner.mtu;
  }
  get mac(): Uint8Array {
    return this.#inner.mac;
  }
  get checksumOffload(): boolean {
    return this.#inner.checksumOffload;
  }
  get gsoBytesMax(): number {
    return this.#inner.gsoBytesMax;
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
    this.#inner.attach(this);
  }
  beginBatch(): void {
    this.#sink?.beginBatch?.();
  }
  /** What waited for its end is handled now. */
  endBatch(): void {
    this.#causes?.delivering(true);
    this.#sink?.endBatch?.();
    this.#causes?.delivering(false);
  }
  send(pkt: PacketBuffer): boolean {
    this.#record(pkt, DIRECTION_OUT);
    return this.#inner.send(pkt);
  }
  deliver(pkt: PacketBuffer): void {
    this.#record(pkt, DIRECTION_IN);
    this.#causes?.delivering(true);
    this.#sink?.deliver(pkt);
    this.#causes?.delivering(false);
  }
  close(): void {
    this.#writer.flush();
    this.#inner.close();
  }

  #record(pkt: PacketBuffer, direction: number): void {
    const copy = this.#copy;
    const nowNs = this.#clock.realtimeNs();
    if (!pkt.checksumPartial && pkt.fragBytes === null) {
      this.#write(nowNs, pkt, direction);
      return;
    }
    copyPacket(copy, pkt);
    if (copy.checksumPartial) {
      // The pseudo-header sum is in the field, over the whole length: as completeChecksum expects. A frame
      // from a peer may point anywhere inside itself, which only spoils this copy.
      copy.protocol = isUdp(copy) ? 17 : 6;
      completeChecksum(copy);
    }
    this.#write(nowNs, copy, direction);
  }

  #write(nowNs: number, { bytes, start, end }: PacketBuffer, direction: number): void {
    const comment = this.#causes?.causeOf(bytes, start, end, direction);
    this.#writer.write(nowNs, bytes, start, end - start, direction, comment);
  }
}

const isUdp = (pkt: PacketBuffer): boolean => pkt.checksumOffset === 6;
