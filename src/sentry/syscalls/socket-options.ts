// setsockopt(2) and getsockopt(2): moving the value; what it means is the socket's business.

import { EFAULT, EINVAL } from "../../abi/errno.ts";
import { IP_MSFILTER, IPV6_FLOWLABEL_MGR, MCAST_MSFILTER } from "../../abi/in.ts";
import { SOL_IP, SOL_IPV6, SOL_PACKET, SOL_SOCKET, SOL_TCP } from "../../abi/socket.ts";
import { SYS_getsockopt, SYS_setsockopt } from "../../abi/syscall-numbers.ts";
import { TCP_SAVED_SYN } from "../../abi/tcp.ts";
import { TCP_AO_GET_KEYS, TCP_AO_INFO } from "../../abi/tcp-ao.ts";
import { u32Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { getAoKeys } from "../socket/inet/ao-options-read.ts";
import { StreamSocket } from "../socket/inet/stream-socket.ts";
import { setSocketOption } from "../socket/socket-options.ts";
import { getSocketOption } from "../socket/socket-options-read.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { socketOf } from "./socket-access.ts";

/** Longer than every option there is; what a program sends beyond is not looked at. */
const VALUE_BYTES = 20_480;
const value = new Uint8Array(VALUE_BYTES);

function setsockopt(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const level = a.int(1);
  const name = a.int(2);
  const length = a.int(4);
  if (length < 0) return -EINVAL;
  const used = Math.min(length, VALUE_BYTES);
  if (used > 0 && t.mm.copyIn(a.addr(3), value, 0, used) !== used) return -EFAULT;
  if (level === SOL_SOCKET) return setSocketOption(t, s, name, value, used);
  const result = s.setProtocolOption(t, level, name, value, used);
  // The one option whose setting has an answer: the label that was chosen.
  const isAnswered = level === SOL_IPV6 && name === IPV6_FLOWLABEL_MGR && result === 0;
  if (isAnswered && t.mm.copyOut(a.addr(3), value, 0, used) !== used) return -EFAULT;
  return result;
}

function getsockopt(t: Task, a: SyscallArgs): number {
  const s = socketOf(t, a.int(0));
  if (typeof s === "number") return s;
  const level = a.int(1);
  const name = a.int(2);
  const lengthAddr = a.addr(4);
  const room = t.mm.readI32(lengthAddr);
  if (t.mm.faulted) return -EFAULT;
  if (room < 0) return -EINVAL;
  const asked = Math.min(room, askedBytes(level, name));
  if (asked > 0 && t.mm.copyIn(a.addr(3), value, 0, asked) !== asked) return -EFAULT;
  // The one that answers with more than the value's length says.
  if (level === SOL_TCP && name === TCP_AO_GET_KEYS && s instanceof StreamSocket) {
    return getAoKeys(t, s, value, asked, a.addr(3), lengthAddr);
  }
  const n =
    level === SOL_SOCKET
      ? getSocketOption(t, s, name, value, room)
      : s.getProtocolOption(t, level, name, value, room);
  if (n < 0) {
    // It alone tells how much room it needs.
    const isShort = n === -EINVAL && level === SOL_TCP && name === TCP_SAVED_SYN;
    return isShort && t.mm.writeU32(lengthAddr, u32Le(value, 0)) < 0 ? -EFAULT : n;
  }
  const used = Math.min(n, room);
  if (used > 0 && t.mm.copyOut(a.addr(3), value, 0, used) !== used) return -EFAULT;
  return t.mm.writeU32(lengthAddr, used);
}

/** What some are asked with: PACKET_HDRLEN with a version, TCP-AO with which keys, filters of groups with the group and the room. */
function askedBytes(level: number, name: number): number {
  if (level === SOL_PACKET) return 4;
  if (level === SOL_TCP && (name === TCP_AO_INFO || name === TCP_AO_GET_KEYS)) return VALUE_BYTES;
  if (level === SOL_IPV6 && name === IPV6_FLOWLABEL_MGR) return 32;
  const isIp = level === SOL_IP || level === SOL_IPV6;
  return isIp && (name === IP_MSFILTER || name === MCAST_MSFILTER) ? 144 : 0;
}

export const socketOptionsFamily: SyscallFamily = [
  [SYS_setsockopt, setsockopt],
  [SYS_getsockopt, getsockopt],
];
