// AF_UNIX sockets with descriptors on board (unix(7), SCM_RIGHTS; cmsg(3)). Used by the gofer's client and
// server, and by the monitor's control socket. Whole messages on SEQPACKET, byte runs on STREAM.

import { EMSGSIZE, ENAMETOOLONG, EPROTO } from "../abi/errno.ts";
import {
  SYS_close,
  SYS_connect,
  SYS_getsockopt,
  SYS_recvfrom,
  SYS_recvmsg,
  SYS_sendmsg,
  SYS_sendto,
  SYS_setsockopt,
  SYS_shutdown,
  SYS_socket,
  SYS_socketpair,
} from "../abi/syscall-numbers.ts";
import { addressOf, io, sys } from "./raw-syscall.ts";

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const MSG_PEEK = 0x2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

const AF_UNIX = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
/** The kernel's own limit (SCM_MAX_FD). */
export const MAX_DESCRIPTORS = 253;

const CMSG_HEADER_BYTES = 16;
const IOVEC_AT = 64;
const CONTROL_AT = 80;
const CONTROL_BYTES = CMSG_HEADER_BYTES + 4 * (MAX_DESCRIPTORS + 1);

/** Two connected sockets in out[0], out[1]; 0 or -errno. */
export function socketpair(type: number, out: Int32Array): number {
  return sys(
    SYS_socketpair,
    AF_UNIX,
    type,
    0,
    addressOf(new Uint8Array(out.buffer, out.byteOffset)),
    0,
    0,
  );
}

const SOCKADDR_UN_BYTES = 110;
const SUN_PATH_BYTES = 108;

/** A non-blocking stream socket connected to the one at `path`, or -errno. */
export function connectUnix(path: string): number {
  const text = new TextEncoder().encode(path);
  if (text.length === 0 || text.length >= SUN_PATH_BYTES) return -ENAMETOOLONG;
  const address = new Uint8Array(SOCKADDR_UN_BYTES);
  address[0] = AF_UNIX;
  address.set(text, 2);
  const fd = sys(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0);
  if (fd < 0) return fd;
  // Never "in progress": a unix socket is connected at once, or its queue is full (EAGAIN).
  const r = sys(SYS_connect, fd, addressOf(address), SOCKADDR_UN_BYTES, 0, 0, 0);
  if (r >= 0) return fd;
  sys(SYS_close, fd, 0, 0, 0, 0, 0);
  return r;
}

/** Bytes only, at once. Count (0: the peer has closed) or -errno. */
export function receiveBytes(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  return io(SYS_recvfrom, fd, bytes, offset, length, MSG_DONTWAIT);
}

/** One msghdr with its iovec and control buffer, at a fixed address. */
class MessageHeader {
  readonly bytes = new Uint8Array(CONTROL_AT + CONTROL_BYTES);
  readonly view = new DataView(this.bytes.buffer);

  constructor() {
    const at = addressOf(this.bytes);
    this.#setAddress(16, at + IOVEC_AT);
    this.#setAddress(24, 1);
    this.#setAddress(32, at + CONTROL_AT);
  }
  #setAddress(offset: number, value: number): void {
    this.view.setUint32(offset, value >>> 0, true);
    this.view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
  }
  prepare(address: number, length: number, controlLength: number): void {
    this.#setAddress(IOVEC_AT, address);
    this.#setAddress(IOVEC_AT + 8, length);
    this.#setAddress(40, controlLength);
    this.view.setInt32(48, 0, true);
  }
  get controlLength(): number {
    return this.view.getUint32(40, true);
  }
  get flags(): number {
    return this.view.getInt32(48, true);
  }
}

const sendHeader = new MessageHeader();

/** Sends bytes only; no copy, no allocation. Bytes sent or -errno. SIGPIPE is never raised. */
export function sendBytes(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  flags = 0,
): number {
  return io(SYS_sendto, fd, bytes, offset, length, flags | MSG_NOSIGNAL);
}

