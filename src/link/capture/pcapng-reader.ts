// Reads pcapng files (draft-ietf-opsawg-pcapng): any number of sections of either byte order, interfaces with
// their own time units, enhanced, simple and obsolete packets, name resolution, statistics, decryption
// secrets, custom blocks. Blocks that it does not know are passed over, as the format wants.

import { u32 } from "../../base/bytes.ts";
import type { ByteWindow } from "./byte-window.ts";
import {
  type CapturedFrame,
  type CaptureProblem,
  FRAME_BYTES_MAX,
  type FrameReader,
} from "./captured-frame.ts";
import {
  BLOCK_CUSTOM,
  BLOCK_CUSTOM_LOCAL,
  BLOCK_INTERFACE,
  BLOCK_NAMES,
  BLOCK_PACKET,
  BLOCK_PACKET_OBSOLETE,
  BLOCK_SECRETS,
  BLOCK_SECTION,
  BLOCK_SIMPLE,
  BLOCK_STATISTICS,
} from "./pcapng-blocks.ts";
import { OPTION_COMMENT, withComment } from "./pcapng-options.ts";
import { PcapngSection } from "./pcapng-section.ts";
import { setTime } from "./timestamp.ts";

/** As Wireshark and libpcap: longer blocks are lies. */
const BLOCK_BYTES_MAX = 16 * 1024 * 1024;

/** Whether these four bytes begin a pcapng file: the same in both byte orders. */
export const isPcapng = (b: Uint8Array, o: number): boolean => u32(b, o) === BLOCK_SECTION;

export class PcapngReader implements FrameReader {
  readonly #window: ByteWindow;
  readonly section = new PcapngSection();
  problem: CaptureProblem | null = null;

  constructor(window: ByteWindow) {
    this.#window = window;
  }

  next(frame: CapturedFrame): boolean {
    const w = this.#window;
    while (this.problem === null) {
      if (!w.need(12)) {
        if (w.available > 0) this.#fail(`the file ends after ${w.available} bytes of a block`);
        return false;
      }
      const section = this.section;
      section.bytes = w.bytes;
      if (u32(w.bytes, w.at) === BLOCK_SECTION && !section.readByteOrder(w.at)) {
        return this.#fail("a section header has no byte-order mark");
      }
      const type = this.section.u32(w.bytes, w.at);
      const length = this.section.u32(w.bytes, w.at + 4);
      if (length < 12 || length > BLOCK_BYTES_MAX || (length & 3) !== 0) {
        return this.#fail(`a block claims an impossible length of ${length} bytes`);
      }
      if (!w.need(length)) {
        return this.#fail(`the file ends after ${w.available} of a block's ${length} bytes`);
      }
      if (this.section.u32(w.bytes, w.at + length - 4) !== length) {
        const other = this.section.u32(w.bytes, w.at + length - 4);
        return this.#fail(`a block's lengths differ: ${length} in front, ${other} behind`);
      }
      section.bytes = w.bytes;
      const isPacket = this.#readBlock(type, w.at + 8, w.at + length - 4, frame);
      if (section.fault !== null) return this.#fail(section.fault);
      if (this.problem !== null) return false;
      frame.fileOffset = w.fileOffset;
      w.skip(length);
      if (isPacket) return true;
    }
    return false;
  }

  /** The block's body is bytes[at, end). True when it was a packet, now in `frame`. */
  #readBlock(type: number, at: number, end: number, frame: CapturedFrame): boolean {
    switch (type) {
      case BLOCK_SECTION:
        this.section.readSection(at, end);
        return false;
      case BLOCK_INTERFACE:
        this.section.readInterface(at, end);
        return false;
      case BLOCK_PACKET:
        return this.#readPacket(at, end, frame, false);
      case BLOCK_PACKET_OBSOLETE:
        return this.#readPacket(at, end, frame, true);
      case BLOCK_SIMPLE:
        return this.#readSimple(at, end, frame);
      case BLOCK_NAMES:
        this.section.readNames(at, end);
        return false;
      case BLOCK_STATISTICS:
        this.section.readStatistics(at, end);
        return false;
      case BLOCK_SECRETS:
        this.section.readBytes("secrets", at, end);
        return false;
      case BLOCK_CUSTOM:
      case BLOCK_CUSTOM_LOCAL:
        this.section.readBytes("custom", at, end);
        return false;
      default:
        return false;
    }
  }

  #readPacket(at: number, end: number, frame: CapturedFrame, obsolete: boolean): boolean {
    const b = this.#window.bytes;
    if (end - at < 20) return this.#fail("a packet block is too short");
    const id = obsolete ? this.section.u16(b, at) : this.section.u32(b, at);
    if (id >= this.section.interfaces.length) {
      return this.#fail(`a packet names interface ${id}, which no block describes`);
    }
    const captured = this.section.u32(b, at + 12);
    if (captured > FRAME_BYTES_MAX || captured > end - at - 20) {
      return this.#fail(`a packet of ${captured} bytes is longer than its block`);
    }
    const found = this.section.interfaces[id];
    frame.resetOptions();
    frame.bytes = b;
    frame.offset = at + 20;
    frame.length = captured;
    frame.originalLength = this.section.u32(b, at + 16);
    frame.linkType = found.linkType;
    frame.interfaceId = id;
    setTime(frame, this.section.u32(b, at + 4), this.section.u32(b, at + 8), found.time);
    const options = at + 20 + ((captured + 3) & ~3);
    if (options < end) {
      this.section.options(options, end, (code, o, length) => {
        if (code === OPTION_COMMENT) frame.comments = withComment(frame.comments, b, o, length);
        else if (code === 2 && length >= 4) frame.direction = this.section.u32(b, o) & 3;
      });
    }
    return this.problem === null;
  }

  #readSimple(at: number, end: number, frame: CapturedFrame): boolean {
    const b = this.#window.bytes;
    if (end - at < 4) return this.#fail("a simple packet block is too short");
    if (this.section.interfaces.length === 0) {
      return this.#fail("a simple packet comes before any interface is described");
    }
    const found = this.section.interfaces[0];
    const original = this.section.u32(b, at);
    const limit = found.snapBytes === 0 ? FRAME_BYTES_MAX : found.snapBytes;
    const captured = Math.min(original, limit, end - at - 4);
    if (captured > FRAME_BYTES_MAX) return this.#fail(`a packet of ${captured} bytes is too long`);
    frame.resetOptions();
    frame.bytes = b;
    frame.offset = at + 4;
    frame.length = captured;
    frame.originalLength = original;
    frame.linkType = found.linkType;
    frame.interfaceId = 0;
    frame.seconds = 0;
    frame.nanoseconds = 0;
    frame.timed = false;
    return true;
  }

  #fail(message: string): false {
    this.problem = { offset: this.#window.fileOffset, message };
    return false;
  }
}
