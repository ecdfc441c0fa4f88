// What all sockets of one kernel share: the list that /proc/net shows, inode numbers, the abstract unix
// names, and the account of what waits inside sockets (bytes, files in flight), held against the limits.

import type { ByteString } from "../../base/bytes.ts";
import type { Limits } from "../../base/limits.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Socket } from "./socket.ts";

export class SocketTable {
  readonly limits: Limits;
  readonly sockets = new Set<Socket>();
  /** Abstract unix addresses (without the leading NUL), and who is bound there. */
  readonly abstractNames = new Map<ByteString, Socket>();
  /** Port ids of netlink sockets in use; by protocol, for each has its own. */
  readonly netlinkPorts = new Map<number, Set<number>>();
  /** Bytes that wait in unix and netlink sockets (the stack counts its own). */
  queuedBytes = 0;
  /** Files that wait in SCM_RIGHTS messages. */
  filesInFlight = 0;
  #nextInode = 4097;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  get isFull(): boolean {
    return this.sockets.size >= this.limits.sockets;
  }
  add(socket: Socket): number {
    this.sockets.add(socket);
    return this.#nextInode++;
  }
  remove(socket: Socket): void {
    this.sockets.delete(socket);
  }
  /** Whether `bytes` more may be queued. */
  hasRoom(bytes: number): boolean {
    return this.queuedBytes + bytes <= this.limits.socketMemoryBytes;
  }
}

const tables = new WeakMap<Kernel, SocketTable>();

/** The table of a kernel, made at its first socket. */
export function socketTableOf(kernel: Kernel): SocketTable {
  let table = tables.get(kernel);
  if (table === undefined) {
    table = new SocketTable(kernel.limits);
    tables.set(kernel, table);
  }
  return table;
}
