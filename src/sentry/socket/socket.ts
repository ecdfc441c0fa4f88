// What every kind of socket has: the operations behind the socket calls, the SOL_SOCKET state that no
// protocol cares for, and its life as a file. Nothing blocks here: -EAGAIN means "would block", and
// the calls (syscalls/socket*.ts) park the task on `waiters`.

import { ENOPROTOOPT, ENOTTY, EOPNOTSUPP } from "../../abi/errno.ts";
import type { SocketFilter } from "../../netstack/index.ts";
import type { Task } from "../kernel/task.ts";
import { FileDescription, O_NONBLOCK, O_RDWR } from "../vfs/file-description.ts";
import { S_IFSOCK } from "../vfs/inode.ts";
import type { Io } from "../vfs/io.ts";
import type { Stat } from "../vfs/stat.ts";
import { ReceiveMessage, SendMessage } from "./message.ts";
import type { SocketAddress } from "./socket-address.ts";
import type { SocketTable } from "./socket-table.ts";

/** st_dev of sockets: Linux's sockfs is an unnamed device too. */
export const SOCKFS_DEV = 8;

/** Where a socket's filter stands: in the stack, which runs it. */
export interface FilterTarget {
  filter: SocketFilter | null;
}

export abstract class Socket extends FileDescription {
  readonly table: SocketTable;
  /** Another one after IPV6_ADDRFORM. */
  family: number;
  readonly type: number;
  readonly protocol: number;
  readonly ino: number;

  /** The user who made it. */
  ownerUid = 0;
  // Options kept for every family; see socket-options.ts.
  receiveTimeoutNs = Number.POSITIVE_INFINITY;
  sendTimeoutNs = Number.POSITIVE_INFINITY;
  receiveLowat = 1;
  lingerSeconds = -1;
  priority = 0;
  mark = 0;
  /** Which of SO_TIMESTAMP, SO_TIMESTAMPNS and their _NEW forms is on, or 0. */
  timestamp = 0;
  /** SO_TIMESTAMPING: SOF_*, and by which of its two numbers it was asked for. */
  timestamping = 0;
  timestampingOption = 0;
  zerocopy = false;
  /** SO_LOCK_FILTER: the filter stays as it is. */
  isFilterLocked = false;
  passCredentials = false;
  maxPacingRate = Number.POSITIVE_INFINITY;
  incomingCpu = -1;
  reuseAddress = false;
  reusePort = false;
  broadcast = false;
  keepAlive = false;
  oobInline = false;
  debug = false;
  dontRoute = false;
  noCheck = false;
  receiveOverflow = false;

  constructor(table: SocketTable, family: number, type: number, protocol: number, flags: number) {
    super(O_RDWR | (flags & O_NONBLOCK));
    this.table = table;
    this.family = family;
    this.type = type;
    this.protocol = protocol;
    this.ino = table.add(this);
  }

  override get blocksUntilWritten(): boolean {
    return !this.keepsBoundaries;
  }
  override get readTimeoutNs(): number {
    return this.receiveTimeoutNs;
  }
  override get writeTimeoutNs(): number {
    return this.sendTimeoutNs;
  }

  abstract bind(t: Task, address: SocketAddress): number;
  /** 0, or -EINPROGRESS when begun, -EALREADY while it goes on; call again for the outcome. */
  abstract connect(t: Task, address: SocketAddress): number;
  listen(_t: Task, _backlog: number): number {
    return -EOPNOTSUPP;
  }
  /** flags: O_NONBLOCK of the new socket. */
  accept(_t: Task, _flags: number): Socket | number {
    return -EOPNOTSUPP;
  }
  abstract localName(out: SocketAddress): number;
  abstract peerName(out: SocketAddress): number;
  /** Bytes taken or -errno; a stream may take a part. */
  abstract send(t: Task, io: Io, message: SendMessage): number;
  abstract receive(t: Task, io: Io, message: ReceiveMessage): number;
  abstract shutdown(t: Task, how: number): number;

  /** Whether a message boundary is kept: partial sends and MSG_WAITALL do not apply. */
  get keepsBoundaries(): boolean {
    return this.type !== 1;
  }
  /** Null: filters cannot be had here. */
  get filterTarget(): FilterTarget | null {
    return null;
  }
  get isListening(): boolean {
    return false;
  }
  /** SO_ERROR: a pending errno (positive), cleared. */
  takeError(): number {
    return 0;
  }
  /** Levels other than SOL_SOCKET, and what of SOL_SOCKET a family does itself. */
  setProtocolOption(
    _t: Task,
    _level: number,
    _name: number,
    _value: Uint8Array,
    _length: number,
  ): number {
    return -ENOPROTOOPT;
  }
  /** Fills out; the length of the value, or -errno. maxLength: what the program has room for. */
  getProtocolOption(
    _t: Task,
    _level: number,
    _name: number,
    _out: Uint8Array,
    _maxLength: number,
  ): number {
    return -ENOPROTOOPT;
  }
  /** SO_SNDBUF and SO_RCVBUF as getsockopt shows them; locked: the program chose it. */
  abstract sendBufferBytes: number;
  abstract receiveBufferBytes: number;
  /** Bytes held for the reader and for the wire, and what found no room (SO_MEMINFO); 0 where nobody counts. */
  get receiveMemoryBytes(): number {
    return 0;
  }
  get sendMemoryBytes(): number {
    return 0;
  }
  get receiveDrops(): number {
    return 0;
  }
  /** The named SOL_SOCKET option has a new value: for protocols that act on it. 0 or -errno. */
  optionChanged(_t: Task, _name: number): number {
    return 0;
  }

  override read(t: Task, io: Io): number {
    return this.receive(t, io, plainReceive.reset(0, 0));
  }
  override write(t: Task, io: Io): number {
    return this.send(t, io, plainSend.reset(0));
  }
  override ioctl(_t: Task, _request: number, _arg: number): number {
    return -ENOTTY;
  }
  override stat(out: Stat): number {
    out.dev = SOCKFS_DEV;
    out.ino = this.ino;
    out.mode = S_IFSOCK | 0o777;
    out.nlink = 1;
    out.size = 0;
    out.blocks = 0;
    return 0;
  }
  override describe(): string {
    return `socket:[${this.ino}]`;
  }
  override lockable(): boolean {
    return false;
  }
  override release(): void {
    this.table.remove(this);
  }
}

const plainReceive = new ReceiveMessage();
const plainSend = new SendMessage();
