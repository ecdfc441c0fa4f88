// A file of a served tree: attributes, the cached names of a directory, the handle that the Gofer knows a
// directory by, and the donated descriptors of a regular file. Handles may go stale at any time (the Gofer
// keeps only so many); request() walks from the nearest ancestor that still has one. Changes of the tree
// are in mutations.ts.

import { EACCES, EINVAL, EIO, ENOENT, ENOTDIR, EROFS, ESTALE } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import { GoferClient } from "../../../gofer/client.ts";
import { ACCESS_READ, ACCESS_READ_WRITE, ATTR_BYTES, WALK_MAX } from "../../../gofer/index.ts";
import type { Task } from "../../kernel/task.ts";
import { type FileDescription, O_ACCMODE, O_RDONLY } from "../../vfs/file-description.ts";
import { type AttrChange, Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
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
import { GoferDirDescription } from "./gofer-dir.ts";
import { GoferFile } from "./gofer-file.ts";
import type { GoferFileSystem } from "./gofer-file-system.ts";
import { GoferMappable } from "./gofer-mappable.ts";
import * as mutations from "./mutations.ts";

/** After this many single look-ups in a directory its whole listing is fetched. */
const LOOKUPS_BEFORE_LISTING = 12;
const HANDLE_RETRIES = 4;

export class GoferInode extends Inode {
  readonly fs: GoferFileSystem;
  parent: GoferInode | null;
  name: ByteString;
  mode = 0;
  uid = 0;
  gid = 0;
  attrs: Uint8Array;
  attrOffset: number;
  #learnedNs: number;

  // Directories.
  handle = 0;
  children: Map<ByteString, GoferInode> | null = null;
  /** children holds every entry. */
  isListed = false;
  #lookups = 0;

  // Regular files.
  #readFd = -1;
  #writeFd = -1;
  #uses = 0;
  #mappable: GoferMappable | null = null;
  #target: ByteString | null = null;

  constructor(
    fs: GoferFileSystem,
    ino: number,
    parent: GoferInode | null,
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

  get size(): number {
    return attrSize(this.attrs, this.attrOffset);
  }
  /** The program wrote: what the attributes are now, without asking. */
  noteWritten(end: number): void {
    if (end > this.size) setAttrSize(this.attrs, this.attrOffset, end);
    setAttrMtime(this.attrs, this.attrOffset, this.fs.clock.realtimeNs());
  }

  stat(out: Stat): number {
    if (!this.fs.isFresh(this.#learnedNs)) this.#refresh();
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
      const chain: GoferInode[] = [];
      let top: GoferInode = this;
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

  #walkChain(top: GoferInode, chain: readonly GoferInode[]): number {
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

  // --- Directories ---

  override lookup(_t: Task, name: ByteString): Inode | number {
    if (!this.isDirectory) return -ENOTDIR;
    const known = this.children?.get(name);
    if (!this.fs.isShared) {
      if (known !== undefined) return known;
      if (this.isListed) return -ENOENT;
      if (++this.#lookups > LOOKUPS_BEFORE_LISTING) {
        // A directory that may be searched but not read stays with single look-ups.
        if (this.loadListing() === 0) return this.children?.get(name) ?? -ENOENT;
        this.#lookups = -1_000_000;
      }
    }
    return this.lookupOnce(name);
  }

  /** Asks the Gofer for one name. */
  lookupOnce(name: ByteString): GoferInode | number {
    const client = this.fs.client;
    const found = this.request((handle) => client.walk(handle, [name], 0));
    if (found < 0) return found;
    if (found === 0) {
      this.forget(name);
      return -client.stopErrno;
    }
    const view = client.replyBytes;
    const at = client.walkOffset;
    const handle = view[at] + view[at + 1] * 256 + view[at + 2] * 65536 + view[at + 3] * 2 ** 24;
    const child = this.adopt(name, this.fs.takeAttr(at + 4), 0);
    if (child.isDirectory) child.handle = handle;
    return child;
  }

  /** The child for attributes just learned: the known inode if it is still the same file. */
  adopt(name: ByteString, attrs: Uint8Array, offset: number): GoferInode {
    const known = this.children?.get(name);
    if (known !== undefined && isSameFile(known.attrs, known.attrOffset, attrs, offset)) {
      known.update(attrs, offset);
      return known;
    }
    const child = this.fs.makeInode(this, name, attrs, offset);
    this.children ??= new Map();
    this.children.set(name, child);
    return child;
  }
  forget(name: ByteString): void {
    this.children?.delete(name);
  }
  /** Drops what can be learned again; returns how many. */
  forgetChildren(): number {
    if (this.children === null) return 0;
    let dropped = 0;
    for (const [name, child] of this.children) {
      if (child.#uses > 0 || child.children !== null || child.#readFd >= 0) continue;
      this.children.delete(name);
      dropped++;
    }
    this.isListed = false;
    if (this.children.size === 0) this.children = null;
    return dropped;
  }

  /** Fetches the whole directory with attributes. 0 or -errno. */
  loadListing(): number {
    const client = this.fs.client;
    const names: ByteString[] = [];
    const blocks: Uint8Array[] = [];
    const offsets: number[] = [];
    let restart = true;
    for (;;) {
      let last = 0;
      const batch: number[] = [];
      const onEntry = (name: ByteString, at: number): void => {
        names.push(name);
        batch.push(at);
        last = at + ATTR_BYTES;
      };
      const { parent } = this;
      // Without a handle yet: walked to and listed in one request.
      const r =
        this.handle === 0 && restart && parent !== null
          ? parent.request((handle) => client.readDir(handle, this.name, true, onEntry))
          : this.request((handle) => client.readDir(handle, "", restart, onEntry));
      if (r >= 0) this.handle = client.handle;
      // Between two batches the handle went stale: from the beginning.
      if (r === -ESTALE || (r < 0 && !restart)) return r;
      if (r < 0) return r;
      const block = client.replyBytes.slice(0, last);
      for (const at of batch) {
        blocks.push(block);
        offsets.push(at);
      }
      if (client.atEnd) break;
      restart = false;
    }
    const old = this.children;
    this.children = new Map();
    for (let i = 0; i < names.length; i++) {
      const known = old?.get(names[i]);
      if (known !== undefined) this.children.set(names[i], known);
      this.adopt(names[i], blocks[i], offsets[i]);
    }
    this.isListed = true;
    this.fs.noteListed(this, names.length - (old?.size ?? 0));
    return 0;
  }

  override revalidate(name: ByteString, child: Inode | null): boolean {
    if (!this.fs.isShared) return true;
    if (child instanceof GoferInode && this.fs.isFresh(child.#learnedNs)) return true;
    const now = this.lookupOnce(name);
    return typeof now === "number" ? child === null && now === -ENOENT : now === child;
  }

  // --- Links and files ---

  override readlink(_t: Task): ByteString | number {
    if (!this.isSymlink) return -EINVAL;
    if (this.#target !== null && !this.fs.isShared) return this.#target;
    const client = this.fs.client;
    let text: ByteString = "";
    const parent = this.parent ?? this;
    const r = parent.request((handle) => {
      const answer = client.readlink(handle, this.name);
      if (typeof answer === "number") return answer;
      text = answer;
      return 0;
    });
    if (r < 0) return r;
    this.#target = text;
    return text;
  }

  open(_t: Task, _path: Path, flags: number): FileDescription | number {
    if (this.isDirectory) return new GoferDirDescription(this, flags);
    // Devices, FIFOs and sockets of the host are seen but never opened.
    if (!this.isRegular) return -EACCES;
    const wantsWrite = (flags & O_ACCMODE) !== O_RDONLY;
    if (wantsWrite && !this.fs.isWritable) return -EROFS;
    const r = this.acquire(wantsWrite);
    return r < 0 ? r : new GoferFile(this, flags);
  }

  /** One more user of the descriptor for reading (or for both). 0 or -errno; pair with unuse(). */
  acquire(write: boolean): number {
    if (write ? this.#writeFd < 0 : this.#readFd < 0 && this.#writeFd < 0) {
      const r = this.#openDescriptor(write);
      if (r < 0) return r;
    }
    if (this.#uses++ === 0) this.fs.setIdle(this, false);
    return 0;
  }
  unuse(): void {
    if (--this.#uses === 0) this.fs.setIdle(this, true);
  }

  #openDescriptor(write: boolean): number {
    const client = this.fs.client;
    const access = write ? ACCESS_READ_WRITE : ACCESS_READ;
    const open = (): number =>
      this.parent === null
        ? this.request((handle) => client.open(handle, "", access))
        : this.parent.request((handle) => client.open(handle, this.name, access));
    let fd = open();
    if (fd < 0 && this.fs.makeRoom(fd)) fd = open();
    if (fd < 0) return fd;
    if (!isSameFile(client.replyBytes, client.attrOffset, this.attrs, this.attrOffset)) {
      // Something else stands at the name now.
      this.fs.files.close(fd);
      return this.fs.isShared ? -ESTALE : -EIO;
    }
    this.updateFromReply();
    if (write) this.#writeFd = fd;
    else this.#readFd = fd;
    return 0;
  }
  /** A descriptor that came with the file's creation. */
  adoptDescriptor(fd: number): void {
    this.#writeFd = fd;
    this.fs.setIdle(this, true);
  }

  /** Any descriptor to read with; -1 only when nobody has acquired one. */
  get fd(): number {
    return this.#writeFd >= 0 ? this.#writeFd : this.#readFd;
  }
  get writeFd(): number {
    return this.#writeFd;
  }
  closeDescriptors(): void {
    if (this.#readFd >= 0) this.fs.files.close(this.#readFd);
    if (this.#writeFd >= 0) this.fs.files.close(this.#writeFd);
    this.#readFd = -1;
    this.#writeFd = -1;
  }
  /** The file has no name any more: nobody will come back for what is idle. */
  dropIdleDescriptors(): void {
    if (this.#uses > 0) return;
    this.fs.setIdle(this, false);
    this.closeDescriptors();
  }
  /** Bytes in the file now: asked of the descriptor where others may change it. */
  currentSize(): number {
    if ((!this.fs.isShared && !this.fs.isWritable) || this.fd < 0) return this.size;
    const size = this.fs.files.size(this.fd);
    if (size >= 0 && size !== this.size) setAttrSize(this.attrs, this.attrOffset, size);
    return size;
  }

  get mappable(): GoferMappable {
    this.#mappable ??= new GoferMappable(this);
    return this.#mappable;
  }
  get mappableIfAny(): GoferMappable | null {
    return this.#mappable;
  }

  /** Path as the sandbox sees it, by the names the tree had when they were looked up. */
  get displayPath(): ByteString {
    let path = "";
    for (let i: GoferInode | null = this; i !== null && i.parent !== null; i = i.parent) {
      path = `/${i.name}${path}`;
    }
    return `${this.fs.displayPath}${path}` || "/";
  }

  // --- Changes (mutations.ts) ---

  override setAttr(t: Task, change: AttrChange): number {
    return mutations.setAttr(t, this, change);
  }
  override create(t: Task, name: ByteString, mode: number): Inode | number {
    return mutations.create(t, this, name, mode);
  }
  override mkdir(t: Task, name: ByteString, mode: number): Inode | number {
    return mutations.mkdir(t, this, name, mode);
  }
  override symlink(t: Task, name: ByteString, target: ByteString): Inode | number {
    return mutations.symlink(t, this, name, target);
  }
  override mknod(_t: Task, _name: ByteString, _mode: number, _rdev: number): Inode | number {
    return this.fs.isWritable ? -EACCES : -EROFS;
  }
  override link(_t: Task, name: ByteString, target: Inode): number {
    return mutations.link(this, name, target as GoferInode);
  }
  override unlink(_t: Task, name: ByteString, target: Inode): number {
    return mutations.remove(this, name, target as GoferInode, false);
  }
  override rmdir(_t: Task, name: ByteString, target: Inode): number {
    return mutations.remove(this, name, target as GoferInode, true);
  }
  override rename(
    _t: Task,
    name: ByteString,
    source: Inode,
    newDir: Inode,
    newName: ByteString,
    replaced: Inode | null,
    flags: number,
  ): number {
    const to = newDir as GoferInode;
    return mutations.rename(
      this,
      name,
      source as GoferInode,
      to,
      newName,
      replaced as GoferInode | null,
      flags,
    );
  }
}
