// Capture files: classic pcap (draft-ietf-opsawg-pcap, microseconds or nanoseconds) and pcapng
// (draft-ietf-opsawg-pcapng: section, one interface in nanoseconds, enhanced packets). Bytes go to a sink
// in large pieces; flush() when idle and at the end.

import { setU16Le, setU32Le } from "../base/bytes.ts";

export interface ByteSink {
  /** bytes[offset, offset + length); valid during the call only. */
  write(bytes: Uint8Array, offset: number, length: number): void;
}

export type PcapFormat = "us" | "ns" | "pcapng";

const MAGIC_US = 0xa1b2c3d4;
const MAGIC_NS = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;
const SNAP_BYTES = 262_144;
const BUFFER_BYTES = 256 * 1024;
const SECOND = 1_000_000_000;

export const DIRECTION_UNKNOWN = 0;
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

const BLOCK_SECTION = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_PACKET = 6;

export class PcapWriter {
  readonly #sink: ByteSink;
  readonly #format: PcapFormat;
  readonly #packetBuffered: boolean;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #used = 0;

  constructor(sink: ByteSink, format: PcapFormat, packetBuffered = false) {
    this.#sink = sink;
    this.#format = format;
    this.#packetBuffered = packetBuffered;
    if (format === "pcapng") this.#writeNgHeader();
    else this.#writeHeader();
    if (packetBuffered) this.flush();
  }

  /** One frame. realtimeNs: since 1970. */
  write(
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    direction: number = DIRECTION_UNKNOWN,
  ): void {
    if (this.#format === "pcapng") {
      this.#writeNgPacket(realtimeNs, bytes, offset, length, direction);
    } else this.#writePacket(realtimeNs, bytes, offset, length);
    if (this.#packetBuffered) this.flush();
  }

  #writePacket(realtimeNs: number, bytes: Uint8Array, offset: number, length: number): void {
    // The clock's doubles are off by up to 128 ns since 1970: rounded, not cut, to whole units.
    const perSecond = this.#format === "ns" ? SECOND : SECOND / 1000;
    const units = Math.round(realtimeNs / (SECOND / perSecond));
    const seconds = Math.floor(units / perSecond);
    const at = this.#reserve(16 + length);
    setU32Le(this.#buffer, at, seconds);
    setU32Le(this.#buffer, at + 4, units - seconds * perSecond);
    setU32Le(this.#buffer, at + 8, length);
    setU32Le(this.#buffer, at + 12, length);
    this.#buffer.set(bytes.subarray(offset, offset + length), at + 16);
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.#buffer, 0, this.#used);
    this.#used = 0;
  }

  #reserve(bytes: number): number {
    if (this.#used + bytes > BUFFER_BYTES) this.flush();
    const at = this.#used;
    this.#used += bytes;
    return at;
  }

  #writeHeader(): void {
    const at = this.#reserve(24);
    const b = this.#buffer;
    setU32Le(b, at, this.#format === "ns" ? MAGIC_NS : MAGIC_US);
    setU16Le(b, at + 4, 2);
    setU16Le(b, at + 6, 4);
    setU32Le(b, at + 8, 0);
    setU32Le(b, at + 12, 0);
    setU32Le(b, at + 16, SNAP_BYTES);
    setU32Le(b, at + 20, LINKTYPE_ETHERNET);
  }

  #writeNgHeader(): void {
    const b = this.#buffer;
    let at = this.#reserve(28);
    b.fill(0, at, at + 28);
    setU32Le(b, at, BLOCK_SECTION);
    setU32Le(b, at + 4, 28);
    setU32Le(b, at + 8, 0x1a2b3c4d);
    setU16Le(b, at + 12, 1);
    // Section length unknown: -1.
    b.fill(0xff, at + 16, at + 24);
    setU32Le(b, at + 24, 28);
    at = this.#reserve(32);
    b.fill(0, at, at + 32);
    setU32Le(b, at, BLOCK_INTERFACE);
    setU32Le(b, at + 4, 32);
    setU16Le(b, at + 8, LINKTYPE_ETHERNET);
    setU32Le(b, at + 12, SNAP_BYTES);
    // if_tsresol (9): 10^-9 s; then the end of options.
    setU16Le(b, at + 16, 9);
    setU16Le(b, at + 18, 1);
    b[at + 20] = 9;
    setU32Le(b, at + 28, 32);
  }

  #writeNgPacket(
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    direction: number,
  ): void {
    const padded = (length + 3) & ~3;
    const options = direction === DIRECTION_UNKNOWN ? 0 : 12;
    const total = 32 + padded + options;
    const at = this.#reserve(total);
    const b = this.#buffer;
    const high = Math.floor(realtimeNs / 0x1_0000_0000);
    setU32Le(b, at, BLOCK_PACKET);
    setU32Le(b, at + 4, total);
    setU32Le(b, at + 8, 0);
    setU32Le(b, at + 12, high);
    setU32Le(b, at + 16, realtimeNs - high * 0x1_0000_0000);
    setU32Le(b, at + 20, length);
    setU32Le(b, at + 24, length);
    b.set(bytes.subarray(offset, offset + length), at + 28);
    b.fill(0, at + 28 + length, at + 28 + padded);
    if (options > 0) {
      // epb_flags (2): bits 0-1 are the direction.
      const o = at + 28 + padded;
      setU16Le(b, o, 2);
      setU16Le(b, o + 2, 4);
      setU32Le(b, o + 4, direction);
      setU32Le(b, o + 8, 0);
    }
    setU32Le(b, at + total - 4, total);
  }
}
