// A recording of a world in memory: every frame of every cable, in one pcapng with one interface a cable, to be
// looked at by matchers and kept when a test fails. Bounded: what no longer fits is counted, not kept.

import type { Clock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import {
  type ByteSink,
  type CapturedFrame,
  CaptureLink,
  CaptureReader,
  type FrameWriter,
  LINKTYPE_ETHERNET,
  PcapngWriter,
  SinkBuffer,
  sourceOf,
} from "../../link/index.ts";
import type { LinkEndpoint } from "../../netstack/index.ts";

const BYTES_MAX = 64 * MiB;
const SNAP_BYTES = 262_144;

export class Recording {
  readonly #buffer: SinkBuffer;
  readonly #writer: PcapngWriter;
  readonly #chunks: Uint8Array[] = [];
  readonly #bytesMax: number;
  #bytes = 0;
  #interfaces = 0;
  frames = 0;
  /** Frames that came after the recording was full. */
  missed = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
    const sink: ByteSink = {
      write: (bytes, offset, length) => {
        this.#chunks.push(bytes.slice(offset, offset + length));
      },
    };
    this.#buffer = new SinkBuffer(sink);
    this.#writer = new PcapngWriter(this.#buffer);
    this.#writer.section({ application: "netcell" });
  }

  /** The link, with an interface of this name in the recording. */
  around(link: LinkEndpoint, clock: Clock, name: string): LinkEndpoint {
    this.#writer.interface({ linkType: LINKTYPE_ETHERNET, snapBytes: SNAP_BYTES, name });
    const id = this.#interfaces++;
    const writer: FrameWriter = {
      write: (realtimeNs, bytes, offset, length, direction) =>
        this.#record(id, realtimeNs, bytes, offset, length, direction),
      flush: () => {},
    };
    return new CaptureLink(link, writer, clock);
  }

  #record(
    interfaceId: number,
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    direction: number,
  ): void {
    if (this.#bytes > this.#bytesMax) {
      this.missed++;
      return;
    }
    this.#writer.packet(interfaceId, realtimeNs, bytes, offset, length, length, direction, "");
    this.#bytes += length;
    this.frames++;
  }

  /** The whole pcapng file so far. */
  toBytes(): Uint8Array {
    this.#buffer.flush();
    const size = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const file = new Uint8Array(size);
    let at = 0;
    for (const chunk of this.#chunks) {
      file.set(chunk, at);
      at += chunk.length;
    }
    return file;
  }

  /** Calls with each frame in order; true as soon as one call does. */
  some(found: (frame: CapturedFrame) => boolean): boolean {
    const reader = new CaptureReader(sourceOf(this.toBytes()));
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      if (found(frame)) return true;
    }
    return false;
  }
}
