// HostMemory over a memfd, mapped into this process in windows of up to 1 GiB. Only addresses are reserved ahead:
// the host commits a page when the program or the kernel first touches it.

import {
  committedBytes,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  ftruncate,
  MAP_NORESERVE,
  MAP_SHARED,
  memfdCreate,
  mmap,
  PROT_READ,
  PROT_WRITE,
  viewAt,
} from "../../host/index.ts";
import type { HostMemory } from "../host.ts";

const WINDOW_BYTES = 2 ** 30;
/** The first is enough for most programs, and V8 runs no garbage collection for it: see host/shared-mapping.ts. */
const FIRST_WINDOW_BYTES = 32 * 1024 * 1024;
const NO_WINDOW = new Uint8Array(0);

export class MemfdMemory implements HostMemory {
  readonly fd: number;
  readonly windowBytes = WINDOW_BYTES;
  readonly #windows: Uint8Array[] = [];

  /** Throws when the host gives no memory file. */
  constructor(name = "netcell-memory") {
    this.fd = memfdCreate(name);
    if (this.fd < 0) throw new Error(`the host gives no memory file (errno ${-this.fd})`);
  }

  window(index: number): Uint8Array {
    while (this.#windows.length <= index) if (!this.#mapNext()) return NO_WINDOW;
    return this.#windows[index];
  }

  /** False: the host gives no more. */
  #mapNext(): boolean {
    const index = this.#windows.length;
    const offset = index * WINDOW_BYTES;
    const length = index === 0 ? FIRST_WINDOW_BYTES : WINDOW_BYTES;
    const grown = ftruncate(this.fd, offset + length);
    if (grown < 0) return false;
    const prot = PROT_READ | PROT_WRITE;
    const at = mmap(0, length, prot, MAP_SHARED | MAP_NORESERVE, this.fd, offset);
    if (at < 0) return false;
    this.#windows.push(new Uint8Array(viewAt(at, length)));
    return true;
  }

  punch(offset: number, length: number): number {
    return fallocate(this.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }

  committedBytes(): number {
    return committedBytes(this.fd);
  }
}
