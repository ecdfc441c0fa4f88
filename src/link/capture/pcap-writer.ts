// Writes capture files of one Ethernet interface: classic pcap (draft-ietf-opsawg-pcap, microseconds or
// nanoseconds) here, pcapng through PcapngWriter.

import { setU16Le, setU32Le } from "../../base/bytes.ts";
import { type ByteSink, SinkBuffer } from "./byte-sink.ts";
import { LINKTYPE_ETHERNET } from "./captured-frame.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

export type PcapFormat = "us" | "ns" | "pcapng";

const MAGIC_US = 0xa1b2c3d4;
const MAGIC_NS = 0xa1b23c4d;
const SNAP_BYTES = 262_144;
const SECOND = 1_000_000_000;

export const DIRECTION_UNKNOWN = 0;
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

export class PcapWriter {
  readonly #buffer: SinkBuffer;
  readonly #format: PcapFormat;
  readonly #packetBuffered: boolean;
  readonly #ng: PcapngWriter | null = null;

  constructor(sink: ByteSink, format: PcapFormat, packetBuffered = false) {
    this.#buffer = new SinkBuffer(sink);
    this.#format = format;
    this.#packetBuffered = packetBuffered;
    if (format === "pcapng") {
      this.#ng = new PcapngWriter(this.#buffer);
      this.#ng.section();
      this.#ng.interface({ linkType: LINKTYPE_ETHERNET, snapBytes: SNAP_BYTES });
    } else this.#writeHeader();
    if (packetBuffered) this.flush();
  }

  /** One frame. realtimeNs: since 1970. Only pcapng keeps the direction and the comment. */
  write(
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    direction: number = DIRECTION_UNKNOWN,
    comment = "",
  ): void {
    if (this.#ng === null) this.#writePacket(realtimeNs, bytes, offset, length);
    else this.#ng.packet(0, realtimeNs, bytes, offset, length, length, direction, comment);
    if (this.#packetBuffered) this.flush();
  }

  flush(): void {
    this.#buffer.flush();
  }

  #writePacket(realtimeNs: number, bytes: Uint8Array, offset: number, length: number): void {
    // The clock's doubles are off by up to 128 ns since 1970: rounded, not cut, to whole units.
    const perSecond = this.#format === "ns" ? SECOND : SECOND / 1000;
    const units = Math.round(realtimeNs / (SECOND / perSecond));
    const seconds = Math.floor(units / perSecond);
    const at = this.#buffer.reserve(16 + length);
    const b = this.#buffer.bytes;
    setU32Le(b, at, seconds);
    setU32Le(b, at + 4, units - seconds * perSecond);
    setU32Le(b, at + 8, length);
    setU32Le(b, at + 12, length);
    b.set(bytes.subarray(offset, offset + length), at + 16);
  }

  #writeHeader(): void {
    const at = this.#buffer.reserve(24);
    const b = this.#buffer.bytes;
    setU32Le(b, at, this.#format === "ns" ? MAGIC_NS : MAGIC_US);
    setU16Le(b, at + 4, 2);
    setU16Le(b, at + 6, 4);
    setU32Le(b, at + 8, 0);
    setU32Le(b, at + 12, 0);
    setU32Le(b, at + 16, SNAP_BYTES);
    setU32Le(b, at + 20, LINKTYPE_ETHERNET);
  }
}
