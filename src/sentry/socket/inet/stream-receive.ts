// What a TCP socket's receiving calls take from the endpoint's ring into the program's memory: bytes, a look ahead
// (MSG_PEEK), nothing but their number (MSG_TRUNC), or the urgent byte (MSG_OOB). The calls: stream-socket.ts.

import { EAGAIN, EFAULT, ENOTCONN } from "../../../abi/errno.ts";
import { MSG_OOB, MSG_PEEK, MSG_TRUNC } from "../../../abi/socket.ts";
import { TCP_LISTEN } from "../../../abi/tcp.ts";
import type { Io } from "../../vfs/io.ts";
import { resultOf } from "../errno-of.ts";
import type { ReceiveMessage } from "../message.ts";
import type { StreamSocket } from "./stream-socket.ts";

const oneByte = new Uint8Array(1);
/** MSG_PEEK over several pieces of memory goes through here. */
let peekBytes = new Uint8Array(0);

export function readBytes(s: StreamSocket, io: Io): number {
  const e = s.endpoint;
  let done = 0;
  while (io.remaining > 0) {
    const readable = e.readableBytes;
    if (readable === 0) return done > 0 ? done : readNothing(s);
    const n = io.span(Math.min(io.remaining, readable), true);
    if (n <= 0) return done > 0 ? done : -EFAULT;
    const r = e.read(io.spanBytes, io.spanOffset, n, false);
    io.advance(Math.max(0, r));
    if (r <= 0) return done > 0 ? done : resultOf(r);
    done += r;
    if (r < n) break;
  }
  return done;
}

/** With nothing to read: end of stream, an error, or "would block". */
function readNothing(s: StreamSocket, peek = false): number {
  if (s.endpoint.state === TCP_LISTEN) return -ENOTCONN;
  if (s.fastOpen.isDeferred) return -EAGAIN;
  const from = peek ? Math.max(0, s.peekOffset) : 0;
  return resultOf(s.endpoint.read(oneByte, 0, 1, peek, from));
}

export function peekAhead(s: StreamSocket, io: Io): number {
  const e = s.endpoint;
  const from = Math.max(0, s.peekOffset);
  const n = Math.min(io.remaining, e.readableBytes - from);
  if (n <= 0) return io.remaining === 0 ? 0 : readNothing(s, true);
  const span = io.span(n, true);
  if (span === n) {
    const r = e.read(io.spanBytes, io.spanOffset, n, true, from);
    io.advance(Math.max(0, r));
    return resultOf(r);
  }
  if (peekBytes.length < n) peekBytes = new Uint8Array(n);
  const r = e.read(peekBytes, 0, n, true, from);
  return r <= 0 ? resultOf(r) : io.copyOut(peekBytes, 0, r);
}

/** MSG_TRUNC: the bytes are dropped, not stored. */
export function discardBytes(s: StreamSocket, io: Io, peek: boolean): number {
  const from = peek ? Math.max(0, s.peekOffset) : 0;
  const n = Math.min(io.remaining, s.endpoint.readableBytes - from);
  if (n <= 0) return io.remaining === 0 ? 0 : readNothing(s, peek);
  return peek ? n : resultOf(s.endpoint.discard(n));
}

export function readUrgent(s: StreamSocket, io: Io, message: ReceiveMessage): number {
  const byte = s.endpoint.readUrgent((message.flags & MSG_PEEK) !== 0);
  if (byte < 0) return resultOf(byte);
  oneByte[0] = byte;
  message.resultFlags |= MSG_OOB;
  if (io.remaining === 0) {
    message.resultFlags |= MSG_TRUNC;
    return 0;
  }
  return io.copyOut(oneByte, 0, 1);
}
