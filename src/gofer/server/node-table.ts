// Directories that a client holds handles of. Each is one O_PATH descriptor; only so many stay open, the
// least recently used goes first, and its handle is answered with ESTALE from then on (the client walks
// again). A handle is a slot and a generation: a made-up or old one never names a directory.

import type { Rule } from "./exclude.ts";

export interface Tree {
  id: number;
  writable: boolean;
  publicOnly: boolean;
  /** For a tree of one file: its name in the root's directory; otherwise null. */
  fileName: string | null;
  rootHandle: number;
}

export class DirNode {
  fd = -1;
  tree: Tree;
  rules: readonly Rule[];
  /** st_dev, "major:minor" as one number: a change on the way down is a mount point. */
  device: number;
  handle = 0;
  isPinned = false;
  /** Open directory of a READDIR under way, or -1. */
  listFd = -1;
  /** Entries of the last getdents64 not yet sent, and how far they were sent. */
  pending: Uint8Array | null = null;
  pendingAt = 0;
  prev: DirNode | null = null;
  next: DirNode | null = null;

  constructor(fd: number, tree: Tree, rules: readonly Rule[], device: number) {
    this.fd = fd;
    this.tree = tree;
    this.rules = rules;
    this.device = device;
  }
}

const SLOT_BITS = 13;
const SLOT_COUNT_MAX = 1 << SLOT_BITS;
const GENERATION_MASK = 0xffff_ffff >>> SLOT_BITS;

export class NodeTable {
  readonly #slots: (DirNode | null)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  readonly #capacity: number;
  readonly #close: (fd: number) => void;
  /** Least recently used first; pinned nodes are not in it. */
  #head: DirNode | null = null;
  #tail: DirNode | null = null;
  #listing: DirNode[] = [];
  size = 0;

  constructor(capacity: number, close: (fd: number) => void) {
    this.#capacity = Math.min(capacity, SLOT_COUNT_MAX - 1);
    this.#close = close;
  }

  get(handle: number): DirNode | null {
    const slot = handle & (SLOT_COUNT_MAX - 1);
    const node = slot < this.#slots.length ? this.#slots[slot] : null;
    if (node === null || node === undefined || node.handle !== handle) return null;
    if (!node.isPinned) {
      this.#unlink(node);
      this.#append(node);
    }
    return node;
  }

  /** Takes over the node's descriptor. */
  add(node: DirNode, isPinned = false): number {
    if (this.size >= this.#capacity && this.#head !== null) this.remove(this.#head);
    const slot = this.#free.pop() ?? this.#slots.length;
    const generation = ((this.#generations[slot] ?? 0) + 1) & GENERATION_MASK || 1;
    this.#generations[slot] = generation;
    this.#slots[slot] = node;
    node.handle = ((generation << SLOT_BITS) | slot) >>> 0;
    node.isPinned = isPinned;
    if (!isPinned) this.#append(node);
    this.size++;
    return node.handle;
  }

  /** The oldest that may go, when the host gives no more descriptors. False: there is none. */
  evictOne(): boolean {
    if (this.#head === null) return false;
    this.remove(this.#head);
    return true;
  }

  remove(node: DirNode): void {
    const slot = node.handle & (SLOT_COUNT_MAX - 1);
    this.#slots[slot] = null;
    this.#free.push(slot);
    this.#unlink(node);
    this.endListing(node);
    this.#close(node.fd);
    node.handle = 0;
    this.size--;
  }

  /** A READDIR has opened listFd; only a few are open at once. */
  beginListing(node: DirNode, listFd: number): void {
    this.endListing(node);
    while (this.#listing.length >= 16) this.endListing(this.#listing[0]);
    node.listFd = listFd;
    this.#listing.push(node);
  }
  endListing(node: DirNode): void {
    if (node.listFd < 0) return;
    this.#close(node.listFd);
    node.listFd = -1;
    node.pending = null;
    this.#listing = this.#listing.filter((n) => n !== node);
  }

  #append(node: DirNode): void {
    node.prev = this.#tail;
    node.next = null;
    if (this.#tail !== null) this.#tail.next = node;
    else this.#head = node;
    this.#tail = node;
  }
  #unlink(node: DirNode): void {
    if (node.isPinned) return;
    if (node.prev !== null) node.prev.next = node.next;
    else if (this.#head === node) this.#head = node.next;
    if (node.next !== null) node.next.prev = node.prev;
    else if (this.#tail === node) this.#tail = node.prev;
    node.prev = null;
    node.next = null;
  }
}
