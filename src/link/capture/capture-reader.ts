// Reads capture files of any kind that tcpdump, Wireshark and dumpcap write, frame by frame, from a source
// that may be larger than memory. Never throws: a broken file gives what could be read, then a problem with
// the offset where the fault begins.

import { type ByteSource, ByteWindow } from "./byte-window.ts";
import { CapturedFrame, type CaptureProblem, type FrameReader } from "./captured-frame.ts";
import { ClassicReader, isClassicCapture } from "./classic-reader.ts";
import { isPcapng, PcapngReader } from "./pcapng-reader.ts";
import type { CaptureInterface, CaptureNote } from "./pcapng-section.ts";

export class CaptureReader {
  readonly #window: ByteWindow;
  readonly #reader: FrameReader | null;
  readonly #frame = new CapturedFrame();
  readonly #problem: CaptureProblem | null = null;
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
    return this.#reader?.next(this.#frame) ? this.#frame : null;
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
