// The calls that send, and connect() with them: they sleep until there is room or a connection.

import { type TcpEndpoint, WRITE_EOR, WRITE_MORE, WRITE_URGENT } from "../../netstack/index.ts";
import type { Expr } from "./ast.ts";
import type { Call, DrillProcess } from "./process.ts";
import { type DrillSocket, PipeEnd, type Result, resultOf } from "./socket.ts";
import { addressOf, fieldsOf, isNull, itemsOf, numberOf } from "./values.ts";

const NEVER = Number.POSITIVE_INFINITY;
const MSG_OOB = 1;
const MSG_DONTWAIT = 0x40;
const MSG_EOR = 0x80;
const MSG_MORE = 0x8000;
const MSG_ZEROCOPY = 0x400_0000;
const MSG_FASTOPEN = 0x2000_0000;
const CLOSED = 7;

export const isSleeping = (s: DrillSocket, flags: number): boolean =>
  !s.isNonBlocking && (flags & MSG_DONTWAIT) === 0;

export function destination(p: DrillProcess, e: Expr): ReturnType<typeof addressOf> {
  if (e.kind !== "ellipsis") return addressOf(e);
  return { addr: p.config.remote, port: p.config.connectPort };
}

export function* connectTo(
  p: DrillProcess,
  s: DrillSocket,
  to: ReturnType<typeof addressOf>,
): Call {
  let result = resultOf(s.endpoint.connect(to.addr, to.port));
  const flow = p.flowOf(s);
  if (flow !== null) {
    flow.takePorts();
    if (result === "EINPROGRESS") p.underTest = flow;
  }
  if (result !== "EINPROGRESS" || !isSleeping(s, 0)) return result;
  while (result === "EINPROGRESS" || result === "EALREADY") {
    yield NEVER;
    result = resultOf(s.endpoint.connect(to.addr, to.port));
  }
  return result;
}

/** Waits for the end of a connect under way; an errno when it failed. */
function* awaitConnected(s: DrillSocket): Call {
  const SYN_SENT = 2;
  while (s.tcp !== null && (s.tcp.state === SYN_SENT || s.tcp.state === 3)) yield NEVER;
  const error = s.endpoint.takeError();
  return error === 0 ? 0 : resultOf(error);
}

