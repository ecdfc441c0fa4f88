// Unix datagram sockets (unix(7)): reliable, ordered, addressed by path or abstract name.

import {
  EAGAIN,
  ECONNREFUSED,
  EMSGSIZE,
  ENOBUFS,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTOTYPE,
} from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  POLL_ALL,
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
  AF_UNSPEC,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SIOCOUTQ,
  SOCK_DGRAM,
} from "../../../abi/socket.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { interfaceIoctl } from "../inet/inet-ioctl.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import type { SocketAddress } from "../socket-address.ts";
import type { SocketTable } from "../socket-table.ts";
import { receiveRecord, recordOf } from "./record-io.ts";
import { RECORD_OVERHEAD_BYTES, RecordQueue, type RecordSender } from "./records.ts";
import { Ancillary, ownUcred, type Rights } from "./rights.ts";
import { formatName, UnixSocket } from "./unix-socket.ts";

/** net.unix.max_dgram_qlen. */
const QUEUE_LENGTH_MAX = 10;
const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;
const ancillary = new Ancillary();

export class UnixDatagramSocket extends UnixSocket implements RecordSender {
  /** Where sends without an address go; it need not know us. */
  #peer: UnixDatagramSocket | null = null;
  readonly #queue: RecordQueue;
  chargedBytes = 0;
  /** Who found our queue full. */
  readonly #waitingSenders = new Set<UnixDatagramSocket>();

  constructor(table: SocketTable, _owner: Task, flags: number) {
    super(table, SOCK_DGRAM, flags);
    this.#queue = new RecordQueue(table);
  }

  pairWith(other: UnixDatagramSocket): number {
    this.#peer = other;
    other.#peer = this;
    return 0;
  }

  override connect(t: Task, address: SocketAddress): number {
    if (address.length >= 2 && address.family === AF_UNSPEC) {
      this.#peer = null;
      return 0;
    }
    const named = this.ensureName();
    if (named < 0) return named;
    const other = this.#findTarget(t, address);
    if (typeof other === "number") return other;
    if (!other.#accepts(this)) return -EPERM;
    this.#peer = other;
    this.waiters.notify(WRITABLE);
    return 0;
  }

  #findTarget(t: Task, address: SocketAddress): UnixDatagramSocket | number {
    const other = this.find(t, address);
    if (typeof other === "number") return other;
    return other instanceof UnixDatagramSocket ? other : -EPROTOTYPE;
  }
  get peer(): UnixDatagramSocket | null {
    return this.#peer;
  }
  override get queuedForReading(): number {
    return this.chargedBytes;
  }
  /** A connected socket takes datagrams from its peer only. */
  #accepts(sender: UnixDatagramSocket): boolean {
    return this.#peer === null || this.#peer === sender;
  }

  override peerName(out: SocketAddress): number {
    if (this.#peer === null) return -ENOTCONN;
    formatName(out, this.#peer.name);
    return 0;
  }

  override send(t: Task, io: Io, message: SendMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    let target = this.#peer;
    if (message.address.length > 0) {
      const found = this.#findTarget(t, message.address);
      if (typeof found === "number") return found;
      target = found;
    }
    if (target === null) return -ENOTCONN;
    if (target.isReleased) {
      // Told once; after that it is simply not connected.
      this.#peer = null;
      return -ECONNREFUSED;
    }
    const read = ancillary.read(t, message.control);
    if (read < 0) return read;
    const named = this.ensureName();
    if (named < 0) return named;
    return this.#sendTo(t, io, target, message.flags);
  }

  #sendTo(t: Task, io: Io, target: UnixDatagramSocket, flags: number): number {
    const length = io.remaining;
    if (length > this.sendBufferBytes - 32) return -EMSGSIZE;
    if (!target.#accepts(this)) return -EPERM;
    if (this.shutWrite || target.shutRead) {
      if ((flags & MSG_NOSIGNAL) === 0 && this.shutWrite) t.raise(SIGPIPE);
      return -EPIPE;
    }
    const cost = length + RECORD_OVERHEAD_BYTES;
    if (this.chargedBytes > 0 && this.chargedBytes + cost > this.sendBufferBytes) return -EAGAIN;
    if (target.isFullFor(this)) {
      target.#waitingSenders.add(this);
      return -EAGAIN;
    }
    if (!this.#queue.isRoomy) return -ENOBUFS;
    const rights = ancillary.launch(t, this.table);
    if (typeof rights === "number") return rights;
    const wantsUcred = this.passCredentials || target.passCredentials;
    const ucred = ancillary.ucred ?? (wantsUcred ? ownUcred(t) : null);
    const record = recordOf(io, length, rights, ucred, this.name, this);
    if (typeof record === "number") {
      rights?.drop();
      return record;
    }
    target.#queue.put(record);
    target.waiters.notify(READABLE);
    return length;
  }

  /** The queue's length is no matter between two that are connected to each other. */
  isFullFor(sender: UnixDatagramSocket): boolean {
    return this.#peer !== sender && this.#queue.length > QUEUE_LENGTH_MAX;
  }

  onRoom(): void {
    if (this.chargedBytes * 4 <= this.sendBufferBytes) this.waiters.notify(WRITABLE);
  }

  override receive(t: Task, io: Io, message: ReceiveMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if ((message.flags & MSG_ERRQUEUE) !== 0) return -EAGAIN;
    const record = this.#queue.first;
    if (record === null) return this.shutRead ? 0 : -EAGAIN;
    const peek = (message.flags & MSG_PEEK) !== 0;
    const n = receiveRecord(t, io, message, record, this.passCredentials, peek);
    if (n < 0) return n;
    if (record.from !== null) formatName(message.address, record.from);
    if (!peek) {
      this.#queue.shift();
      this.#wakeSenders();
    }
    return (message.flags & MSG_TRUNC) !== 0 ? record.bytes.length : n;
  }

  #wakeSenders(): void {
    if (this.#waitingSenders.size === 0 || this.#queue.length > QUEUE_LENGTH_MAX) return;
    const senders = [...this.#waitingSenders];
    this.#waitingSenders.clear();
    for (const s of senders) s.waiters.notify(WRITABLE);
  }

  override shutdown(_t: Task, how: number): number {
    this.shutRead ||= how !== 1;
    this.shutWrite ||= how !== 0;
    this.waiters.notify(POLL_ALL);
    this.#wakeSenders();
    return 0;
  }

  override poll(): number {
    let mask = 0;
    if (this.shutRead) mask |= POLLRDHUP | READABLE;
    if (this.shutRead && this.shutWrite) mask |= POLLHUP;
    if (this.#queue.length > 0) mask |= READABLE;
    const peer = this.#peer;
    if (peer?.isFullFor(this)) peer.#waitingSenders.add(this);
    else if (this.chargedBytes * 4 <= this.sendBufferBytes) mask |= WRITABLE;
    return mask;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) return t.mm.writeU32(arg, this.#queue.first?.bytes.length ?? 0);
    if (request === SIOCOUTQ) return t.mm.writeU32(arg, this.chargedBytes);
    return interfaceIoctl(t, this, request, arg);
  }

  override queuedRights(): Iterable<Rights> {
    return this.#queue.rights();
  }
  override purge(): void {
    this.#queue.clear();
  }

  override release(): void {
    super.release();
    this.#peer = null;
    this.#wakeAll();
    this.purge();
  }
  #wakeAll(): void {
    for (const s of this.#waitingSenders) s.waiters.notify(WRITABLE);
    this.#waitingSenders.clear();
  }
}
