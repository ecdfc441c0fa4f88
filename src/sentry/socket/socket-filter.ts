// SO_ATTACH_FILTER: a struct sock_fprog of the program's, read once, as a checked filter of the stack.

import { EFAULT, EINVAL, ENOENT, ENOPROTOOPT, EPERM } from "../../abi/errno.ts";
import { SOCK_FILTER_BYTES, SOCK_FPROG_BYTES } from "../../abi/packet.ts";
import { SO_DETACH_FILTER, SO_LOCK_FILTER } from "../../abi/socket.ts";
import { u16Le, u32Le, u64Le } from "../../base/bytes.ts";
import { FILTER_INSTRUCTIONS_MAX, SocketFilter } from "../../netstack/index.ts";
import type { Task } from "../kernel/task.ts";
import type { Socket } from "./socket.ts";

/** SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER. 0 or -errno. */
export function setFilterOption(
  t: Task,
  s: Socket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  const target = s.filterTarget;
  if (target === null) return -ENOPROTOOPT;
  if (name === SO_LOCK_FILTER) {
    if (length < 4) return -EINVAL;
    const on = u32Le(value, 0) !== 0;
    if (s.isFilterLocked && !on) return -EPERM;
    s.isFilterLocked = on;
    return 0;
  }
  if (s.isFilterLocked) return -EPERM;
  if (name === SO_DETACH_FILTER) {
    if (target.filter === null) return -ENOENT;
    target.filter = null;
    return 0;
  }
  const filter = readFilter(t, value, length);
  if (typeof filter === "number") return filter;
  target.filter = filter;
  return 0;
}

/** value: the option's. The filter, or -errno. */
function readFilter(t: Task, value: Uint8Array, length: number): SocketFilter | number {
  if (length !== SOCK_FPROG_BYTES) return -EINVAL;
  const count = u16Le(value, 0);
  if (count === 0 || count > FILTER_INSTRUCTIONS_MAX) return -EINVAL;
  const bytes = new Uint8Array(count * SOCK_FILTER_BYTES);
  if (t.mm.copyIn(u64Le(value, 8), bytes, 0, bytes.length) !== bytes.length) return -EFAULT;
  const code = new Int32Array(count * 4);
  for (let i = 0; i < count; i++) {
    code[4 * i] = u16Le(bytes, 8 * i);
    code[4 * i + 1] = bytes[8 * i + 2];
    code[4 * i + 2] = bytes[8 * i + 3];
    code[4 * i + 3] = u32Le(bytes, 8 * i + 4);
  }
  const filter = SocketFilter.make(code);
  return typeof filter === "number" ? -EINVAL : filter;
}