export function* sendBytes(
  p: DrillProcess,
  s: DrillSocket,
  length: number,
  flags: number,
  to: ReturnType<typeof addressOf> | null,
): Call {
  const buffer = p.scratch(length);
  if (s.datagram !== null) {
    for (;;) {
      const n = resultOf(s.datagram.send(buffer, 0, length, to?.addr ?? null, to?.port ?? 0));
      if (n !== "EAGAIN" || !isSleeping(s, flags)) return n;
      yield NEVER;
    }
  }
  if (s.tcp === null) return "EOPNOTSUPP";
  let written = 0;
  const isOpening = s.opensOnSend && to !== null && s.tcp.state === CLOSED;
  if (s.isConnectDeferred || isOpening || (flags & MSG_FASTOPEN) !== 0) {
    const first = yield* fastOpenSend(p, s.tcp, s, length, flags, to);
    if (typeof first === "string") return first;
    written = first;
    // 0 of a connection that is open by now: an ordinary send.
    const isOrdinary = first === 0 && length > 0;
    if (first >= length || (!isSleeping(s, flags) && !isOrdinary)) {
      if ((flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && written > 0) s.noteZeroCopy();
      return written;
    }
  }
  let more = 0;
  if ((flags & MSG_MORE) !== 0) more |= WRITE_MORE;
  if ((flags & MSG_EOR) !== 0) more |= WRITE_EOR;
  if ((flags & MSG_OOB) !== 0) more |= WRITE_URGENT;
  for (;;) {
    const n = s.tcp.write(buffer, 0, length - written, more);
    if (n >= 0) {
      written += n;
      s.bytesWritten += n;
      if (written >= length || (n === 0 && length === 0)) break;
      if (!isSleeping(s, flags)) break;
    } else {
      const error = resultOf(n);
      if (error !== "EAGAIN") return written > 0 ? written : error;
      if (!isSleeping(s, flags)) {
        if (written === 0) return error;
        break;
      }
    }
    yield NEVER;
  }
  if ((flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && written > 0) s.noteZeroCopy();
  if (s.timestamping !== 0) s.noteTimestamped();
  return written;
}

/** MSG_FASTOPEN, or the first send after a deferred connect: what goes with the SYN. */
function* fastOpenSend(
  p: DrillProcess,
  tcp: TcpEndpoint,
  s: DrillSocket,
  length: number,
  flags: number,
  to: ReturnType<typeof addressOf> | null,
): Call {
  const peer = to ?? { addr: p.config.remote, port: p.config.connectPort };
  s.isConnectDeferred = false;
  const result = resultOf(tcp.connectWithData(peer.addr, peer.port, p.scratch(length), 0, length));
  // What did not fit into the SYN waits for the handshake with its writer.
  const isRestLeft = typeof result === "string" || result < length;
  tcp.isWriterWaiting = isSleeping(s, flags) && isRestLeft;
  const flow = p.flowOf(s);
  if (flow !== null) {
    flow.takePorts();
    p.underTest = flow;
  }
  if (typeof result === "number") s.bytesWritten += result;
  // There the rest is queued behind the handshake.
  if (s.opensOnSend) return result === "EINPROGRESS" ? 0 : result;
  if (!isSleeping(s, flags)) return result;
  if (typeof result === "string" && result !== "EINPROGRESS") return result;
  const end = yield* awaitConnected(s);
  tcp.isWriterWaiting = false;
  if (end !== 0) return end;
  return typeof result === "number" ? result : 0;
}

export function* writeCall(p: DrillProcess, a: Expr[]): Call {
  const file = p.file(a[0]);
  if (file === null) return "EBADF";
  const length = numberOf(a[2]);
  if (file instanceof PipeEnd) {
    file.pipe.bytes += length;
    return length;
  }
  const s = p.socket(a[0]);
  const flags = a[3] === undefined ? 0 : numberOf(a[3]);
  if (isNull(a[1]) && length > 0) return faultOfWrite(s, flags);
  const name = a[4];
  if (name?.kind === "word" && name.name === "AF_UNSPEC") {
    if ((flags & MSG_FASTOPEN) !== 0) return "EOPNOTSUPP";
    return yield* sendBytes(p, s, length, flags, null);
  }
  const to = name === undefined || isNull(name) ? null : destination(p, name);
  return yield* sendBytes(p, s, length, flags, to);
}

function faultOfWrite(s: DrillSocket, flags: number): Result {
  if (s.tcp === null || s.tcp.state !== CLOSED || (flags & MSG_FASTOPEN) !== 0) return "EFAULT";
  return s.isConnectDeferred ? "EFAULT" : "EPIPE";
}

/** Pages of one packet buffer (MAX_SKB_FRAGS): a zero-copy send of more pieces is cut there. */
const FRAGMENTS_MAX = 17;

export function* sendMessage(p: DrillProcess, a: Expr[]): Call {
  const s = p.socket(a[0]);
  const message = fieldsOf(a[1]);
  const vector = message.get("msg_iov");
  const name = message.get("msg_name");
  const flags = a[2] === undefined ? 0 : numberOf(a[2]);
  const isNamed = name !== undefined && !isNull(name) && s.tcp?.state === CLOSED;
  const to = isNamed ? destination(p, name) : null;
  const lengths =
    vector === undefined ? [] : itemsOf(vector).map((part) => numberOf(itemsOf(part)[1]));
  const isPinned = (flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && lengths.length > FRAGMENTS_MAX;
  if (!isPinned) return yield* sendBytes(p, s, sum(lengths), flags, to);
  let total = 0;
  for (let at = 0; at < lengths.length; at += FRAGMENTS_MAX) {
    const piece = sum(lengths.slice(at, at + FRAGMENTS_MAX));
    const isLast = at + FRAGMENTS_MAX >= lengths.length;
    const sent = yield* sendBytes(
      p,
      s,
      piece,
      isLast ? flags : (flags & ~MSG_ZEROCOPY) | MSG_EOR,
      to,
    );
    if (typeof sent === "string") return total > 0 ? total : sent;
    total += sent;
    if (sent < piece) break;
  }
  return total;
}

const sum = (lengths: readonly number[]): number => lengths.reduce((a, b) => a + b, 0);
