// Frames on a byte stream: a 32-bit little-endian length, the virtio-net header, the frame. The reading
// side: the owner puts bytes where space() says, and whole frames come out in place, without a copy.

import { setU32Le, u32Le } from "../base/bytes.ts";
import { HEADROOM, type LinkSink, PacketBuffer } from "../netstack/index.ts";
import { FRAME_MAX, readVirtioNet, VNET_HEADER, writeVirtioNet } from "./virtio-net.ts";

export const LENGTH_BYTES = 4;
/** What stands in front of each frame on the stream. */
export const STREAM_HEADER = LENGTH_BYTES + VNET_HEADER;
const CAPACITY = 512 * 1024;
const MIN_SPACE = 64 * 1024;

/** Writes length and virtio-net header directly in front of pkt.start; returns where they begin. */
export function writeStreamHeader(pkt: PacketBuffer): number {
  const at = pkt.start - STREAM_HEADER;
  setU32Le(pkt.bytes, at, VNET_HEADER + pkt.length);
  writeVirtioNet(pkt.bytes, at + LENGTH_BYTES, pkt);
  return at;
}

export class FrameStream {
  /** One packet over the whole receive buffer; start and end move from frame to frame. */
  readonly #pkt = new PacketBuffer(CAPACITY, true);
  #from = 0;
  #to = 0;
  frames = 0;
  /** Frames whose header lied. */
  malformed = 0;
  /** A length that cannot be: there is no way to find the next frame, the stream is over. */
  broken = false;

  get bytes(): Uint8Array {
    return this.#pkt.bytes;
  }
  /** Where the next bytes go: [offset, offset + space). */
  get offset(): number {
    return this.#to;
  }
  get space(): number {
    if (CAPACITY - this.#to < MIN_SPACE) this.#compact();
    return CAPACITY - this.#to;
  }

  /** `count` bytes were put at offset: delivers every whole frame; how many. */
  commit(count: number, sink: LinkSink | null): number {
    this.#to += count;
    const pkt = this.#pkt;
    const b = pkt.bytes;
    let delivered = 0;
    while (!this.broken && this.#to - this.#from >= STREAM_HEADER) {
      const length = u32Le(b, this.#from);
      if (length < VNET_HEADER || length > VNET_HEADER + FRAME_MAX) {
        this.broken = true;
        break;
      }
      const next = this.#from + LENGTH_BYTES + length;
      if (next > this.#to) break;
      pkt.reset(HEADROOM);
      pkt.start = this.#from + STREAM_HEADER;
      pkt.end = next;
      const header = this.#from + LENGTH_BYTES;
      this.#from = next;
      this.frames++;
      if (!readVirtioNet(b, header, pkt)) {
        this.malformed++;
        continue;
      }
      sink?.deliver(pkt);
      delivered++;
    }
    if (this.#from === this.#to) this.#from = this.#to = 0;
    return delivered;
  }

  #compact(): void {
    this.#pkt.bytes.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
  }
}
