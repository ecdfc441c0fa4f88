// What every file of a served tree has: its place, its attributes as last learned, and the handle that the
// Gofer knows a directory by. Handles may go stale at any time (the Gofer keeps only so many); request() walks
// from the nearest ancestor that still has one. No names below (gofer-inode.ts), no bytes (donated-file.ts).

import { ENOTDIR, ESTALE } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import { GoferClient } from "../../../gofer/client.ts";
import { WALK_MAX } from "../../../gofer/index.ts";
import { Inode } from "../../vfs/inode.ts";
import type { Stat } from "../../vfs/stat.ts";
import {
  attrGid,
  attrMode,
  attrSize,
  attrUid,
  decodeAttr,
  isSameFile,
  setAttrMtime,
  setAttrSize,
} from "./attributes.ts";
import type { GoferFileSystem } from "./gofer-file-system.ts";

const HANDLE_RETRIES = 4;

export abstract class GoferNode extends Inode {
  readonly fs: GoferFileSystem;
  parent: GoferNode | null;
  name: ByteString;
  mode = 0;
  uid = 0;
  gid = 0;
  attrs: Uint8Array;
  attrOffset: number;
  #learnedNs: number;
  /** Of a directory; 0: to be asked for. */
  handle = 0;

  constructor(
    fs: GoferFileSystem,
    ino: number,
    parent: GoferNode | null,
    name: ByteString,
    attrs: Uint8Array,
    attrOffset: number,
  ) {
    super(fs, ino);
    this.fs = fs;
    this.parent = parent;
    this.name = name;
    this.attrs = attrs;
    this.attrOffset = attrOffset;
    this.#learnedNs = 0;
    this.update(attrs, attrOffset);
  }

  /** Takes over attributes just learned. */
  update(attrs: Uint8Array, offset: number): void {
    this.attrs = attrs;
    this.attrOffset = offset;
    this.mode = attrMode(attrs, offset);
    this.uid = attrUid(attrs, offset);
    this.gid = attrGid(attrs, offset);
    if (this.fs.isShared) this.#learnedNs = this.fs.clock.monotonicNs();
  }
  updateFromReply(): void {
    this.update(this.fs.takeAttr(this.fs.client.attrOffset), 0);
  }

  /** The attributes need not be asked for again. */
  get isFresh(): boolean {
    return this.fs.isFresh(this.#learnedNs);
  }
  get size(): number {
    return attrSize(this.attrs, this.attrOffset);
  }
  /** The program wrote: what the attributes are now, without asking. */
  noteWritten(end: number): void {
    if (end > this.size) setAttrSize(this.attrs, this.attrOffset, end);
    setAttrMtime(this.attrs, this.attrOffset, this.fs.clock.realtimeNs());
  }

  stat(out: Stat): number {
    if (!this.isFresh) this.#refresh();
    decodeAttr(this.attrs, this.attrOffset, out);
    out.dev = this.fileSystem.dev;
    out.ino = this.ino;
    return 0;
  }

  /** Asks for the attributes of the same file again; one that has gone keeps its last ones. */
  #refresh(): void {
    const parent = this.parent;
    const client = this.fs.client;
    if (parent === null) {
      if (client.attach(this.fs.treeId) === 0) {
        this.handle = client.handle;
        this.updateFromReply();
      }
      return;
    }
    const found = parent.request((handle) => client.walk(handle, [this.name], 0));
    if (found !== 1) return;
    const at = client.walkOffset + 4;
    if (isSameFile(client.replyBytes, at, this.attrs, this.attrOffset)) {
      this.update(this.fs.takeAttr(at), 0);
    }
  }

  // --- Handles ---

  /** Runs a request on this directory's handle, getting a new one when it is stale. */
  request(run: (handle: number) => number): number {
    for (let i = 0; i < HANDLE_RETRIES; i++) {
      const ready = this.#ensureHandle();
      if (ready < 0) return ready;
      const r = run(this.handle);
      if (r !== -ESTALE) return r;
      this.handle = 0;
    }
    return -ESTALE;
  }

  #ensureHandle(): number {
    for (let i = 0; i < HANDLE_RETRIES && this.handle === 0; i++) {
      const chain: GoferNode[] = [];
      let top: GoferNode = this;
      while (top.handle === 0 && top.parent !== null) {
        chain.unshift(top);
        top = top.parent;
      }
      if (top.handle === 0) {
        const r = this.fs.client.attach(this.fs.treeId);
        if (r < 0) return r;
        top.handle = this.fs.client.handle;
      }
      const r = this.#walkChain(top, chain.slice(0, WALK_MAX));
      if (r === -ESTALE) top.handle = 0;
      else if (r < 0) return r;
    }
    return this.handle === 0 ? -ESTALE : 0;
  }

  #walkChain(top: GoferNode, chain: readonly GoferNode[]): number {
    if (chain.length === 0) return 0;
    const client = this.fs.client;
    const names = chain.map((inode) => inode.name);
    const found = client.walk(top.handle, names, 0);
    if (found < 0) return found;
    const view = client.replyBytes;
    for (let i = 0; i < found; i++) {
      const at = client.walkOffset + i * GoferClient.walkStride;
      chain[i].handle =
        view[at] + view[at + 1] * 256 + view[at + 2] * 65536 + view[at + 3] * 2 ** 24;
      if (chain[i].handle === 0) return -ENOTDIR;
    }
    return found < names.length ? -client.stopErrno : 0;
  }

  /** Path as the sandbox sees it, by the names the tree had when they were looked up. */
  get displayPath(): ByteString {
    let path = "";
    for (let i: GoferNode | null = this; i !== null && i.parent !== null; i = i.parent) {
      path = `/${i.name}${path}`;
    }
    return `${this.fs.displayPath}${path}` || "/";
  }
}
