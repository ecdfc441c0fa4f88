// A file of a served tree as the VFS sees it: the cached names of a directory, a link's target, opening. What
// it shares with every file there is in gofer-node.ts, bytes are in donated-file.ts, changes of the tree in
// mutations.ts.

import { EACCES, EINVAL, ENOENT, ENOTDIR, EROFS, ESTALE } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import { ATTR_BYTES } from "../../../gofer/index.ts";
import type { Task } from "../../kernel/task.ts";
import { type FileDescription, O_ACCMODE, O_RDONLY } from "../../vfs/file-description.ts";
import type { AttrChange, Inode } from "../../vfs/inode.ts";
import type { Path } from "../../vfs/path.ts";
import { isSameFile } from "./attributes.ts";
import { DonatedFile } from "./donated-file.ts";
import { GoferDirDescription } from "./gofer-dir.ts";
import { GoferFile } from "./gofer-file.ts";
import { GoferMappable } from "./gofer-mappable.ts";
import { GoferNode } from "./gofer-node.ts";
import * as mutations from "./mutations.ts";

/** After this many single look-ups in a directory its whole listing is fetched. */
const LOOKUPS_BEFORE_LISTING = 12;

export class GoferInode extends GoferNode {
  // Directories.
  declare parent: GoferInode | null;
  children: Map<ByteString, GoferInode> | null = null;
  /** children holds every entry. */
  isListed = false;
  #lookups = 0;

  #donated: DonatedFile | null = null;
  #mappable: GoferMappable | null = null;
  #target: ByteString | null = null;

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
      if (child.#donated?.isHeld || child.children !== null) continue;
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
    if (child instanceof GoferInode && child.isFresh) return true;
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
    const r = this.donated.acquire(wantsWrite);
    return r < 0 ? r : new GoferFile(this, flags);
  }

  /** Of a regular file. */
  get donated(): DonatedFile {
    this.#donated ??= new DonatedFile(this);
    return this.#donated;
  }
  get mappable(): GoferMappable {
    this.#mappable ??= new GoferMappable(this);
    return this.#mappable;
  }
  get mappableIfAny(): GoferMappable | null {
    return this.#mappable;
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
