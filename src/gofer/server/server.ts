// The Gofer's answers: takes one request message apart, does it, builds the reply. Any bytes are a legal
// input; the worst outcome is an errno. Reading requests are here, changes of the tree in mutations.ts.
// State: the directories that handles stand for (node-table.ts), nothing else.

import {
  EACCES,
  EINVAL,
  EIO,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  EPROTO,
  EROFS,
  ESTALE,
} from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
} from "../../abi/fcntl.ts";
import {
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  ST_NOEXEC,
  STATFS_BFREE,
  STATFS_BLOCKS,
  STATFS_BSIZE,
  STATFS_FFREE,
  STATFS_FILES,
  STATFS_FLAGS,
  STATFS_NAMELEN,
  STATFS_TYPE,
} from "../../abi/stat.ts";
import {
  type ByteString,
  byteString,
  setU16Le,
  setU32Le,
  u16Le,
  u32Le,
  u64Le,
} from "../../base/bytes.ts";
import {
  getDents,
  linkBuffer,
  openAt,
  readlinkAt,
  statfsBuffer,
  statfsOf,
  statxAtDir,
  statxBuffer,
} from "../../host/fs-at.ts";
import { close } from "../../host/libc.ts";
import { MessageReader, MessageWriter } from "../message.ts";
import {
  ACCESS_READ,
  ACCESS_READ_WRITE,
  ATTR_BYTES,
  FLAG_DESCRIPTOR,
  GOFER_MAGIC,
  GOFER_VERSION,
  type GoferConfig,
  HEADER_BYTES,
  NAME_BYTES_MAX,
  OP_ATTACH,
  OP_HELLO,
  OP_OPEN,
  OP_READDIR,
  OP_READLINK,
  OP_STATFS,
  OP_WALK,
  TARGET_BYTES_MAX,
  TREE_IS_FILE,
  TREE_NOEXEC,
  TREE_WRITABLE,
  type TreeConfig,
  WALK_MAX,
} from "../protocol.ts";
import { parseRules } from "./exclude.ts";
import { Mutations } from "./mutations.ts";
import { DirNode, NodeTable, type Tree } from "./node-table.ts";
import { isPseudoFileSystem, Resolver, statxDevice, statxIsRegular, statxMode } from "./resolve.ts";

const DIRENT_NAME = 19;
/** Entries on their way into a reply. */
const listBuffer = new Uint8Array(32_768);

export class GoferServer {
  readonly #nodes: NodeTable;
  readonly #resolver: Resolver;
  readonly #mutations: Mutations;
  readonly #trees = new Map<number, Tree>();
  readonly #request: MessageReader;
  readonly #out = new MessageWriter();
  readonly reply: Uint8Array = this.#out.bytes;
  /** Goes with the reply and is closed after it was sent, or -1. */
  replyFd = -1;

  /** request: where received messages stand. handles: how many directories may be open. */
  constructor(request: Uint8Array, handles: number) {
    this.#nodes = new NodeTable(handles, close);
    this.#resolver = new Resolver(this.#nodes);
    this.#request = new MessageReader(request);
    this.#mutations = new Mutations(this.#resolver, (handle) => this.#nodes.get(handle));
  }

  /** Opens the configured trees, before the process is confined. Throws a sentence for the user. */
  openTrees(config: GoferConfig): void {
    for (const tree of config.trees) this.#openTree(tree);
  }

