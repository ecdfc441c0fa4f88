// null, zero, full, random and urandom (null(4), full(4), random(4)). Bytes are put where the program
// wants them, without a buffer between.

import { ENOSPC } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable } from "../../mm/mappable.ts";
import { SharedMemory } from "../../mm/shared-memory.ts";
import type { Io } from "../../vfs/io.ts";
import { CharDevice } from "./char-device.ts";

/** A read of random bytes gives no more at once (Linux: 32 MiB - 1; the Sentry must not be away so long). */
const RANDOM_BYTES_MAX = 1024 * 1024;
const WRITE_BYTES_MAX = 0x7fff_f000;

/** Takes all that is written and loses it. */
function swallow(io: Io): number {
  const n = Math.min(io.remaining, WRITE_BYTES_MAX);
  io.advance(n);
  return n;
}

function fillZero(io: Io): number {
  let total = 0;
  while (io.remaining > 0) {
    const n = io.span(io.remaining, true);
    if (n <= 0) return total > 0 ? total : n;
    io.spanBytes.fill(0, io.spanOffset, io.spanOffset + n);
    io.advance(n);
    total += n;
  }
  return total;
}

export class NullDevice extends CharDevice {
  readonly deviceName: ByteString = "null";
  override read(): number {
    return 0;
  }
  override pread(): number {
    return 0;
  }
  override write(_t: Task, io: Io): number {
    return swallow(io);
  }
  override pwrite(_t: Task, io: Io): number {
    return swallow(io);
  }
}

export class ZeroDevice extends CharDevice {
  readonly deviceName: ByteString = "zero";
  /** One for each mmap: what is mapped shared is shared with children only. */
  readonly #maps: SharedMemory[] = [];

  override read(_t: Task, io: Io): number {
    return fillZero(io);
  }
  override pread(_t: Task, io: Io): number {
    return fillZero(io);
  }
  override write(_t: Task, io: Io): number {
    return swallow(io);
  }
  override pwrite(_t: Task, io: Io): number {
    return swallow(io);
  }
  override mappable(t: Task): Mappable | number {
    const dev = this.path?.dentry.inode?.fileSystem.dev ?? 0;
    const ino = this.path?.dentry.inode?.ino ?? 0;
    const map = new SharedMemory(t.kernel.memoryFile, 2 ** 47, "/dev/zero", dev, ino);
    this.#maps.push(map);
    return map;
  }
  override release(): void {
    for (const map of this.#maps) map.decRef();
    this.#maps.length = 0;
  }
}

export class FullDevice extends CharDevice {
  readonly deviceName: ByteString = "full";
  override read(_t: Task, io: Io): number {
    return fillZero(io);
  }
  override pread(_t: Task, io: Io): number {
    return fillZero(io);
  }
  override write(_t: Task, io: Io): number {
    return io.remaining === 0 ? 0 : -ENOSPC;
  }
  override pwrite(t: Task, io: Io): number {
    return this.write(t, io);
  }
}

export class RandomDevice extends CharDevice {
  readonly deviceName: ByteString;

  constructor(flags: number, name: ByteString) {
    super(flags);
    this.deviceName = name;
  }
  override read(t: Task, io: Io): number {
    let total = 0;
    while (io.remaining > 0 && total < RANDOM_BYTES_MAX) {
      const n = io.span(Math.min(io.remaining, RANDOM_BYTES_MAX - total), true);
      if (n <= 0) return total > 0 ? total : n;
      t.kernel.rng.fill(io.spanBytes, io.spanOffset, n);
      io.advance(n);
      total += n;
    }
    return total;
  }
  override pread(t: Task, io: Io): number {
    return this.read(t, io);
  }
  /** Mixing in is accepted; the pool is the kernel's rng and needs none. */
  override write(_t: Task, io: Io): number {
    return swallow(io);
  }
  override pwrite(_t: Task, io: Io): number {
    return swallow(io);
  }
}
