// Control messages (ancillary data, cmsg(3)): reading what sendmsg brings, writing what recvmsg returns.

import { EINVAL } from "../../abi/errno.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import { CMSGHDR_BYTES, cmsgAlign, SCM_RIGHTS, SOL_SOCKET } from "../../abi/socket.ts";
import { i32Le, setU32Le, setU64Le, u64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { FileDescription } from "../vfs/file-description.ts";

/** net.core.optmem_max: more control bytes than this are ENOBUFS. */
export const CONTROL_BYTES_MAX = 20_480;

/** Walks the messages in a control buffer; the bytes are the program's and may say anything. */
export class ControlReader {
  readonly bytes: Uint8Array;
  /** Bytes in use. */
  length = 0;
  level = 0;
  type = 0;
  /** Where the current message's data begins, and how much there is. */
  dataOffset = 0;
  dataLength = 0;
  #next = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  rewind(): void {
    this.#next = 0;
  }

  /** 1: a message is current; 0: the end; -EINVAL: a length that cannot be. */
  next(): number {
    const at = this.#next;
    if (this.length - at < CMSGHDR_BYTES) return 0;
    const length = u64Le(this.bytes, at);
    if (length < CMSGHDR_BYTES || length > this.length - at) return -EINVAL;
    this.level = i32Le(this.bytes, at + 8);
    this.type = i32Le(this.bytes, at + 12);
    this.dataOffset = at + CMSGHDR_BYTES;
    this.dataLength = length - CMSGHDR_BYTES;
    this.#next = at + cmsgAlign(length);
    return 1;
  }
}

/** Fills a control buffer of a capacity that the program chose; says when something did not fit. */
export class ControlWriter {
  readonly bytes = new Uint8Array(4096);
  capacity = 0;
  length = 0;
  /** MSG_CTRUNC. */
  isTruncated = false;

  reset(capacity: number): void {
    this.capacity = Math.min(capacity, this.bytes.length);
    this.length = 0;
    this.isTruncated = false;
  }

  /** put_cmsg: what does not fit is cut, and without room for a header dropped. */
  put(level: number, type: number, data: Uint8Array, offset: number, length: number): void {
    const room = this.capacity - this.length;
    if (room < CMSGHDR_BYTES) {
      this.isTruncated = true;
      return;
    }
    let bytes = CMSGHDR_BYTES + length;
    if (bytes > room) {
      this.isTruncated = true;
      bytes = room;
    }
    const at = this.length;
    this.#header(at, bytes, level, type);
    for (let i = 0; i < bytes - CMSGHDR_BYTES; i++) {
      this.bytes[at + CMSGHDR_BYTES + i] = data[offset + i];
    }
    this.length = Math.min(at + cmsgAlign(bytes), this.capacity);
  }

  putInt(level: number, type: number, value: number): void {
    setU32Le(intBytes, 0, value);
    this.put(level, type, intBytes, 0, 4);
  }

  /**
   * Installs files that arrived in SCM_RIGHTS, as many as fit the buffer and the descriptor limit, and
   * takes over their references: those that find no place are closed (MSG_CTRUNC).
   */
  putRights(t: Task, files: readonly FileDescription[], closeOnExec: boolean): void {
    const at = this.length;
    const room = Math.floor((this.capacity - at - CMSGHDR_BYTES) / 4);
    const limit = t.threadGroup.rlimit(RLIMIT_NOFILE).soft;
    let installed = 0;
    let i = 0;
    for (; i < files.length && installed < room; i++) {
      const fd = t.fds.add(files[i], closeOnExec, 0, limit);
      if (fd < 0) break;
      setU32Le(this.bytes, at + CMSGHDR_BYTES + 4 * installed++, fd);
    }
    if (i < files.length) this.isTruncated = true;
    for (; i < files.length; i++) files[i].decRef();
    if (installed === 0) return;
    const bytes = CMSGHDR_BYTES + 4 * installed;
    this.#header(at, bytes, SOL_SOCKET, SCM_RIGHTS);
    this.length = Math.min(at + cmsgAlign(bytes), this.capacity);
  }

  #header(at: number, bytes: number, level: number, type: number): void {
    setU64Le(this.bytes, at, bytes);
    setU32Le(this.bytes, at + 8, level);
    setU32Le(this.bytes, at + 12, type);
  }
}

const intBytes = new Uint8Array(4);