  #openTree(config: TreeConfig): void {
    const path = utf8Bytes(config.hostPath);
    const fail = (r: number): never => {
      throw new Error(`cannot serve ${config.hostPath}: errno ${-r}`);
    };
    let fd = openAt(-100, path, O_PATH, 0);
    if (fd < 0) fail(fd);
    const r = statxAtDir(fd, "", AT_EMPTY_PATH);
    if (r < 0) fail(r);
    let fileName: string | null = null;
    if (statxIsRegular()) {
      const slash = path.lastIndexOf("/");
      fileName = path.slice(slash + 1);
      close(fd);
      fd = openAt(-100, path.slice(0, slash) || "/", O_PATH | O_DIRECTORY, 0);
      if (fd < 0) fail(fd);
      statxAtDir(fd, "", AT_EMPTY_PATH);
    } else if ((statxMode() & S_IFMT) !== S_IFDIR) fail(-ENOTDIR);
    if (isPseudoFileSystem(fd)) fail(-EACCES);
    const publicOnly = config.publicOnly === true;
    const writable = config.writable && !publicOnly;
    const tree: Tree = { id: config.id, writable, publicOnly, fileName, rootHandle: 0 };
    const rules = parseRules((config.exclude ?? []).map(utf8Bytes));
    tree.rootHandle = this.#nodes.add(new DirNode(fd, tree, rules, statxDevice()), true);
    this.#trees.set(config.id, tree);
  }

  /** For Landlock: descriptor and rights of every tree. */
  treeRoots(): { fd: number; writable: boolean; fileName: string | null }[] {
    const roots = [];
    for (const tree of this.#trees.values()) {
      const node = this.#nodes.get(tree.rootHandle) as DirNode;
      roots.push({ fd: node.fd, writable: tree.writable, fileName: tree.fileName });
    }
    return roots;
  }

  /** Answers the message of `length` bytes in the request buffer; length of the reply. */
  handle(length: number): number {
    this.replyFd = -1;
    const m = this.#request;
    const whole = m.begin(length);
    this.#out.begin(whole ? m.op : 0, whole ? m.sequence : 0, 0);
    const result = whole ? this.#dispatch(m.op, m.handle) : -EPROTO;
    if (result < 0) {
      this.#out.length = HEADER_BYTES;
      if (this.replyFd >= 0) close(this.replyFd);
      this.replyFd = -1;
    }
    setU32Le(this.reply, 12, result);
    if (this.replyFd >= 0) setU16Le(this.reply, 6, FLAG_DESCRIPTOR);
    return this.#out.finish();
  }

  #dispatch(op: number, handle: number): number {
    if (op === OP_HELLO) return this.#hello();
    if (op === OP_ATTACH) return this.#attach(handle);
    const node = this.#nodes.get(handle);
    if (node === null) return -ESTALE;
    switch (op) {
      case OP_WALK:
        return this.#walk(node);
      case OP_READDIR:
        return this.#readDir(node);
      case OP_READLINK:
        return this.#readlink(node);
      case OP_OPEN:
        return this.#open(node);
      case OP_STATFS:
        return this.#statfs(node);
    }
    if (!Mutations.handles(op)) return -ENOSYS;
    if (!node.tree.writable) return -EROFS;
    const r = this.#mutations.dispatch(op, node, this.#request, this.#out);
    this.replyFd = this.#mutations.fd;
    this.#mutations.fd = -1;
    return r;
  }

  #hello(): number {
    const m = this.#request;
    const magic = m.u32();
    m.u32();
    if (!m.isDone || magic !== GOFER_MAGIC) return -EPROTO;
    this.#out.u32(GOFER_VERSION).u32(this.#trees.size);
    return 0;
  }

  #attach(id: number): number {
    const tree = this.#trees.get(id);
    if (tree === undefined || !this.#request.isDone) return -ENOENT;
    const node = this.#nodes.get(tree.rootHandle) as DirNode;
    const r =
      tree.fileName === null
        ? statxAtDir(node.fd, "", AT_EMPTY_PATH)
        : this.#resolver.stat(node, tree.fileName);
    if (r < 0) return r;
    let flags = (tree.writable ? TREE_WRITABLE : 0) | (tree.fileName === null ? 0 : TREE_IS_FILE);
    if (statfsOf(node.fd) >= 0 && (u32Le(statfsBuffer, STATFS_FLAGS) & ST_NOEXEC) !== 0)
      flags |= TREE_NOEXEC;
    this.#out.u32(tree.rootHandle).u32(flags).raw(statxBuffer, 0, ATTR_BYTES);
    return 0;
  }

  #walk(start: DirNode): number {
    const m = this.#request;
    const count = m.u16();
    if (count === 0 || count > WALK_MAX) return -EINVAL;
    const out = this.#out.u32(0);
    let node: DirNode | null = start;
    let stop = 0;
    let found = 0;
    for (let i = 0; i < count; i++) {
      const name = this.#nameOf(start, m.string(NAME_BYTES_MAX + 1));
      if (m.failed) return -EPROTO;
      if (stop !== 0) continue;
      if (node === null) stop = -ENOTDIR;
      else stop = this.#resolver.stat(node, name);
      if (stop !== 0 || node === null) continue;
      let child: DirNode | null = null;
      if ((statxMode() & S_IFMT) === S_IFDIR) {
        const opened = this.#openNode(node, name);
        if (typeof opened === "number") {
          stop = opened;
          continue;
        }
        child = opened;
      }
      out.u32(child === null ? 0 : child.handle).raw(statxBuffer, 0, ATTR_BYTES);
      found++;
      node = child;
    }
    if (!m.isDone) return -EPROTO;
    setU32Le(this.reply, HEADER_BYTES, -stop);
    return found;
  }

  /** A node for a directory that the resolver has just seen. */
  #openNode(parent: DirNode, name: ByteString): DirNode | number {
    const rules = this.#resolver.rules;
    const fd = this.#resolver.openDir(parent, name);
    if (fd < 0) return fd;
    const node = new DirNode(fd, parent.tree, rules, statxDevice());
    this.#nodes.add(node);
    return node;
  }

  /** "" is the file itself in a tree of one file. */
  #nameOf(node: DirNode, name: ByteString): ByteString {
    return name === "" && node.tree.fileName !== null ? node.tree.fileName : name;
  }

  #readDir(start: DirNode): number {
    const restart = this.#request.u32() !== 0;
    const name = this.#request.string(NAME_BYTES_MAX + 1);
    if (!this.#request.isDone) return -EPROTO;
    if (start.tree.fileName !== null) return -ENOTDIR;
    let node: DirNode = start;
    if (name !== "") {
      const r = this.#resolver.stat(start, name);
      if (r < 0) return r;
      if ((statxMode() & S_IFMT) !== S_IFDIR) return -ENOTDIR;
      const opened = this.#openNode(start, name);
      if (typeof opened === "number") return opened;
      node = opened;
    }
    if (restart || node.listFd < 0) {
      if (!restart) return -ESTALE;
      // "." of an O_PATH descriptor: the same directory, opened for reading.
      const fd = openAt(node.fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
      if (fd < 0) return fd;
      this.#nodes.beginListing(node, fd);
    }
    this.#out.u32(0).u32(node.handle);
    let count = node.pending === null ? 0 : this.#listEntries(node, node.pending);
    while (node.pending === null) {
      const n = getDents(node.listFd, listBuffer);
      if (n < 0) return n;
      if (n === 0) {
        this.#nodes.endListing(node);
        setU32Le(this.reply, HEADER_BYTES, 1);
        break;
      }
      node.pendingAt = 0;
      count += this.#listEntries(node, listBuffer.subarray(0, n));
    }
    return count;
  }

  /** Puts entries into the reply from pendingAt on; what finds no room is left in node.pending. */
  #listEntries(node: DirNode, entries: Uint8Array): number {
    const out = this.#out;
    let count = 0;
    while (node.pendingAt < entries.length) {
      if (out.room() < ATTR_BYTES + 2 + NAME_BYTES_MAX) {
        if (node.pending === null) {
          node.pending = entries.slice(node.pendingAt);
          node.pendingAt = 0;
        }
        return count;
      }
      const at = node.pendingAt;
      node.pendingAt += u16Le(entries, at + 16);
      const name = nulTerminated(entries, at + DIRENT_NAME);
      // What has gone since, or is hidden, is not listed.
      if (name === "." || name === ".." || this.#resolver.stat(node, name) < 0) continue;
      out.raw(statxBuffer, 0, ATTR_BYTES).string(name);
      count++;
    }
    node.pending = null;
    return count;
  }

  #readlink(node: DirNode): number {
    const name = this.#request.string(NAME_BYTES_MAX + 1);
    if (!this.#request.isDone) return -EPROTO;
    const r = this.#resolver.stat(node, name);
    if (r < 0) return r;
    const length = readlinkAt(node.fd, name);
    if (length < 0) return length;
    if (length > TARGET_BYTES_MAX) return -EIO;
    this.#out.u16(length).raw(linkBuffer, 0, length);
    return 0;
  }

  /** Regular files only: opening a device or a FIFO would act on the host, or hang. */
  #open(node: DirNode): number {
    const access = this.#request.u32();
    const name = this.#nameOf(node, this.#request.string(NAME_BYTES_MAX + 1));
    if (!this.#request.isDone) return -EPROTO;
    if (access !== ACCESS_READ && access !== ACCESS_READ_WRITE) return -EINVAL;
    if (access === ACCESS_READ_WRITE && !node.tree.writable) return -EROFS;
    const r = this.#resolver.stat(node, name);
    if (r < 0) return r;
    if (!statxIsRegular()) return -EACCES;
    const flags = (access === ACCESS_READ ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY;
    const fd = this.#resolver.open(node, name, flags, 0);
    if (fd < 0) return fd;
    this.replyFd = fd;
    // Again on what was really opened: another process may have put something else there meanwhile.
    const again = statxAtDir(fd, "", AT_EMPTY_PATH);
    if (again < 0) return again;
    if ((statxMode() & S_IFMT) !== S_IFREG) return -EACCES;
    if (node.tree.publicOnly && (statxMode() & 0o4) === 0) return -EACCES;
    this.#out.raw(statxBuffer, 0, ATTR_BYTES);
    return 0;
  }

  #statfs(node: DirNode): number {
    if (!this.#request.isDone) return -EPROTO;
    const r = statfsOf(node.fd);
    if (r < 0) return r;
    for (const at of [
      STATFS_TYPE,
      STATFS_BSIZE,
      STATFS_BLOCKS,
      STATFS_BFREE,
      STATFS_FILES,
      STATFS_FFREE,
      STATFS_NAMELEN,
    ]) {
      this.#out.u64(u64Le(statfsBuffer, at));
    }
    return 0;
  }
}

function nulTerminated(bytes: Uint8Array, at: number): ByteString {
  let end = at;
  while (end < bytes.length && bytes[end] !== 0) end++;
  return byteString(bytes, at, end - at);
}

/** Text from the configuration (UTF-8 on the host) as the bytes of a path. */
function utf8Bytes(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1");
}