/** Sends bytes (at least one) with descriptors, which stay open here. Bytes sent or -errno. */
export function sendMessage(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fds: readonly number[],
  flags = 0,
): number {
  if (fds.length === 0) return sendBytes(fd, bytes, offset, length, flags);
  if (fds.length > MAX_DESCRIPTORS) return -EMSGSIZE;
  const h = sendHeader;
  const dataBytes = 4 * fds.length;
  h.prepare(addressOf(bytes) + offset, length, CMSG_HEADER_BYTES + ((dataBytes + 7) & ~7));
  h.view.setUint32(CONTROL_AT, CMSG_HEADER_BYTES + dataBytes, true);
  h.view.setUint32(CONTROL_AT + 4, 0, true);
  h.view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
  h.view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
  for (let i = 0; i < fds.length; i++)
    h.view.setInt32(CONTROL_AT + CMSG_HEADER_BYTES + 4 * i, fds[i], true);
  return io(SYS_sendmsg, fd, h.bytes, 0, flags | MSG_NOSIGNAL, 0);
}

/** Where messages arrive: reuse one for ever. */
export class ReceiveBuffer {
  readonly bytes: Uint8Array;
  /** Descriptors of the last message, now ours to close: fds[0..fdCount). */
  readonly fds = new Int32Array(MAX_DESCRIPTORS);
  fdCount = 0;
  readonly #address: number;
  readonly #header = new MessageHeader();

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.#address = addressOf(this.bytes);
  }

  /**
   * Receives into bytes[offset..]: count (0: the peer has closed) or -errno. A message cut short
   * (bytes or descriptors) is -EPROTO, and what came with it is closed.
   */
  receive(fd: number, flags = 0, offset = 0): number {
    const h = this.#header;
    this.fdCount = 0;
    h.prepare(this.#address + offset, this.bytes.length - offset, CONTROL_BYTES);
    const r = io(SYS_recvmsg, fd, h.bytes, 0, flags | MSG_CMSG_CLOEXEC, 0);
    if (r < 0) return r;
    if (h.controlLength >= CMSG_HEADER_BYTES) this.#takeDescriptors();
    if ((h.flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
      this.closeDescriptors();
      return -EPROTO;
    }
    return r;
  }

  #takeDescriptors(): void {
    const view = this.#header.view;
    const end = CONTROL_AT + this.#header.controlLength;
    let at = CONTROL_AT;
    while (at + CMSG_HEADER_BYTES <= end) {
      const length = view.getUint32(at, true);
      if (length < CMSG_HEADER_BYTES || at + length > end) return;
      const isRights =
        view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS;
      if (isRights) {
        for (let i = at + CMSG_HEADER_BYTES; i + 4 <= at + length; i += 4)
          if (this.fdCount < MAX_DESCRIPTORS) this.fds[this.fdCount++] = view.getInt32(i, true);
      }
      at += (length + 7) & ~7;
    }
  }

  /** Closes what the last message brought. */
  closeDescriptors(): void {
    for (let i = 0; i < this.fdCount; i++) sys(SYS_close, this.fds[i], 0, 0, 0, 0, 0);
    this.fdCount = 0;
  }
}

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export function shutdown(fd: number, how: number): number {
  return sys(SYS_shutdown, fd, how, 0, 0, 0, 0);
}

const SO_PEERCRED = 17;
/** Whose process is at the other end of a connected socket (SO_PEERCRED), or -errno. */
export function peerUid(fd: number): number {
  const credentials = new Int32Array(3);
  const length = new Int32Array([credentials.byteLength]);
  const at = addressOf(new Uint8Array(credentials.buffer));
  const lengthAt = addressOf(new Uint8Array(length.buffer));
  const r = sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, at, lengthAt, 0);
  return r < 0 ? r : credentials[1] >>> 0;
}

const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
/** The send buffer as large as asked, or as the host allows without privilege (net.core.wmem_max). */
export function growSendBuffer(fd: number, bytes: number): void {
  const value = new Int32Array([bytes]);
  const at = addressOf(new Uint8Array(value.buffer));
  if (sys(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUFFORCE, at, 4, 0) >= 0) return;
  sys(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, at, 4, 0);
}
