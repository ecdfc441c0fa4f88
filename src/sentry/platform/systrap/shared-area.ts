// The memory file that Sentry and stubs talk through: one global page, and per stub its command page, runner
// blocks and slot chunks. The Sentry maps the whole file once; a stub maps only its own parts. Pages are
// committed when touched and given back (so wiped) when a part is freed.

import * as host from "../../../host/index.ts";

const FILE_BYTES = 2 ** 30;
const GRAIN = 0x4000;

export class SharedArea {
  readonly fd: number;
  /** Where the Sentry has the file. */
  readonly address: number;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly #unmap: () => void;
  #top = GRAIN;
  readonly #freeBySize = new Map<number, number[]>();

  constructor() {
    this.fd = host.memfdCreate("netcell-frames");
    if (this.fd < 0) throw new Error(`the host gives no memory file (errno ${-this.fd})`);
    host.ftruncate(this.fd, FILE_BYTES);
    const mapped = host.mapShared(this.fd, FILE_BYTES);
    if (typeof mapped === "number")
      throw new Error(`no address space for frames (errno ${-mapped})`);
    this.address = mapped.address;
    this.words = mapped.words;
    this.bytes = mapped.bytes;
    this.#unmap = mapped.unmap;
  }

  /** A zeroed part, `length` a multiple of 16 KiB: its offset, or -1 when the file is full. */
  allocate(length: number): number {
    const free = this.#freeBySize.get(length)?.pop();
    if (free !== undefined) return free;
    if (this.#top + length > FILE_BYTES) return -1;
    const offset = this.#top;
    this.#top += length;
    return offset;
  }

  /** Precondition: no stub has it mapped any more. */
  free(offset: number, length: number): void {
    host.fallocate(this.fd, host.FALLOC_FL_PUNCH_HOLE | host.FALLOC_FL_KEEP_SIZE, offset, length);
    const list = this.#freeBySize.get(length);
    if (list !== undefined) list.push(offset);
    else this.#freeBySize.set(length, [offset]);
  }

  setU64(offset: number, value: number): void {
    this.words[offset >> 2] = (value % 0x1_0000_0000) | 0;
    this.words[(offset >> 2) + 1] = Math.floor(value / 0x1_0000_0000);
  }

  dispose(): void {
    this.#unmap();
    host.close(this.fd);
  }
}
