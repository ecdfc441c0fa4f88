// A tree of the host's files as the Gofer serves it. Two ways of caching: "exclusive" believes what it once
// learned for ever (read-only trees, lower layers of an overlay), "shared" asks again, because others on
// the host may change the tree (--bind ...:rw, --write through). Bytes of files go past the Gofer: it donates
// descriptors, which are kept per inode and, when nobody uses them, in a bounded list of idle ones.

import { EMFILE } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import { ATTR_BYTES, type GoferClient, TREE_NOEXEC, TREE_WRITABLE } from "../../../gofer/index.ts";
import type { HostFiles } from "../../host.ts";
import { FileSystem, type StatFs } from "../../vfs/file-system.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/inode.ts";
import { attrDevice, attrIno, attrMode, attrNlink } from "./attributes.ts";
import type { DonatedFile } from "./donated-file.ts";
import { GoferInode } from "./gofer-inode.ts";

export interface GoferMountOptions {
  /** "exclusive" or "shared"; see above. */
  cache: "exclusive" | "shared";
  /** Refuse changes even if the server would take them. */
  readOnly: boolean;
  /** Where the tree is seen, for /proc/PID/maps: "/usr". */
  displayPath: ByteString;
}

const IDLE_DESCRIPTORS_MAX = 512;
/** Entries of directories kept; past it the directories listed longest ago forget what nobody uses. */
const CACHED_ENTRIES_MAX = 250_000;
/** In "shared" mode attributes learned this recently are not asked for again (one system call's worth). */
const SHARED_TTL_NS = 1_000_000;

export class GoferFileSystem extends FileSystem {
  readonly typeName = "9p";
  readonly root: GoferInode;
  readonly client: GoferClient;
  readonly files: HostFiles;
  readonly clock: Clock;
  readonly treeId: number;
  readonly isShared: boolean;
  readonly isWritable: boolean;
  readonly displayPath: ByteString;
  override readonly options: string;
  override readonly isNoExec: boolean;

  /** Devices of the host seen in the tree; the index keeps inode numbers of different ones apart. */
  readonly #devices: number[] = [];
  /** Files with several names: one inode for all of them. */
  readonly #linked = new Map<string, GoferInode>();
  /** Files whose descriptors nobody uses now, oldest first. */
  readonly #idle = new Set<DonatedFile>();
  readonly #listed = new Set<GoferInode>();
  #entries = 0;

  /** Attaches to a served tree: the file system, or -errno. */
  static attach(
    dev: number,
    client: GoferClient,
    treeId: number,
    files: HostFiles,
    clock: Clock,
    options: GoferMountOptions,
  ): GoferFileSystem | number {
    const r = client.attach(treeId);
    if (r < 0) return r;
    return new GoferFileSystem(dev, client, treeId, files, clock, options);
  }

  /** Precondition: the client's last answer was that of attach(). */
  private constructor(
    dev: number,
    client: GoferClient,
    treeId: number,
    files: HostFiles,
    clock: Clock,
    options: GoferMountOptions,
  ) {
    super(dev);
    this.client = client;
    this.treeId = treeId;
    this.files = files;
    this.clock = clock;
    this.isShared = options.cache === "shared";
    this.isWritable = !options.readOnly && (client.treeFlags & TREE_WRITABLE) !== 0;
    this.isNoExec = (client.treeFlags & TREE_NOEXEC) !== 0;
    this.displayPath = options.displayPath === "/" ? "" : options.displayPath;
    this.options = this.isShared ? "cache=none" : "cache=loose";
    const handle = client.handle;
    const attrs = this.takeAttr(client.attrOffset);
    this.root = this.makeInode(null, "", attrs, 0);
    this.root.handle = handle;
  }

  /** A private copy of the attributes in the client's last answer. */
  takeAttr(offset: number): Uint8Array {
    return this.client.replyBytes.slice(offset, offset + ATTR_BYTES);
  }

  /** The inode for what the Gofer described: a known one when the file has several names. */
  makeInode(
    parent: GoferInode | null,
    name: ByteString,
    attrs: Uint8Array,
    offset: number,
  ): GoferInode {
    const isLinked = attrNlink(attrs, offset) > 1 && (attrMode(attrs, offset) & S_IFMT) !== S_IFDIR;
    const device = attrDevice(attrs, offset);
    if (!isLinked)
      return new GoferInode(this, this.#inoOf(attrs, offset, device), parent, name, attrs, offset);
    const key = `${device}:${attrIno(attrs, offset)}`;
    const known = this.#linked.get(key);
    if (known !== undefined) {
      known.update(attrs, offset);
      return known;
    }
    const ino = this.#inoOf(attrs, offset, device);
    const inode = new GoferInode(this, ino, parent, name, attrs, offset);
    this.#linked.set(key, inode);
    return inode;
  }

  #inoOf(attrs: Uint8Array, offset: number, device: number): number {
    let index = this.#devices.indexOf(device);
    if (index < 0) index = this.#devices.push(device) - 1;
    return attrIno(attrs, offset) + index * 2 ** 48;
  }

  /** Attributes of this inode need not be asked for again. */
  isFresh(learnedNs: number): boolean {
    return !this.isShared || this.clock.monotonicNs() - learnedNs < SHARED_TTL_NS;
  }

  /** The file's descriptors are unused from now on, or used again. */
  setIdle(file: DonatedFile, idle: boolean): void {
    if (!idle) {
      this.#idle.delete(file);
      return;
    }
    this.#idle.add(file);
    if (this.#idle.size > IDLE_DESCRIPTORS_MAX) this.#closeOldest(1);
  }
  #closeOldest(count: number): number {
    let closed = 0;
    for (const file of this.#idle) {
      if (closed === count) break;
      this.#idle.delete(file);
      file.close();
      closed++;
    }
    return closed;
  }
  /** After -EMFILE: gives idle descriptors back. False: there were none. */
  makeRoom(errno: number): boolean {
    return errno === -EMFILE && this.#closeOldest(IDLE_DESCRIPTORS_MAX) > 0;
  }

  noteListed(dir: GoferInode, added: number): void {
    this.#entries += added;
    this.#listed.delete(dir);
    this.#listed.add(dir);
    if (this.#entries <= CACHED_ENTRIES_MAX) return;
    for (const old of this.#listed) {
      if (old === dir) continue;
      this.#listed.delete(old);
      this.#entries -= old.forgetChildren();
      if (this.#entries <= CACHED_ENTRIES_MAX / 2) break;
    }
  }

  statfs(): StatFs {
    const v: number[] = [];
    const r = this.root.request((handle) => this.client.statfs(handle, v));
    if (r < 0) v.splice(0, v.length, 0x01021997, 4096, 0, 0, 0, 0, 255);
    return {
      type: 0x01021997,
      blockBytes: v[1],
      blocks: v[2],
      blocksFree: v[3],
      files: v[4],
      filesFree: v[5],
      nameBytesMax: v[6],
    };
  }
}
