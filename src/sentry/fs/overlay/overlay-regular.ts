// A regular file of the overlay. Until it is first written its bytes are the lower file's: reads and
// mappings go straight there. The first write, truncation or writable shared mapping copies them into
// pages of our own; mappings of the lower bytes are then taken away, to be faulted in again from the pages.

import { EIO } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable, MapRun } from "../../mm/mappable.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";
import { MemoryRegular } from "../tmpfs/memory-regular.ts";
import { type LowerXattrs, loadLowerXattrs } from "./lower-xattrs.ts";
import type { OverlayFs } from "./overlay.ts";
import { NOWHERE } from "./overlay-directory.ts";

const COPY_BYTES = 256 * 1024;
/** Bytes on their way through a copy-up; only ever used within one call. */
const copyBuffer = new Uint8Array(COPY_BYTES);

export class OverlayRegular extends MemoryRegular implements LowerXattrs {
  readonly overlay: OverlayFs;
  readonly lower: Inode;
  lowerXattrsLoaded = false;
  /** The bytes are in our pages. */
  isCopied = false;
  readonly #lowerBlocks: number;
  #lowerSize: number;
  /** Open while this file is. */
  #lowerFile: FileDescription | null = null;
  #lowerMappable: Mappable | null = null;

  constructor(fs: OverlayFs, lower: Inode, stat: Stat) {
    super(fs, fs.memory, lower.ino, stat.mode, stat.uid, stat.gid, stat.mtimeNs);
    this.overlay = fs;
    this.lower = lower;
    this.#lowerSize = stat.size;
    this.#lowerBlocks = stat.blocks;
  }

  override willChange(): void {
    this.overlay.keep(this);
  }
  override get sizeBytes(): number {
    return this.isCopied ? this.pages.size : this.#lowerSize;
  }
  override stat(out: Stat): number {
    super.stat(out);
    if (!this.isCopied) {
      out.size = this.#lowerSize;
      out.blocks = this.#lowerBlocks;
    }
    return 0;
  }
  /** Times of an unchanged lower file stay: else reading a tree would make it all ours. */
  override touchAccess(t: Task): void {
    if (this.isCopied) super.touchAccess(t);
  }

  #openLower(t: Task): number {
    if (this.#lowerFile !== null) return 0;
    const file = this.lower.open(t, this.openedAt ?? NOWHERE, 0);
    if (typeof file === "number") return file;
    const mappable = file.mappable(t);
    if (typeof mappable === "number") {
      file.decRef();
      return mappable;
    }
    mappable.incRef();
    this.#lowerFile = file;
    this.#lowerMappable = mappable;
    return 0;
  }
  #closeLower(): void {
    this.#lowerMappable?.decRef();
    this.#lowerMappable = null;
    this.#lowerFile?.decRef();
    this.#lowerFile = null;
  }
  override letGo(): void {
    super.letGo();
    if (this.uses === 0) this.#closeLower();
  }

  /** Makes the first `length` bytes of the lower file ours. 0 or -errno; t may be null while it is open. */
  #copyUp(t: Task | null, length: number): number {
    if (this.isCopied) return 0;
    this.willChange();
    if (length > 0) {
      const opened = t === null ? 0 : this.#openLower(t);
      const result = opened < 0 ? opened : this.#copyBytes(length);
      if (this.uses === 0) this.#closeLower();
      if (result < 0) {
        this.pages.clear();
        return result;
      }
    }
    this.isCopied = true;
    this.mappings.invalidate(this, 0, Number.MAX_SAFE_INTEGER);
    this.#closeLower();
    return 0;
  }

  #copyBytes(length: number): number {
    const lower = this.#lowerMappable;
    if (lower === null) return -EIO;
    for (let done = 0; done < length; ) {
      const n = lower.readAt(done, copyBuffer, 0, Math.min(COPY_BYTES, length - done));
      if (n < 0) return n;
      // The host's file shrank behind our back: what is missing reads as zeros.
      if (n === 0) break;
      const written = this.pages.writeBytes(done, copyBuffer, 0, n);
      if (written < 0) return written;
      if (written < n) return this.pages.reserve(done, done + n);
      done += n;
    }
    this.pages.truncate(length);
    return 0;
  }

  override readBytes(t: Task, io: Io, offset: number): number {
    if (this.isCopied) return super.readBytes(t, io, offset);
    if (this.#lowerFile === null) {
      const opened = this.#openLower(t);
      if (opened < 0) return opened;
    }
    return (this.#lowerFile as FileDescription).pread(t, io, offset);
  }
  override writeBytes(t: Task, io: Io, offset: number): number {
    const copied = this.#copyUp(t, this.#lowerSize);
    return copied < 0 ? copied : super.writeBytes(t, io, offset);
  }
  override resize(t: Task, length: number): number {
    const copied = this.#copyUp(t, Math.min(length, this.#lowerSize));
    return copied < 0 ? copied : super.resize(t, length);
  }
  override allocateBytes(t: Task, mode: number, offset: number, length: number): number {
    const copied = this.#copyUp(t, this.#lowerSize);
    return copied < 0 ? copied : super.allocateBytes(t, mode, offset, length);
  }
  override seekData(offset: number): number {
    return this.isCopied ? super.seekData(offset) : offset;
  }
  override seekHole(offset: number): number {
    return this.isCopied ? super.seekHole(offset) : this.#lowerSize;
  }

  // Mappable.

  override mappable(t: Task): Mappable | number {
    if (!this.isCopied) {
      const opened = this.#openLower(t);
      if (opened < 0) return opened;
    }
    return this;
  }
  override mapRun(offset: number, length: number, write: boolean, out: MapRun): number {
    if (!this.isCopied && write) {
      const copied = this.#copyUp(null, this.#lowerSize);
      if (copied < 0) return copied;
    }
    if (this.isCopied) return super.mapRun(offset, length, write, out);
    return this.#lowerMappable?.mapRun(offset, length, false, out) ?? -EIO;
  }
  override readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    if (this.isCopied) return super.readAt(offset, dst, dstOffset, length);
    return this.#lowerMappable?.readAt(offset, dst, dstOffset, length) ?? -EIO;
  }
  override writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    const copied = this.#copyUp(null, this.#lowerSize);
    return copied < 0 ? copied : super.writeAt(offset, src, srcOffset, length);
  }

  override getXattr(t: Task, name: ByteString): Uint8Array | number {
    loadLowerXattrs(t, this);
    return super.getXattr(t, name);
  }
  override setXattr(t: Task, name: ByteString, value: Uint8Array, flags: number): number {
    loadLowerXattrs(t, this);
    return super.setXattr(t, name, value, flags);
  }
  override listXattr(t: Task): ByteString[] | number {
    loadLowerXattrs(t, this);
    return super.listXattr(t);
  }
  override removeXattr(t: Task, name: ByteString): number {
    loadLowerXattrs(t, this);
    return super.removeXattr(t, name);
  }
}
