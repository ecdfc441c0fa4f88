// What the socket calls share: finding the socket behind a descriptor, and moving addresses.

import { EBADF, EFAULT, EINTR, EINVAL, ENOTSOCK, ERESTARTSYS } from "../../abi/errno.ts";
import { SOCKADDR_STORAGE_BYTES } from "../../abi/socket.ts";
import type { Task } from "../kernel/task.ts";
import { Socket } from "../socket/socket.ts";
import type { SocketAddress } from "../socket/socket-address.ts";
import { O_PATH } from "../vfs/file-description.ts";

export function socketOf(t: Task, fd: number): Socket | number {
  const file = t.fds.get(fd);
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  return file instanceof Socket ? file : -ENOTSOCK;
}

/** Reads a program's address (move_addr_to_kernel): 0 or -errno. */
export function readAddress(t: Task, addr: number, length: number, out: SocketAddress): number {
  if (length < 0 || length > SOCKADDR_STORAGE_BYTES) return -EINVAL;
  out.length = 0;
  if (length > 0 && t.mm.copyIn(addr, out.bytes, 0, length) !== length) return -EFAULT;
  // What a shorter address left there last time must not show through.
  out.bytes.fill(0, length);
  out.length = length;
  return 0;
}

/** Value-result (move_addr_to_user): cut to the room given, the true length stored. 0 or -errno. */
export function writeAddress(
  t: Task,
  address: SocketAddress,
  addr: number,
  lengthAddr: number,
): number {
  const room = t.mm.readI32(lengthAddr);
  if (t.mm.faulted) return -EFAULT;
  if (room < 0) return -EINVAL;
  const n = Math.min(room, address.length);
  if (n > 0 && t.mm.copyOut(addr, address.bytes, 0, n) !== n) return -EFAULT;
  return t.mm.writeU32(lengthAddr, address.length);
}

/** With a timeout set, an interrupted call is EINTR even under SA_RESTART (signal(7)). */
export const interruptErrno = (timeoutNs: number): number =>
  timeoutNs === Number.POSITIVE_INFINITY ? ERESTARTSYS : EINTR;
