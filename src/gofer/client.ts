// The Sentry's side of the Gofer: one method per request, synchronous, results >= 0 or -errno. Knows
// nothing of inodes or caches. A reply that does not parse is -EIO; -ESTALE means that the server let go of
// the directory handle (it keeps only so many open) and the caller walks to it again.

import { EIO, EPROTO } from "../abi/errno.ts";
import type { ByteString } from "../base/bytes.ts";
import { MessageReader, MessageWriter } from "./message.ts";
import {
  ATTR_BYTES,
  FLAG_DESCRIPTOR,
  GOFER_MAGIC,
  GOFER_VERSION,
  NAME_BYTES_MAX,
  OP_ATTACH,
  OP_CREATE,
  OP_HELLO,
  OP_LINK,
  OP_MKDIR,
  OP_OPEN,
  OP_READDIR,
  OP_READLINK,
  OP_RENAME,
  OP_SETATTR,
  OP_STATFS,
  OP_SYMLINK,
  OP_UNLINK,
  OP_WALK,
  TARGET_BYTES_MAX,
} from "./protocol.ts";

/** Sends one datagram and waits for the answer; implemented over a SEQPACKET socket, faked in tests. */
export interface GoferTransport {
  /** Where the answer is put. */
  readonly reply: Uint8Array;
  /** Descriptor that came with the last answer, or -1. The caller owns it. */
  receivedFd: number;
  /** Length of the answer in `reply`, or -errno (-EPIPE: the Gofer is gone). */
  call(request: Uint8Array, length: number): number;
  closeFd(fd: number): void;
}

export interface SetAttrFields {
  mask: number;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  atimeNs: number;
  mtimeNs: number;
}

export class GoferClient {
  readonly #transport: GoferTransport;
  readonly #out = new MessageWriter();
  readonly #in: MessageReader;
  #sequence = 0;

  /** Where the last answer's attributes stand: replyBytes[attrOffset ...]. */
  readonly replyBytes: Uint8Array;
  attrOffset = 0;
  /** Of the last ATTACH, or of the directory last listed. */
  handle = 0;
  treeFlags = 0;
  /** WALK: entries found, from walkOffset, walkStride apart: u32 handle, attributes. Why it stopped. */
  walkOffset = 0;
  stopErrno = 0;
  /** READDIR: the listing is complete. */
  atEnd = false;
  /** OPEN, CREATE: the donated descriptor; the caller owns it. */
  fd = -1;
  text: ByteString = "";

  static readonly walkStride = 4 + ATTR_BYTES;

  constructor(transport: GoferTransport) {
    this.#transport = transport;
    this.replyBytes = transport.reply;
    this.#in = new MessageReader(transport.reply);
  }

  /** Must come first. -EPROTO: the other side speaks another version. */
  hello(): number {
    this.#begin(OP_HELLO, 0).u32(GOFER_MAGIC).u32(GOFER_VERSION);
    const r = this.#call(OP_HELLO);
    if (r < 0) return r;
    return this.#in.u32() === GOFER_VERSION ? this.#in.u32() : -EPROTO;
  }

  attach(treeId: number): number {
    this.#begin(OP_ATTACH, treeId);
    const r = this.#call(OP_ATTACH);
    if (r < 0) return r;
    this.handle = this.#in.u32();
    this.treeFlags = this.#in.u32();
    return this.#takeAttr();
  }

  /** How many of the names were found (each but the last a directory); see walkOffset and stopErrno. */
  walk(handle: number, names: readonly ByteString[], from: number): number {
    const out = this.#begin(OP_WALK, handle);
    out.u16(names.length - from);
    for (let i = from; i < names.length; i++) out.string(names[i]);
    const r = this.#call(OP_WALK);
    if (r < 0) return r;
    this.stopErrno = this.#in.i32();
    this.walkOffset = this.#in.offset;
    const at = this.#in.take(r * GoferClient.walkStride);
    if (at < 0 || this.stopErrno < 0 || (r < names.length - from && this.stopErrno === 0))
      return -EIO;
    return r;
  }

