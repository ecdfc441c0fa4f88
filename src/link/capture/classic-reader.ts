// Reads classic pcap files (draft-ietf-opsawg-pcap): both byte orders, microseconds and nanoseconds, the
// swapped lengths of versions before 2.4, and Kuznetzov's longer record headers. Starts behind nothing: the
// file header is its to read.

import { u16, u16Le, u32, u32Le } from "../../base/bytes.ts";
import type { ByteWindow } from "./byte-window.ts";
import {
  type CapturedFrame,
  type CaptureProblem,
  FRAME_BYTES_MAX,
  type FrameReader,
} from "./captured-frame.ts";

const MAGIC_US = 0xa1b2c3d4;
const MAGIC_NS = 0xa1b23c4d;
const MAGIC_KUZNETZOV = 0xa1b2cd34;
const FILE_HEADER = 24;
/** Two halves of a word each, as the byte order has them. */
const VERSION_2_4 = 0x0002_0004;
const VERSION_2_4_LE = 0x0004_0002;
const RECORD_HEADER = 16;
/** Interface index, protocol and packet type follow the usual sixteen bytes. */
const RECORD_HEADER_KUZNETZOV = 24;
const BILLION = 1_000_000_000;

const isMagic = (word: number): boolean =>
  word === MAGIC_US || word === MAGIC_NS || word === MAGIC_KUZNETZOV;

/** Whether these four bytes begin a classic capture. */
export const isClassicCapture = (b: Uint8Array, o: number): boolean =>
  isMagic(u32(b, o)) || isMagic(u32Le(b, o));

/** As a record it would be an empty frame of the year 2055: somebody put two files one behind the other. */
const isAnotherHeader = (b: Uint8Array, o: number): boolean =>
  (isMagic(u32(b, o)) && u32(b, o + 4) === VERSION_2_4) ||
  (isMagic(u32Le(b, o)) && u32Le(b, o + 4) === VERSION_2_4_LE);

export class ClassicReader implements FrameReader {
  readonly #window: ByteWindow;
  #u32 = u32;
  #headerBytes = RECORD_HEADER;
  #nanoseconds = false;
  /** Versions before 2.3 wrote the original length first; 2.3 itself did either. */
  #swapped: "no" | "yes" | "maybe" = "no";
  #started = false;
  linkType = 0;
  snapBytes = 0;
  problem: CaptureProblem | null = null;

  constructor(window: ByteWindow) {
    this.#window = window;
  }

  next(frame: CapturedFrame): boolean {
    if (this.problem !== null) return false;
    if (!this.#started && !this.#readFileHeader()) return false;
    const w = this.#window;
    if (!w.need(this.#headerBytes)) {
      if (w.available > 0) {
        return this.#fail(`the file ends after ${w.available} bytes of a record header`);
      }
      return false;
    }
    const b = w.bytes;
    if (isAnotherHeader(b, w.at)) return this.#fail("another capture begins here");
    let captured = this.#u32(b, w.at + 8);
    let original = this.#u32(b, w.at + 12);
    if (this.#swapped === "yes" || (this.#swapped === "maybe" && captured > original)) {
      [captured, original] = [original, captured];
    }
    if (captured > FRAME_BYTES_MAX) {
      return this.#fail(
        `a record claims ${captured} bytes, more than the ${FRAME_BYTES_MAX} allowed`,
      );
    }
    const seconds = this.#u32(b, w.at);
    const fraction = this.#u32(b, w.at + 4);
    if (!w.need(this.#headerBytes + captured)) {
      const there = w.available - this.#headerBytes;
      return this.#fail(`the file ends after ${there} of a record's ${captured} bytes`);
    }
    frame.resetOptions();
    frame.fileOffset = w.fileOffset;
    frame.bytes = w.bytes;
    frame.offset = w.at + this.#headerBytes;
    frame.length = captured;
    frame.originalLength = original;
    frame.linkType = this.linkType;
    frame.interfaceId = 0;
    const nanoseconds = this.#nanoseconds ? fraction : fraction * 1000;
    // A fraction of a second or more is a fault of the writer, and its meaning is plain.
    frame.seconds = seconds + Math.floor(nanoseconds / BILLION);
    frame.nanoseconds = nanoseconds % BILLION;
    w.skip(this.#headerBytes + captured);
    return true;
  }

  #readFileHeader(): boolean {
    this.#started = true;
    const w = this.#window;
    if (!w.need(FILE_HEADER)) {
      return this.#fail(`the file ends after ${w.available} of its header's ${FILE_HEADER} bytes`);
    }
    const b = w.bytes;
    const isLittle = isMagic(u32Le(b, w.at));
    this.#u32 = isLittle ? u32Le : u32;
    const u16Of = isLittle ? u16Le : u16;
    const magic = this.#u32(b, w.at);
    this.#nanoseconds = magic === MAGIC_NS;
    if (magic === MAGIC_KUZNETZOV) this.#headerBytes = RECORD_HEADER_KUZNETZOV;
    const major = u16Of(b, w.at + 4);
    const minor = u16Of(b, w.at + 6);
    if (major < 2) return this.#fail(`pcap version ${major}.${minor} is too old to be read`);
    if (major > 2) return this.#fail(`pcap version ${major}.${minor} is not known`);
    this.#swapped = minor < 3 ? "yes" : minor === 3 ? "maybe" : "no";
    this.snapBytes = this.#u32(b, w.at + 16);
    // The upper bits may say how long a frame's check sequence is.
    this.linkType = this.#u32(b, w.at + 20) & 0xffff;
    w.skip(FILE_HEADER);
    return true;
  }

  #fail(message: string): false {
    this.problem = { offset: this.#window.fileOffset, message };
    return false;
  }
}
