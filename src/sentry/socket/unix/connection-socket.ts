// Unix sockets with connections: SOCK_STREAM and SOCK_SEQPACKET (unix(7)). Each end owns what waits for it;
// the sender's SO_SNDBUF bounds it.

import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOBUFS,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  EPROTOTYPE,
} from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  POLL_ALL,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from "../../../abi/poll.ts";
import { SIGPIPE } from "../../../abi/signal.ts";
import {
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SIOCOUTQ,
  SOCK_STREAM,
  SOMAXCONN,
} from "../../../abi/socket.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { interfaceIoctl } from "../inet/inet-ioctl.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import type { Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import type { SocketTable } from "../socket-table.ts";
import { ByteStream } from "./byte-stream.ts";
import { receiveRecord, recordOf } from "./record-io.ts";
import { RecordQueue, type RecordSender } from "./records.ts";
import { Ancillary, ownUcred, type Rights } from "./rights.ts";
import { formatName, UnixSocket } from "./unix-socket.ts";

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;
const ancillary = new Ancillary();

export class UnixConnectionSocket extends UnixSocket implements RecordSender {
  /** The other end while it lives. */
  peer: UnixConnectionSocket | null = null;
  /** Has been connected, whatever became of it. */
  #wasConnected = false;
  #peerName: string | null = null;
  #error = 0;
  readonly #stream: ByteStream;
  readonly #records: RecordQueue;
  chargedBytes = 0;
  // As a listener: connections not yet accepted, and who waits for a place among them.
  #backlog = -1;
  #pending: UnixConnectionSocket[] = [];
  readonly #waitingConnects = new Set<UnixConnectionSocket>();

  constructor(table: SocketTable, owner: Task | null, type: number, flags: number) {
    super(table, type, flags);
    this.#stream = new ByteStream(table);
    this.#records = new RecordQueue(table);
    if (owner !== null) this.ownerPid = owner.threadGroup.tgid;
  }
  /** Who made it; for reports. */
  readonly ownerPid: number = 0;

  override get queuedForReading(): number {
    return this.isListening ? this.#pending.length : this.#stream.used;
  }
  override get backlogMax(): number {
    return Math.max(0, this.#backlog);
  }
  override get isListening(): boolean {
    return this.#backlog >= 0;
  }
  override takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  /** socketpair(2). */
  pairWith(other: UnixConnectionSocket, t: Task): number {
    this.#join(other);
    this.learnPeer(t);
    other.learnPeer(t);
    return 0;
  }
  #join(other: UnixConnectionSocket): void {
    this.peer = other;
    other.peer = this;
    this.#wasConnected = true;
    other.#wasConnected = true;
  }

  override connect(t: Task, address: SocketAddress): number {
    if (this.isListening) return -EINVAL;
    if (this.#wasConnected) return -EISCONN;
    const named = this.ensureName();
    if (named < 0) return named;
    const listener = this.find(t, address);
    if (typeof listener === "number") return listener;
    if (!(listener instanceof UnixConnectionSocket)) return -EPROTOTYPE;
    if (listener.type !== this.type) return -EPROTOTYPE;
    if (!listener.isListening || listener.shutRead) return -ECONNREFUSED;
    if (listener.#pending.length > listener.#backlog) {
      listener.#waitingConnects.add(this);
      return -EAGAIN;
    }
    if (this.table.isFull) return -ENOBUFS;
    const child = new UnixConnectionSocket(this.table, null, this.type, 0);
    child.name = listener.name;
    child.passCredentials = listener.passCredentials;
    child.learnPeer(t);
    this.peerUcred = listener.peerUcred;
    this.peerGroups = listener.peerGroups;
    this.#join(child);
    child.#peerName = this.name;
    this.#peerName = listener.name;
    listener.#pending.push(child);
    listener.waiters.notify(READABLE);
    return 0;
  }

  override listen(t: Task, backlog: number): number {
    if (this.name === null || this.#wasConnected) return -EINVAL;
    this.#backlog = backlog < 0 ? SOMAXCONN : Math.min(backlog, SOMAXCONN);
    // What connecting ends will see as their peer.
    this.learnPeer(t);
    this.#admit();
    return 0;
  }

  override accept(_t: Task, flags: number): Socket | number {
    if (!this.isListening) return -EINVAL;
    const child = this.#pending.shift();
    if (child === undefined) return this.shutRead ? -EINVAL : -EAGAIN;
    child.flags |= flags;
    this.#admit();
    return child;
  }

  /** Lets those try again who found the queue full. */
  #admit(): void {
    for (const s of this.#waitingConnects) s.waiters.notify(WRITABLE);
    this.#waitingConnects.clear();
  }

  override peerName(out: SocketAddress): number {
    if (!this.#wasConnected || this.peer === null) return -ENOTCONN;
    formatName(out, this.#peerName);
    return 0;
  }

  override send(t: Task, io: Io, message: SendMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (message.address.length > 0 && this.type === SOCK_STREAM) {
      return this.#wasConnected ? -EISCONN : -EOPNOTSUPP;
    }
    if (!this.#wasConnected) return -ENOTCONN;
    const peer = this.peer;
    if (this.shutWrite || peer === null || peer.shutRead) {
      if ((message.flags & MSG_NOSIGNAL) === 0) t.raise(SIGPIPE);
      return -EPIPE;
    }
    if (message.control.length === 0 && !this.passCredentials && !peer.passCredentials) {
      return this.type === SOCK_STREAM
        ? this.#sendBytes(io, peer, null, false, t)
        : this.#sendRecord(t, io, peer, null, false);
    }
    const read = ancillary.read(t, message.control);
    if (read < 0) return read;
    if (this.#isFull(peer, io.remaining)) return -EAGAIN;
    const rights = ancillary.launch(t, this.table);
    if (typeof rights === "number") return rights;
    const n =
      this.type === SOCK_STREAM
        ? this.#sendBytes(io, peer, rights, true, t)
        : this.#sendRecord(t, io, peer, rights, true);
    if (n < 0 || (n === 0 && this.type === SOCK_STREAM)) rights?.drop();
    return n;
  }

  #isFull(peer: UnixConnectionSocket, length: number): boolean {
    if (this.type === SOCK_STREAM) {
      return length > 0 && peer.#stream.used >= this.sendBufferBytes;
    }
    return this.chargedBytes > 0 && this.chargedBytes + length > this.sendBufferBytes;
  }

  #sendBytes(
    io: Io,
    peer: UnixConnectionSocket,
    rights: Rights | null,
    withUcred: boolean,
    t: Task,
  ): number {
    if (io.remaining === 0) return 0;
    const room = this.sendBufferBytes - peer.#stream.used;
    if (room <= 0) return -EAGAIN;
    const ucred = withUcred ? (ancillary.ucred ?? ownUcred(t)) : null;
    const n = peer.#stream.write(io, room, rights, ucred);
    if (n > 0) peer.waiters.notify(READABLE);
    return n;
  }

  #sendRecord(
    t: Task,
    io: Io,
    peer: UnixConnectionSocket,
    rights: Rights | null,
    withUcred: boolean,
  ): number {
    const length = io.remaining;
    if (length > this.sendBufferBytes - 32) return -EMSGSIZE;
    if (this.#isFull(peer, length)) return -EAGAIN;
    if (!this.#records.isRoomy) return -ENOBUFS;
    const ucred = withUcred ? (ancillary.ucred ?? ownUcred(t)) : null;
    const record = recordOf(io, length, rights, ucred, this.name, this);
    if (typeof record === "number") return record;
    peer.#records.put(record);
    peer.waiters.notify(READABLE);
    return length;
  }

  onRoom(): void {
    if (this.chargedBytes * 4 <= this.sendBufferBytes) this.waiters.notify(WRITABLE);
  }

  override receive(t: Task, io: Io, message: ReceiveMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if ((message.flags & MSG_ERRQUEUE) !== 0) return -EAGAIN;
    if (!this.#wasConnected) return this.type === SOCK_STREAM ? -EINVAL : -ENOTCONN;
    const n =
      this.type === SOCK_STREAM
        ? this.#readBytes(t, io, message)
        : this.#readRecord(t, io, message);
    if (n >= 0 && this.#peerName !== null) formatName(message.address, this.#peerName);
    return n;
  }

  #readBytes(t: Task, io: Io, message: ReceiveMessage): number {
    if (io.remaining === 0) return 0;
    const stream = this.#stream;
    const peek = (message.flags & MSG_PEEK) !== 0;
    const skip = peek ? Math.max(0, this.peekOffset) : 0;
    if (stream.used <= skip) return this.#readNothing();
    const n = stream.read(t, io, message, this.passCredentials, peek ? skip : -1);
    if (n <= 0) return n;
    if (this.peekOffset >= 0) {
      this.peekOffset = peek ? this.peekOffset + n : Math.max(0, this.peekOffset - n);
    }
    const peer = this.peer;
    if (!peek && peer !== null && stream.used * 4 <= peer.sendBufferBytes) {
      peer.waiters.notify(WRITABLE);
    }
    return n;
  }

  #readNothing(): number {
    const error = this.takeError();
    if (error !== 0) return -error;
    return this.shutRead || this.peer === null ? 0 : -EAGAIN;
  }

  #readRecord(t: Task, io: Io, message: ReceiveMessage): number {
    const record = this.#records.first;
    if (record === null) return this.#readNothing();
    const peek = (message.flags & MSG_PEEK) !== 0;
    const n = receiveRecord(t, io, message, record, this.passCredentials, peek);
    if (n < 0) return n;
    message.resultFlags |= MSG_EOR;
    if (!peek) this.#records.shift();
    return (message.flags & MSG_TRUNC) !== 0 ? record.bytes.length : n;
  }

  override shutdown(_t: Task, how: number): number {
    const read = how !== 1;
    const write = how !== 0;
    this.shutRead ||= read;
    this.shutWrite ||= write;
    const peer = this.peer;
    if (peer !== null) {
      peer.shutWrite ||= read;
      peer.shutRead ||= write;
      peer.waiters.notify(peer.poll() | POLLRDHUP);
    }
    this.waiters.notify(POLL_ALL);
    this.#admit();
    return 0;
  }

  override poll(): number {
    let mask = this.#error !== 0 ? POLLERR : 0;
    const isGone = this.#wasConnected && this.peer === null;
    const readShut = this.shutRead || isGone;
    const writeShut = this.shutWrite || isGone;
    if (readShut && writeShut) mask |= POLLHUP;
    if (readShut) mask |= POLLRDHUP | READABLE;
    if (this.isListening) return this.#pending.length > 0 ? mask | READABLE : mask;
    if (!this.#wasConnected) return mask | POLLHUP | WRITABLE;
    if (this.#stream.used > 0 || this.#records.length > 0) mask |= READABLE;
    const used = this.#sentBytes;
    if (used * 4 <= this.sendBufferBytes) mask |= WRITABLE;
    return mask;
  }

  /** What we sent and the other end has not read. */
  get #sentBytes(): number {
    if (this.type !== SOCK_STREAM) return this.chargedBytes;
    return this.peer === null ? 0 : this.peer.#stream.used;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) {
      if (this.isListening) return -EINVAL;
      const n = this.type === SOCK_STREAM ? this.#stream.used : this.#records.first?.bytes.length;
      return t.mm.writeU32(arg, n ?? 0);
    }
    if (request === SIOCOUTQ) {
      return t.mm.writeU32(arg, this.#sentBytes);
    }
    return interfaceIoctl(t, this, request, arg);
  }

  override *queuedRights(): Generator<Rights> {
    yield* this.#stream.rights();
    yield* this.#records.rights();
    for (const child of this.#pending) yield* child.queuedRights();
  }
  override purge(): void {
    this.#stream.clear();
    this.#records.clear();
    for (const child of this.#pending.splice(0)) child.decRef();
  }

  override release(): void {
    super.release();
    const peer = this.peer;
    this.peer = null;
    const wasPending = this.#backlog >= 0;
    const hadUnread = this.#stream.used > 0 || this.#records.length > 0;
    this.#backlog = -1;
    if (peer !== null) {
      peer.peer = null;
      peer.shutRead = true;
      peer.shutWrite = true;
      // Linux: what was sent here and never read is an error for the sender.
      if (hadUnread || this.isUnaccepted) peer.#error = ECONNRESET;
      peer.waiters.notify(POLL_ALL);
    }
    if (wasPending) {
      for (const child of this.#pending) child.isUnaccepted = true;
    }
    this.#admit();
    this.purge();
  }
  /** Its listener went away before anybody accepted it. */
  isUnaccepted = false;
}
