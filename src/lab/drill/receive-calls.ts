// The calls that receive: they sleep until there is something, an end, or an error.

import { newDatagramInfo } from "../../netstack/index.ts";
import type { CallSpec, Expr } from "./ast.ts";
import { receiveMessage } from "./message.ts";
import type { Call, DrillProcess } from "./process.ts";
import { isSleeping } from "./send-calls.ts";
import { type DrillSocket, PipeEnd, type Result, resultOf } from "./socket.ts";
import { fieldsOf, isNull, numberOf, vectorLength } from "./values.ts";

const MSG_OOB = 1;
const MSG_PEEK = 2;
const MSG_TRUNC = 0x20;
const MSG_WAITALL = 0x100;
const MSG_ERRQUEUE = 0x2000;

export function* receiveBytes(
  p: DrillProcess,
  s: DrillSocket,
  length: number,
  flags: number,
): Call {
  const buffer = p.scratch(length);
  const isPeek = (flags & MSG_PEEK) !== 0;
  const deadline = p.config.nowNs() + s.receiveTimeoutNs;
  let got = 0;
  for (;;) {
    let n: Result;
    // A deferred connect is on its way as far as a reader can see.
    if (s.isConnectDeferred) n = "EAGAIN";
    else if ((flags & MSG_OOB) !== 0) {
      const byte = s.tcp?.readUrgent(isPeek) ?? -17;
      n = byte >= 0 ? 1 : resultOf(byte);
    } else if (s.tcp !== null) {
      const isDrop = (flags & MSG_TRUNC) !== 0 && !isPeek;
      n = resultOf(
        isDrop ? s.tcp.discard(length - got) : s.tcp.read(buffer, 0, length - got, isPeek),
      );
    } else n = receiveDatagram(s, buffer, length, isPeek, flags);
    if (typeof n === "number") {
      got += n;
      const wantsAll = (flags & MSG_WAITALL) !== 0 && n > 0 && got < length && !isPeek;
      if (!wantsAll) return got;
    } else if (n !== "EAGAIN") return got > 0 ? got : n;
    if (!isSleeping(s, flags) || p.config.nowNs() >= deadline) return got > 0 ? got : "EAGAIN";
    yield deadline;
  }
}

function receiveDatagram(
  s: DrillSocket,
  buffer: Uint8Array,
  length: number,
  isPeek: boolean,
  flags: number,
): Result {
  const info = newDatagramInfo();
  const n = resultOf(s.datagram?.receive(buffer, 0, length, info, isPeek) ?? -19);
  return typeof n === "number" && (flags & MSG_TRUNC) !== 0 ? info.length : n;
}

export function* readCall(p: DrillProcess, a: Expr[]): Call {
  const file = p.file(a[0]);
  if (file === null) return "EBADF";
  const length = numberOf(a[2]);
  if (file instanceof PipeEnd) {
    const n = Math.min(length, file.pipe.bytes);
    file.pipe.bytes -= n;
    return n;
  }
  const s = p.socket(a[0]);
  if (isNull(a[1]) && length > 0) return yield* faultingRead(s);
  return yield* receiveBytes(p, s, length, a[3] === undefined ? 0 : numberOf(a[3]));
}

/** A bad pointer is noticed only when there is something to copy. */
// biome-ignore lint/correctness/useYield: a call that does not sleep
function* faultingRead(s: DrillSocket): Call {
  return (s.tcp?.readableBytes ?? s.datagram?.nextBytes ?? 0) > 0 ? "EFAULT" : "EAGAIN";
}

export function* receiveMessageCall(p: DrillProcess, a: Expr[], c: CallSpec): Call {
  const s = p.socket(a[0]);
  const message = fieldsOf(a[1]);
  const flags = a[2] === undefined ? 0 : numberOf(a[2]);
  let result: Result = 0;
  if ((flags & MSG_ERRQUEUE) === 0) {
    const vector = message.get("msg_iov");
    const length = vector === undefined ? 0 : vectorLength(vector);
    result = yield* receiveBytes(p, s, length, flags);
  }
  return receiveMessage(s, message, flags, result, c);
}
