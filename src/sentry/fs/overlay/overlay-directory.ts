// A directory of the overlay: what was added in memory over what the lower directory has, less the names
// that are hidden (removed, or replaced by an entry of ours).

import { ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { DirentSink } from "../../vfs/dirent-sink.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import type { Stat } from "../../vfs/stat.ts";
import { MemoryDirectory } from "../tmpfs/memory-directory.ts";
import { MemoryDirectoryFile } from "../tmpfs/memory-directory-file.ts";
import { type LowerXattrs, loadLowerXattrs } from "./lower-xattrs.ts";
import type { OverlayFs } from "./overlay.ts";

/** Positions of own entries in a listing start here; those of the lower directory are below. */
const OWN_BASE = 2 ** 40;

export class OverlayDirectory extends MemoryDirectory implements LowerXattrs {
  readonly overlay: OverlayFs;
  readonly lower: Inode;
  readonly hidden = new Set<ByteString>();
  lowerXattrsLoaded = false;
  readonly #lowerSize: number;

  constructor(fs: OverlayFs, lower: Inode, stat: Stat) {
    super(fs, lower.ino, stat.mode, stat.uid, stat.gid, stat.mtimeNs);
    this.overlay = fs;
    this.lower = lower;
    this.#lowerSize = stat.size;
  }

  override willChange(): void {
    this.overlay.keep(this);
  }
  override open(_t: Task, path: Path, flags: number): FileDescription | number {
    return new OverlayDirectoryFile(this, path, flags);
  }
  override stat(out: Stat): number {
    super.stat(out);
    out.size = Math.max(out.size, this.#lowerSize);
    return 0;
  }

  override lookup(t: Task, name: ByteString): Inode | number {
    const own = this.entries.get(name);
    if (own !== undefined) return own.inode;
    if (this.hidden.has(name)) return -ENOENT;
    const found = this.lower.lookup(t, name);
    return typeof found === "number" ? found : this.overlay.wrap(found);
  }
  /** Names that no one has shadowed are as good as the lower tree says. */
  override revalidate(name: ByteString, child: Inode | null): boolean {
    if (this.lower.fileSystem.cachesDentries) return true;
    return child !== null && this.entries.get(name)?.inode === child;
  }

  override take(name: ByteString): void {
    const isOwn = this.entries.has(name);
    super.take(name);
    // An own entry already stands over a hidden lower name, if there is one.
    if (!isOwn) this.hidden.add(name);
  }

  override isEmpty(t: Task): boolean {
    if (this.entries.size > 0) return false;
    let seen = false;
    const sink: DirentSink = {
      add: (name) => {
        seen ||= name !== "." && name !== ".." && !this.hidden.has(name);
        return !seen;
      },
    };
    const file = this.openLower(t, null);
    if (typeof file === "number") return false;
    const result = file.readDir(t, sink);
    file.decRef();
    return result >= 0 && !seen;
  }

  openLower(t: Task, path: Path | null): FileDescription | number {
    return this.lower.open(t, path ?? NOWHERE, 0);
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

/** Lower files are opened without a name of ours; none of them looks at it. */
export const NOWHERE = null as unknown as Path;

class OverlayDirectoryFile extends MemoryDirectoryFile {
  readonly #overlay: OverlayDirectory;
  readonly #path: Path;
  #lower: FileDescription | null = null;
  #lowerPosition = -1;

  constructor(directory: OverlayDirectory, path: Path, flags: number) {
    super(directory, flags);
    this.#overlay = directory;
    this.#path = path;
  }

  override listEntries(t: Task, sink: DirentSink): number {
    if (this.position < OWN_BASE) {
      const result = this.#listLower(t, sink);
      if (result <= 0) return result;
      this.position = OWN_BASE;
    }
    this.listOwn(sink, OWN_BASE);
    return 0;
  }

  /** 1: all listed; 0: the sink is full; or -errno. */
  #listLower(t: Task, sink: DirentSink): number {
    if (this.#lower === null) {
      const file = this.#overlay.openLower(t, this.#path);
      if (typeof file === "number") return file;
      this.#lower = file;
    }
    if (this.#lowerPosition !== this.position) {
      const at = this.#lower.seek(t, this.position, 0);
      if (at < 0) return at;
    }
    const { hidden } = this.#overlay;
    let offered = 0;
    let isFull = false;
    const filter: DirentSink = {
      add: (name, ino, type, nextOffset) => {
        offered++;
        if (name !== "." && name !== ".." && !hidden.has(name)) {
          if (!sink.add(name, ino, type, nextOffset)) {
            isFull = true;
            return false;
          }
        }
        this.position = nextOffset;
        return true;
      },
    };
    do {
      offered = 0;
      const result = this.#lower.readDir(t, filter);
      this.#lowerPosition = this.position;
      if (result < 0) return result;
    } while (!isFull && offered > 0);
    return isFull ? 0 : 1;
  }

  protected override moved(): void {
    super.moved();
    this.#lowerPosition = -1;
    // A rewound listing starts afresh.
    this.#lower?.decRef();
    this.#lower = null;
  }
  override release(): void {
    super.release();
    this.#lower?.decRef();
    this.#lower = null;
  }
}