  /**
   * A batch: calls `onEntry` for each; atEnd says whether there is more. name: a directory in the one that
   * the handle stands for, walked to and listed in one go (`handle` is its handle then); "": that one
   * itself. restart: from the beginning.
   */
  readDir(
    handle: number,
    name: ByteString,
    restart: boolean,
    onEntry: (name: ByteString, attrOffset: number) => void,
  ): number {
    this.#begin(OP_READDIR, handle)
      .u32(restart ? 1 : 0)
      .string(name);
    const r = this.#call(OP_READDIR);
    if (r < 0) return r;
    this.atEnd = this.#in.u32() !== 0;
    this.handle = this.#in.u32();
    for (let i = 0; i < r; i++) {
      const at = this.#in.take(ATTR_BYTES);
      const name = this.#in.string(NAME_BYTES_MAX);
      if (this.#in.failed || name.length === 0) return -EIO;
      onEntry(name, at);
    }
    return r;
  }

  readlink(handle: number, name: ByteString): ByteString | number {
    this.#begin(OP_READLINK, handle).string(name);
    const r = this.#call(OP_READLINK);
    if (r < 0) return r;
    const target = this.#in.string(TARGET_BYTES_MAX);
    return this.#in.failed ? -EIO : target;
  }

  /** The donated descriptor; attributes are set. */
  open(handle: number, name: ByteString, access: number): number {
    this.#begin(OP_OPEN, handle).u32(access).string(name);
    return this.#callForFd(OP_OPEN);
  }
  create(handle: number, name: ByteString, mode: number, uid: number, gid: number): number {
    this.#begin(OP_CREATE, handle).u32(mode).u32(uid).u32(gid).string(name);
    return this.#callForFd(OP_CREATE);
  }
  mkdir(handle: number, name: ByteString, mode: number, uid: number, gid: number): number {
    this.#begin(OP_MKDIR, handle).u32(mode).u32(uid).u32(gid).string(name);
    return this.#callForAttr(OP_MKDIR);
  }
  symlink(handle: number, name: ByteString, target: ByteString, uid: number, gid: number): number {
    this.#begin(OP_SYMLINK, handle).u32(uid).u32(gid).string(name).string(target);
    return this.#callForAttr(OP_SYMLINK);
  }
  link(handle: number, name: ByteString, newHandle: number, newName: ByteString): number {
    this.#begin(OP_LINK, handle).u32(newHandle).string(name).string(newName);
    return this.#callForAttr(OP_LINK);
  }
  unlink(handle: number, name: ByteString, flags: number): number {
    this.#begin(OP_UNLINK, handle).u32(flags).string(name);
    return this.#call(OP_UNLINK);
  }
  rename(
    handle: number,
    name: ByteString,
    newHandle: number,
    newName: ByteString,
    flags: number,
  ): number {
    this.#begin(OP_RENAME, handle).u32(newHandle).u32(flags).string(name).string(newName);
    return this.#call(OP_RENAME);
  }
  setAttr(handle: number, name: ByteString, c: SetAttrFields): number {
    const atime = Math.floor(c.atimeNs / 1e9);
    const mtime = Math.floor(c.mtimeNs / 1e9);
    this.#begin(OP_SETATTR, handle).u32(c.mask).u32(c.mode).u32(c.uid).u32(c.gid);
    this.#out.u64(c.size).u64(atime).u64(mtime);
    this.#out
      .u32(c.atimeNs - atime * 1e9)
      .u32(c.mtimeNs - mtime * 1e9)
      .string(name);
    return this.#callForAttr(OP_SETATTR);
  }
  /** Seven numbers: type, bsize, blocks, bfree, files, ffree, namelen. */
  statfs(handle: number, out: number[]): number {
    this.#begin(OP_STATFS, handle);
    const r = this.#call(OP_STATFS);
    if (r < 0) return r;
    for (let i = 0; i < 7; i++) out[i] = this.#in.u64();
    return this.#in.failed ? -EIO : 0;
  }

  #begin(op: number, handle: number): MessageWriter {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#out.begin(op, this.#sequence, handle);
  }

  #call(op: number): number {
    this.fd = -1;
    const length = this.#transport.call(this.#out.bytes, this.#out.finish());
    if (length < 0) return length;
    const m = this.#in;
    const whole = m.begin(length) && m.op === op && m.sequence === this.#sequence;
    const wantsFd = whole && (m.flags & FLAG_DESCRIPTOR) !== 0;
    const received = this.#transport.receivedFd;
    this.#transport.receivedFd = -1;
    if (!whole || wantsFd !== received >= 0 || m.result < -4095) {
      if (received >= 0) this.#transport.closeFd(received);
      return -EIO;
    }
    this.fd = received;
    return m.result;
  }
  #takeAttr(): number {
    this.attrOffset = this.#in.take(ATTR_BYTES);
    return this.attrOffset < 0 ? -EIO : 0;
  }
  #callForAttr(op: number): number {
    const r = this.#call(op);
    return r < 0 ? r : this.#takeAttr();
  }
  #callForFd(op: number): number {
    const r = this.#call(op);
    if (r < 0) return r;
    if (this.fd < 0) return -EIO;
    if (this.#takeAttr() < 0) {
      this.#transport.closeFd(this.fd);
      this.fd = -1;
      return -EIO;
    }
    return this.fd;
  }
}
