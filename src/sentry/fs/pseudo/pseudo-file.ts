// Files whose content is computed when read (proc(5), sysfs): the text is made anew whenever a read
// starts at the beginning, as seq_file does, so one open descriptor rewound gives fresh numbers.

import { EINVAL, EIO, ESPIPE } from "../../../abi/errno.ts";
import { type ByteString, putByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import { ATTR_SIZE, type AttrChange, S_IFREG } from "../../vfs/inode.ts";
import type { Io } from "../../vfs/io.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { type PseudoFileSystem, PseudoInode } from "./pseudo-inode.ts";

/** A write to a control file carries at most one page. */
const WRITE_BYTES_MAX = 4095;

export abstract class PseudoFile extends PseudoInode {
  constructor(fileSystem: PseudoFileSystem, permissions = 0o444, ino?: number) {
    super(fileSystem, S_IFREG | permissions, ino);
  }
  /** The whole content as of now, or -errno. */
  abstract content(t: Task): ByteString | number;
  /** A write's text. The count taken (normally all of it) or -errno. */
  store(_t: Task, _text: ByteString): number {
    return -EIO;
  }
  open(_t: Task, _path: Path, flags: number): FileDescription | number {
    return new PseudoFileDescription(this, flags);
  }
  override setAttr(t: Task, change: AttrChange): number {
    // O_TRUNC on a control file (echo x > /proc/...) is accepted and means nothing.
    return (change.mask & ~ATTR_SIZE) === 0 ? 0 : super.setAttr(t, change);
  }
}

/** The common case: content and store given as functions. */
export class TextFile extends PseudoFile {
  readonly #content: (t: Task) => ByteString | number;
  readonly #store: ((t: Task, text: ByteString) => number) | null;

  constructor(
    fileSystem: PseudoFileSystem,
    content: (t: Task) => ByteString | number,
    store: ((t: Task, text: ByteString) => number) | null = null,
    permissions = store === null ? 0o444 : 0o644,
  ) {
    super(fileSystem, permissions);
    this.#content = content;
    this.#store = store;
  }
  content(t: Task): ByteString | number {
    return this.#content(t);
  }
  override store(t: Task, text: ByteString): number {
    return this.#store === null ? -EIO : this.#store(t, text);
  }
}

export class PseudoFileDescription extends FileDescription {
  readonly #file: PseudoFile;
  #bytes: Uint8Array | null = null;
  #offset = 0;

  constructor(file: PseudoFile, flags: number) {
    super(flags);
    this.#file = file;
  }

  override read(t: Task, io: Io): number {
    const n = this.pread(t, io, this.#offset);
    if (n > 0) this.#offset += n;
    return n;
  }

  override pread(t: Task, io: Io, offset: number): number {
    if (this.#bytes === null || offset === 0) {
      const text = this.#file.content(t);
      if (typeof text === "number") return text;
      this.#bytes = new Uint8Array(text.length);
      putByteString(this.#bytes, 0, text);
    }
    const left = this.#bytes.length - offset;
    if (left <= 0) return 0;
    return io.copyOut(this.#bytes, offset, Math.min(left, io.remaining));
  }

  override write(t: Task, io: Io): number {
    const length = Math.min(io.remaining, WRITE_BYTES_MAX);
    const bytes = new Uint8Array(length);
    const n = io.copyIn(bytes, 0, length);
    if (n < 0) return n;
    let text = "";
    for (let i = 0; i < n; i++) text += String.fromCharCode(bytes[i]);
    return this.#file.store(t, text);
  }
  override pwrite(t: Task, io: Io, _offset: number): number {
    return this.write(t, io);
  }

  override seek(_t: Task, offset: number, whence: number): number {
    if (whence === 2) return this.#bytes === null ? -EINVAL : -ESPIPE;
    const to = whence === 0 ? offset : whence === 1 ? this.#offset + offset : Number.NaN;
    if (!(to >= 0)) return -EINVAL;
    this.#offset = to;
    return to;
  }
  override truncate(): number {
    return 0;
  }
  stat(out: Stat): number {
    return this.#file.stat(out);
  }
  override sync(): number {
    return -EINVAL;
  }
  release(): void {
    this.#bytes = null;
  }
  describe(): string {
    return "anon_inode:[file]";
  }
}
