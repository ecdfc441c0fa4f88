// What unix sockets of all types share (unix(7)): names, credentials, and the references that messages in
// flight hold on them.

import {
  EADDRINUSE,
  ECONNREFUSED,
  EEXIST,
  EINVAL,
  ENODATA,
  ENOPROTOOPT,
  ENOSPC,
  ERANGE,
} from "../../../abi/errno.ts";
import { AT_FDCWD } from "../../../abi/fcntl.ts";
import {
  AF_UNIX,
  SO_PEEK_OFF,
  SO_PEERCRED,
  SO_PEERGROUPS,
  SOCKADDR_UN_BYTES,
  SOL_SOCKET,
} from "../../../abi/socket.ts";
import {
  type ByteString,
  byteString,
  i32Le,
  putByteString,
  setU16Le,
  setU32Le,
} from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { S_IFMT, S_IFSOCK } from "../../vfs/inode.ts";
import { mknodAt } from "../../vfs/name-operations.ts";
import type { Path } from "../../vfs/path.ts";
import { checkAccess, MAY_WRITE } from "../../vfs/permissions.ts";
import { resolve } from "../../vfs/resolve.ts";
import { Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import type { SocketTable } from "../socket-table.ts";
import { collectCycles } from "./collector.ts";
import { NO_UCRED, putUcred, type Rights, UCRED_BYTES, type Ucred } from "./rights.ts";

/** net.core.wmem_default and rmem_default. */
export const UNIX_BUFFER_BYTES = 212_992;
const AUTOBIND_NAMES = 0x10_0000;

export abstract class UnixSocket extends Socket {
  /** sun_path as it shows: path without NUL, or NUL and the abstract name; null: unnamed. */
  name: ByteString | null = null;
  /** Messages that carry it now. */
  inFlight = 0;
  /** Who made or listened with the other end, for SO_PEERCRED. */
  peerUcred: Ucred = NO_UCRED;
  peerGroups: readonly number[] | null = null;
  peekOffset = -1;
  sendBufferBytes = UNIX_BUFFER_BYTES;
  receiveBufferBytes = UNIX_BUFFER_BYTES;
  /** Where the file system shows it; the name is kept in the dentry cache while it is bound. */
  #place: Path | null = null;
  shutRead = false;
  shutWrite = false;
  protected isReleased = false;

  constructor(table: SocketTable, type: number, flags: number) {
    super(table, AF_UNIX, type, 0, flags);
  }

  /** Files in flight in messages that wait here. */
  abstract queuedRights(): Iterable<Rights>;
  /** What waits to be read: bytes, or of a listener connections; and how many of these may (sock_diag). */
  abstract readonly queuedForReading: number;
  get backlogMax(): number {
    return 0;
  }
  /** Throws away what waits here: it can never be read. */
  abstract purge(): void;

  override decRef(): void {
    super.decRef();
    // Only messages hold it now: it may be part of a ring of sockets that nobody can reach.
    if (this.refs > 0 && this.refs === this.inFlight) collectCycles(this.table);
  }

  override bind(t: Task, address: SocketAddress): number {
    if (address.family !== AF_UNIX) return -EINVAL;
    if (address.length === 2) return this.name === null ? this.#autobind() : 0;
    const name = parseName(address);
    if (name === null) return -EINVAL;
    if (this.name !== null) return -EINVAL;
    if (name.charCodeAt(0) === 0) {
      if (this.table.abstractNames.has(name)) return -EADDRINUSE;
      this.table.abstractNames.set(name, this);
      this.name = name;
      return 0;
    }
    const place = mknodAt(t, AT_FDCWD, name, S_IFSOCK | 0o777, 0);
    if (typeof place === "number") return place === -EEXIST ? -EADDRINUSE : place;
    this.#occupy(place);
    this.name = name;
    return 0;
  }

  #occupy(place: Path): void {
    const inode = place.dentry.inode;
    if (inode === null) return;
    inode.boundSocket = this;
    inode.retain();
    place.dentry.pins++;
    this.#place = place;
  }

  /** A free abstract name of five hex digits. */
  #autobind(): number {
    const start = this.ino % AUTOBIND_NAMES;
    for (let i = 0; i < AUTOBIND_NAMES; i++) {
      const name = `\0${((start + i) % AUTOBIND_NAMES).toString(16).padStart(5, "0")}`;
      if (this.table.abstractNames.has(name)) continue;
      this.table.abstractNames.set(name, this);
      this.name = name;
      return 0;
    }
    return -ENOSPC;
  }
  /** SO_PASSCRED names a socket that sends without one. */
  protected ensureName(): number {
    return this.passCredentials && this.name === null ? this.#autobind() : 0;
  }

  /** The socket bound to an address, or -errno. */
  protected find(t: Task, address: SocketAddress): UnixSocket | number {
    if (address.length < 2 || address.family !== AF_UNIX) return -EINVAL;
    const name = parseName(address);
    if (name === null) return -EINVAL;
    if (name.charCodeAt(0) === 0) {
      const bound = this.table.abstractNames.get(name);
      return bound instanceof UnixSocket ? bound : -ECONNREFUSED;
    }
    const place = resolve(t, AT_FDCWD, name, true);
    if (typeof place === "number") return place;
    const inode = place.dentry.inode;
    if (inode === null) return -ECONNREFUSED;
    const allowed = checkAccess(t.creds, inode, MAY_WRITE);
    if (allowed < 0) return allowed;
    if ((inode.mode & S_IFMT) !== S_IFSOCK) return -ECONNREFUSED;
    return inode.boundSocket instanceof UnixSocket ? inode.boundSocket : -ECONNREFUSED;
  }

  override localName(out: SocketAddress): number {
    formatName(out, this.name);
    return 0;
  }

  override setProtocolOption(
    _t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level !== SOL_SOCKET || name !== SO_PEEK_OFF) return -ENOPROTOOPT;
    if (length < 4) return -EINVAL;
    this.peekOffset = Math.max(-1, i32Le(value, 0));
    return 0;
  }

  override getProtocolOption(
    _t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level !== SOL_SOCKET) return -ENOPROTOOPT;
    switch (name) {
      case SO_PEERCRED:
        putUcred(out, 0, this.peerUcred);
        return UCRED_BYTES;
      case SO_PEERGROUPS: {
        const groups = this.peerGroups;
        if (groups === null) return -ENODATA;
        if (maxLength < 4 * groups.length || 4 * groups.length > out.length) return -ERANGE;
        groups.forEach((gid, i) => {
          setU32Le(out, 4 * i, gid);
        });
        return 4 * groups.length;
      }
      case SO_PEEK_OFF:
        setU32Le(out, 0, this.peekOffset);
        return 4;
      default:
        return -ENOPROTOOPT;
    }
  }

  /** SO_PEERCRED shows the effective ids of when the connection was made. */
  protected learnPeer(t: Task): void {
    this.peerUcred = { pid: t.threadGroup.tgid, uid: t.creds.euid, gid: t.creds.egid };
    this.peerGroups = t.creds.groups;
  }

  override release(): void {
    this.isReleased = true;
    if (this.name !== null && this.table.abstractNames.get(this.name) === this) {
      this.table.abstractNames.delete(this.name);
    }
    const place = this.#place;
    if (place !== null) {
      const inode = place.dentry.inode;
      if (inode?.boundSocket === this) inode.boundSocket = null;
      place.dentry.pins--;
      inode?.letGo();
      this.#place = null;
    }
    super.release();
  }
}

/** Null: no such address can be. A path ends at its first NUL, an abstract name does not. */
function parseName(address: SocketAddress): ByteString | null {
  if (address.length <= 2 || address.length > SOCKADDR_UN_BYTES) return null;
  const b = address.bytes;
  let end = address.length;
  if (b[2] !== 0) {
    end = 2;
    while (end < address.length && b[end] !== 0) end++;
  }
  return byteString(b, 2, end - 2);
}

export function formatName(out: SocketAddress, name: ByteString | null): void {
  setU16Le(out.bytes, 0, AF_UNIX);
  out.length = 2;
  if (name === null) return;
  putByteString(out.bytes, 2, name);
  out.length = 2 + name.length;
  // The NUL of a path counts.
  if (name.charCodeAt(0) !== 0) out.bytes[out.length++] = 0;
}
