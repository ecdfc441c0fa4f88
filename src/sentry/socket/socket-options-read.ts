// SOL_SOCKET's getsockopt: what sockets of every family answer. Setting: socket-options.ts.

import { EINVAL } from "../../abi/errno.ts";
import { BPF_EXTENSIONS } from "../../abi/packet.ts";
import {
  SO_ACCEPTCONN,
  SO_BPF_EXTENSIONS,
  SO_BROADCAST,
  SO_BSDCOMPAT,
  SO_BUF_LOCK,
  SO_BUSY_POLL,
  SO_COOKIE,
  SO_DEBUG,
  SO_DOMAIN,
  SO_DONTROUTE,
  SO_ERROR,
  SO_INCOMING_CPU,
  SO_INCOMING_NAPI_ID,
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
  SO_RCVLOWAT,
  SO_RCVTIMEO,
  SO_RCVTIMEO_NEW,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_RXQ_OVFL,
  SO_SNDBUF,
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
  SOL_SOCKET,
} from "../../abi/socket.ts";
import { setU32Le, setU64Le } from "../../base/bytes.ts";
import { SECOND, US } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import type { Socket } from "./socket.ts";

/** SK_MEMINFO_VARS words of SO_MEMINFO and INET_DIAG_SKMEMINFO. */
export const MEMINFO_BYTES = 9 * 4;

/**
 * sk_get_meminfo: rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog, drops. Packets
 * leave with the call that sends them and nothing is reserved ahead, so those words are 0.
 */
export function putMemInfo(out: Uint8Array, s: Socket): void {
  out.fill(0, 0, MEMINFO_BYTES);
  setU32Le(out, 0, s.receiveMemoryBytes);
  setU32Le(out, 4, s.receiveBufferBytes);
  setU32Le(out, 12, s.sendBufferBytes);
  setU32Le(out, 20, s.sendMemoryBytes);
  setU32Le(out, 32, s.receiveDrops);
}

/** Length of the value put into out, or -errno. maxLength: what the program has room for. */
export function getSocketOption(
  t: Task,
  s: Socket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  switch (name) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
      return putTimeout(out, s.receiveTimeoutNs);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
      return putTimeout(out, s.sendTimeoutNs);
    case SO_LINGER:
      setU32Le(out, 0, s.lingerSeconds >= 0 ? 1 : 0);
      setU32Le(out, 4, Math.max(0, s.lingerSeconds));
      return 8;
    case SO_COOKIE:
      if (maxLength < 8) return -EINVAL;
      setU64Le(out, 0, s.ino);
      return 8;
    case SO_MEMINFO:
      putMemInfo(out, s);
      return MEMINFO_BYTES;
    case SO_MAX_PACING_RATE: {
      const rate = s.maxPacingRate;
      if (maxLength >= 8) {
        setU32Le(out, 0, rate === Number.POSITIVE_INFINITY ? -1 : rate >>> 0);
        setU32Le(out, 4, rate === Number.POSITIVE_INFINITY ? -1 : Math.floor(rate / 2 ** 32));
        return 8;
      }
      setU32Le(out, 0, Math.min(rate, 0xffff_ffff));
      return 4;
    }
  }
  const value = getInteger(s, name);
  if (value === undefined) return s.getProtocolOption(t, SOL_SOCKET, name, out, maxLength);
  setU32Le(out, 0, value);
  return 4;
}

function getInteger(s: Socket, name: number): number | undefined {
  switch (name) {
    case SO_TYPE:
      return s.type;
    case SO_DOMAIN:
      return s.family;
    case SO_PROTOCOL:
      return s.protocol;
    case SO_ERROR:
      return s.takeError();
    case SO_ACCEPTCONN:
      return Number(s.isListening);
    case SO_DEBUG:
      return Number(s.debug);
    case SO_REUSEADDR:
      return Number(s.reuseAddress);
    case SO_REUSEPORT:
      return Number(s.reusePort);
    case SO_BROADCAST:
      return Number(s.broadcast);
    case SO_KEEPALIVE:
      return Number(s.keepAlive);
    case SO_OOBINLINE:
      return Number(s.oobInline);
    case SO_DONTROUTE:
      return Number(s.dontRoute);
    case SO_NO_CHECK:
      return Number(s.noCheck);
    case SO_BSDCOMPAT:
      return 0;
    case SO_PASSCRED:
      return Number(s.passCredentials);
    case SO_RXQ_OVFL:
      return Number(s.receiveOverflow);
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
    case SO_TIMESTAMP_NEW:
    case SO_TIMESTAMPNS_NEW:
      return Number(s.timestamp === name);
    case SO_TIMESTAMPING:
    case SO_TIMESTAMPING_NEW:
      return s.timestamping;
    case SO_ZEROCOPY:
      return Number(s.zerocopy);
    case SO_LOCK_FILTER:
      return Number(s.isFilterLocked);
    case SO_BPF_EXTENSIONS:
      return BPF_EXTENSIONS;
    case SO_PRIORITY:
      return s.priority;
    case SO_MARK:
      return s.mark;
    case SO_RCVLOWAT:
      return s.receiveLowat;
    case SO_SNDLOWAT:
      return 1;
    case SO_INCOMING_CPU:
      return s.incomingCpu;
    case SO_INCOMING_NAPI_ID:
    case SO_BUSY_POLL:
    case SO_BUF_LOCK:
      return 0;
    case SO_SNDBUF:
      return s.sendBufferBytes;
    case SO_RCVBUF:
      return s.receiveBufferBytes;
    default:
      return undefined;
  }
}

function putTimeout(out: Uint8Array, ns: number): number {
  const finite = ns === Number.POSITIVE_INFINITY ? 0 : ns;
  setU64Le(out, 0, Math.floor(finite / SECOND));
  setU64Le(out, 8, Math.floor((finite % SECOND) / US));
  return 16;
}
