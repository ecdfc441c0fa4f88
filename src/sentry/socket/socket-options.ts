// setsockopt at level SOL_SOCKET (socket(7)): what every family understands. An option that netcell does not have is
// ENOPROTOOPT, never a silent success. Reading them: socket-options-read.ts.

import { CAP_NET_ADMIN, CAP_NET_RAW } from "../../abi/capability.ts";
import { EACCES, EDOM, EINVAL, ENOPROTOOPT, EOPNOTSUPP, EPERM } from "../../abi/errno.ts";
import { SOF_TIMESTAMPING_MASK, SOF_TIMESTAMPING_OPT_STATS } from "../../abi/errqueue.ts";
import {
  AF_INET,
  AF_INET6,
  SO_ACCEPTCONN,
  SO_ATTACH_FILTER,
  SO_BROADCAST,
  SO_BSDCOMPAT,
  SO_DEBUG,
  SO_DETACH_FILTER,
  SO_DOMAIN,
  SO_DONTROUTE,
  SO_ERROR,
  SO_INCOMING_CPU,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_LOCK_FILTER,
  SO_MARK,
  SO_MAX_PACING_RATE,
  SO_MEMINFO,
  SO_NO_CHECK,
  SO_OOBINLINE,
  SO_PASSCRED,
  SO_PRIORITY,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVLOWAT,
  SO_RCVTIMEO,
  SO_RCVTIMEO_NEW,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_RXQ_OVFL,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_SNDLOWAT,
  SO_SNDTIMEO,
  SO_SNDTIMEO_NEW,
  SO_TIMESTAMP,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SO_TIMESTAMPNS,
  SO_TIMESTAMPNS_NEW,
  SO_TYPE,
  SO_ZEROCOPY,
  SOCK_RAW,
  SOL_SOCKET,
} from "../../abi/socket.ts";
import { i32Le, i64Le, u32Le, u64Le } from "../../base/bytes.ts";
import { SECOND, US } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import type { Socket } from "./socket.ts";
import { setFilterOption } from "./socket-filter.ts";

/** SOCK_MIN_SNDBUF and SOCK_MIN_RCVBUF. */
const SEND_BUFFER_MIN = 4608;
const RECEIVE_BUFFER_MIN = 2304;

/** 0 or -errno. value holds `length` bytes of the program's. */
export function setSocketOption(
  t: Task,
  s: Socket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  switch (name) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
      return setSocketTimeout(s, name === SO_RCVTIMEO || name === SO_RCVTIMEO_NEW, value, length);
    case SO_LINGER:
      return setLinger(t, s, value, length);
    case SO_ATTACH_FILTER:
    case SO_DETACH_FILTER:
    case SO_LOCK_FILTER:
      return setFilterOption(t, s, name, value, length);
    case SO_MAX_PACING_RATE:
      if (length !== 4 && length !== 8) return -EINVAL;
      s.maxPacingRate = length === 8 ? u64Le(value, 0) : u32Le(value, 0);
      return s.optionChanged(t, name);
  }
  if (isUnknownHere(name)) return s.setProtocolOption(t, SOL_SOCKET, name, value, length);
  if (length < 4) return -EINVAL;
  return setInteger(t, s, name, i32Le(value, 0));
}

