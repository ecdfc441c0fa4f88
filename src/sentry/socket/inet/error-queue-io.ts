// MSG_ERRQUEUE on an inet socket (ip(7), ip_recv_error): an entry of the endpoint's error queue as a
// struct sock_extended_err with the address of who refused, and timestamps as SCM_TIMESTAMPING.

import { EAGAIN, ENOMSG } from "../../../abi/errno.ts";
import { EE_BYTES, EE_CODE, EE_DATA, EE_INFO, EE_ORIGIN, EE_TYPE } from "../../../abi/errqueue.ts";
import { IP_RECVERR, IPV6_RECVERR } from "../../../abi/in.ts";
import {
  AF_INET,
  AF_INET6,
  MSG_ERRQUEUE,
  MSG_TRUNC,
  SOCK_STREAM,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
  SOL_IP,
  SOL_IPV6,
} from "../../../abi/socket.ts";
import { setU32Le } from "../../../base/bytes.ts";
import { type ErrorEntry, ErrorOrigin } from "../../../netstack/index.ts";
import type { Io } from "../../vfs/io.ts";
import { errnoOf } from "../errno-of.ts";
import type { ReceiveMessage } from "../message.ts";
import { SocketAddress } from "../socket-address.ts";
import { formatInetAddress } from "./inet-address.ts";
import { putArrivalControl, putTimestamps } from "./inet-control.ts";
import type { InetSocket } from "./inet-socket.ts";

const errorBytes = new Uint8Array(EE_BYTES + SOCKADDR_IN6_BYTES);
const offender = new SocketAddress();

/** Bytes of the quoted packet stored, or -EAGAIN: reading the error queue never blocks. */
export function receiveError(s: InetSocket, io: Io, message: ReceiveMessage): number {
  const entry = s.endpoint.takeErrorEntry();
  if (entry === null) return -EAGAIN;
  const wanted = Math.min(entry.bytes.length, io.remaining);
  const n = wanted === 0 ? 0 : io.copyOut(entry.bytes, 0, wanted);
  if (n < 0) return n;
  if (wanted < entry.bytes.length) message.resultFlags |= MSG_TRUNC;
  message.resultFlags |= MSG_ERRQUEUE;
  if (entry.timeNs !== 0) putTimestamps(s, entry.timeNs, isTimestamp(entry), message.control);
  if (entry.addr !== null && s.type !== SOCK_STREAM) {
    formatInetAddress(message.address, s.family, entry.addr, entry.port, entry.nicId);
  }
  if (entry.offender !== null && entry.localAddr !== null) {
    const { localAddr, nicId, ttl, tos, extra } = entry;
    putArrivalControl(s, localAddr, nicId, ttl, tos, 0, extra, message.control);
  }
  putExtendedError(s, entry, message);
  return n;
}

const isTimestamp = (entry: ErrorEntry): boolean => entry.origin === ErrorOrigin.Timestamp;

function putExtendedError(s: InetSocket, entry: ErrorEntry, message: ReceiveMessage): void {
  const b = errorBytes;
  b.fill(0);
  setU32Le(b, 0, isTimestamp(entry) ? ENOMSG : errnoOf(entry.error));
  b[EE_ORIGIN] = entry.origin;
  b[EE_TYPE] = entry.type;
  b[EE_CODE] = entry.code;
  setU32Le(b, EE_INFO, entry.info);
  setU32Le(b, EE_DATA, entry.data);
  const isV4 = s.family === AF_INET;
  if (entry.offender !== null) {
    formatInetAddress(offender, s.family, entry.offender, 0, entry.nicId);
    b.set(offender.bytes.subarray(0, offender.length), EE_BYTES);
  }
  const length = EE_BYTES + (isV4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  if (s.family === AF_INET6) message.control.put(SOL_IPV6, IPV6_RECVERR, b, 0, length);
  else message.control.put(SOL_IP, IP_RECVERR, b, 0, length);
}
