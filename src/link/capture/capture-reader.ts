// Reads capture files of any kind that tcpdump, Wireshark and dumpcap write, frame by frame, from a source
// that may be larger than memory; captures that somebody put one behind the other as well. Never throws: a broken file gives what could be read, then a problem with
// the offset where the fault begins.

import { type ByteSource, ByteWindow } from "./byte-window.ts";
import { CapturedFrame, type CaptureProblem, type FrameReader } from "./captured-frame.ts";
import { ClassicReader, isClassicCapture } from "./classic-reader.ts";
import { isPcapng, PcapngReader } from "./pcapng-reader.ts";
import type { CaptureInterface, CaptureNote } from "./pcapng-section.ts";

/** Of a classic file; a section header block is not shorter. */
const CAPTURE_HEADER_MIN = 24;

export class CaptureReader {
  readonly #window: ByteWindow;
  #reader: FrameReader | null;
  readonly #frame = new CapturedFrame();
  readonly #problem: CaptureProblem | null = null;
  /** Where the last capture behind another one began. */
  #begunAt = 0;
  readonly format: "pcap" | "pcapng" | "unknown";

  constructor(source: ByteSource) {
    this.#window = new ByteWindow(source);
    const w = this.#window;
    if (w.need(4) && isPcapng(w.bytes, w.at)) {
      this.format = "pcapng";
      this.#reader = new PcapngReader(w);
    } else if (w.need(4) && isClassicCapture(w.bytes, w.at)) {
      this.format = "pcap";
      this.#reader = new ClassicReader(w);
    } else {
      this.format = "unknown";
      this.#reader = null;
      const message = w.available === 0 ? "the file is empty" : "neither pcap nor pcapng";
      this.#problem = { offset: 0, message };
    }
  }

  /** The next frame, the same object each time; null at the end or at a fault. */
  next(): CapturedFrame | null {
    for (;;) {
      if (this.#reader === null) return null;
      if (this.#reader.next(this.#frame)) return this.#frame;
      if (this.#reader.problem === null || !this.#beginsAnew()) return null;
    }
  }

  /** Where one reader cannot go on, another capture may begin. */
  #beginsAnew(): boolean {
    const w = this.#window;
    // At a file's very beginning that has been tried.
    if (w.fileOffset === 0 || !w.need(CAPTURE_HEADER_MIN)) return false;
    if (isPcapng(w.bytes, w.at)) {
      if (this.#reader instanceof PcapngReader) return false;
      this.#reader = new PcapngReader(w);
    } else if (isClassicCapture(w.bytes, w.at)) {
      if (w.fileOffset === this.#begunAt) return false;
      this.#begunAt = w.fileOffset;
      this.#reader = new ClassicReader(w);
    } else return false;
    return true;
  }

  /** Where reading had to stop, once next() gave null; null when the file was whole. */
  get problem(): CaptureProblem | null {
    return this.#problem ?? this.#reader?.problem ?? null;
  }

  /** Of the section that the last frame stood in; empty in classic files. */
  get interfaces(): readonly CaptureInterface[] {
    return this.#reader instanceof PcapngReader ? this.#reader.section.interfaces : [];
  }

  /** What the file holds beside frames, as far as it was read. */
  get notes(): readonly CaptureNote[] {
    return this.#reader instanceof PcapngReader ? this.#reader.section.notes : [];
  }
}