function setInteger(t: Task, s: Socket, name: number, value: number): number {
  const on = value !== 0;
  switch (name) {
    case SO_DEBUG:
      if (on && !t.creds.hasCapability(CAP_NET_ADMIN)) return -EACCES;
      s.debug = on;
      return 0;
    case SO_REUSEADDR:
      s.reuseAddress = on;
      break;
    case SO_REUSEPORT:
      if (on && s.family !== AF_INET && s.family !== AF_INET6) return -EOPNOTSUPP;
      s.reusePort = on;
      break;
    case SO_BROADCAST:
      s.broadcast = on;
      break;
    case SO_KEEPALIVE:
      s.keepAlive = on;
      break;
    case SO_OOBINLINE:
      s.oobInline = on;
      break;
    case SO_DONTROUTE:
      s.dontRoute = on;
      break;
    case SO_NO_CHECK:
      s.noCheck = on;
      break;
    case SO_BSDCOMPAT:
      return 0;
    case SO_PASSCRED:
      s.passCredentials = on;
      break;
    case SO_RXQ_OVFL:
      s.receiveOverflow = on;
      break;
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
    case SO_TIMESTAMP_NEW:
    case SO_TIMESTAMPNS_NEW:
      s.timestamp = on ? name : 0;
      return 0;
    case SO_TIMESTAMPING:
    case SO_TIMESTAMPING_NEW:
      return setTimestamping(t, s, name, value);
    case SO_ZEROCOPY:
      // TCP and UDP only (sock_setsockopt).
      if (!isInet(s) || s.type === SOCK_RAW) return -EOPNOTSUPP;
      if (value !== 0 && value !== 1) return -EINVAL;
      s.zerocopy = on;
      return 0;
    case SO_PRIORITY:
      if ((value < 0 || value > 6) && !mayMark(t)) return -EPERM;
      s.priority = value;
      break;
    case SO_MARK:
      if (!mayMark(t)) return -EPERM;
      s.mark = value;
      break;
    case SO_RCVLOWAT:
      s.receiveLowat = value < 0 ? 0x7fff_ffff : Math.max(1, value);
      break;
    case SO_INCOMING_CPU:
      s.incomingCpu = value;
      return 0;
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      if (name === SO_SNDBUFFORCE && !mayMark(t)) return -EPERM;
      s.sendBufferBytes = bufferBytes(t, value, SEND_BUFFER_MIN);
      return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      if (name === SO_RCVBUFFORCE && !mayMark(t)) return -EPERM;
      s.receiveBufferBytes = bufferBytes(t, value, RECEIVE_BUFFER_MIN);
      return 0;
    default:
      return -ENOPROTOOPT;
  }
  return s.optionChanged(t, name);
}

function setTimestamping(t: Task, s: Socket, name: number, flags: number): number {
  if ((flags & ~SOF_TIMESTAMPING_MASK) !== 0) return -EINVAL;
  if ((flags & SOF_TIMESTAMPING_OPT_STATS) !== 0) return -EINVAL;
  const before = s.timestamping;
  s.timestamping = flags;
  s.timestampingOption = name;
  const result = s.optionChanged(t, SO_TIMESTAMPING);
  if (result < 0) s.timestamping = before;
  return result;
}

const isInet = (s: Socket): boolean => s.family === AF_INET || s.family === AF_INET6;

const SETTABLE = new Set([
  SO_DEBUG,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_BROADCAST,
  SO_KEEPALIVE,
  SO_OOBINLINE,
  SO_DONTROUTE,
  SO_NO_CHECK,
  SO_BSDCOMPAT,
  SO_PASSCRED,
  SO_RXQ_OVFL,
  SO_TIMESTAMP,
  SO_TIMESTAMPNS,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMPNS_NEW,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SO_ZEROCOPY,
  SO_PRIORITY,
  SO_MARK,
  SO_RCVLOWAT,
  SO_INCOMING_CPU,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  // Read-only or fixed: setInteger refuses them with ENOPROTOOPT, as Linux does.
  SO_TYPE,
  SO_PROTOCOL,
  SO_DOMAIN,
  SO_ERROR,
  SO_ACCEPTCONN,
  SO_SNDLOWAT,
  SO_MEMINFO,
]);
const isUnknownHere = (name: number): boolean => !SETTABLE.has(name);

/** SO_MARK, and what else changes how packets are treated: either right will do. */
export const mayMark = (t: Task): boolean =>
  t.creds.hasCapability(CAP_NET_ADMIN) || t.creds.hasCapability(CAP_NET_RAW);

/** Linux doubles what is asked for, to pay for its own bookkeeping, and shows the double. */
function bufferBytes(t: Task, value: number, min: number): number {
  const max = t.kernel.limits.socketBufferBytesMax;
  const wanted = value < 0 ? max : Math.min(value, max);
  return Math.min(Math.max(2 * wanted, min), 2 * max);
}

function setSocketTimeout(s: Socket, receive: boolean, value: Uint8Array, length: number): number {
  if (length < 16) return -EINVAL;
  const seconds = i64Le(value, 0);
  const micros = i64Le(value, 8);
  if (micros < 0 || micros >= 1_000_000) return -EDOM;
  let ns = seconds * SECOND + micros * US;
  if (seconds < 0) ns = 0;
  else if (ns === 0) ns = Number.POSITIVE_INFINITY;
  if (receive) s.receiveTimeoutNs = ns;
  else s.sendTimeoutNs = ns;
  return 0;
}

function setLinger(t: Task, s: Socket, value: Uint8Array, length: number): number {
  if (length < 8) return -EINVAL;
  s.lingerSeconds = i32Le(value, 0) === 0 ? -1 : u32Le(value, 4);
  return s.optionChanged(t, SO_LINGER);
}
